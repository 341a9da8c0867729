//! The catalog: what is on record, and how it is kept.

use serde::{Deserialize, Serialize};
use units::MachineName;
use utoipa::ToSchema;

use super::Rfc3339;

/// How the catalog stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CatalogReport {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The name of the server that keeps it.
    pub server: MachineName,
    /// Whether it is used.
    pub mode: CatalogMode,
    /// Why it can't be relied on, in one sentence.
    pub trouble: Option<String>,
    /// The id of the installation it is of.
    pub installation: Option<String>,
    /// Where it stands: it rises with every change.
    pub revision: Option<u64>,
    /// What it holds.
    pub records: Vec<KindCount>,
    /// Its copy on the retention volume.
    pub copy: CatalogCopy,
    /// Machines that are on record, and not on the retention volume.
    pub missing: Vec<MachineName>,
    /// Machines on the retention volume.
    pub found: Vec<MachineName>,
}

/// Whether the catalog is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatalogMode {
    /// It is.
    Current,
    /// It can't be relied on: status, points and views are served from the disks, and nothing is changed.
    Safe,
    /// Its cluster does not answer: who belonged to the installation a moment ago is let in, nothing is changed, and it is used again when the
    /// cluster answers.
    Away,
}

/// How many records of a kind there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KindCount {
    /// The kind, such as `machine`.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// The copy of the catalog on the retention volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CatalogCopy {
    /// Where it is.
    pub path: String,
    /// Where it stands; absent if there is none.
    pub revision: Option<u64>,
    /// What it holds.
    pub records: Vec<KindCount>,
    /// Why it is of no use, if it is not.
    pub problem: Option<String>,
}

/// What a catalog is made of anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RebuildFrom {
    /// Its copy on the retention volume.
    Copy,
    /// What the retention volume says of its machines; everybody joins again.
    Disks,
}

/// A catalog that was made anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CatalogRebuilt {
    /// Of what.
    pub from: RebuildFrom,
    /// What it holds.
    pub records: Vec<KindCount>,
    /// What the names of the old one's files end with; they are beside it.
    pub aside: String,
}
