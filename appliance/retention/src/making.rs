//! The mark on a device that is being made into a retention volume.

use serde::{Deserialize, Serialize};
use units::{ByteLen, VolumeId};

use crate::{DecodeError, SmallFile};

/// Says that what is on a device was put there by the making of a volume that did not end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakingMark {
    /// Which volume; its file system has the same UUID.
    pub volume: VolumeId,
    /// The size of the device, so that a copy elsewhere means nothing.
    pub device_len: ByteLen,
}

impl SmallFile for MakingMark {
    const MAGIC: [u8; 4] = *b"LFMK";
    /// 1: the first.
    const VERSION: u16 = 1;
    const LEN_MAX: usize = 4096;

    /// There is one.
    fn revision(&self) -> u64 {
        0
    }

    fn set_revision(&mut self, _: u64) {}

    fn decode_older(version: u16, _: &[u8]) -> Result<Self, DecodeError> {
        unreachable!("version {version} is none before the first")
    }
}
