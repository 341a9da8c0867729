//! Backups, and the secrets that travel with requests.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroize as _;

use super::Rfc3339;

/// A secret. It is shown nowhere, and its memory is cleared.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Secret(String);

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupMade {
    /// What it may be called.
    pub file_name: String,
    /// When it was made.
    pub created: Rfc3339,
    /// The revision of the catalog in it.
    pub revision: u64,
    /// The file, in base64; sealed under the passphrase.
    pub file: String,
}

impl Secret {
    /// Takes a secret.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns it, for whoever needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a secret")
    }
}
