//! Why a replica can't go on.

use blockdev::{DeviceError, EngineError, VolumeError};
use retention::{DecodeError, PlanError};
use units::{ByteOffset, DiskIndex, Sequence};

/// Why a step of a replica failed. What follows from it: see [`ReplicaError::kind`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReplicaError {
    /// A device failed, vanished or refused.
    #[error("a device failed")]
    Device(#[from] DeviceError),
    /// The engine failed.
    #[error("the block engine failed")]
    Engine(#[from] EngineError),
    /// The retention volume failed.
    #[error("the retention volume failed")]
    Volume(#[source] VolumeError),
    /// The retention volume is full.
    #[error("the retention volume is full: no room for {what}")]
    Full {
        /// What room was needed for.
        what: String,
    },
    /// A file of the journal can't be read, or is not what it should be.
    #[error("the journal is damaged: {file} at {at}")]
    Damaged {
        /// The file, on the retention volume.
        file: String,
        /// Where in it.
        at: ByteOffset,
        /// What is wrong.
        #[source]
        cause: DecodeError,
    },
    /// A granule was overwritten, and what it held before is not in the undo log.
    #[error("the journal is damaged: {file} lacks what {disk} held at {start}")]
    Uncaptured {
        /// The undo log, on the retention volume.
        file: String,
        /// The disk.
        disk: DiskIndex,
        /// The granule's position.
        start: ByteOffset,
    },
    /// The journal ends before what was recorded as applied, or leaves a sequence out.
    #[error("the journal lost history: {what}: found sequence {found}, expected {expected}")]
    LostHistory {
        /// Where that shows.
        what: &'static str,
        /// Found.
        found: Sequence,
        /// Expected.
        expected: Sequence,
    },
    /// The point can't be had.
    #[error("the point can't be had")]
    Plan(#[from] PlanError),
    /// The replica stands where this has no meaning.
    #[error("{wanted}: the replica stands at {found}, allowed is {allowed}")]
    Unfit {
        /// What was asked for.
        wanted: &'static str,
        /// Where the replica stands, in words.
        found: String,
        /// Where it would have to stand.
        allowed: &'static str,
    },
    /// The view is over.
    #[error("the view has ended: {why}")]
    ViewEnded {
        /// Why.
        why: String,
    },
    /// A bug of ours: the machine is out, the others are not.
    #[error("landfalld met a mistake of its own and left this machine alone")]
    Panicked,
    /// Memory for the compressor could not be had.
    #[error("no memory for a compressor")]
    NoMemory,
}

/// What a failure means for the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// A device is out, until an operator says so.
    Device,
    /// The journal is quarantined.
    Damaged,
    /// Space must be found; nothing is lost.
    Full,
    /// This request can't be granted; the machine is as it was.
    Refused,
}

impl ReplicaError {
    /// Tells whether something could not be read where it lies, and the device may be well otherwise.
    pub(crate) fn is_unreadable(&self) -> bool {
        use blockdev::OperationKind::Read;
        let Self::Device(error) = self else { return false };
        matches!(error, DeviceError::Failed { kind: Read, .. } | DeviceError::Short { kind: Read, .. })
    }

    /// Says what the failure means for the machine.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Device(_) | Self::Engine(_) | Self::Volume(_) | Self::NoMemory | Self::Panicked => {
                FailureKind::Device
            }
            Self::Damaged { .. } | Self::Uncaptured { .. } | Self::LostHistory { .. } => FailureKind::Damaged,
            Self::Full { .. } => FailureKind::Full,
            Self::Unfit { .. }
            | Self::ViewEnded { .. }
            | Self::Plan(PlanError::OutOfWindow { .. } | PlanError::Thinned { .. }) => FailureKind::Refused,
            Self::Plan(PlanError::Unresolved { .. }) => FailureKind::Damaged,
        }
    }
}

impl From<VolumeError> for ReplicaError {
    fn from(error: VolumeError) -> Self {
        match error {
            VolumeError::NoSpace { path, .. } => Self::Full { what: path },
            other => Self::Volume(other),
        }
    }
}
