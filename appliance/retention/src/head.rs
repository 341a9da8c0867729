//! The small file that says what a machine's replica is doing.

use serde::{Deserialize, Serialize};
use units::{ByteLen, ByteOffset, EpochNumber, Generation, MachineId, MachineName, Sequence, Timestamp};

use crate::{Damage, DecodeError, Pin, Policy, SmallFile, envelope};

/// Bytes of the longest head; the distance between copies.
pub const HEAD_LEN_MAX: usize = 256 << 10;

/// No policy, no pin, no damage, nothing thinned.
const NOTHING_MORE: [u8; 4] = [0; 4];
/// Pins of one machine.
pub const PINS_MAX: usize = 64;
/// Bytes of a pin's note.
pub const PIN_NOTE_LEN_MAX: usize = 128;
/// Damaged ranges of one machine that are told apart.
pub const DAMAGE_MAX: usize = 256;

/// Runs of epochs of one machine that have lost their redo.
pub const THINNED_MAX: usize = 96;

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
    /// The epochs that have lost their redo: runs without common or neighbouring numbers, oldest first; at most 96.
    pub thinned: Vec<EpochRun>,
}

/// Epochs that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochRun {
    /// The first.
    pub first: EpochNumber,
    /// The last.
    pub last: EpochNumber,
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
    /// Registered with disks that hold an earlier state of the machine; no source has come. That state becomes the first point.
    Original {
        /// When it was registered.
        found: Timestamp,
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
    /// 3: `thinned` at the end. 2: `policy`, `pins` and `damage` at the end. 1: the first. Both are read as a head that has none
    /// of what they lack.
    const VERSION: u16 = 3;
    const LEN_MAX: usize = HEAD_LEN_MAX;

    fn revision(&self) -> u64 {
        self.revision
    }

    fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }

    /// Version 2 was this body without its last field, version 1 without its last four.
    fn decode_older(version: u16, body: &[u8]) -> Result<Self, DecodeError> {
        let lacks = if version == 1 { 4 } else { 1 };
        envelope::whole(&[body, &NOTHING_MORE[..lacks]].concat())
    }
}

impl Head {
    /// Returns the head of a machine that has no history yet.
    pub fn new(machine: MachineId, name: MachineName, generation: Generation, disks: Vec<HeadDisk>) -> Self {
        Self {
            revision: 0,
            machine,
            name,
            generation,
            disks,
            lifecycle: Lifecycle::Registered,
            applied: Sequence(0),
            oldest_epoch: EpochNumber(1),
            base: Sequence(0),
            policy: None,
            pins: Vec::new(),
            damage: Vec::new(),
            thinned: Vec::new(),
        }
    }

    /// Tells whether an epoch has lost its redo.
    pub fn is_thinned(&self, epoch: EpochNumber) -> bool {
        self.thinned.iter().any(|run| (run.first..=run.last).contains(&epoch))
    }

    /// Notes that an epoch loses its redo. Returns whether there was room for it: at most [`THINNED_MAX`] runs are told.
    pub fn thin(&mut self, epoch: EpochNumber) -> bool {
        assert!(!self.is_thinned(epoch), "an epoch loses its redo once");
        let at = self.thinned.partition_point(|run| run.last < epoch);
        self.thinned.insert(at, EpochRun { first: epoch, last: epoch });
        self.thinned.dedup_by(|run, before| {
            let joined = before.last.next() == run.first;
            if joined {
                before.last = run.last;
            }
            joined
        });
        self.thinned.len() <= THINNED_MAX
    }

    /// Forgets which epochs before the oldest were thinned.
    pub fn forget_expired(&mut self) {
        let oldest = self.oldest_epoch;
        self.thinned.retain(|run| run.last >= oldest);
        self.thinned.iter_mut().for_each(|run| run.first = run.first.max(oldest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinned_epochs_are_told_as_runs() {
        let name = "a".parse().unwrap_or_else(|_| unreachable!("a name"));
        let mut head = Head::new(MachineId([1; 16]), name, Generation(1), Vec::new());
        for epoch in [5, 2, 3, 9, 4] {
            assert!(head.thin(EpochNumber(epoch)));
        }
        let runs: Vec<_> = head.thinned.iter().map(|run| (run.first.0, run.last.0)).collect();
        assert_eq!(runs, [(2, 5), (9, 9)]);
        assert!(head.is_thinned(EpochNumber(4)) && !head.is_thinned(EpochNumber(6)));
        head.oldest_epoch = EpochNumber(4);
        head.forget_expired();
        assert_eq!(head.thinned[0], EpochRun { first: EpochNumber(4), last: EpochNumber(5) });
        let many = (0..THINNED_MAX as u64 - 1).all(|index| head.thin(EpochNumber(20 + 2 * index)));
        assert!(!many, "the runs are bounded");
    }
}
