//! Mistakes that can be made on purpose: the simulator must catch each, or it proves nothing.
//!
//! Without the feature `planted-bugs` no mistake can be chosen, and every question for one is a constant `false`.

use retention::TailScan;
use units::Sequence;

use super::limits::ReplicaLimits;
use super::shared::{Shared, State};

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
    /// A source is acked what was received.
    AckOfReceived,
    /// A source is acked what another machine has durable.
    AckOfAnother,
    /// An item that came before is taken once more, as the next one.
    DuplicateTaken,
    /// Any generation may write.
    GenerationUnchecked,
    /// More is taken than was credited.
    CreditUnchecked,
    /// A session goes on before what an earlier one has brought is durable.
    ResumeUnsettled,
    /// A session goes on with a seed before what an earlier one has seeded is settled.
    SeedUnsettled,
    /// No checkpoint is made while an epoch lasts.
    CheckpointNever,
    /// A recovery point counts only if its time is after that of the one before.
    PointsByClock,
    /// A view does not learn of what is captured in epochs after the one it was opened in.
    CaptureUntold,
    /// A pin keeps nothing.
    PinUnheld,
    /// A rewind leaves a thinned epoch without keeping what that wrote last.
    ThinnedUnsaved,
}

/// Mistakes of sessions are made where a machine's state is looked at.
#[cfg(feature = "planted-bugs")]
impl Shared {
    /// Has a mistake made.
    pub(crate) fn plant(&self, limits: &ReplicaLimits) {
        if let Some(mistake) = limits.planted {
            // Once for each replica that is put together.
            let _ = self.planted.set(mistake);
        }
    }

    /// Tells whether this mistake is to be made.
    pub(crate) fn plants(&self, mistake: Planted) -> bool {
        self.planted.get() == Some(&mistake)
    }

    /// Returns what a source is told to be durable.
    pub(crate) fn acked(&self, state: &State) -> Sequence {
        thread_local! {
            static NEWEST: std::cell::Cell<Sequence> = const { std::cell::Cell::new(Sequence(0)) };
        }
        match self.planted.get() {
            Some(Planted::AckOfReceived) => state.received,
            Some(Planted::AckOfAnother) => {
                NEWEST.with(|newest| newest.set(newest.get().max(state.durable)));
                NEWEST.with(std::cell::Cell::get)
            }
            _ => state.durable,
        }
    }
}

/// No mistake is made on purpose.
#[cfg(not(feature = "planted-bugs"))]
#[expect(clippy::unused_self, reason = "the questions are the same with and without the feature")]
impl Shared {
    pub(crate) const fn plant(&self, _: &ReplicaLimits) {}

    pub(crate) const fn plants(&self, _: Planted) -> bool {
        false
    }

    /// Returns what a source is told to be durable.
    pub(crate) const fn acked(&self, state: &State) -> Sequence {
        state.durable
    }
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
