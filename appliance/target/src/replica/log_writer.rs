//! Appends groups of records to one log.

use blockdev::{DeviceSlot, Engine, Operation, PageBuf, PagePool, Request};
use retention::{BLOCK_LEN, Body, Placement, RECORD_ALIGN, Record, RecordPlace, encode};
use units::{ByteLen, ByteOffset, EpochNumber, Generation, Hash, MachineId, Sequence, Timestamp};

use super::error::ReplicaError;
use super::transfer::TRANSFER_LEN;

/// Bytes of the longest group: before-images of a portion of a round (`destage`), with their records around them.
pub(crate) const GROUP_LEN_MAX: u64 = 18 << 20;

/// What one record of a group is made from.
pub(crate) struct Entry<'a> {
    pub(crate) sequence: Sequence,
    pub(crate) received: Timestamp,
    pub(crate) body: &'a Body,
    pub(crate) payload: &'a [u8],
}

/// Where a log stands: what is needed to go on appending to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogPosition {
    pub(crate) machine: MachineId,
    pub(crate) generation: Generation,
    pub(crate) epoch: EpochNumber,
    /// Where the next group starts; everything before is durable.
    pub(crate) end: ByteOffset,
    /// The checksum the next record names as its predecessor.
    pub(crate) previous: Hash,
}

/// One log, open for appending.
///
/// *Invariant:* a group is staged only when the one before it is durable, so that a record that can't be read is
/// the torn tail exactly if nothing behind it is whole (`retention::TailScan`).
pub(crate) struct LogWriter {
    slot: DeviceSlot,
    position: LogPosition,
    allocated: ByteLen,
    chunk: ByteLen,
    staged: Option<(ByteOffset, Hash)>,
}

impl LogWriter {
    /// Goes on with the log in `slot` at `position`.
    pub(crate) fn new<E: Engine>(
        engine: &E,
        slot: DeviceSlot,
        position: LogPosition,
        chunk: ByteLen,
    ) -> Self {
        let allocated = engine.geometry(slot).len;
        assert!(position.end.is_multiple_of(BLOCK_LEN as u64), "groups start at blocks");
        assert!(position.end.0 <= allocated.0, "a log ends inside its file");
        assert!(chunk.0 > 0 && chunk.0.is_multiple_of(BLOCK_LEN as u64), "logs grow by whole blocks");
        Self { slot, position, allocated, chunk, staged: None }
    }

    pub(crate) fn slot(&self) -> DeviceSlot {
        self.slot
    }

    pub(crate) fn position(&self) -> LogPosition {
        self.position
    }

    /// Encodes a group and returns the writes that put it behind the last, and the place of each record. Errors: no
    /// space, and the log is as before.
    pub(crate) fn stage<E: Engine>(
        &mut self,
        engine: &mut E,
        pool: &PagePool,
        entries: &[Entry<'_>],
    ) -> Result<(Vec<Request>, Vec<RecordPlace>), ReplicaError> {
        assert!(self.staged.is_none(), "the group before is durable");
        assert!(!entries.is_empty(), "a group has a record");
        let bound = |entry: &Entry<'_>| entry.body.record_len_bound(entry.payload.len());
        self.reserve(engine, entries.iter().map(bound).sum::<usize>() + BLOCK_LEN)?;
        let mut group = GroupBuffer::new(pool);
        let (mut at, mut previous) = (self.position.end, self.position.previous);
        let mut places = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let align = if index + 1 == entries.len() { BLOCK_LEN } else { RECORD_ALIGN };
            let record = self.record(entry, at, previous);
            let place = encode(&record, align, |bytes| group.push(bytes)).place();
            (at, previous) = (place.end, place.checksum);
            places.push(place);
        }
        let writes = group.into_writes(self.slot, self.position.end);
        let end = ByteOffset(at.0.next_multiple_of(BLOCK_LEN as u64));
        assert!(
            end.0 - self.position.end.0 <= GROUP_LEN_MAX,
            "a group is bounded, so that damage in it is proven"
        );
        assert!(end.0 <= self.allocated.0, "a group fits the space that was reserved for it");
        self.staged = Some((end, previous));
        Ok((writes, places))
    }

    /// Says that the staged group is durable: every write ended well, and then a flush did.
    pub(crate) fn durable(&mut self) {
        let (end, previous) = self.staged.take().expect("a group was staged");
        assert!(end > self.position.end, "a group has a length");
        (self.position.end, self.position.previous) = (end, previous);
    }

    fn record<'a>(&self, entry: &Entry<'a>, position: ByteOffset, previous: Hash) -> Record<'a> {
        let LogPosition { machine, generation, epoch, end, .. } = self.position;
        let placement = Placement { machine, generation, epoch, position, previous };
        let Entry { sequence, received, body, payload } = *entry;
        Record { placement, sequence, durable_len: end, received, body, payload }
    }

    /// Makes room for a group of at most `bound` bytes.
    fn reserve<E: Engine>(&mut self, engine: &mut E, bound: usize) -> Result<(), ReplicaError> {
        let needed = ByteLen(self.position.end.0 + bound as u64);
        if needed <= self.allocated {
            return Ok(());
        }
        let len = needed.round_up(self.chunk.0);
        engine.grow(self.slot, len).map_err(|error| match error {
            blockdev::DeviceError::NoSpace { device, .. } => ReplicaError::Full { what: device.to_string() },
            other => other.into(),
        })?;
        self.allocated = len;
        Ok(())
    }
}

/// A group's bytes, in aligned buffers.
struct GroupBuffer<'p> {
    pool: &'p PagePool,
    pages: Vec<PageBuf>,
}

impl<'p> GroupBuffer<'p> {
    fn new(pool: &'p PagePool) -> Self {
        Self { pool, pages: Vec::new() }
    }

    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.pages.last().is_none_or(|page| page.len() == TRANSFER_LEN) {
                let mut page = self.pool.lend(TRANSFER_LEN).unwrap_or_else(|| PageBuf::zeroed(TRANSFER_LEN));
                page.set_len(0);
                self.pages.push(page);
            }
            let page = self.pages.last_mut().expect("a page was just added");
            let from = page.len();
            let take = bytes.len().min(TRANSFER_LEN - from);
            page.set_len(from + take);
            page[from..].copy_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
        }
    }

    fn into_writes(mut self, slot: DeviceSlot, start: ByteOffset) -> Vec<Request> {
        if let Some(last) = self.pages.last_mut() {
            let (from, len) = (last.len(), last.len().next_multiple_of(BLOCK_LEN));
            last.set_len(len);
            last[from..].fill(0);
        }
        let offsets = (0..).map(|page| ByteOffset(start.0 + page * TRANSFER_LEN as u64));
        let write = |(at, from)| Request { slot, tag: 0, operation: Operation::Write { at, from } };
        offsets.zip(self.pages).map(write).collect()
    }
}
