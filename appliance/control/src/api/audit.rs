//! The audit log: who asked for what, and what came of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{HexHash, Rfc3339};

/// One thing that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When.
    pub time: Rfc3339,
    /// Who, by his certificate; `uid N` on the appliance itself.
    pub who: String,
    /// What, as in `machine-remove`.
    pub action: String,
    /// With what; may be empty.
    pub subject: String,
    /// Whether it was begun, done or refused.
    pub outcome: AuditOutcome,
    /// Why it was refused or failed.
    pub why: Option<String>,
    /// The hash of this entry, the one before and so on to the first.
    pub hash: HexHash,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// It is about to be tried.
    Begun,
    /// It was done.
    Done,
    /// It was refused or failed.
    Refused,
}

/// A part of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditLog {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The first entry that is kept.
    pub first: u64,
    /// The last entry.
    pub last: u64,
    /// The entries, oldest first.
    pub entries: Vec<AuditEntry>,
}

/// Whether the log is as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditVerdict {
    /// The first entry that is kept.
    pub first: u64,
    /// The last entry.
    pub last: u64,
    /// The hash of the last entry; noted elsewhere, it proves later that nothing before it was changed.
    pub hash: HexHash,
    /// What is wrong, in one sentence.
    pub problem: Option<String>,
}
