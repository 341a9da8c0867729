//! The small file that says what a machine's replica is doing.

use serde::{Deserialize, Serialize};
use units::{ByteLen, ByteOffset, EpochNumber, Generation, MachineId, MachineName, Sequence};

use crate::{Damage, DecodeError, Pin, Policy, SmallFile, envelope};

/// Bytes of the longest head; the distance between copies.
pub const HEAD_LEN_MAX: usize = 256 << 10;

/// No policy, no pin, no damage.
const NOTHING_MORE: [u8; 3] = [0; 3];
/// Pins of one machine.
pub const PINS_MAX: usize = 64;
/// Bytes of a pin's note.
pub const PIN_NOTE_LEN_MAX: usize = 128;
/// Damaged ranges of one machine that are told apart.
pub const DAMAGE_MAX: usize = 256;

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
    /// What is kept of it; as the volume's defaults say, if not told.
    pub policy: Option<Policy>,
    /// Points that are kept beyond the policy; at most 64.
    pub pins: Vec<Pin>,
    /// What is lost of its history or its disks; at most 256.
    pub damage: Vec<Damage>,
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

impl SmallFile for Head {
    const MAGIC: [u8; 4] = *b"LFHD";
    /// 2: `policy`, `pins` and `damage` at the end. 1: the first, without them; read as a head that has none.
    const VERSION: u16 = 2;
    const LEN_MAX: usize = HEAD_LEN_MAX;

    fn revision(&self) -> u64 {
        self.revision
    }

    fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }

    /// Version 1 was this body without its last three fields.
    fn decode_older(_: u16, body: &[u8]) -> Result<Self, DecodeError> {
        envelope::whole(&[body, &NOTHING_MORE].concat())
    }
}
