//! Keeps an eye on the disks: a thread that hears of each change, tells the machines it concerns, and keeps the last events.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use blockdev::{DeviceChange, DeviceListing, Watch, WatchBy};
use control::api::DiskEventKind;
use target::{DiskSight, MasterTarget};
use units::Timestamp;

/// Events that are kept.
const EVENTS_MAX: usize = 1024;
/// How long somebody who asks for news waits for it at most; then it is told that there is none.
const NEWS_WITHIN: Duration = Duration::from_secs(1);
/// How long the thread listens before it looks whether it is still wanted.
const LISTEN_FOR: Duration = Duration::from_secs(1);

/// What happened to one disk.
#[derive(Clone, Debug)]
pub(crate) struct DiskNews {
    pub(crate) number: u64,
    pub(crate) time: Timestamp,
    pub(crate) kind: DiskEventKind,
    pub(crate) disk: DeviceListing,
}

/// What happened after some event.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) newest: u64,
    pub(crate) missed: bool,
    pub(crate) events: Vec<DiskNews>,
}

/// The last events.
#[derive(Debug)]
pub(crate) struct DiskEvents {
    state: Mutex<State>,
    changed: Condvar,
    by_event: bool,
}

#[derive(Debug, Default)]
struct State {
    newest: u64,
    kept: VecDeque<DiskNews>,
}

impl DiskEvents {
    /// Starts the thread that watches, for as long as `node` lives.
    pub(crate) fn start(node: &Arc<MasterTarget>) -> std::io::Result<Arc<Self>> {
        let mut watch = Watch::open(WatchBy::Events);
        let (state, changed, by_event) = (Mutex::default(), Condvar::new(), watch.hears_events());
        let events = Arc::new(Self { state, changed, by_event });
        let (node, kept) = (Arc::downgrade(node), events.clone());
        tracing::info!(by_event, disks = watch.devices().count(), "watching disks");
        std::thread::Builder::new().name("disks".to_owned()).spawn(move || {
            while let Some(node) = node.upgrade() {
                for change in watch.wait(LISTEN_FOR) {
                    kept.take(&node, change);
                }
            }
        })?;
        Ok(events)
    }

    /// Tells whether the kernel tells, rather than that the disks are looked at now and then.
    pub(crate) fn by_event(&self) -> bool {
        self.by_event
    }

    /// Returns what happened after an event, or from now on; waits a second at most.
    pub(crate) fn after(&self, after: Option<u64>) -> News {
        let state = self.lock();
        let after = after.unwrap_or(state.newest);
        let nothing_new = |state: &mut State| state.newest <= after;
        let waited = self.changed.wait_timeout_while(state, NEWS_WITHIN, nothing_new);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let events: Vec<_> = state.kept.iter().filter(|news| news.number > after).cloned().collect();
        let missed = (events.len() as u64) < state.newest.saturating_sub(after);
        News { newest: state.newest, missed, events }
    }

    fn take(&self, node: &MasterTarget, change: DeviceChange) {
        let (kind, disk) = match change {
            DeviceChange::Added(disk) => (DiskEventKind::Added, disk),
            DeviceChange::Changed { now, .. } => (DiskEventKind::Changed, now),
            DeviceChange::Removed(disk) => (DiskEventKind::Removed, disk),
        };
        let identity = disk.identity.as_ref().map(ToString::to_string).unwrap_or_default();
        let (path, len) = (disk.path.display(), disk.len);
        match kind {
            DiskEventKind::Added => tracing::info!(%path, %len, identity, "disk appeared"),
            DiskEventKind::Changed => tracing::info!(%path, %len, identity, "disk changed"),
            DiskEventKind::Removed => tracing::info!(%path, %len, identity, "disk is gone"),
        }
        match kind {
            DiskEventKind::Added => node.disk_seen(&disk, DiskSight::There),
            DiskEventKind::Changed => {}
            DiskEventKind::Removed => node.disk_seen(&disk, DiskSight::of_removed(&disk)),
        }
        let mut state = self.lock();
        state.newest += 1;
        let time = Timestamp::from_system(SystemTime::now());
        let news = DiskNews { number: state.newest, time, kind, disk };
        state.kept.push_back(news);
        if state.kept.len() > EVENTS_MAX {
            state.kept.pop_front();
        }
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
