//! The one interface to devices: the io_uring engine, the plain engine and the simulated one stand behind it.

use units::{ByteLen, ByteOffset};

use crate::{DeviceError, EngineError, OperationKind, PageBuf};

/// A device attached to one engine; meaningless to any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceSlot(pub u16);

/// What a device is able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Size of the device.
    pub len: ByteLen,
    /// Bytes every position and length must be a multiple of, 512 or 4096.
    pub alignment: u32,
}

/// What is asked of a device. Buffers are moved in and come back with the completion.
#[derive(Debug)]
pub enum Operation {
    /// Fills the whole of `into` from `at`. A read past the end of the device is refused.
    Read {
        /// Where to start, a multiple of the alignment.
        at: ByteOffset,
        /// What to fill; its length is a multiple of the alignment.
        into: PageBuf,
    },
    /// Writes the whole of `from` at `at`. Durable only after a later `Flush` completes.
    Write {
        /// Where to start, a multiple of the alignment.
        at: ByteOffset,
        /// What to write; its length is a multiple of the alignment.
        from: PageBuf,
    },
    /// Makes `len` bytes at `at` read as zero. Durable only after a later `Flush` completes.
    WriteZeroes {
        /// Where to start, a multiple of the alignment.
        at: ByteOffset,
        /// How much, a multiple of the alignment.
        len: ByteLen,
    },
    /// Tells the device the range is of no further use; what it reads as afterwards is undefined.
    Discard {
        /// Where to start, a multiple of the alignment.
        at: ByteOffset,
        /// How much, a multiple of the alignment.
        len: ByteLen,
    },
    /// Makes every write that *completed* before this was submitted durable.
    Flush,
}

impl Operation {
    /// Returns the kind of the operation.
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Read { .. } => OperationKind::Read,
            Self::Write { .. } => OperationKind::Write,
            Self::WriteZeroes { .. } => OperationKind::WriteZeroes,
            Self::Discard { .. } => OperationKind::Discard,
            Self::Flush => OperationKind::Flush,
        }
    }

    /// Returns where the operation starts and how much it covers; a flush covers nothing.
    pub fn range(&self) -> (ByteOffset, ByteLen) {
        match self {
            Self::Read { at, into: buffer } | Self::Write { at, from: buffer } => {
                (*at, ByteLen(buffer.len() as u64))
            }
            Self::WriteZeroes { at, len } | Self::Discard { at, len } => (*at, *len),
            Self::Flush => (ByteOffset(0), ByteLen::ZERO),
        }
    }

    /// Returns the same with an empty buffer: its own stays with whoever has it.
    pub(crate) fn without_buffer(&self) -> Self {
        match *self {
            Self::Read { at, .. } => Self::Read { at, into: PageBuf::zeroed(0) },
            Self::Write { at, .. } => Self::Write { at, from: PageBuf::zeroed(0) },
            Self::WriteZeroes { at, len } => Self::WriteZeroes { at, len },
            Self::Discard { at, len } => Self::Discard { at, len },
            Self::Flush => Self::Flush,
        }
    }

    /// Returns the buffer that came back, if the operation has one.
    pub fn into_buffer(self) -> Option<PageBuf> {
        match self {
            Self::Read { into: buffer, .. } | Self::Write { from: buffer, .. } => Some(buffer),
            Self::WriteZeroes { .. } | Self::Discard { .. } | Self::Flush => None,
        }
    }
}

/// One operation for one device. `tag` is the caller's and comes back untouched.
#[derive(Debug)]
pub struct Request {
    /// The device.
    pub slot: DeviceSlot,
    /// The caller's mark.
    pub tag: u64,
    /// What to do.
    pub operation: Operation,
}

/// The end of one operation, with its buffer.
#[derive(Debug)]
pub struct Completion {
    /// The device.
    pub slot: DeviceSlot,
    /// The caller's mark.
    pub tag: u64,
    /// The operation that was asked, with its buffer (filled, for a read that succeeded; an empty one in its place, if it hangs).
    pub operation: Operation,
    /// Whether all of it was done. After a failed write, zeroing, discard or flush the device is out: everything later on
    /// it fails with [`DeviceError::FailedStop`] until it is opened anew.
    pub outcome: Result<(), DeviceError>,
}

/// A queue of operations on a set of devices. One thread owns one engine.
///
/// Operations in flight together complete in any order, and after a crash any subset of those not yet flushed
/// may be on the device, torn at sector boundaries. Whoever needs an order waits.
pub trait Engine {
    /// An opened, checked device of this engine's world.
    type Device;

    /// Takes a device in. Errors: the engine already holds as many as it can.
    fn attach(&mut self, device: Self::Device) -> Result<DeviceSlot, EngineError>;

    /// Gives a device back (or closes it by dropping). Panics if operations on it are in flight.
    fn detach(&mut self, slot: DeviceSlot) -> Self::Device;

    /// Returns size and alignment of a device: as they were when it was opened, or grown since through this engine.
    fn geometry(&self, slot: DeviceSlot) -> Geometry;

    /// Lengthens a regular file to `len`, allocated and reading as zero, durable on return. Errors: no space
    /// ([`DeviceError::NoSpace`], the file is as before and stays usable), a device that is not a file.
    fn grow(&mut self, slot: DeviceSlot, len: ByteLen) -> Result<(), DeviceError>;

    /// Queues one operation, or gives it back when the queue is full.
    fn submit(&mut self, request: Request) -> Result<(), Request>;

    /// Starts what is queued and waits until at least `at_least` operations (or all in flight, if fewer) have
    /// ended; appends everything that ended to `done`.
    fn wait(&mut self, at_least: usize, done: &mut Vec<Completion>) -> Result<(), EngineError>;

    /// Returns how many operations are queued or under way.
    fn in_flight(&self) -> usize;

    /// Runs all requests, in any order and as many at once as the queue takes, and returns when every one has
    /// ended. Panics if operations were in flight before: one thread uses the engine one way at a time.
    fn run(&mut self, requests: impl IntoIterator<Item = Request>) -> Result<Vec<Completion>, EngineError>
    where
        Self: Sized,
    {
        assert_eq!(self.in_flight(), 0, "a run starts with an idle engine");
        let mut done = Vec::new();
        let mut asked = 0;
        for mut request in requests {
            asked += 1;
            while let Err(refused) = self.submit(request) {
                request = refused;
                self.wait(1, &mut done)?;
            }
        }
        while self.in_flight() > 0 {
            self.wait(self.in_flight(), &mut done)?;
        }
        assert_eq!(done.len(), asked, "every request ends once");
        Ok(done)
    }
}
