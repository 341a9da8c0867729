//! Requests that would destroy something and came from elsewhere, waiting.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rfc3339;

/// A request that waits until somebody at the appliance confirms it, or its time is over; or that has waited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PendingCommand {
    /// Its number.
    pub id: u64,
    /// Who asked.
    pub who: String,
    /// What is asked for, as in `machine-remove`.
    pub action: String,
    /// With what; may be empty.
    pub subject: String,
    /// When it came.
    pub asked: Rfc3339,
    /// How it stands.
    pub state: PendingStatus,
    /// Seconds until it is done by itself, while it waits.
    pub seconds_left: Option<u64>,
    /// When it ended.
    pub ended: Option<Rfc3339>,
    /// Why it failed, or who cancelled it.
    pub why: Option<String>,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PendingStatus {
    /// It waits.
    Waiting,
    /// It is being done.
    Begun,
    /// It was done.
    Done,
    /// It was refused or failed.
    Failed,
    /// Somebody did not want it.
    Cancelled,
    /// landfalld ended while it was being done; it is not begun again.
    Interrupted,
}

/// What waits and what has waited, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PendingCommands {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// They.
    pub commands: Vec<PendingCommand>,
}
