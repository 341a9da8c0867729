//! Damage, and the background reading that finds it.

use serde::{Deserialize, Serialize};
use units::{DiskIndex, MachineName, Sequence};
use utoipa::ToSchema;

use super::Rfc3339;

/// A range of a disk whose content, at some points, is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Damage {
    /// The disk.
    pub disk: DiskIndex,
    /// Where the range starts.
    pub start_bytes: u64,
    /// How long it is; 0 if a record can't be read that nothing needs.
    pub len_bytes: u64,
    /// Where the damaged bytes lie: the target disk, or a log of an epoch.
    pub place: String,
    /// The first point that is spoilt.
    pub first: Sequence,
    /// The last; absent while the damage goes on. Below `first` if no point is.
    pub last: Option<Sequence>,
    /// When it was found.
    pub found: Rfc3339,
    /// The nearest recovery point before that is whole.
    pub before: Option<Sequence>,
    /// The nearest after.
    pub after: Option<Sequence>,
}

/// How scrubbing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScrubState {
    /// Nothing is read now.
    Waiting,
    /// A pass is under way.
    Running,
    /// An operator has told it to wait.
    Paused,
}

/// The scrubbing of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scrub {
    /// How it stands.
    pub state: ScrubState,
    /// Bytes read in the pass under way.
    pub done_bytes: u64,
    /// Bytes to read in it; grows once the journal is read.
    pub total_bytes: u64,
    /// Bytes a second so far.
    pub rate: u64,
    /// Most bytes a second; absent when it is not limited.
    pub rate_max: Option<u64>,
    /// Seconds until the end at that rate, when it can be told.
    pub eta_seconds: Option<u64>,
    /// The last pass that came to its end.
    pub last: Option<ScrubResult>,
    /// Seconds since then.
    pub age_seconds: Option<u64>,
    /// Why the last pass did not come to its end.
    pub problem: Option<String>,
}

/// What a pass came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScrubResult {
    /// When it began.
    pub started: Rfc3339,
    /// When it ended.
    pub finished: Rfc3339,
    /// Bytes read.
    pub read_bytes: u64,
    /// Damaged places found.
    pub found: u32,
    /// The disks were what the source's roots say.
    pub proved: bool,
}

/// The scrubbing of a machine, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MachineScrub {
    /// The machine.
    pub machine: MachineName,
    /// How it stands.
    pub scrub: Scrub,
}

/// The scrubbing of machines, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scrubs {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The machines.
    pub machines: Vec<MachineScrub>,
}
