//! Block devices and what they may be used for.

use serde::{Deserialize, Serialize};

use super::Rfc3339;

/// One block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Every block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disks {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The devices, by path.
    pub disks: Vec<Disk>,
}
