//! Servers, sources and operators: who may join, who has joined, whose certificates no longer count.

use serde::{Deserialize, Serialize};
use units::{MachineName, as_text};
use utoipa::ToSchema;
use wire::Role;

use super::Rfc3339;

/// A join token that was made. Whoever has it may join once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinTokenMade {
    /// Who its holder becomes, as `landfall:<role>:<name>`.
    pub identity: String,
    /// Until when it may be used.
    pub expires: Rfc3339,
    /// The token, a secret. It is told this once and kept nowhere.
    pub token: String,
}

/// Everybody who is or was enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Servers {
    /// The time of the answer.
    pub time: Rfc3339,
    /// They, by role and name.
    pub servers: Vec<ServerEntry>,
}

/// Somebody who is or was enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerEntry {
    /// The role.
    #[serde(with = "as_text")]
    #[schema(value_type = String)]
    pub role: Role,
    /// The name.
    pub name: MachineName,
    /// When it was enrolled first.
    pub enrolled: Rfc3339,
    /// The serial number of its certificate; absent when none counts.
    pub certificate: Option<String>,
    /// When that is over; it is renewed long before.
    pub expires: Option<Rfc3339>,
    /// When its certificates were revoked, if it has not joined again since.
    pub revoked: Option<Rfc3339>,
    /// What its heartbeat tells; operators have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<ServerHeartbeat>,
}

/// What the heartbeat of a server tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerHeartbeat {
    /// Whether it is heard.
    pub state: HeartbeatState,
    /// Seconds since it was heard, or since it is waited for.
    pub silent_seconds: u64,
    /// Why it is lost: what was tried and what came of it.
    pub cause: Option<String>,
    /// Where it came from last.
    pub address: Option<String>,
    /// Its program and version.
    pub software: Option<String>,
}

/// Whether a server is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeartbeatState {
    /// It was heard within 15 s.
    Alive,
    /// It was not, but within 45 s.
    Suspect,
    /// It was not.
    Lost,
}
