//! Certificates that were given out.

use serde::{Deserialize, Serialize};
use units::{MachineName, Rfc3339, as_text};
use wire::Role;

use crate::Record;

/// A certificate that was given out, until it is no longer valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its serial number, as lower-case hexadecimal digits.
    pub serial: String,
    /// What its holder may be.
    #[serde(with = "as_text")]
    pub role: Role,
    /// Which one its holder is.
    pub holder: MachineName,
    /// When it was given out.
    pub issued: Rfc3339,
    /// When it is no longer valid.
    pub expires: Rfc3339,
    /// When it was revoked.
    #[serde(default)]
    pub revoked: Option<Rfc3339>,
}

impl Record for Certificate {
    const KIND: &'static str = "certificate";

    fn name(&self) -> String {
        self.serial.clone()
    }
}
