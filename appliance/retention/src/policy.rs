//! What is kept of a machine, and what happens when there is no room for it.

use serde::{Deserialize, Serialize};
use units::{ByteLen, ByteOffset, DiskIndex, EpochNumber, Sequence, Timestamp};

/// What an operator wants for a machine, or for all that have nothing of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The age of the newest durable recovery point that is still well, in seconds.
    pub rpo_seconds: u32,
    /// How far back recovery points reach, in seconds.
    pub window_seconds: u32,
    /// How old the newest application-consistent point may be, in seconds; 0 asks for none.
    pub application_seconds: u32,
    /// Most bytes of history.
    pub budget: ByteLen,
    /// What happens when the retention volume is full.
    pub when_full: WhenFull,
}

/// What happens when the retention volume is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenFull {
    /// The oldest epochs go.
    Shrink,
    /// Old epochs keep their before-images, and lose what lies between their first and last moment.
    Thin,
    /// Nothing more is acked: the source is held back.
    Pause,
}

/// A recovery point that an operator wants kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The point.
    pub sequence: Sequence,
    /// When it may go; never, if not told.
    pub expires: Option<Timestamp>,
    /// Why it is kept, for people.
    pub note: String,
}

/// A range of a disk whose content, at some points, is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The disk.
    pub disk: DiskIndex,
    /// Where the range starts.
    pub start: ByteOffset,
    /// How long it is.
    pub len: ByteLen,
    /// Where the damaged bytes lie.
    pub place: DamagedPlace,
    /// The first point that is spoilt.
    pub first: Sequence,
    /// The last; not told while the damage goes on.
    pub last: Option<Sequence>,
    /// When it was found.
    pub found: Timestamp,
}

/// Where damaged bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DamagedPlace {
    /// On the target disk itself.
    Target,
    /// In the redo log of an epoch.
    Redo {
        /// Which epoch.
        epoch: EpochNumber,
        /// Where the record starts.
        position: ByteOffset,
    },
    /// In the undo log of an epoch.
    Undo {
        /// Which epoch.
        epoch: EpochNumber,
        /// Where the record starts.
        position: ByteOffset,
    },
}

impl Default for Policy {
    /// Returns what the retired product had fixed: 15 minutes, 24 hours, every hour.
    fn default() -> Self {
        Self {
            rpo_seconds: 15 * 60,
            window_seconds: 24 * 3600,
            application_seconds: 3600,
            budget: ByteLen(1 << 50),
            when_full: WhenFull::Shrink,
        }
    }
}
