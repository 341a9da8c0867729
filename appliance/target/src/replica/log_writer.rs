//! Appends groups of records to one log.

use blockdev::{DeviceSlot, Engine, Operation, PageBuf, PagePool, Request};
use retention::{BLOCK_LEN, Body, Placement, RECORD_ALIGN, Record, RecordPlace, encode};
use units::{ByteLen, ByteOffset, EpochNumber, Generation, Hash, MachineId, Sequence, Timestamp};

use super::error::ReplicaError;
use super::transfer::TRANSFER_LEN;

/// Bytes of the longest group: before-images of a portion of a round (`destage`), with their records around them.
pub(crate) const GROUP_LEN_MAX: u64 = 18 << 20;

/// Bytes up to which a group is short.
const SHORT_LEN: u64 = 64 << 10;
/// A short group that comes to blocks never written takes zeroes with it, up to the next multiple of this: see [`LogWriter::room`].
const ROOM_LEN: u64 = 128 << 10;
const _: () =
    assert!(SHORT_LEN + ROOM_LEN <= TRANSFER_LEN as u64 && ROOM_LEN.is_multiple_of(BLOCK_LEN as u64));

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
    /// Every block before this was written; at least `position.end`.
    written: ByteOffset,
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
        Self { slot, position, allocated, written: position.end, chunk, staged: None }
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
        let end = ByteOffset(at.0.next_multiple_of(BLOCK_LEN as u64));
        assert!(
            end.0 - self.position.end.0 <= GROUP_LEN_MAX,
            "a group is bounded, so that damage in it is proven"
        );
        assert!(end.0 <= self.allocated.0, "a group fits the space that was reserved for it");
        self.staged = Some((end, previous));
        let room = self.room(end);
        self.written = room.max(self.written);
        Ok((group.into_writes(self.slot, self.position.end, room), places))
    }

    /// Returns up to where the group that ends at `end` is written: `end`, or beyond with zeroes.
    ///
    /// The first write to a block of a grown file changes what the file system knows of the file, so that the flush behind it
    /// commits the file system's own journal: several times the cost of a flush that commits data alone. A stream of short groups,
    /// each waited for, would pay it every time; with the room, it pays once for many. What is there reads as zeroes either way.
    fn room(&self, end: ByteOffset) -> ByteOffset {
        let short = end.since(self.position.end).0 <= SHORT_LEN;
        if !short || end <= self.written {
            return end;
        }
        ByteOffset(end.0.next_multiple_of(ROOM_LEN).min(self.allocated.0))
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

    /// Returns the writes that put the bytes at `start`, and zeroes behind them up to `end`.
    fn into_writes(mut self, slot: DeviceSlot, start: ByteOffset, end: ByteOffset) -> Vec<Request> {
        let before = (self.pages.len() - 1) * TRANSFER_LEN;
        let last = self.pages.last_mut().expect("a group has a record");
        let (from, len) = (last.len(), end.since(start).as_usize() - before);
        assert!(from <= len && len <= TRANSFER_LEN, "the zeroes behind a group end in its last page");
        last.set_len(len);
        last[from..].fill(0);
        let offsets = (0..).map(|page| ByteOffset(start.0 + page * TRANSFER_LEN as u64));
        let write = |(at, from)| Request { slot, tag: 0, operation: Operation::Write { at, from } };
        offsets.zip(self.pages).map(write).collect()
    }
}

#[cfg(test)]
mod tests {
    use blockdev::{SimEngine, SimWorld, Volume};
    use retention::BeforeBody;

    use super::*;

    /// A log in a new file, and the engine it is written with.
    fn log(end: u64) -> (SimEngine, LogWriter, PagePool) {
        let world = SimWorld::new(1);
        let mut engine = world.engine(8);
        let slot = engine.attach(world.volume().create("log", ByteLen::mib(1)).unwrap()).unwrap();
        let position = LogPosition {
            machine: MachineId([1; 16]),
            generation: Generation(1),
            epoch: EpochNumber(1),
            end: ByteOffset(end),
            previous: Hash([0; 32]),
        };
        let log = LogWriter::new(&engine, slot, position, ByteLen::mib(1));
        (engine, log, PagePool::new(4, TRANSFER_LEN))
    }

    /// Appends a group with so much payload; returns where its bytes begin and end, and what was written.
    fn append(
        (engine, log, pool): &mut (SimEngine, LogWriter, PagePool),
        payload_len: usize,
    ) -> (u64, u64, Vec<u8>) {
        let body = Body::Before(BeforeBody { extents: Vec::new() });
        let payload = vec![7; payload_len];
        let entry = Entry { sequence: Sequence(1), received: Timestamp(1), body: &body, payload: &payload };
        let (writes, _) = log.stage(engine, pool, &[entry]).unwrap();
        let mut bytes = Vec::new();
        let start = log.position().end.0;
        for write in &writes {
            let Operation::Write { at, from } = &write.operation else { panic!("a group is written") };
            assert_eq!(at.0, start + bytes.len() as u64, "the writes of a group follow one another");
            bytes.extend_from_slice(from);
        }
        log.durable();
        (start, log.position().end.0, bytes)
    }

    #[test]
    fn a_short_group_makes_room_for_those_behind_it_once() {
        let mut it = log(0);
        let (start, end, bytes) = append(&mut it, 4096);
        assert_eq!((start, bytes.len() as u64), (0, ROOM_LEN));
        assert!(bytes[end as usize..].iter().all(|byte| *byte == 0));
        while it.1.position().end.0 + 8192 <= ROOM_LEN {
            let (start, end, bytes) = append(&mut it, 4096);
            assert_eq!(bytes.len() as u64, end - start, "what has room is written alone");
        }
        let (start, _, bytes) = append(&mut it, 8192);
        assert_eq!(start + bytes.len() as u64, 2 * ROOM_LEN);
    }

    #[test]
    fn a_long_group_is_written_alone() {
        let mut it = log(0);
        let (start, end, bytes) = append(&mut it, 200 << 10);
        assert_eq!(bytes.len() as u64, end - start);
    }

    #[test]
    fn room_ends_with_the_file() {
        let mut it = log((1 << 20) - (16 << 10));
        let (start, _, bytes) = append(&mut it, 4096);
        assert_eq!(start + bytes.len() as u64, 1 << 20);
    }
}
