//! What an applier can be asked to do, besides destaging.

use std::fmt;
use std::sync::Arc;

use retention::{Afterwards, ExpiryPlan, Pin, Policy};
use units::{ByteLen, ByteOffset, DiskIndex, EpochNumber, Hash, Sequence};
use wire::{GranuleQuery, HashQuery, Span};

use super::damage::DamageChange;
use super::error::ReplicaError;
use super::progress::Progress;
use super::seed::SeedWork;
use super::view::LiveView;

/// Receives the result of a work, once, on the applier's thread; must not block.
pub type Then<T> = Box<dyn FnOnce(Result<T, ReplicaError>) + Send>;

/// One thing to do. Works are done in the order they were given; but policies and pins don't wait behind what waits for the applier.
pub enum Work {
    /// Begin to fill the disks: remember their sizes. Durable when `then` is called.
    Begin {
        /// Size of each protected disk.
        lens: Vec<ByteLen>,
        /// Told when done.
        then: Then<()>,
    },
    /// Write seeded data to the disks.
    Seed(SeedWork),
    /// Make everything seeded before durable, and remember how far it reaches.
    SeedSync {
        /// The disk.
        disk: DiskIndex,
        /// Everything before this position of it is seeded.
        through: ByteOffset,
        /// Told when durable.
        then: Then<()>,
    },
    /// End the seed: what is on the disks is the state at sequence 0. Durable when `then` is called.
    EndSeeding {
        /// Told when durable.
        then: Then<()>,
    },
    /// Hash leaves of a target disk, after everything durable was applied.
    Hashes {
        /// Which.
        query: HashQuery,
        /// Told the hashes.
        then: Then<Vec<Hash>>,
    },
    /// Hash the granules of some leaves, after everything durable was applied.
    Granules {
        /// Which.
        query: Box<GranuleQuery>,
        /// Told the hashes.
        then: Then<Vec<Hash>>,
    },
    /// List what was written after a sequence; `None` if the history does not reach back so far.
    Changed {
        /// The sequence.
        since: Sequence,
        /// Told the spans.
        then: Then<Option<Vec<Span>>>,
    },
    /// Bring the disks to a sequence.
    Rewind {
        /// The point.
        to: Sequence,
        /// What happens then.
        afterwards: Afterwards,
        /// Told how it goes, and the end.
        progress: Arc<Progress>,
    },
    /// Say what a rewind would write.
    Plan {
        /// The point.
        to: Sequence,
        /// Told the plan.
        then: Then<retention::RewindPlan>,
    },
    /// Compute the roots of the disks at a sequence.
    Verify {
        /// The point.
        to: Sequence,
        /// Told how it goes.
        progress: Arc<Progress>,
        /// Told the root of each disk.
        then: Then<Vec<Hash>>,
    },
    /// Open a view of a sequence, after that was applied.
    View {
        /// The point.
        to: Sequence,
        /// Told the view.
        then: Then<Arc<LiveView>>,
    },
    /// Give the machine a policy of its own, or none. Durable when `then` is called.
    SetPolicy {
        /// The policy.
        policy: Option<Policy>,
        /// Told when durable.
        then: Then<()>,
    },
    /// Keep a point beyond the policy. Durable when `then` is called.
    Pin {
        /// The point, and for how long.
        pin: Pin,
        /// Told when durable.
        then: Then<()>,
    },
    /// Keep a point no longer. Durable when `then` is called.
    Unpin {
        /// The point.
        sequence: Sequence,
        /// Told when durable.
        then: Then<()>,
    },
    /// Say what goes, by the machine's policy or another one.
    PlanExpiry {
        /// Another policy.
        policy: Option<Policy>,
        /// Told the plan.
        then: Then<ExpiryPlan>,
    },
    /// Return the index of every epoch, oldest first.
    Indexes {
        /// Told the indexes.
        then: Then<Vec<retention::EpochIndex>>,
    },
    /// Make the index of a sealed epoch again. Durable when `then` is called.
    MendIndex {
        /// The epoch.
        epoch: EpochNumber,
        /// Told when durable.
        then: Then<()>,
    },
    /// Change what is known to be damaged. Durable when `then` is called.
    NoteDamage {
        /// The change.
        change: DamageChange,
        /// Told when durable.
        then: Then<()>,
    },
    /// Accept the point the disks stand at. Durable when `then` is called.
    Commit {
        /// Told when durable.
        then: Then<()>,
    },
}

impl Work {
    /// Tells whether the stream must stand still from now on.
    pub(crate) fn closes_stream(&self) -> bool {
        matches!(self, Self::Rewind { .. })
    }

    /// Tells whether everything durable must have been applied before.
    pub(crate) fn needs_everything_applied(&self) -> bool {
        matches!(
            self,
            Self::Hashes { .. }
                | Self::Granules { .. }
                | Self::Changed { .. }
                | Self::Rewind { .. }
                | Self::Plan { .. }
                | Self::Verify { .. }
        )
    }

    /// Tells whether it concerns what is kept alone, and can be done before what was asked for earlier.
    pub(crate) fn waits_for_nothing(&self) -> bool {
        matches!(
            self,
            Self::SetPolicy { .. } | Self::Pin { .. } | Self::Unpin { .. } | Self::PlanExpiry { .. }
        )
    }

    /// Says that the work will not be done, and why.
    pub(crate) fn refuse(self, error: &ReplicaError) {
        let error = error.clone();
        match self {
            Self::Begin { then, .. }
            | Self::Seed(SeedWork { then, .. })
            | Self::SeedSync { then, .. }
            | Self::EndSeeding { then }
            | Self::SetPolicy { then, .. }
            | Self::Pin { then, .. }
            | Self::Unpin { then, .. }
            | Self::MendIndex { then, .. }
            | Self::NoteDamage { then, .. }
            | Self::Commit { then } => then(Err(error)),
            Self::Indexes { then } => then(Err(error)),
            Self::PlanExpiry { then, .. } => then(Err(error)),
            Self::Hashes { then, .. } | Self::Granules { then, .. } => then(Err(error)),
            Self::Changed { then, .. } => then(Err(error)),
            Self::Plan { then, .. } => then(Err(error)),
            Self::View { then, .. } => then(Err(error)),
            Self::Rewind { progress, .. } => progress.end(Err(error)),
            Self::Verify { then, progress, .. } => {
                progress.end(Err(error.clone()));
                then(Err(error));
            }
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Begin { .. } => "Begin",
            Self::Seed(_) => "Seed",
            Self::SeedSync { .. } => "SeedSync",
            Self::EndSeeding { .. } => "EndSeeding",
            Self::Hashes { .. } => "Hashes",
            Self::Granules { .. } => "Granules",
            Self::Changed { .. } => "Changed",
            Self::Rewind { .. } => "Rewind",
            Self::Plan { .. } => "Plan",
            Self::Verify { .. } => "Verify",
            Self::View { .. } => "View",
            Self::SetPolicy { .. } => "SetPolicy",
            Self::Pin { .. } => "Pin",
            Self::Unpin { .. } => "Unpin",
            Self::PlanExpiry { .. } => "PlanExpiry",
            Self::Indexes { .. } => "Indexes",
            Self::MendIndex { .. } => "MendIndex",
            Self::NoteDamage { .. } => "NoteDamage",
            Self::Commit { .. } => "Commit",
        })
    }
}
