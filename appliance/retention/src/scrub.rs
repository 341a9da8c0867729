//! The small file that says when a machine was scrubbed, and with what result.

use serde::{Deserialize, Serialize};
use units::{EpochNumber, Generation, MachineId, Sequence, Timestamp};

use crate::{DecodeError, SmallFile, envelope};

/// No place where a pass goes on.
const NOTHING_MORE: [u8; 1] = [0];

/// What is remembered of a machine's scrubs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScrubRecord {
    /// Rises with every write.
    pub revision: u64,
    /// Whose.
    pub machine: MachineId,
    /// The pass under way, or cut off.
    pub begun: Option<ScrubPass>,
    /// The last pass that was finished.
    pub last: Option<ScrubPass>,
    /// The hashes of the target disks' leaves that the last pass has left.
    pub leaves: Option<LeafTable>,
    /// An operator has told it to wait.
    pub paused: bool,
    /// How far the pass under way, or cut off, is: what it found before is noted.
    pub at: Option<ScrubAt>,
}

/// Where a pass goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubAt {
    /// The generation it is about.
    pub generation: Generation,
    /// Every epoch before this one was read.
    pub epoch: EpochNumber,
    /// The table that is being written, once the journal was read.
    pub table: Option<LeafTable>,
    /// Pages of it that are durable.
    pub pages: u64,
}

/// One pass over a machine's journal and disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubPass {
    /// When it was begun.
    pub started: Timestamp,
    /// When it was finished, or last known to be under way.
    pub until: Timestamp,
    /// Bytes read so far.
    pub done: u64,
    /// Bytes to read.
    pub total: u64,
    /// Damaged places found.
    pub found: u32,
    /// The disks were compared with the roots the source gave, and are the same.
    pub proved: bool,
}

/// Which table of leaf hashes counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafTable {
    /// The file, 0 or 1.
    pub file: u8,
    /// The generation.
    pub generation: Generation,
    /// The point it is of.
    pub sequence: Sequence,
}

impl SmallFile for ScrubRecord {
    const MAGIC: [u8; 4] = *b"LFSC";
    /// 2: `at` at the end. 1: the first, without it; read as a record whose pass begins anew.
    const VERSION: u16 = 2;
    const LEN_MAX: usize = 4 << 10;

    fn revision(&self) -> u64 {
        self.revision
    }

    fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }

    fn decode_older(_: u16, body: &[u8]) -> Result<Self, DecodeError> {
        envelope::whole(&[body, &NOTHING_MORE].concat())
    }
}
