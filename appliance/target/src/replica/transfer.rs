//! Many reads or writes at once, with bounded memory, on one engine.

use std::collections::VecDeque;

use blockdev::{Completion, DeviceError, DeviceSlot, Engine, Operation, PageBuf, PagePool, Request};
use units::{ByteLen, ByteOffset, DiskIndex};
use wire::Span;

use super::error::ReplicaError;

/// Bytes of the largest single read or write.
pub(crate) const TRANSFER_LEN: usize = 256 << 10;

/// Operations that are given to the device together.
const QUEUED_MAX: usize = 8;

/// One read of a device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadAt {
    pub(crate) slot: DeviceSlot,
    pub(crate) at: ByteOffset,
    /// At most [`TRANSFER_LEN`].
    pub(crate) len: usize,
}

/// Performs every read, as many at once as there are buffers, and gives each result to `take` with its number, in the order
/// they end.
pub(crate) fn read_each<E: Engine>(
    engine: &mut E,
    pool: &PagePool,
    reads: &[ReadAt],
    mut take: impl FnMut(usize, PageBuf) -> Result<(), ReplicaError>,
) -> Result<(), ReplicaError> {
    assert_eq!(engine.in_flight(), 0, "one transfer uses the engine at a time");
    let (mut next, mut done, mut result) = (0, Vec::new(), Ok(()));
    while next < reads.len() || engine.in_flight() > 0 {
        while result.is_ok()
            && let Some(read) = reads.get(next)
            && let Some(into) = pool.lend(read.len)
        {
            let request = Request {
                slot: read.slot,
                tag: next as u64,
                operation: Operation::Read { at: read.at, into },
            };
            if engine.submit(request).is_err() {
                break;
            }
            next += 1;
        }
        if engine.in_flight() == 0 {
            assert!(result.is_err(), "an idle engine takes a read, and an idle pool lends a buffer");
            return result;
        }
        engine.wait(1, &mut done)?;
        for completion in done.drain(..) {
            let taken = completed_read(completion).and_then(|(index, buffer)| match &result {
                Ok(()) => take(index, buffer),
                Err(_) => Ok(()),
            });
            result = result.and(taken);
        }
    }
    result
}

fn completed_read(completion: Completion) -> Result<(usize, PageBuf), ReplicaError> {
    completion.outcome?;
    let Operation::Read { into, .. } = completion.operation else {
        unreachable!("only reads were submitted")
    };
    Ok((usize::try_from(completion.tag).expect("the tag is an index of ours"), into))
}

/// Writes to the target disks of one machine, and reads beside it what is to be written next. Neighbours that follow one another
/// become one write.
pub(crate) struct DiskWriter<'e, E: Engine> {
    engine: &'e mut E,
    /// Operations queued since the device was last given any.
    queued: usize,
    pool: &'e PagePool,
    slots: &'e [DeviceSlot],
    open: Option<(DiskIndex, ByteOffset, PageBuf)>,
    ahead: ReadAhead,
    failure: Option<DeviceError>,
    done: Vec<Completion>,
}

/// Reads that run beside writes.
#[derive(Default)]
struct ReadAhead {
    /// Not begun yet.
    waiting: VecDeque<ReadAt>,
    /// Begun, in order, each with what it found once it has ended.
    begun: VecDeque<Option<PageBuf>>,
    /// The number of the first that was begun.
    first: u64,
}

impl<'e, E: Engine> DiskWriter<'e, E> {
    /// Begins; `slots` are the disks, by index.
    pub(crate) fn new(engine: &'e mut E, pool: &'e PagePool, slots: &'e [DeviceSlot]) -> Self {
        assert_eq!(engine.in_flight(), 0, "one transfer uses the engine at a time");
        let (ahead, done) = (ReadAhead::default(), Vec::new());
        Self { engine, queued: 0, pool, slots, open: None, ahead, failure: None, done }
    }

    /// Returns the memory whose bytes will be written at the span, to be filled by the caller. Spans must not overlap until
    /// [`finish`](Self::finish).
    pub(crate) fn put(&mut self, span: &Span) -> Result<&mut [u8], ReplicaError> {
        let len = span.len.as_usize();
        assert!(len <= TRANSFER_LEN, "a span is put in pieces of at most {TRANSFER_LEN} bytes");
        let joins = self.open.as_ref().is_some_and(|(disk, start, buffer)| {
            let end = start.0 + buffer.len() as u64;
            *disk == span.disk && end == span.start.0 && buffer.len() + len <= TRANSFER_LEN
        });
        if !joins {
            self.close()?;
            let mut buffer = self.lend()?;
            buffer.set_len(0);
            self.open = Some((span.disk, span.start, buffer));
        }
        let (_, _, buffer) = self.open.as_mut().expect("a buffer was opened above");
        let from = buffer.len();
        buffer.set_len(from + len);
        Ok(&mut buffer[from..])
    }

    /// Makes the span read as zero.
    pub(crate) fn zero(&mut self, span: &Span) -> Result<(), ReplicaError> {
        if span.len.as_usize() <= units::LEAF_LEN as usize {
            self.put(span)?.fill(0);
            return Ok(());
        }
        self.close()?;
        let slot = self.slots[usize::from(span.disk.0)];
        let operation = Operation::WriteZeroes { at: span.start, len: span.len };
        self.submit(Request { slot, tag: 0, operation })
    }

    /// Returns the engine, for what is done at once.
    pub(crate) fn engine(&mut self) -> &mut E {
        self.engine
    }

    /// Begins reads that run while what is put from now on is written; what they read must not be what is written.
    pub(crate) fn read_ahead(&mut self, reads: &[ReadAt]) {
        self.ahead.waiting.extend(reads);
        self.submit_reads();
    }

    /// Returns what the next read has found if it has ended, and nothing has failed so far.
    pub(crate) fn arrived(&mut self) -> Option<PageBuf> {
        if self.failure.is_some() {
            return None;
        }
        let bytes = self.ahead.begun.front_mut()?.take()?;
        self.ahead.begun.pop_front();
        self.ahead.first += 1;
        Some(bytes)
    }

    /// Returns what the next of the reads that were begun has found, in the order they were given; `None` after the last. Errors:
    /// the first read or write that failed.
    pub(crate) fn next_read(&mut self) -> Result<Option<PageBuf>, ReplicaError> {
        loop {
            if let Some(error) = self.failure.take() {
                return Err(error.into());
            }
            self.submit_reads();
            if let Some(bytes) = self.arrived() {
                return Ok(Some(bytes));
            }
            if self.ahead.begun.is_empty() && self.ahead.waiting.is_empty() {
                return Ok(None);
            }
            assert!(
                self.engine.in_flight() > 0,
                "an idle engine takes a read, and an idle pool lends a buffer"
            );
            self.reap(1)?;
        }
    }

    /// Begins reads as long as there are buffers for them; most are left for writes.
    fn submit_reads(&mut self) {
        let most = (self.pool.count() / 3).max(1);
        while self.ahead.begun.len() < most
            && let Some(read) = self.ahead.waiting.front()
            && let Some(into) = self.pool.lend(read.len)
        {
            let tag = self.ahead.first + self.ahead.begun.len() as u64;
            let operation = Operation::Read { at: read.at, into };
            if self.engine.submit(Request { slot: read.slot, tag, operation }).is_err() {
                return;
            }
            self.ahead.waiting.pop_front();
            self.ahead.begun.push_back(None);
        }
    }

    /// Waits for every write. Errors: the first write that failed; then the device is out.
    pub(crate) fn finish(mut self) -> Result<(), ReplicaError> {
        self.close()?;
        while self.engine.in_flight() > 0 {
            self.reap(self.engine.in_flight())?;
        }
        self.failure.take().map_or(Ok(()), |error| Err(error.into()))
    }

    fn close(&mut self) -> Result<(), ReplicaError> {
        let Some((disk, at, from)) = self.open.take() else { return Ok(()) };
        let slot = self.slots[usize::from(disk.0)];
        self.submit(Request { slot, tag: 0, operation: Operation::Write { at, from } })
    }

    /// Begins one operation more, beside the others.
    pub(crate) fn submit(&mut self, request: Request) -> Result<(), ReplicaError> {
        let mut request = request;
        while let Err(refused) = self.engine.submit(request) {
            request = refused;
            self.reap(1)?;
        }
        self.queued += 1;
        // The device is not to wait for the last of them.
        if self.queued >= QUEUED_MAX { self.reap(0) } else { Ok(()) }
    }

    fn lend(&mut self) -> Result<PageBuf, ReplicaError> {
        loop {
            if let Some(buffer) = self.pool.lend(TRANSFER_LEN) {
                return Ok(buffer);
            }
            assert!(self.engine.in_flight() > 0, "buffers that are not free are in flight");
            self.reap(1)?;
        }
    }

    fn reap(&mut self, at_least: usize) -> Result<(), ReplicaError> {
        self.engine.wait(at_least, &mut self.done)?;
        self.queued = 0;
        for Completion { tag, operation, outcome, .. } in self.done.drain(..) {
            if let Operation::Read { into, .. } = operation {
                let number = usize::try_from(tag - self.ahead.first).expect("only what was begun ends");
                self.ahead.begun[number] = Some(into);
            }
            self.failure = self.failure.take().or(outcome.err());
        }
        self.submit_reads();
        Ok(())
    }
}

impl<E: Engine> Drop for DiskWriter<'_, E> {
    /// An error on the way leaves writes in flight: they end before the engine is used again.
    fn drop(&mut self) {
        while self.engine.in_flight() > 0 && self.engine.wait(1, &mut self.done).is_ok() {}
    }
}

/// Flushes the devices; every write that ended before is durable when this returns.
pub(crate) fn flush_all<E: Engine>(engine: &mut E, slots: &[DeviceSlot]) -> Result<(), ReplicaError> {
    let requests = slots.iter().map(|&slot| Request { slot, tag: 0, operation: Operation::Flush });
    first_failure(engine.run(requests)?)
}

/// Writes buffers to one device, without flushing.
pub(crate) fn first_failure(done: Vec<Completion>) -> Result<(), ReplicaError> {
    done.into_iter().find_map(|completion| completion.outcome.err()).map_or(Ok(()), |error| Err(error.into()))
}

/// Cuts a span into pieces of at most `most` bytes.
pub(crate) fn cut(span: &Span, most: usize) -> impl Iterator<Item = Span> + use<> {
    let (span, most) = (*span, most as u64);
    (0..span.len.0.div_ceil(most)).map(move |piece| {
        let start = span.start.0 + piece * most;
        let len = ByteLen(most.min(span.start.0 + span.len.0 - start));
        Span { disk: span.disk, start: ByteOffset(start), len }
    })
}
