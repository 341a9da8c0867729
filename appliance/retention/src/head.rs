//! The small file that says what a machine's replica is doing.

use serde::{Deserialize, Serialize};
use units::{ByteLen, ByteOffset, EpochNumber, Generation, MachineId, MachineName, Sequence, Timestamp};

use crate::{Damage, DamagedPlace, DecodeError, Pin, Policy, SmallFile, envelope};

/// Bytes of the longest head; the distance between copies.
pub const HEAD_LEN_MAX: usize = 256 << 10;

/// No policy, no pin, no damage, nothing thinned, nothing joined.
const NOTHING_MORE: [u8; 5] = [0; 5];
/// Pins of one machine.
pub const PINS_MAX: usize = 64;
/// Bytes of a pin's note.
pub const PIN_NOTE_LEN_MAX: usize = 128;
/// Damaged ranges of one machine that are told apart.
pub const DAMAGE_MAX: usize = 256;

/// Runs of epochs of one machine that have lost their redo.
pub const THINNED_MAX: usize = 96;
/// Joined epochs of one machine: one for each hour of three weeks.
pub const JOINED_MAX: usize = 512;

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
    /// The thinned epochs that were joined: the logs of each run lie in its first; of at least two, oldest first; at most 512.
    pub joined: Vec<EpochRun>,
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
    /// 4: `joined` at the end. 3: `thinned` at the end. 2: `policy`, `pins` and `damage` at the end. 1: the first. Each is read as a head that has none
    /// of what it lacks; an older reader refuses a newer one.
    const VERSION: u16 = 4;
    const LEN_MAX: usize = HEAD_LEN_MAX;

    fn revision(&self) -> u64 {
        self.revision
    }

    fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }

    /// Version 3 was this body without its last field, version 2 without its last two, version 1 without its last five.
    fn decode_older(version: u16, body: &[u8]) -> Result<Self, DecodeError> {
        let lacks = match version {
            1 => 5,
            2 => 2,
            _ => 1,
        };
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
            joined: Vec::new(),
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

    /// Returns the last of the epochs whose logs lie in `epoch`: itself, unless it was joined with those behind it.
    pub fn joined_through(&self, epoch: EpochNumber) -> EpochNumber {
        self.joined.iter().find(|run| run.first == epoch).map_or(epoch, |run| run.last)
    }

    /// Tells whether the logs of an epoch lie in an earlier one.
    pub fn is_joined_into_earlier(&self, epoch: EpochNumber) -> bool {
        self.joined.iter().any(|run| run.first < epoch && epoch <= run.last)
    }

    /// Notes that a thinned epoch holds the before-images of all up to `last`, and forgets damage of the files that go by it. Returns
    /// whether there was room for it: at most [`JOINED_MAX`] are told.
    pub fn join(&mut self, first: EpochNumber, last: EpochNumber) -> bool {
        assert!(
            first < last && !self.is_joined_into_earlier(first),
            "an epoch is joined with those behind it"
        );
        assert!(
            (first.0..=last.0).all(|epoch| self.is_thinned(EpochNumber(epoch))),
            "what is joined was thinned"
        );
        self.joined.retain(|run| run.last < first || run.first > last);
        let at = self.joined.partition_point(|run| run.last < first);
        self.joined.insert(at, EpochRun { first, last });
        let gone = |epoch: EpochNumber| first < epoch && epoch <= last;
        self.damage.retain(|damage| match damage.place {
            DamagedPlace::Target => true,
            DamagedPlace::Redo { epoch, .. } | DamagedPlace::Undo { epoch, .. } => !gone(epoch),
        });
        self.joined.len() <= JOINED_MAX
    }

    /// Forgets which epochs before the oldest were thinned, and which joined.
    pub fn forget_expired(&mut self) {
        let oldest = self.oldest_epoch;
        self.thinned.retain(|run| run.last >= oldest);
        self.thinned.iter_mut().for_each(|run| run.first = run.first.max(oldest));
        self.joined.retain(|run| run.last >= oldest);
        assert!(self.joined.iter().all(|run| run.first >= oldest), "what was joined expires as one");
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
        assert!(head.join(EpochNumber(4), EpochNumber(5)));
        assert_eq!((head.joined_through(EpochNumber(4)).0, head.joined_through(EpochNumber(9)).0), (5, 9));
        assert!(head.is_joined_into_earlier(EpochNumber(5)) && !head.is_joined_into_earlier(EpochNumber(4)));
        assert!(head.thin(EpochNumber(6)) && head.join(EpochNumber(4), EpochNumber(6)));
        assert_eq!(head.joined, [EpochRun { first: EpochNumber(4), last: EpochNumber(6) }]);
        head.oldest_epoch = EpochNumber(7);
        head.forget_expired();
        assert_eq!(head.joined, []);
        let many = (0..THINNED_MAX as u64).all(|index| head.thin(EpochNumber(20 + 2 * index)));
        assert!(!many, "the runs are bounded");
    }
}
