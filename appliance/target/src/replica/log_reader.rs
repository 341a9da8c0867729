//! Reads logs: record by record to find their end, and extent by extent for their content.

use std::collections::VecDeque;
use std::ops::Range;

use blockdev::{DeviceSlot, Engine, PagePool};
use retention::{
    BLOCK_LEN, Body, DecodeError, ExtentDecoder, Log, RECORD_HEADER_LEN, RecordHead, Tail, TailScan,
    decode_body, encoded_len,
};
use units::{ByteOffset, Hash};
use wire::Extent;

use super::error::ReplicaError;
use super::log_writer::GROUP_LEN_MAX;
use super::transfer::{ReadAt, TRANSFER_LEN, read_each};

/// Bytes read at once while walking a log: the least, for records that are long and of which only the head is wanted; and the
/// most, for short ones that are all wanted.
const WINDOW_LEN: usize = 96 << 10;
const WINDOW_LEN_MAX: usize = 4 * TRANSFER_LEN;
/// How far behind an unreadable record proof is looked for: further than the longest group.
const PROOF_LEN: u64 = 20 << 20;

const _: () = assert!(WINDOW_LEN <= TRANSFER_LEN && WINDOW_LEN.is_multiple_of(BLOCK_LEN));
const _: () = assert!(TRANSFER_LEN.is_multiple_of(BLOCK_LEN));
const _: () = assert!(PROOF_LEN > GROUP_LEN_MAX, "behind a damaged group the next one is still seen");
const _: () =
    assert!(WINDOW_LEN > RECORD_HEADER_LEN + (64 << 10) + BLOCK_LEN, "a header and body fit a window");

/// Where a log ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogEnd {
    pub(crate) tail: Tail,
    /// The checksum of the last record before the tail, if there is one or it was given.
    pub(crate) previous: Option<Hash>,
}

/// One log, open for reading.
pub(crate) struct LogReader<'e, E: Engine> {
    engine: &'e mut E,
    pool: &'e PagePool,
    slot: DeviceSlot,
    log: Log,
    window: Option<(u64, Vec<u8>)>,
    window_len: usize,
    keeps_torn_groups: bool,
}

impl<'e, E: Engine> LogReader<'e, E> {
    pub(crate) fn new(engine: &'e mut E, pool: &'e PagePool, slot: DeviceSlot, log: Log) -> Self {
        Self { engine, pool, slot, log, window: None, window_len: WINDOW_LEN, keeps_torn_groups: false }
    }

    /// Plants a mistake: what is whole of a torn group is kept, wherever it ends.
    pub(crate) fn keep_torn_groups(&mut self) {
        self.keeps_torn_groups = true;
    }

    /// Walks the log and gives every record that counts to `visit`, in order. What nothing proves to have been durable counts only
    /// if its payload is whole too. A torn group counts as far as it is whole if that ends at a block, where the next group can
    /// start; otherwise none of it does.
    ///
    /// `until`: where the log is known to end; what lies behind is not looked at, for it may be on its way.
    pub(crate) fn walk(
        &mut self,
        mut scan: TailScan,
        until: Option<ByteOffset>,
        mut visit: impl FnMut(&RecordHead, &Body),
    ) -> Result<LogEnd, ReplicaError> {
        let mut previous = scan.previous();
        let mut doubtful: VecDeque<(RecordHead, Body)> = VecDeque::new();
        let tail = loop {
            if until.is_some_and(|until| scan.next() >= until) {
                break Tail::At(scan.next());
            }
            let (head, body) = match self.record_at(&scan)? {
                Ok(record) => record,
                Err(cause) => break self.conclude(&scan, cause)?,
            };
            scan.accept(&head);
            doubtful.push_back((head, body));
            while let Some((head, body)) = doubtful.pop_front_if(|(head, _)| head.end() <= scan.durable()) {
                previous = Some(head.checksum);
                visit(&head, &body);
            }
        };
        let Tail::At(mut end) = tail else { return Ok(LogEnd { tail, previous }) };
        for (index, (head, body)) in doubtful.iter().enumerate() {
            if !self.payload_is_whole(head, body)? {
                end = head.placement.position;
                doubtful.truncate(index);
                break;
            }
        }
        if !end.is_multiple_of(BLOCK_LEN as u64) && !self.keeps_torn_groups {
            let group = doubtful.front().map_or(end, |(head, _)| head.placement.position);
            assert!(
                group.is_multiple_of(BLOCK_LEN as u64),
                "groups start at blocks, and what is durable is whole groups"
            );
            (end, doubtful) = (group, VecDeque::new());
        }
        for (head, body) in doubtful {
            previous = Some(head.checksum);
            visit(&head, &body);
        }
        Ok(LogEnd { tail: Tail::At(end), previous })
    }

    /// Reads and checks the record at the scan's place; the inner error says what is wrong with it.
    pub(crate) fn record_at(
        &mut self,
        scan: &TailScan,
    ) -> Result<Result<(RecordHead, Body), DecodeError>, ReplicaError> {
        let bytes = self.bytes_at(scan.next().0)?;
        let head = match scan.check(bytes) {
            Ok(head) => head,
            Err(cause) => return Ok(Err(cause)),
        };
        let body = decode_body(&head, &bytes[RECORD_HEADER_LEN..]);
        Ok(body.and_then(|body| belongs(body, self.log)).map(|body| (head, body)))
    }

    /// Returns the bytes from `at` on: enough for a header and a body, unless the file ends before.
    fn bytes_at(&mut self, at: u64) -> Result<&[u8], ReplicaError> {
        let needed = (RECORD_HEADER_LEN + (64 << 10)) as u64;
        let file_end = self.engine.geometry(self.slot).len.0;
        let inside =
            |start: u64, len: usize| start <= at && (at + needed).min(file_end) <= start + len as u64;
        if !self.window.as_ref().is_some_and(|(start, buffer)| inside(*start, buffer.len())) {
            let start = at / BLOCK_LEN as u64 * BLOCK_LEN as u64;
            let goes_on =
                self.window.take().is_some_and(|(from, bytes)| at < from + (bytes.len() + BLOCK_LEN) as u64);
            self.window_len = if goes_on { (2 * self.window_len).min(WINDOW_LEN_MAX) } else { WINDOW_LEN };
            let len = file_end.saturating_sub(start).min(self.window_len as u64) as usize;
            self.window = Some((start, self.read(start, len)?));
        }
        let (start, buffer) = self.window.as_ref().expect("the window was just read");
        Ok(buffer.get((at - start) as usize..).unwrap_or_default())
    }

    fn read(&mut self, at: u64, len: usize) -> Result<Vec<u8>, ReplicaError> {
        let starts = (0..len).step_by(TRANSFER_LEN);
        let read = |start: usize| ReadAt {
            slot: self.slot,
            at: ByteOffset(at + start as u64),
            len: TRANSFER_LEN.min(len - start),
        };
        let reads: Vec<_> = starts.map(read).collect();
        let mut found = vec![0; len];
        read_each(self.engine, self.pool, &reads, |part, buffer| {
            found[part * TRANSFER_LEN..][..buffer.len()].copy_from_slice(&buffer);
            Ok(())
        })?;
        Ok(found)
    }

    /// Decides whether what can't be read is a torn tail: looks at every block behind it that could prove otherwise.
    fn conclude(&mut self, scan: &TailScan, cause: DecodeError) -> Result<Tail, ReplicaError> {
        let first = (scan.next().0 + 1).next_multiple_of(BLOCK_LEN as u64);
        let end = self.engine.geometry(self.slot).len.0.min(first.saturating_add(PROOF_LEN));
        let mut proven = false;
        let mut at = first;
        while at < end && !proven {
            let len = (end - at).min(TRANSFER_LEN as u64) as usize;
            let bytes = self.read(at, len)?;
            let offsets = (at..).step_by(BLOCK_LEN).map(ByteOffset);
            proven = bytes.chunks(BLOCK_LEN).zip(offsets).any(|(block, at)| scan.proves_damage(at, block));
            at += len as u64;
        }
        self.window = None;
        Ok(scan.conclude(cause, proven))
    }

    fn payload_is_whole(&mut self, head: &RecordHead, body: &Body) -> Result<bool, ReplicaError> {
        let extents = body.extents();
        let mut at = head.payload_at();
        let file_end = self.engine.geometry(self.slot).len.0;
        let mut wanted = Vec::new();
        for extent in extents {
            wanted.push((extent, at));
            at = ByteOffset(at.0 + encoded_len(extent) as u64);
        }
        if at.0 > file_end {
            return Ok(false);
        }
        let mut whole = true;
        let sources: Vec<_> = wanted.iter().map(|(extent, at)| (self.slot, *at, *extent)).collect();
        read_payloads(self.engine, self.pool, &sources, |index, payload| {
            whole &= ExtentDecoder::verify(sources[index].2, payload).is_ok();
            Ok(())
        })?;
        Ok(whole)
    }
}

/// Checks that a record is of the kind its log holds.
fn belongs(body: Body, log: Log) -> Result<Body, DecodeError> {
    let its = if matches!(body, Body::Before(_)) { Log::Undo } else { Log::Redo };
    let (found, expected) = (format!("{its:?}"), format!("{log:?}"));
    if its == log { Ok(body) } else { Err(DecodeError::Misplaced { what: "log", found, expected }) }
}

/// Where the payload of an extent starts, in which log.
pub(crate) type PayloadSource<'a> = (DeviceSlot, ByteOffset, &'a Extent);

/// The reads that bring payloads from their logs. Neighbours in one log are read together.
#[derive(Default)]
pub(crate) struct PayloadReads {
    /// The reads.
    pub(crate) reads: Vec<ReadAt>,
    /// For each read, the payloads it brings: their number, and where they lie in what was read.
    members: Vec<Vec<(usize, Range<usize>)>>,
    /// Payloads that need no read.
    empty: Vec<usize>,
}

impl PayloadReads {
    pub(crate) fn new(sources: &[PayloadSource<'_>]) -> Self {
        let mut plan = Self::default();
        for (index, (slot, at, extent)) in sources.iter().enumerate() {
            plan.add(index, *slot, at.0, encoded_len(extent));
        }
        plan
    }

    fn add(&mut self, index: usize, slot: DeviceSlot, at: u64, len: usize) {
        let block = BLOCK_LEN as u64;
        let (start, end) = (at / block * block, (at + len as u64).next_multiple_of(block));
        let joins = self.reads.last().is_some_and(|last| {
            let last_end = last.at.0 + last.len as u64;
            last.slot == slot
                && start >= last.at.0
                && start <= last_end
                && end - last.at.0 <= TRANSFER_LEN as u64
        });
        if len == 0 {
            return self.empty.push(index);
        }
        if !joins {
            self.reads.push(ReadAt { slot, at: ByteOffset(start), len: (end - start) as usize });
            self.members.push(Vec::new());
        }
        let (read, members) =
            self.reads.last_mut().zip(self.members.last_mut()).expect("there is a read to join");
        read.len = read.len.max((end - read.at.0) as usize);
        let from = (at - read.at.0) as usize;
        members.push((index, from..from + len));
    }

    /// Gives `take` each payload that a read brought, with its number, in their order.
    pub(crate) fn deliver(
        &self,
        read: usize,
        bytes: &[u8],
        mut take: impl FnMut(usize, &[u8]) -> Result<(), ReplicaError>,
    ) -> Result<(), ReplicaError> {
        self.members[read].iter().try_for_each(|(index, range)| take(*index, &bytes[range.clone()]))
    }

    /// Gives `take` each payload that needs no read, with its number.
    pub(crate) fn deliver_empty(
        &self,
        mut take: impl FnMut(usize, &[u8]) -> Result<(), ReplicaError>,
    ) -> Result<(), ReplicaError> {
        self.empty.iter().try_for_each(|index| take(*index, &[]))
    }
}

/// Reads the payload of each extent from its log, and gives it to `take` with its number, in the order the reads end. The payloads
/// are not verified.
pub(crate) fn read_payloads<E: Engine>(
    engine: &mut E,
    pool: &PagePool,
    sources: &[PayloadSource<'_>],
    mut take: impl FnMut(usize, &[u8]) -> Result<(), ReplicaError>,
) -> Result<(), ReplicaError> {
    let plan = PayloadReads::new(sources);
    plan.deliver_empty(&mut take)?;
    read_each(engine, pool, &plan.reads, |read, buffer| plan.deliver(read, &buffer, &mut take))
}
