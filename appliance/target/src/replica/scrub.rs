//! Scrubbing one machine: everything of its journal and its target disks is read against what it should be.
//!
//! 1. The journal: each index against its checksum, each record of each log against its header and predecessor, each payload
//!    against its hash.
//! 2. The target disks, through two views: at the point of the last pass every leaf must still have the hash it had then, wherever
//!    its content is by now, on the disk or as a before-image; at the newest point the roots must be those the source gave.
//!
//! What can't be read is damaged like what does not check. Of every epoch, and of every so many leaves, that were read it tells whoever
//! began it, so that a pass that is cut goes on there.
//!
//! It works on an engine of its own and asks the applier only for views, and to note what it found. What it reads is paced.
//! *Invariant:* what the table of leaf hashes says of a leaf was on the disk when the source's root vouched for it, or has been
//! written since as the journal tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use blockdev::{Engine, PagePool, Volume};
use retention::{Damage, LeafTable};
use units::{ByteLen, EpochNumber, MachineId, Timestamp};

use super::error::ReplicaError;
use super::shared::Shared;
use super::work::{Then, Work};

mod disks;
mod journal;
mod leaves;

pub(crate) use disks::DiskPass;
pub(crate) use leaves::remove_leaves;

/// What a pass has found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) damage: Vec<Damage>,
    /// Ranges of target disks whose current content is in doubt.
    pub(crate) resend: Vec<wire::Span>,
    /// Indexes that were made again.
    pub(crate) mended: u32,
    /// The journal is damaged so that no point can be had.
    pub(crate) blind: bool,
    /// The disks are what the source says.
    pub(crate) proved: bool,
}

/// How far a pass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progressed {
    /// Every epoch before this one was read.
    Journal(EpochNumber),
    /// This table is being written; so many pages of it are durable.
    Disks(LeafTable, u64),
}

/// Is told how far a pass is, and what it has found up to there.
pub(crate) type Mark<'m, E> = dyn FnMut(&mut E, &mut Findings, Progressed) -> Result<(), ReplicaError> + 'm;

/// How fast may be read, how far it is, and whether to go on. Shared with whoever watches.
#[derive(Debug, Default)]
pub struct ScrubPace {
    /// Bytes a second; 0 for no limit.
    pub rate: AtomicU64,
    /// Bytes read, in all parts of the pass.
    pub done: AtomicU64,
    /// Bytes that were read before it was cut the last time.
    pub before: AtomicU64,
    /// Bytes to read.
    pub total: AtomicU64,
    /// The pass is to end.
    pub stop: AtomicBool,
}

/// What a pass works on.
pub(crate) struct Bench<'b, E, V> {
    pub(crate) engine: &'b mut E,
    pub(crate) volume: &'b V,
    pub(crate) pool: &'b PagePool,
    pub(crate) machine: MachineId,
    pub(crate) shared: &'b Arc<Shared>,
    pub(crate) pace: &'b Paced<'b>,
    pub(crate) now: Timestamp,
}

/// Keeps to a pace.
pub(crate) struct Paced<'p> {
    pace: &'p ScrubPace,
    begun: Instant,
    read: std::cell::Cell<u64>,
}

/// Longest sleep between two looks at whether to go on.
const NAP_MAX: Duration = Duration::from_millis(100);

impl<'p> Paced<'p> {
    pub(crate) fn new(pace: &'p ScrubPace) -> Self {
        Self { pace, begun: Instant::now(), read: std::cell::Cell::new(0) }
    }

    /// Counts bytes that were read, and waits until more may be. Errors: the pass is to end.
    pub(crate) fn count(&self, bytes: u64) -> Result<(), ReplicaError> {
        self.pace.done.fetch_add(bytes, Ordering::Relaxed);
        self.read.set(self.read.get() + bytes);
        loop {
            if self.pace.stop.load(Ordering::Relaxed) {
                let (wanted, found, allowed) = ("scrub", "stopped".to_owned(), "until its end");
                return Err(ReplicaError::Unfit { wanted, found, allowed });
            }
            let rate = self.pace.rate.load(Ordering::Relaxed);
            let due = self.read.get().saturating_mul(1000).checked_div(rate).map(Duration::from_millis);
            match due.and_then(|due| due.checked_sub(self.begun.elapsed())) {
                Some(early) => std::thread::sleep(early.min(NAP_MAX)),
                None => return Ok(()),
            }
        }
    }

    pub(crate) fn expect(&self, bytes: ByteLen) {
        self.pace.total.fetch_add(bytes.0, Ordering::Relaxed);
    }
}

impl<E: Engine, V: Volume<Device = E::Device>> Bench<'_, E, V> {
    /// Has the applier do something and waits for the result. Errors: the machine is out, or that failed.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(Then<T>) -> Work,
    ) -> Result<T, ReplicaError> {
        ask(self.shared, work)
    }
}

/// Has the applier of a machine do something and waits for the result.
pub(crate) fn ask<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(Then<T>) -> Work,
) -> Result<T, ReplicaError> {
    let (told, result) = mpsc::channel();
    shared.give(work(Box::new(move |result| {
        // Whoever asked may be gone.
        let _ = told.send(result);
    })));
    result.recv().unwrap_or(Err(ReplicaError::Panicked))
}
