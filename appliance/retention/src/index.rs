//! What an epoch holds: every extent of its redo and undo log, sorted, written when the epoch is sealed.
//!
//! It holds nothing that the logs do not: where it is missing or damaged it is made anew from them.

/// Indexes of earlier versions.
mod older;

use serde::{Deserialize, Serialize};
use units::{ByteLen, ByteOffset, DiskIndex, EpochNumber, Generation, Hash, MachineId, Sequence, Timestamp};
use wire::{Consistency, Extent, Span};

use crate::extent::check_extent;
use crate::moments::note;
use crate::{Body, DecodeError, GranuleSet, Moment, Point, RecordPlace, encoded_len, envelope};

const MAGIC: [u8; 4] = *b"LFIX";
/// 3: a point ends with the group point it is. 2: `moments` at the end. 1: the first, without them; read as an index that has none.
const VERSION: u16 = 3;

/// One of the two logs of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Log {
    /// What was written, in order.
    Redo,
    /// What was there before.
    Undo,
}

/// One extent of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Where on which disk, and how its payload is encoded.
    pub extent: Extent,
    /// Which log holds the payload.
    pub log: Log,
    /// The sequence of its batch; for an undo extent that of its round.
    pub sequence: Sequence,
    /// Where in the log the payload starts.
    pub payload_at: ByteOffset,
}

/// What an epoch holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochIndex {
    /// Whose journal.
    pub machine: MachineId,
    /// The generation that wrote it.
    pub generation: Generation,
    /// Which epoch.
    pub epoch: EpochNumber,
    /// The sequence of the first record; the epoch before ends with the one before it.
    pub first: Sequence,
    /// The sequence of the last record; below `first` if there is none.
    pub last: Sequence,
    /// When the last record was received.
    pub closed: Timestamp,
    /// The checksum of the last redo record: what the first of the next epoch names as its predecessor.
    pub last_checksum: Hash,
    /// Bytes of the redo log in use.
    pub redo_len: ByteOffset,
    /// Bytes of the undo log in use.
    pub undo_len: ByteOffset,
    /// Every extent, sorted by disk, position, log and sequence.
    pub entries: Vec<IndexEntry>,
    /// The recovery points, oldest first.
    pub points: Vec<Point>,
    /// The last batch or marker of each second, oldest first.
    pub moments: Vec<Moment>,
}

impl IndexEntry {
    /// Returns the bytes of the disk that the entry is about.
    pub fn span(&self) -> Span {
        self.extent.span()
    }
}

impl EpochIndex {
    /// Returns the index of an epoch without records whose first will be `first`.
    pub fn empty(machine: MachineId, generation: Generation, epoch: EpochNumber, first: Sequence) -> Self {
        assert!(first.0 > 0, "sequences begin at 1");
        Self {
            machine,
            generation,
            epoch,
            first,
            last: Sequence(first.0 - 1),
            closed: Timestamp(0),
            last_checksum: Hash::default(),
            redo_len: ByteOffset(0),
            undo_len: ByteOffset(0),
            entries: Vec::new(),
            points: Vec::new(),
            moments: Vec::new(),
        }
    }

    /// Adds a record of the redo or undo log, in the order they lie there.
    pub fn add(&mut self, log: Log, place: &RecordPlace, body: &Body) {
        if let Body::Marker(marker) = body {
            self.points.push(Point::from(marker.as_ref()));
        }
        if let Some(moment) = Moment::of(body) {
            note(&mut self.moments, moment);
        }
        self.entries.extend(entries_of(log, place, body));
        match log {
            Log::Undo => self.undo_len = place.end,
            Log::Redo => {
                self.redo_len = place.end;
                self.last = place.sequence;
                self.closed = self.closed.max(place.received);
                self.last_checksum = place.checksum;
            }
        }
    }

    /// Returns the first granule written at or before `upto` that the epoch did not capture: then its undo log lost something.
    pub fn uncaptured(&self, upto: Sequence, disks: usize) -> Option<(DiskIndex, ByteOffset)> {
        let (mut written, mut captured) = (GranuleSet::new(disks), GranuleSet::new(disks));
        for entry in &self.entries {
            match entry.log {
                Log::Redo if entry.sequence <= upto => written.insert(&entry.span()),
                Log::Redo => {}
                Log::Undo => captured.insert(&entry.span()),
            }
        }
        written.first_not_in(&captured)
    }

    /// Forgets the redo: what is left is known by the before-images alone.
    pub fn thin(&mut self) {
        self.entries.retain(|entry| entry.log == Log::Undo);
        self.redo_len = ByteOffset(0);
        let last = self.last;
        // That a resync began must be known until it completes.
        let stays = |point: &Point| point.sequence == last || point.consistency == Consistency::Resync;
        self.points.retain(stays);
        self.moments.retain(|moment| moment.last == last);
    }

    /// Tells whether the epoch has lost its redo.
    pub fn is_thinned(&self) -> bool {
        self.redo_len == ByteOffset(0) && self.last >= self.first
    }

    /// Tells whether the sequence lies inside the epoch, and the epoch has lost its redo: then it can't be had.
    pub(crate) fn is_thinned_at(&self, sequence: Sequence) -> bool {
        self.is_thinned() && (self.first..self.last).contains(&sequence)
    }

    /// Tells whether the entry names what the epoch wrote: its redo, or what it captured if it has none.
    pub(crate) fn wrote_last(&self, entry: &IndexEntry) -> bool {
        (entry.log == Log::Undo) == self.is_thinned()
    }

    /// Sorts the entries; call it after the last [`add`](Self::add).
    pub fn sort(&mut self) {
        self.entries.sort_by_key(|entry| (entry.extent.disk, entry.extent.start, entry.log, entry.sequence));
    }

    /// Returns the index as a file's bytes, not padded.
    pub fn encode(&self) -> Vec<u8> {
        envelope::seal(MAGIC, VERSION, &postcard::to_stdvec(self).expect("an index always encodes"))
    }

    /// Decodes an index file; bytes may follow the index. The caller compares machine, generation and epoch.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (version, body) = envelope::open(MAGIC, VERSION, bytes)?;
        let index = if version == VERSION { envelope::whole(body)? } else { older::decode(version, body)? };
        index.check()?;
        Ok(index)
    }

    /// Checks what a plan relies on: lawful sequences and extents, each payload inside its log.
    fn check(&self) -> Result<(), DecodeError> {
        let bound = |field, found, allowed| Err(DecodeError::Bounds { field, found, allowed });
        if self.first.0 == 0 {
            return bound("first sequence", 0, "1 or more");
        }
        if self.last.0 < self.first.0 - 1 || self.last.0 == u64::MAX {
            return bound("last sequence", self.last.0, "not below the first by more than 1");
        }
        for entry in &self.entries {
            check_extent(&entry.extent)?;
            let log_len = if entry.log == Log::Redo { self.redo_len } else { self.undo_len };
            let payload_len = ByteLen(encoded_len(&entry.extent) as u64);
            if entry.payload_at.checked_add(payload_len).is_none_or(|end| end > log_len) {
                return bound("position of a payload", entry.payload_at.0, "inside its log");
            }
            if entry.log == Log::Redo && !(self.first..=self.last).contains(&entry.sequence) {
                return bound("sequence of an entry", entry.sequence.0, "between first and last");
            }
        }
        Ok(())
    }
}

/// Returns what an index has of a record.
pub fn entries_of(log: Log, place: &RecordPlace, body: &Body) -> impl Iterator<Item = IndexEntry> {
    let (mut next, sequence) = (place.payload_at, place.sequence);
    body.extents().iter().map(move |extent| {
        let payload_at = next;
        next = ByteOffset(payload_at.0 + encoded_len(extent) as u64);
        IndexEntry { extent: extent.clone(), log, sequence, payload_at }
    })
}
