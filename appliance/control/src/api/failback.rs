//! The plan of a failback, and what was started.

use serde::{Deserialize, Serialize};
use units::{DiskIndex, MachineName, Sequence};
use utoipa::ToSchema;

use super::{JobId, Point};

/// What a failback would change. A pure value: computing it touches no target disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailbackPlan {
    /// The machine.
    pub machine: MachineName,
    /// The sequence the target disks stand at now.
    pub from: Sequence,
    /// The recovery point that was found.
    pub to: Point,
    /// 4 KiB granules to write.
    pub granules: u64,
    /// Bytes to write.
    pub write_bytes: u64,
    /// Where the content comes from; sums to `granules` and `write_bytes`.
    pub content: Vec<Content>,
    /// The same by disk.
    pub disks: Vec<PlanDisk>,
    /// What a cut-over to the latest would take, when the source is stopped first; absent while too little was received to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutover: Option<Cutover>,
}

/// What a cut-over to the latest would take, told from what was received over the last hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cutover {
    /// Bytes that are still to come or to be written.
    pub outstanding_bytes: u64,
    /// Bytes per second that came while something came.
    pub rate: u64,
    /// Bytes per second that change at the source.
    pub dirty_rate: u64,
    /// What is outstanding gets less.
    pub converging: bool,
    /// How long nothing runs, in milliseconds.
    pub downtime_ms: u64,
    /// If it goes as fast as in the fastest tenth of the time.
    pub downtime_least_ms: u64,
    /// If it goes as slowly as in the slowest tenth.
    pub downtime_most_ms: u64,
}

/// A part of the content by where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Content {
    /// Where from.
    pub origin: ContentOrigin,
    /// How many 4 KiB granules.
    pub granules: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Where the content of a granule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentOrigin {
    /// Ordered writes.
    Redo,
    /// Before-images.
    Undo,
    /// Known to be zero; nothing is read.
    Zero,
}

/// What a failback writes on one disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanDisk {
    /// The disk.
    pub index: DiskIndex,
    /// The device or file.
    pub path: String,
    /// 4 KiB granules to write.
    pub granules: u64,
    /// Bytes to write.
    pub write_bytes: u64,
}

/// The plan, and the job that carries it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailbackStarted {
    /// What changes.
    pub plan: FailbackPlan,
    /// The job; absent when only the plan was asked for.
    pub job: Option<JobId>,
}
