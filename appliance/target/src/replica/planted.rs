//! Mistakes that can be made on purpose: the simulator must catch each, or it proves nothing.
//!
//! Without the feature `planted-bugs` no mistake can be chosen, and every question for one is a constant `false`.

use retention::TailScan;

use super::limits::ReplicaLimits;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A group counts as durable when it is written, not flushed.
    AckBeforeFlush,
    /// Before-images are not kept.
    NoBeforeImage,
    /// The target is overwritten before the before-images are durable.
    UndoNotFlushed,
    /// Any record that can't be read ends the log.
    DamageIsTail,
    /// A record is taken wherever it lies.
    PlaceUnchecked,
    /// A flush that failed is tried again, and believed.
    FlushRetried,
    /// An epoch's files are removed before the head says so.
    RemovedBeforeHead,
    /// Of two writes to a granule in one round the older wins.
    OldestWins,
    /// What is whole of a torn group is kept, wherever it ends.
    TornGroupKept,
    /// A rewind begins to write before the head says so.
    RewindUnrecorded,
    /// A checkpoint is recorded without the target disks having been flushed.
    CheckpointUnflushed,
    /// Views learn of what was overwritten when it was.
    ViewsToldLate,
}

impl ReplicaLimits {
    /// Tells whether this mistake is to be made.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn plants(&self, mistake: Planted) -> bool {
        self.planted == Some(mistake)
    }

    /// No mistake is made on purpose.
    #[cfg(not(feature = "planted-bugs"))]
    #[expect(clippy::unused_self, reason = "the question is the same with and without the feature")]
    pub(crate) const fn plants(&self, _: Planted) -> bool {
        false
    }

    /// Returns the scan, without its check of places if that is the mistake.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn scan(&self, scan: TailScan) -> TailScan {
        if self.plants(Planted::PlaceUnchecked) { scan.without_place_check() } else { scan }
    }

    /// Returns the scan.
    #[cfg(not(feature = "planted-bugs"))]
    #[expect(clippy::unused_self, reason = "the question is the same with and without the feature")]
    pub(crate) fn scan(&self, scan: TailScan) -> TailScan {
        scan
    }
}
