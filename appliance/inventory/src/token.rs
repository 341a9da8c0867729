//! Invitations to join.

use serde::{Deserialize, Serialize};
use units::{MachineName, Rfc3339, as_text};
use wire::Role;

use crate::Record;

/// An invitation to join, used once. Its secret is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its id, as lower-case hexadecimal digits; it is no secret.
    pub id: String,
    /// What its holder may become.
    #[serde(with = "as_text")]
    pub role: Role,
    /// Under which name.
    pub holder: MachineName,
    /// When it is no longer valid.
    pub expires: Rfc3339,
    /// Attempts with a wrong secret.
    #[serde(default)]
    pub failures: u32,
}

impl Record for Token {
    const KIND: &'static str = "token";

    fn name(&self) -> String {
        self.id.clone()
    }
}
