//! The passphrase, and the key that is made of it.

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::{Zeroize as _, Zeroizing};

use crate::BackupError;

/// Characters of the shortest passphrase.
pub const PASSPHRASE_LEN_MIN: usize = 8;
/// The most memory, passes and lanes that a file may ask for.
const COST_MOST: Cost = Cost { memory_kib: 256 << 10, passes: 16, lanes: 4 };
/// The least memory that Argon2 works with, for each lane.
const MEMORY_LEAST_KIB: u32 = 8;

/// A passphrase.
#[derive(Clone)]
pub struct Passphrase(String);

impl Drop for Passphrase {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What it costs to try one passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u8,
    /// Parts of it that are worked on at once.
    pub lanes: u8,
}

impl Default for Cost {
    /// Returns what new backups cost: 64 MiB and three passes, as RFC 9106 recommends where memory is short.
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 4 }
    }
}

impl Cost {
    pub(crate) fn check(self) -> Result<(), BackupError> {
        let Self { memory_kib, passes, lanes } = self;
        let least = lanes >= 1 && passes >= 1 && memory_kib >= MEMORY_LEAST_KIB * u32::from(lanes);
        let most =
            memory_kib <= COST_MOST.memory_kib && passes <= COST_MOST.passes && lanes <= COST_MOST.lanes;
        if least && most { Ok(()) } else { Err(BackupError::Cost) }
    }
}

impl Passphrase {
    /// Takes a passphrase as it was typed or read; the end of its line is no part of it. Errors: it is too short.
    pub fn new(text: &str) -> Result<Self, BackupError> {
        let text = text.trim_end_matches(['\r', '\n']);
        if text.chars().count() < PASSPHRASE_LEN_MIN {
            return Err(BackupError::Short);
        }
        Ok(Self(text.to_owned()))
    }

    /// Makes the key of a file.
    pub(crate) fn key(&self, cost: Cost, salt: &[u8; 16]) -> Result<Zeroizing<[u8; 32]>, BackupError> {
        cost.check()?;
        let params = Params::new(cost.memory_kib, cost.passes.into(), cost.lanes.into(), Some(32));
        let params = params.map_err(|_| BackupError::Cost)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(self.0.as_bytes(), salt, &mut *key)
            .map_err(|_| BackupError::Cost)?;
        Ok(key)
    }
}
