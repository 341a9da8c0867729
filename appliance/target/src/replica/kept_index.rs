//! The index of an epoch that is not sealed, kept in memory as its records become durable: a plan needs no log read for it.
//!
//! *Invariant:* it holds what walking the two logs up to their durable ends would find, or it is given up and the logs are walked.

use retention::{Body, EpochIndex, IndexEntry, Log, Point, RecordPlace};

use super::budget::{Allowance, Share};

/// Entries there is room made for at a time.
const ROOM: usize = 1024;

/// The index of one epoch, as far as the memory for it lasts.
#[derive(Debug)]
pub(crate) struct KeptIndex {
    /// `None` once there was no memory for it.
    index: Option<EpochIndex>,
    /// It knows the undo log: of one that a restart has found, nothing is known before the epoch is opened.
    knows_undo: bool,
    held: Option<Share>,
}

impl KeptIndex {
    /// Begins with the index of an epoch whose undo log is empty.
    pub(crate) fn begin(allowance: Allowance, index: EpochIndex) -> Self {
        Self { index: Some(index), knows_undo: true, held: allowance.take(0) }
    }

    /// Begins with the index of an epoch whose logs are being read again, the redo log first.
    pub(crate) fn recover(allowance: Allowance, index: EpochIndex) -> Self {
        Self { knows_undo: false, ..Self::begin(allowance, index) }
    }

    /// Tells whether the records of the undo log were added, and are from now on.
    pub(crate) fn knows_undo(&self) -> bool {
        self.knows_undo
    }

    /// Tells whether it holds everything.
    pub(crate) fn is_whole(&self) -> bool {
        self.knows_undo && self.index.is_some()
    }

    /// Says that every record the undo log holds was added.
    pub(crate) fn learn_undo(&mut self) {
        self.knows_undo = true;
    }

    /// Adds a durable record. Without memory for it the index is given up.
    pub(crate) fn add(&mut self, log: Log, place: &RecordPlace, body: &Body) {
        let Some((index, held)) = self.index.as_mut().zip(self.held.as_mut()) else { return };
        let more = body.extents().len();
        let lacks = index.entries.capacity() - index.entries.len() < more;
        let room = if lacks { more.next_multiple_of(ROOM) } else { 0 };
        if held.grow(room * size_of::<IndexEntry>() + point_len(body)) {
            index.entries.reserve_exact(room);
            index.add(log, place, body);
        } else {
            tracing::debug!(epoch = %index.epoch, entries = index.entries.len(), "no memory to keep an index");
            (self.index, self.held) = (None, None);
        }
    }

    /// Returns the index, sorted; `None` if it does not hold everything.
    pub(crate) fn copy(&self) -> Option<EpochIndex> {
        let mut index = self.index.as_ref().filter(|_| self.knows_undo)?.clone();
        index.sort();
        Some(index)
    }
}

/// Returns what an index keeps of a record besides its entries.
fn point_len(body: &Body) -> usize {
    match body {
        Body::Marker(marker) => size_of::<Point>() + size_of_val(&marker.roots[..]) + marker.label.len(),
        Body::Batch(_) | Body::Before(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retention::BatchBody;
    use units::{
        ByteLen, ByteOffset, DiskIndex, EpochNumber, Generation, Hash, MachineId, Sequence, Timestamp,
    };
    use wire::{Encoding, Extent};

    fn index() -> EpochIndex {
        EpochIndex::empty(MachineId([1; 16]), Generation(1), EpochNumber(1), Sequence(1))
    }

    fn add(kept: &mut KeptIndex, sequence: u64, extents: usize) {
        let extent = |at: u64| Extent {
            disk: DiskIndex(0),
            start: ByteOffset(at * 4096),
            len: ByteLen(4096),
            encoding: Encoding::Zero,
        };
        let extents = (0..extents as u64).rev().map(extent).collect();
        let (sequence, time, at) = (Sequence(sequence), Timestamp(0), ByteOffset(0));
        let body = Body::Batch(BatchBody { sequence, time, extents });
        let checksum = Hash::default();
        let place = RecordPlace { sequence, received: time, at, payload_at: at, end: at, checksum };
        kept.add(Log::Redo, &place, &body);
    }

    #[test]
    fn an_index_without_memory_is_given_up_and_gives_its_memory_back() {
        let allowance = Allowance::new(ROOM * size_of::<IndexEntry>());
        let mut kept = KeptIndex::begin(allowance.clone(), index());
        add(&mut kept, 1, 3);
        let copy = kept.copy().expect("there is memory for three");
        assert!(copy.entries.is_sorted_by_key(|entry| entry.extent.start) && copy.entries.len() == 3);
        add(&mut kept, 2, ROOM);
        assert!(kept.copy().is_none());
        assert!(allowance.take(ROOM * size_of::<IndexEntry>()).is_some(), "all of it is free again");
    }

    #[test]
    fn an_index_that_does_not_know_its_undo_is_not_given() {
        let mut kept = KeptIndex::recover(Allowance::new(1 << 20), index());
        add(&mut kept, 1, 1);
        assert!(kept.copy().is_none());
        kept.learn_undo();
        assert!(kept.copy().is_some());
    }
}
