//! One operation under way in a ring, and what its next step is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::{opcode, squeue, types};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use units::ByteLen;

use crate::slots::Attached;
use crate::{DeviceError, OpenDevice, Operation, PageBuf, PagePool, Request};

/// How often the kernel may say "try again" of one operation.
const RETRIES_MAX: u32 = 64;
/// Bytes moved by one step at most; a longer operation takes several.
const STEP_LEN_MAX: u64 = 1 << 30;
/// Bytes that one step may take a second longer for each of: a range may be zeroed by a disk that writes all of it.
const SECOND_LEN: u64 = 32 << 20;

/// An operation together with its progress. It owns the buffer until the kernel is done with it.
pub(super) struct Flight {
    pub(super) request: Request,
    /// Bytes done so far.
    done: u64,
    /// Whether zeroes are written, since the kernel cannot make a range read as zero.
    by_writing: bool,
    retries: u32,
    /// Tells it from every other flight that has its place, before or after.
    serial: u32,
    /// When its present step began.
    since: Instant,
}

/// What follows from the end of one step.
pub(super) enum Next {
    /// Another step is needed.
    Step,
    /// The operation has ended.
    End(Result<(), DeviceError>),
}

impl Flight {
    pub(super) fn new(request: Request, serial: u32) -> Self {
        Self { request, done: 0, by_writing: false, retries: 0, serial, since: Instant::now() }
    }

    /// Returns the mark of its submissions, while it is at `place`.
    pub(super) fn mark(&self, place: u32) -> u64 {
        u64::from(self.serial) << 32 | u64::from(place)
    }

    /// Returns how long its present step may still take.
    pub(super) fn left(&self, deadline: Duration, now: Instant) -> Duration {
        let (_, len) = self.request.operation.range();
        let longer = Duration::from_secs((len.0 - self.done) / SECOND_LEN);
        (deadline + longer).saturating_sub(now.saturating_duration_since(self.since))
    }

    /// Returns the operation without its buffer, for whoever asked for it, and why it has not ended.
    pub(super) fn abandoned(&self, after: Duration, device: &OpenDevice) -> (Operation, DeviceError) {
        let (at, len) = self.request.operation.range();
        let operation = self.request.operation.without_buffer();
        let (device, kind) = (Arc::clone(device.name()), operation.kind());
        (operation, DeviceError::TimedOut { device, kind, at, len, after })
    }

    /// Returns its buffer, if it has one.
    pub(super) fn buffer(&mut self) -> Option<&mut PageBuf> {
        match &mut self.request.operation {
            Operation::Read { into: buffer, .. } | Operation::Write { from: buffer, .. } => Some(buffer),
            Operation::WriteZeroes { .. } | Operation::Discard { .. } | Operation::Flush => None,
        }
    }

    /// Builds the submission of the next step. The pointers in it are good until the flight is dropped, and `zeroes` too.
    pub(super) fn entry(&mut self, pool: Option<&PagePool>, zeroes: &PageBuf) -> squeue::Entry {
        self.since = Instant::now();
        let file = types::Fixed(u32::from(self.request.slot.0));
        let (at, len) = self.request.operation.range();
        let position = at.0 + self.done;
        let rest = (len.0 - self.done).min(STEP_LEN_MAX);
        let skip = ByteLen(self.done).as_usize();
        assert!(rest > 0 || len == ByteLen::ZERO, "a step has something left to do");
        assert!(
            len != ByteLen::ZERO || matches!(self.request.operation, Operation::Flush),
            "only a flush covers nothing"
        );
        match &mut self.request.operation {
            Operation::Read { into, .. } => {
                let index = pool.and_then(|pool| into.index_in(pool));
                let start = into[skip..].as_mut_ptr();
                match index {
                    Some(index) => {
                        opcode::ReadFixed::new(file, start, step_len(rest), index).offset(position).build()
                    }
                    None => opcode::Read::new(file, start, step_len(rest)).offset(position).build(),
                }
            }
            Operation::Write { from, .. } => {
                let index = pool.and_then(|pool| from.index_in(pool));
                let start = from[skip..].as_ptr();
                match index {
                    Some(index) => {
                        opcode::WriteFixed::new(file, start, step_len(rest), index).offset(position).build()
                    }
                    None => opcode::Write::new(file, start, step_len(rest)).offset(position).build(),
                }
            }
            Operation::WriteZeroes { .. } if self.by_writing => {
                let len = rest.min(zeroes.len() as u64);
                opcode::Write::new(file, zeroes.as_ptr(), step_len(len)).offset(position).build()
            }
            Operation::WriteZeroes { .. } => allocate(file, position, len.0, FallocateFlags::ZERO_RANGE),
            Operation::Discard { .. } => allocate(file, position, len.0, FallocateFlags::PUNCH_HOLE),
            Operation::Flush => opcode::Fsync::new(file).flags(types::FsyncFlags::DATASYNC).build(),
        }
    }

    /// Takes the result of a step, as the kernel gives it: bytes done, or a negative error number.
    pub(super) fn advance(&mut self, result: i32, device: &OpenDevice) -> Next {
        let Ok(moved) = u64::try_from(result) else {
            return self.failed(Errno::from_raw_os_error(-result), device);
        };
        let (_, len) = self.request.operation.range();
        let moves = match self.request.operation {
            Operation::Read { .. } | Operation::Write { .. } => true,
            Operation::WriteZeroes { .. } => self.by_writing,
            Operation::Discard { .. } | Operation::Flush => false,
        };
        if !moves {
            return Next::End(Ok(()));
        }
        self.done += moved;
        assert!(self.done <= len.0, "the kernel moves no more than it was asked to");
        if self.done == len.0 {
            return Next::End(Ok(()));
        }
        if moved == 0 || !self.done.is_multiple_of(u64::from(device.geometry.alignment)) {
            return Next::End(Err(self.short(device)));
        }
        Next::Step
    }

    fn failed(&mut self, source: Errno, device: &OpenDevice) -> Next {
        assert!(source.raw_os_error() > 0, "an error has a number");
        let kind = self.request.operation.kind();
        match (source, &self.request.operation) {
            (Errno::INTR | Errno::AGAIN, _) if self.retries < RETRIES_MAX => {
                self.retries += 1;
                Next::Step
            }
            (Errno::OPNOTSUPP, Operation::WriteZeroes { .. }) if !self.by_writing => {
                self.by_writing = true;
                Next::Step
            }
            // What a discarded range reads as is undefined, so that leaving it alone is lawful.
            (Errno::OPNOTSUPP, Operation::Discard { .. }) => Next::End(Ok(())),
            (source, operation) => {
                let (at, len) = operation.range();
                let device = Arc::clone(device.name());
                Next::End(Err(DeviceError::Failed { device, kind, at, len, source }))
            }
        }
    }

    fn short(&self, device: &OpenDevice) -> DeviceError {
        let (at, len) = self.request.operation.range();
        assert!(self.done < len.0, "an operation that did everything is not short");
        let (device, kind) = (Arc::clone(device.name()), self.request.operation.kind());
        DeviceError::Short { device, kind, at, len, done: ByteLen(self.done) }
    }
}

fn step_len(len: u64) -> u32 {
    u32::try_from(len).expect("a step is at most 1 GiB")
}

fn allocate(file: types::Fixed, position: u64, len: u64, flags: FallocateFlags) -> squeue::Entry {
    assert!(len > 0, "the kernel refuses an empty range");
    let mode = i32::try_from((flags | FallocateFlags::KEEP_SIZE).bits()).expect("the flags are small");
    opcode::Fallocate::new(file, len).offset(position).mode(mode).build()
}
