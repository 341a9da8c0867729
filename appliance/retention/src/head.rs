//! The small file that says what a machine's replica is doing.
//!
//! Four copies: each revision is written to two slots, by turns, so that the one before stays whole until the
//! next is durable, and one flipped bit in either loses nothing.

use serde::{Deserialize, Serialize};
use units::{ByteLen, ByteOffset, EpochNumber, Generation, MachineId, MachineName, Sequence};

use crate::{DecodeError, envelope};

/// Copies in a head file.
pub const HEAD_COPIES: u64 = 4;
/// Bytes of the longest head; the distance between copies.
pub const HEAD_LEN_MAX: usize = 256 << 10;

const MAGIC: [u8; 4] = *b"LFHD";
/// 1: the first.
const VERSION: u16 = 1;

/// What a machine's replica is doing, and with which disks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Rises with every write of the head.
    pub revision: u64,
    /// Whose replica.
    pub machine: MachineId,
    /// Its name, for people.
    pub name: MachineName,
    /// The generation that may write; 0 before the first session.
    pub generation: Generation,
    /// The target disks, by index.
    pub disks: Vec<HeadDisk>,
    /// Where the replica stands.
    pub lifecycle: Lifecycle,
    /// Everything up to here is on the target disks, and flushed.
    pub applied: Sequence,
    /// The first epoch that belongs to the journal. Older files are left-overs of an expiry.
    pub oldest_epoch: EpochNumber,
    /// The last sequence before the oldest epoch: the oldest state the history reaches.
    pub base: Sequence,
}

/// A target disk, as it was when it was assigned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadDisk {
    /// Where it was found; a hint, never trusted alone.
    pub path: String,
    /// What it is, in `blockdev`'s words; compared at each opening.
    pub identity: String,
    /// Whether it may be a regular file.
    pub file: bool,
    /// Size of the target disk.
    pub device_len: ByteLen,
    /// Size of the protected disk; 0 before the first session.
    pub len: ByteLen,
}

/// Where a replica stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Lifecycle {
    /// Registered; no source has come.
    Registered,
    /// The disks are being filled.
    Seeding {
        /// Everything before this position of each disk is seeded and durable.
        through: Vec<ByteOffset>,
        /// The disks held nothing but zeroes before.
        blank: bool,
    },
    /// Batches and markers are kept and applied.
    Protected,
    /// The target disks are being brought to a point; each granule holds its state at some sequence between `low` and the newest.
    Rewinding {
        /// The lowest sequence whose state may be on the disks.
        low: Sequence,
        /// The point that is wanted.
        to: Sequence,
        /// What happens when it is reached.
        then: Afterwards,
    },
    /// The target disks hold exactly the state at `at`.
    Rewound {
        /// The point.
        at: Sequence,
    },
    /// The point was accepted: the disks belong to the machine, and this generation is over.
    Committed {
        /// The point.
        at: Sequence,
    },
}

/// What happens when a rewind has reached its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Afterwards {
    /// The disks stand at the point until commit or cancel.
    Stand,
    /// The point is the newest, and replication goes on.
    Replicate,
}

impl Head {
    /// Returns the head as a file's bytes, not padded.
    pub fn encode(&self) -> Vec<u8> {
        let body = postcard::to_stdvec(self).expect("a head always encodes");
        let bytes = envelope::seal(MAGIC, VERSION, &body);
        assert!(bytes.len() <= HEAD_LEN_MAX, "a head of at most 256 disks fits its slot");
        bytes
    }

    /// Decodes one copy; bytes may follow it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        envelope::whole(envelope::open(MAGIC, VERSION, bytes)?)
    }
}

/// Returns the two positions a revision is written to.
pub fn head_slots(revision: u64) -> [ByteOffset; 2] {
    let first = revision % 2 * 2;
    [first, first + 1].map(|slot| ByteOffset(slot * HEAD_LEN_MAX as u64))
}

/// Chooses the newest of the copies that could be read. Errors: none could; what is wrong with the first that is
/// damaged, so that a damaged file never looks like one that was never written.
pub fn choose_head(copies: Vec<Result<Head, DecodeError>>) -> Result<Head, DecodeError> {
    let mut cause = None;
    let mut newest: Option<Head> = None;
    for copy in copies {
        match copy {
            Ok(head) if newest.as_ref().is_none_or(|newest| newest.revision < head.revision) => {
                newest = Some(head)
            }
            Ok(_) => {}
            Err(error) if matches!(cause, None | Some(DecodeError::Blank)) => cause = Some(error),
            Err(_) => {}
        }
    }
    newest.ok_or(cause.unwrap_or(DecodeError::Short { found: 0, needed: 1 }))
}
