//! Views: recovery points served over NBD.

use serde::{Deserialize, Serialize};
use units::{DiskIndex, MachineName};
use utoipa::ToSchema;

use super::{Point, Rfc3339};

/// One view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct View {
    /// Its number, from 1, given once.
    pub id: u64,
    /// The machine.
    pub machine: MachineName,
    /// The recovery point.
    pub point: Point,
    /// When it was opened.
    pub opened: Rfc3339,
    /// The disks, by index.
    pub disks: Vec<ViewDisk>,
    /// What may be written to it before it is thrown away; absent where it is read-only.
    pub scratch_bytes: Option<u64>,
    /// What was written to it.
    pub used_bytes: u64,
    /// NBD connections that are open.
    pub connections: u64,
    /// Why it has ended, in one sentence: nothing can be read from it any more.
    pub ended: Option<String>,
}

/// One disk of a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViewDisk {
    /// The disk.
    pub index: DiskIndex,
    /// Its size.
    pub len_bytes: u64,
    /// Where NBD clients find it.
    pub uri: String,
}

/// Every view, by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Views {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The views.
    pub views: Vec<View>,
}
