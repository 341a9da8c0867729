//! What a backup holds, in postcard.

use serde::{Deserialize, Serialize};
use units::{MachineName, Timestamp};
use zeroize::Zeroize as _;

use crate::BackupError;

/// The newest form of the contents. 1: the first.
pub const FORM: u16 = 1;

/// What a backup holds. Secret as a whole: with the authority's key anybody is whoever he wants to be.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The form of what follows.
    pub form: u16,
    /// The name of the appliance.
    pub name: MachineName,
    /// When it was made.
    pub created: Timestamp,
    /// The program and version that made it.
    pub software: String,
    /// The authority: certificate and key, in PEM.
    pub authority: Holding,
    /// What it is on 443.
    pub server: Holding,
    /// What it is on 9443, and what it signs manifests with.
    pub identity: Holding,
    /// The catalog: a snapshot, FORMAT.md 7.3.
    pub catalog: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The certificate, and those above it where it has any.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl Contents {
    /// Returns it as bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("contents hold only what postcard can write")
    }

    /// Reads it. Errors: it is of a newer form, or something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, BackupError> {
        let (form, _) = postcard::take_from_bytes::<u16>(bytes).map_err(|_| BackupError::Contents)?;
        if form > FORM {
            return Err(BackupError::Newer { found: form.into(), known: FORM.into() });
        }
        match postcard::take_from_bytes::<Self>(bytes) {
            Ok((contents, [])) if contents.form == FORM => Ok(contents),
            _ => Err(BackupError::Contents),
        }
    }
}
