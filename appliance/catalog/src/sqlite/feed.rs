//! The last changes, for those who watch. Kept in memory: nobody watches across a restart.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use inventory::Revision;

use super::Store;
use crate::{CatalogError, Event, Watch};

/// Changes that are kept for those who are slow.
const EVENTS_MAX: usize = 8192;

/// The last changes.
#[derive(Debug)]
pub(super) struct Feed {
    state: Mutex<State>,
    published: Condvar,
}

#[derive(Debug)]
struct State {
    events: VecDeque<Event>,
    /// Changes up to here are no longer known.
    floor: Revision,
    latest: Revision,
}

/// One who watches.
#[derive(Debug)]
pub(super) struct FeedWatch {
    feed: Arc<Feed>,
    prefix: String,
    after: Revision,
    store: Arc<Mutex<Store>>,
}

impl Feed {
    /// Returns a feed that knows of nothing before this revision.
    pub(super) fn new(latest: Revision) -> Self {
        let state = State { events: VecDeque::new(), floor: latest, latest };
        Self { state: Mutex::new(state), published: Condvar::new() }
    }

    /// Returns the revision of the last change.
    pub(super) fn latest(&self) -> Revision {
        self.lock().latest
    }

    /// Tells of a commit.
    pub(super) fn publish(&self, revision: Revision, events: impl Iterator<Item = Event>) {
        let mut state = self.lock();
        assert!(revision > state.latest, "revisions rise");
        state.latest = revision;
        state.events.extend(events);
        while state.events.len() > EVENTS_MAX {
            state.floor = state.events.pop_front().expect("there are more than none").revision;
        }
        self.published.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a commit after this revision, until a moment at most.
    fn wait(&self, after: Revision, until: Instant) {
        let (state, wait) = (self.lock(), until.saturating_duration_since(Instant::now()));
        let _ = self.published.wait_timeout_while(state, wait, |state| state.latest <= after);
    }
}

impl State {
    fn after(&self, revision: Revision) -> impl Iterator<Item = &Event> {
        let from = self.events.partition_point(|event| event.revision <= revision);
        self.events.range(from..)
    }
}

impl FeedWatch {
    pub(super) fn new(feed: Arc<Feed>, prefix: &str, after: Revision, store: Arc<Mutex<Store>>) -> Self {
        Self { feed, prefix: prefix.to_owned(), after, store }
    }

    /// Takes what has come.
    fn take(&mut self) -> Result<Vec<Event>, CatalogError> {
        let state = self.feed.lock();
        if self.after < state.floor {
            return Err(CatalogError::Missed { after: self.after });
        }
        let ours = |event: &&Event| event.key.as_str().starts_with(&self.prefix);
        let events = state.after(self.after).filter(ours).cloned().collect();
        self.after = self.after.max(state.latest);
        Ok(events)
    }

    /// Ends leases that are over, which may make changes, and returns when the next one will be.
    fn expire(&self) -> Result<Option<Instant>, CatalogError> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.expire(&self.feed)?;
        Ok(store.leases.next_due())
    }
}

impl Watch for FeedWatch {
    fn next(&mut self, wait: Duration) -> Result<Vec<Event>, CatalogError> {
        let until = Instant::now() + wait;
        loop {
            let due = self.expire()?;
            let events = self.take()?;
            if !events.is_empty() || Instant::now() >= until {
                return Ok(events);
            }
            self.feed.wait(self.after, due.map_or(until, |due| due.min(until)));
        }
    }
}
