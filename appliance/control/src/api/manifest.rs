//! Manifests of failbacks, as they lie on the retention volume.

use serde::{Deserialize, Serialize};
use units::{Generation, MachineName};
use utoipa::ToSchema;

use super::Rfc3339;

/// The manifests of one machine, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Manifests {
    /// The machine.
    pub machine: MachineName,
    /// The manifests.
    pub manifests: Vec<ManifestEntry>,
}

/// One manifest in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManifestEntry {
    /// Its number, from 1.
    pub number: u64,
    /// What it says, unless it can't be read.
    pub says: Option<ManifestSummary>,
    /// Why it can't be read.
    pub problem: Option<String>,
}

/// What a manifest says, in short. Its signature was not checked for this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManifestSummary {
    /// What happened.
    pub event: ::manifest::Event,
    /// When it was signed.
    pub signed: Rfc3339,
    /// The generation.
    pub generation: Generation,
    /// The recovery point.
    pub point: ::manifest::Point,
    /// The worst verdict of its disks.
    pub verdict: ::manifest::Verdict,
    /// The key that signed.
    pub key_id: String,
}

/// One manifest, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManifestFile {
    /// Its number.
    pub number: u64,
    /// The file, byte for byte; what `landfall manifest check` takes.
    pub text: String,
}
