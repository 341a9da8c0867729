//! Block devices and what they may be used for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rfc3339;

/// One block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Disk {
    /// The device.
    pub path: String,
    /// Size.
    pub len_bytes: u64,
    /// Bytes of a logical sector.
    pub sector_bytes: u32,
    /// Maker and model, or what stands behind it; may be empty.
    pub model: String,
    /// The serial number or WWID; may be empty.
    pub serial: String,
    /// Whether it may become a target disk.
    pub eligible: Eligibility,
}

/// Whether a device may become a target disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Eligibility {
    /// It may.
    Yes {},
    /// It is one already.
    Used {
        /// What for, such as `web-01 disk 0`.
        by: String,
    },
    /// It may not.
    No {
        /// Why, in a few words.
        reason: String,
    },
}

/// Why a device may not be used for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// The rule, as `LF-nnnn`.
    pub code: String,
    /// What was found.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// What a device may be used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskVerdict {
    /// The device.
    pub path: String,
    /// Size.
    pub len_bytes: u64,
    /// What was recognised on it.
    pub holds: Vec<String>,
    /// Why it may not become a target disk; nothing when it may.
    pub target_disk: Vec<Reason>,
    /// Why it may not be made into the retention volume; nothing when it may.
    pub retention_volume: Vec<Reason>,
}

/// What each device may be used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskVerdicts {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The devices, by path.
    pub disks: Vec<DiskVerdict>,
}

/// What happened to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskEventKind {
    /// It is there.
    Added,
    /// Something about it is another now.
    Changed,
    /// It is gone.
    Removed,
}

/// Something that happened to a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskEvent {
    /// Counts the events since `landfalld` started, from 1.
    pub number: u64,
    /// When, by the appliance's clock.
    pub time: Rfc3339,
    /// What happened.
    pub kind: DiskEventKind,
    /// The device, as it is now, or as it was last.
    pub disk: Disk,
}

/// What happened to devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskEvents {
    /// The number of the newest event; ask for those after it.
    pub newest: u64,
    /// Earlier events than those given are not kept any more.
    pub missed: bool,
    /// The kernel tells; otherwise `landfalld` looks every few seconds.
    pub by_event: bool,
    /// The events, oldest first.
    pub events: Vec<DiskEvent>,
}

/// Every block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Disks {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The devices, by path.
    pub disks: Vec<Disk>,
}
