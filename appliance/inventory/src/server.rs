//! Servers and sources that were enrolled and report.

use serde::{Deserialize, Serialize};
use units::{MachineName, Rfc3339, as_text};
use wire::Role;

use crate::Record;

/// A server or source that was enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// What it may be.
    #[serde(with = "as_text")]
    pub role: Role,
    /// Which one it is.
    pub name: MachineName,
    /// When it was enrolled.
    pub enrolled: Rfc3339,
}

impl Record for Server {
    const KIND: &'static str = "server";

    fn name(&self) -> String {
        format!("{}/{}", self.role, self.name)
    }
}
