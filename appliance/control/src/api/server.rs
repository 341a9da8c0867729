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
}
