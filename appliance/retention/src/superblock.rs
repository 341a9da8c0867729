//! The small file that says what a retention volume is.

use serde::{Deserialize, Serialize};
use units::{MachineName, Timestamp, VolumeId};

use crate::{DecodeError, Policy, SmallFile};

/// What a retention volume says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Superblock {
    /// Rises with every write.
    pub revision: u64,
    /// Which volume.
    pub volume: VolumeId,
    /// When it was made.
    pub created: Timestamp,
    /// The policy of machines that have none of their own.
    pub defaults: Policy,
    /// The node that serves it; nobody, when it was made or handed over and no node has taken it yet.
    pub owner: Option<MachineName>,
}

impl SmallFile for Superblock {
    const MAGIC: [u8; 4] = *b"LFSB";
    /// 1: the first.
    const VERSION: u16 = 1;
    const LEN_MAX: usize = 64 << 10;

    fn revision(&self) -> u64 {
        self.revision
    }

    fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }

    fn decode_older(version: u16, _: &[u8]) -> Result<Self, DecodeError> {
        unreachable!("version {version} is none before the first")
    }
}
