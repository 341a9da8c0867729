//! Disks that stand still while they are read: because nobody writes, because the applications hold their writes, or because a snapshot
//! is read instead.

use std::time::Duration;

use blockdev::ActivityStamp;
use units::Timestamp;
use wire::{Consistency, GroupMark};

use crate::agent::Agent;
use crate::disks::{self, Opened};
use crate::error::SourceError;
use crate::progress::Event;
use crate::quiesce::Frozen;

/// What is known of the disks since before their first byte is read.
pub(crate) struct Still {
    /// Their activity.
    pub(crate) since: Vec<ActivityStamp>,
    /// The moment the point stands for; none for that of the end of the scan.
    pub(crate) moment: Option<Timestamp>,
    frozen: Option<Frozen>,
    /// What is put back when the snapshots have been read.
    disks: Option<Opened>,
}

/// Writes that are held until every member of a group holds its own.
pub(crate) struct Held {
    /// For which point.
    pub(crate) mark: GroupMark,
    /// Until when, at the most.
    pub(crate) until: std::time::Instant,
    /// How.
    pub(crate) still: Still,
}

impl Still {
    /// Tells whether the applications hold their writes.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Tells whether snapshots are read that were taken when writes were held no longer: then they are of no common moment.
    pub(crate) fn was_let_go(&self) -> bool {
        self.disks.is_some() && self.frozen.as_ref().is_some_and(|frozen| !frozen.was_held())
    }
}

impl Agent<'_> {
    /// Notes the disks' activity; with `quiesce`, after the applications hold their writes, for `limit` at the most. Errors: a disk can't
    /// be looked at. A hook that fails is told as a warning, and the disks are read as they are.
    pub(crate) fn still(&mut self, quiesce: Option<Duration>) -> Result<Still, SourceError> {
        let frozen = quiesce.and_then(|limit| self.freeze(limit));
        let moment = frozen.as_ref().map(|_| self.now());
        Ok(Still { since: self.activity.stamps()?, moment, frozen, disks: None })
    }

    fn freeze(&mut self, limit: Duration) -> Option<Frozen> {
        let hook = self.config.hook.clone()?;
        match Frozen::new(&hook, &self.state, limit) {
            Ok(frozen) => Some(frozen),
            Err(why) => {
                self.warn(format!("the applications were not made consistent: {why}"));
                None
            }
        }
    }

    /// Reads snapshots from now on, if there are any, and then lets writes go on. Errors: a snapshot can't be looked at.
    pub(crate) fn read_snapshots(&mut self, still: &mut Still) -> Result<(), SourceError> {
        let Some(frozen) = &mut still.frozen else { return Ok(()) };
        let paths = match frozen.snapshots(self.reader.disks().len()) {
            Ok(Some(paths)) => paths,
            Ok(None) => return Ok(()),
            Err(why) => {
                self.warn(format!("the disks are read while writes are held: {why}"));
                return Ok(());
            }
        };
        let opened = disks::open(self.config, &paths).and_then(|opened| same_shape(self, opened));
        match opened {
            Ok(opened) => {
                frozen.thaw();
                still.since = opened.activity.stamps()?;
                // Zeroes of a seed were read from the disks, not from here.
                self.seeded_since = None;
                still.disks = Some(self.exchange_disks(opened));
            }
            Err(error) => {
                let cause = error.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
                self.warn(format!("a snapshot can't be read, so writes are held: {error}{cause}"));
            }
        }
        Ok(())
    }

    fn exchange_disks(&mut self, opened: Opened) -> Opened {
        Opened {
            reader: std::mem::replace(&mut self.reader, opened.reader),
            activity: std::mem::replace(&mut self.activity, opened.activity),
            buffers: std::mem::replace(&mut self.buffers, opened.buffers),
        }
    }

    /// Ends the stillness when everything was read; returns how far the point can be trusted. Errors: a disk can't be looked at.
    pub(crate) fn judge(&mut self, mut still: Still) -> Result<Consistency, SourceError> {
        let quiet = still.since == self.activity.stamps()?;
        let held = still.frozen.as_mut().is_some_and(Frozen::thaw);
        self.put_back(still);
        Ok(match (quiet, held || self.config.application_consistent) {
            (false, _) => Consistency::Fuzzy,
            (true, true) => Consistency::Application,
            (true, false) => Consistency::Crash,
        })
    }

    /// Reads the disks themselves again, and gives the snapshots back.
    pub(crate) fn put_back(&mut self, mut still: Still) {
        if let Some(disks) = still.disks.take() {
            drop(self.exchange_disks(disks));
            if let Some(frozen) = &still.frozen {
                frozen.release();
            }
        }
    }

    pub(crate) fn warn(&mut self, text: String) {
        self.report.event(Event::Warning { text });
    }
}

/// Checks that snapshots are of the disks. Errors: one has another size.
fn same_shape(agent: &Agent<'_>, opened: Opened) -> Result<Opened, SourceError> {
    let pairs = agent.reader.disks().iter().zip(opened.reader.disks());
    match pairs.into_iter().find(|(disk, snapshot)| disk.len != snapshot.len) {
        None => Ok(opened),
        Some((disk, snapshot)) => Err(SourceError::Snapshot {
            path: snapshot.path.clone(),
            found: snapshot.len,
            disk: disk.path.clone(),
            expected: disk.len,
        }),
    }
}
