//! How far back history reaches, and what it costs.

use serde::{Deserialize, Serialize};
use units::{EpochNumber, MachineName, Sequence};
use utoipa::ToSchema;

use super::{Keeping, Point, Rfc3339, VolumeUse};

/// One epoch of a machine's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Epoch {
    /// Its number.
    pub number: EpochNumber,
    /// The first sequence in it.
    pub first: Sequence,
    /// The last sequence in it, so far.
    pub last: Sequence,
    /// When it was begun, by the source's clock.
    pub started: Option<Rfc3339>,
    /// No more is added to it.
    pub sealed: bool,
    /// It has lost its ordered writes: only its start and its end can be had.
    #[serde(default)]
    pub thinned: bool,
    /// How many epochs that ended in one hour it was made of, if it is made of more than itself.
    #[serde(default)]
    pub joined: Option<u64>,
    /// Bytes of ordered writes.
    pub redo_bytes: u64,
    /// Bytes of before-images.
    pub undo_bytes: u64,
}

/// The history of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// The machine.
    pub machine: MachineName,
    /// The oldest recovery point.
    pub oldest: Option<Point>,
    /// The newest recovery point.
    pub newest: Option<Point>,
    /// Seconds between the two: the retention window as it is.
    pub window_seconds: u64,
    /// Seconds the policy keeps.
    pub keep_seconds: u64,
    /// Bytes the policy allows this machine; absent when only the volume limits it.
    pub keep_bytes: Option<u64>,
    /// Bytes of the whole journal.
    pub bytes: u64,
    /// What is wanted of it, and how that stands.
    #[serde(default)]
    pub keeping: Keeping,
    /// The epochs, oldest first.
    pub epochs: Vec<Epoch>,
}

/// The retention volume and the history on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Retention {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The volume.
    pub volume: VolumeUse,
    /// The machines, by name.
    pub machines: Vec<History>,
}
