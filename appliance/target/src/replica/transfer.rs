//! Many reads or writes at once, with bounded memory, on one engine.

use std::collections::VecDeque;

use blockdev::{Completion, DeviceError, DeviceSlot, Engine, Operation, PageBuf, PagePool, Request};
use units::{ByteLen, ByteOffset, DiskIndex};
use wire::Span;

use super::error::ReplicaError;

/// Bytes of the largest single read or write.
pub(crate) const TRANSFER_LEN: usize = 256 << 10;

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
    waiting: VecDeque<(usize, ReadAt)>,
    in_flight: usize,
    /// By number of the read; copied, so that no buffer is held that a write may need.
    arrived: Vec<(usize, Vec<u8>)>,
}

impl<'e, E: Engine> DiskWriter<'e, E> {
    /// Begins; `slots` are the disks, by index.
    pub(crate) fn new(engine: &'e mut E, pool: &'e PagePool, slots: &'e [DeviceSlot]) -> Self {
        assert_eq!(engine.in_flight(), 0, "one transfer uses the engine at a time");
        Self { engine, pool, slots, open: None, ahead: ReadAhead::default(), failure: None, done: Vec::new() }
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
        self.submit(span.disk, Operation::WriteZeroes { at: span.start, len: span.len })
    }

    /// Begins reads that run while what is put from now on is written; what they read must not be what is written.
    pub(crate) fn read_ahead(&mut self, reads: &[ReadAt]) -> Result<(), ReplicaError> {
        assert!(self.ahead.is_done() && self.ahead.arrived.is_empty(), "one run of reads at a time");
        self.ahead.waiting.extend(reads.iter().copied().enumerate());
        self.submit_reads();
        Ok(())
    }

    /// Waits for the reads that were begun, and returns what each found, by its number, in the order they ended. Errors: the
    /// first read or write that failed.
    pub(crate) fn collect(&mut self) -> Result<Vec<(usize, Vec<u8>)>, ReplicaError> {
        while !self.ahead.is_done() && self.failure.is_none() {
            self.submit_reads();
            assert!(
                self.engine.in_flight() > 0,
                "an idle engine takes a read, and an idle pool lends a buffer"
            );
            self.reap(1)?;
        }
        match self.failure.take() {
            Some(error) => Err(error.into()),
            None => Ok(std::mem::take(&mut self.ahead.arrived)),
        }
    }

    /// Submits reads as long as there are buffers for them.
    fn submit_reads(&mut self) {
        while let Some((number, read)) = self.ahead.waiting.front().copied()
            && let Some(into) = self.pool.lend(read.len)
        {
            let operation = Operation::Read { at: read.at, into };
            if self.engine.submit(Request { slot: read.slot, tag: number as u64, operation }).is_err() {
                return;
            }
            self.ahead.waiting.pop_front();
            self.ahead.in_flight += 1;
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
        match self.open.take() {
            Some((disk, at, from)) => self.submit(disk, Operation::Write { at, from }),
            None => Ok(()),
        }
    }

    fn submit(&mut self, disk: DiskIndex, operation: Operation) -> Result<(), ReplicaError> {
        let mut request = Request { slot: self.slots[usize::from(disk.0)], tag: 0, operation };
        while let Err(refused) = self.engine.submit(request) {
            request = refused;
            self.reap(1)?;
        }
        Ok(())
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
        for completion in self.done.drain(..) {
            if let Operation::Read { into, .. } = &completion.operation {
                self.ahead.in_flight -= 1;
                self.ahead.arrived.push((completion.tag as usize, into.to_vec()));
            }
            self.failure = self.failure.take().or(completion.outcome.err());
        }
        self.submit_reads();
        Ok(())
    }
}

impl ReadAhead {
    fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.in_flight == 0
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
