//! Alarms: what went wrong and still does, and what did and nobody has taken note of.

use inventory::AlarmKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Health, Rfc3339};

/// What went wrong, once for each kind and subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alarm {
    /// What kind of thing.
    #[schema(value_type = String)]
    pub kind: AlarmKind,
    /// With what: the name of a machine, role and name of a server, or `appliance`.
    pub subject: String,
    /// How bad it is, or was.
    pub severity: Health,
    /// What is wrong, in one sentence.
    pub what: String,
    /// When it was first seen, since it last came up.
    pub first_seen: Rfc3339,
    /// When it was last seen.
    pub last_seen: Rfc3339,
    /// How often it has come up.
    pub raised: u32,
    /// When it ended, if it has.
    pub cleared: Option<Rfc3339>,
    /// Who has taken note of it, since it last came up.
    pub acked_by: Option<String>,
    /// When he has.
    pub acked: Option<Rfc3339>,
}

/// Alarms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alarms {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// They, the worst first.
    pub alarms: Vec<Alarm>,
}

/// What became of alarms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlarmEvents {
    /// The newest event that is known; to be asked after next.
    pub newest: u64,
    /// Events in between are no longer known; these are all alarms as they are now.
    pub missed: bool,
    /// The alarms that changed, as they are since, in order.
    pub alarms: Vec<Alarm>,
}

impl Alarm {
    /// True while it still stands.
    pub fn stands(&self) -> bool {
        self.cleared.is_none()
    }
}
