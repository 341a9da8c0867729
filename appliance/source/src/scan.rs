//! Reading disks from one end to the other, several reads at a time, in order.

use std::collections::BTreeMap;
use std::path::PathBuf;

use blockdev::{Completion, DeviceSlot, Engine, Operation, PageBuf, PagePool, Request};
use units::{ByteLen, ByteOffset, DiskIndex, LEAF_LEN};

use crate::error::SourceError;
use crate::parcel::Chunk;

/// Bytes of one read.
pub(crate) const CHUNK_LEN: usize = 1 << 20;
/// Reads under way at once.
pub(crate) const DEPTH: usize = 8;

const _: () = assert!((CHUNK_LEN as u64).is_multiple_of(LEAF_LEN));

/// One disk to read.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// Where it was found, for messages.
    pub(crate) path: PathBuf,
    /// The engine's name for it.
    pub(crate) slot: DeviceSlot,
    /// Its size.
    pub(crate) len: ByteLen,
}

/// Reads disks in ascending order and hands out chunk after chunk.
pub(crate) struct Reader<E> {
    engine: E,
    disks: Vec<Disk>,
    pool: PagePool,
    done: Vec<Completion>,
    arrived: BTreeMap<u64, Chunk>,
    /// By disk: what is still to be asked for.
    ahead: Vec<ByteOffset>,
    next_asked: u64,
    next_given: u64,
}

impl<E: Engine> Reader<E> {
    /// Makes a reader of disks attached to `engine`, with buffers of [`CHUNK_LEN`] from `pool`.
    pub(crate) fn new(engine: E, disks: Vec<Disk>, pool: PagePool) -> Self {
        assert_eq!(pool.len_each(), CHUNK_LEN, "a buffer holds a chunk");
        let ahead = disks.iter().map(|disk| ByteOffset(disk.len.0)).collect();
        Self {
            engine,
            disks,
            pool,
            done: Vec::new(),
            arrived: BTreeMap::new(),
            ahead,
            next_asked: 0,
            next_given: 0,
        }
    }

    /// Returns the disks.
    pub(crate) fn disks(&self) -> &[Disk] {
        &self.disks
    }

    /// Begins anew, on each disk at the start of the leaf that `from` (by disk) lies in. What an earlier pass left under way is
    /// waited for and dropped. Errors: the engine.
    pub(crate) fn start(&mut self, from: &[ByteOffset]) -> Result<(), SourceError> {
        assert_eq!(from.len(), self.disks.len(), "every disk has its start");
        while self.engine.in_flight() > 0 {
            self.engine.wait(self.engine.in_flight(), &mut self.done).map_err(SourceError::Engine)?;
        }
        self.done.clear();
        self.arrived.clear();
        (self.next_asked, self.next_given) = (0, 0);
        let starts = self.disks.iter().zip(from);
        self.ahead = starts
            .map(
                |(disk, from)| {
                    if from.0 >= disk.len.0 { ByteOffset(disk.len.0) } else { from.leaf().offset() }
                },
            )
            .collect();
        Ok(())
    }

    /// Returns the next chunk, `None` at the end of the last disk. Errors: the first read that failed; the pass is over.
    pub(crate) fn next(&mut self) -> Result<Option<Chunk>, SourceError> {
        self.ask_ahead();
        loop {
            if let Some(chunk) = self.arrived.remove(&self.next_given) {
                self.next_given += 1;
                return Ok(Some(chunk));
            }
            if self.engine.in_flight() == 0 {
                assert_eq!(self.next_given, self.next_asked, "every read asked for is given or failed");
                return Ok(None);
            }
            self.engine.wait(1, &mut self.done).map_err(SourceError::Engine)?;
            self.take_arrivals()?;
            self.ask_ahead();
        }
    }

    fn take_arrivals(&mut self) -> Result<(), SourceError> {
        for completion in self.done.drain(..) {
            let at = self.disks.iter().position(|disk| disk.slot == completion.slot);
            let at = at.expect("only our own disks are attached");
            let Operation::Read { at: start, into } = completion.operation else {
                unreachable!("nothing but reads is ever asked of a protected disk");
            };
            completion
                .outcome
                .map_err(|source| SourceError::Read { path: self.disks[at].path.clone(), source })?;
            let disk = DiskIndex(u16::try_from(at).expect("a machine has at most 256 disks"));
            self.arrived.insert(completion.tag, Chunk { disk, start, page: into });
        }
        Ok(())
    }

    fn ask_ahead(&mut self) {
        while self.engine.in_flight() + self.arrived.len() < DEPTH {
            let pending = self.disks.iter().zip(&mut self.ahead).find(|(disk, ahead)| ahead.0 < disk.len.0);
            let Some((disk, ahead)) = pending else { return };
            let len = ByteLen(disk.len.0 - ahead.0).as_usize().min(CHUNK_LEN);
            // Buffers that wait to be sent come back in their time; the reader needs one now.
            let into = self.pool.lend(len).unwrap_or_else(|| PageBuf::zeroed(len));
            let request = Request {
                slot: disk.slot,
                tag: self.next_asked,
                operation: Operation::Read { at: *ahead, into },
            };
            if self.engine.submit(request).is_err() {
                return;
            }
            *ahead = ByteOffset(ahead.0 + len as u64);
            self.next_asked += 1;
        }
    }
}
