//! What would go wrong, found before anything is touched.

use serde::{Deserialize, Serialize};
use units::MachineName;
use utoipa::ToSchema;

use super::Rfc3339;

/// What preflight has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preflight {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// How many machines were looked at.
    pub machines: u64,
    /// How many rules each was judged by.
    pub rules: u64,
    /// What is not as it should be, by machine.
    pub findings: Vec<PreflightFinding>,
}

/// One rule that is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreflightFinding {
    /// The machine.
    pub machine: MachineName,
    /// The rule, as `LF-nnnn`.
    pub code: String,
    /// What the rule is about.
    pub title: String,
    /// What was found.
    pub evidence: String,
    /// What to do.
    pub fix: String,
    /// Kinds of jobs that are refused until then, and `add` for registration; empty for a warning.
    pub refuses: Vec<String>,
    /// The numbers under which the retired product told the same.
    #[serde(default)]
    pub retired: Vec<u32>,
}
