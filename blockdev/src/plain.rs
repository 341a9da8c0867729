//! The engine for kernels without io_uring: one system call after the other.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate, fdatasync};
use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev2};
use units::{ByteLen, ByteOffset};

use crate::slots::{Attached, Slots};
use crate::{
    Completion, DeviceError, DeviceSlot, Engine, EngineError, Geometry, OpenDevice, Operation, PageBuf,
    Request,
};

/// Bytes of zeroes written at once where the kernel cannot make a range read as zero.
const ZEROES_LEN: usize = 256 << 10;

/// An engine that does what it is asked when it is waited for, in the order of submission.
pub struct PlainEngine {
    slots: Slots<OpenDevice>,
    queue: VecDeque<Request>,
    refused: Vec<Completion>,
    depth: usize,
    zeroes: PageBuf,
}

impl PlainEngine {
    /// Makes an engine that queues at most `depth` operations. Errors: a depth of 0 or above [`crate::DEPTH_MAX`].
    pub fn new(depth: usize) -> Result<Self, EngineError> {
        crate::host::check_depth(depth)?;
        Ok(Self {
            slots: Slots::new(crate::DEVICES_MAX),
            queue: VecDeque::with_capacity(depth),
            refused: Vec::new(),
            depth,
            zeroes: PageBuf::zeroed(ZEROES_LEN),
        })
    }

    fn perform(&mut self, mut request: Request) -> Completion {
        assert!(self.queue.len() < self.depth, "what is performed has left the queue");
        let (slot, kind) = (request.slot, request.operation.kind());
        let outcome = perform(self.slots.device(slot), &mut request.operation, &self.zeroes);
        let outcome = self.slots.end(slot, kind, outcome);
        Completion { slot, tag: request.tag, operation: request.operation, outcome }
    }
}

impl Engine for PlainEngine {
    type Device = OpenDevice;

    fn attach(&mut self, device: OpenDevice) -> Result<DeviceSlot, EngineError> {
        self.slots.attach(device)
    }

    fn detach(&mut self, slot: DeviceSlot) -> OpenDevice {
        self.slots.detach(slot)
    }

    fn geometry(&self, slot: DeviceSlot) -> Geometry {
        self.slots.device(slot).geometry()
    }

    fn grow(&mut self, slot: DeviceSlot, len: ByteLen) -> Result<(), DeviceError> {
        self.slots.device_mut(slot).grow(len)
    }

    fn submit(&mut self, request: Request) -> Result<(), Request> {
        if self.in_flight() >= self.depth {
            return Err(request);
        }
        match self.slots.begin(request.slot, &request.operation) {
            Ok(()) => self.queue.push_back(request),
            Err(refusal) => self.refused.push(self.slots.refuse(request, refusal)),
        }
        Ok(())
    }

    fn wait(&mut self, at_least: usize, done: &mut Vec<Completion>) -> Result<(), EngineError> {
        assert!(self.in_flight() <= self.depth, "the queue is bounded");
        let wanted = at_least.saturating_sub(self.refused.len()).max(1).min(self.queue.len());
        done.append(&mut self.refused);
        for _ in 0..wanted {
            let request = self.queue.pop_front().expect("as many are queued as are wanted");
            done.push(self.perform(request));
        }
        Ok(())
    }

    fn in_flight(&self) -> usize {
        self.queue.len() + self.refused.len()
    }
}

/// Does one operation wholly. `zeroes` is written where the kernel cannot make a range read as zero.
pub(crate) fn perform(
    device: &OpenDevice,
    operation: &mut Operation,
    zeroes: &PageBuf,
) -> Result<(), DeviceError> {
    let (at, len) = operation.range();
    let end = device.geometry.len;
    // The second look, just before the kernel: nothing ever goes past the end of what was opened.
    assert!(at.checked_add(len).is_some_and(|past| past.0 <= end.0), "an operation stays on its device");
    let transfer = |done: u64| Transfer { device, kind: operation.kind(), at, len, done };
    if let Some(first) = device.failure() {
        return Err(DeviceError::FailedStop { device: Arc::clone(device.name()), first: Arc::clone(first) });
    }
    let mut state = transfer(0);
    match operation {
        Operation::Read { into, .. } => state.complete(|position, done| {
            preadv2(
                device.as_fd(),
                &mut [IoSliceMut::new(&mut into[done..])],
                position,
                ReadWriteFlags::empty(),
            )
        }),
        Operation::Write { from, .. } => state.complete(|position, done| {
            pwritev2(device.as_fd(), &[IoSlice::new(&from[done..])], position, ReadWriteFlags::empty())
        }),
        Operation::WriteZeroes { .. } => {
            match fallocate(
                device.as_fd(),
                FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
                at.0,
                len.0,
            ) {
                Err(Errno::OPNOTSUPP) => state.complete(|position, done| {
                    let rest = (len.as_usize() - done).min(zeroes.len());
                    pwritev2(
                        device.as_fd(),
                        &[IoSlice::new(&zeroes[..rest])],
                        position,
                        ReadWriteFlags::empty(),
                    )
                }),
                outcome => outcome.map_err(|source| state.failed(source)),
            }
        }
        Operation::Discard { .. } => {
            match fallocate(
                device.as_fd(),
                FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
                at.0,
                len.0,
            ) {
                // What a discarded range reads as is undefined, so that leaving it alone is lawful.
                Err(Errno::OPNOTSUPP) => Ok(()),
                outcome => outcome.map_err(|source| state.failed(source)),
            }
        }
        Operation::Flush => fdatasync(device.as_fd()).map_err(|source| state.failed(source)),
    }
}

/// An operation that may take several system calls.
struct Transfer<'device> {
    device: &'device OpenDevice,
    kind: crate::OperationKind,
    at: ByteOffset,
    len: ByteLen,
    done: u64,
}

impl Transfer<'_> {
    /// Calls `step` with position and progress until all is done.
    fn complete(
        &mut self,
        mut step: impl FnMut(u64, usize) -> Result<usize, Errno>,
    ) -> Result<(), DeviceError> {
        while self.done < self.len.0 {
            match step(self.at.0 + self.done, ByteLen(self.done).as_usize()) {
                Ok(0) => return Err(self.short()),
                Ok(more) => {
                    self.done += more as u64;
                    assert!(self.done <= self.len.0, "the kernel moves no more than it was asked to");
                }
                Err(Errno::INTR) => {}
                Err(source) => return Err(self.failed(source)),
            }
            if self.done < self.len.0 && !self.done.is_multiple_of(u64::from(self.device.geometry.alignment))
            {
                return Err(self.short());
            }
        }
        assert_eq!(self.done, self.len.0, "a transfer ends where it was to end");
        Ok(())
    }

    fn short(&self) -> DeviceError {
        assert!(self.done < self.len.0, "a transfer that did everything is not short");
        let device = Arc::clone(self.device.name());
        DeviceError::Short { device, kind: self.kind, at: self.at, len: self.len, done: ByteLen(self.done) }
    }

    fn failed(&self, source: Errno) -> DeviceError {
        let device = Arc::clone(self.device.name());
        DeviceError::Failed { device, kind: self.kind, at: self.at, len: self.len, source }
    }
}
