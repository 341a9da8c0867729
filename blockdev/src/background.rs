//! Reading beside the main work: a thread of its own, so that proofs and comparisons never wait in the queue of the writes.
//!
//! tokio-uring is behind a trait, in this file alone. Where io_uring is switched off the same thread reads plainly.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use rustix::io::Errno;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_uring::buf::{BoundedBuf, IoBuf, IoBufMut};
use tokio_uring::fs::File;
use units::{ByteLen, ByteOffset};

use crate::slots::{self, Attached};
use crate::{DeviceError, EngineChoice, EngineError, OpenDevice, Operation, OperationKind, PageBuf, plain};

/// A device attached to one background reader; meaningless to any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReaderSlot(u32);

/// A read for the background.
#[derive(Debug)]
pub struct BackgroundRead {
    /// The device.
    pub slot: ReaderSlot,
    /// The caller's mark; comes back untouched.
    pub tag: u64,
    /// Where to start.
    pub at: ByteOffset,
    /// What to fill.
    pub into: PageBuf,
}

/// The end of a background read.
#[derive(Debug)]
pub struct BackgroundDone {
    /// The caller's mark.
    pub tag: u64,
    /// Where it started.
    pub at: ByteOffset,
    /// The buffer, filled if the read succeeded.
    pub buffer: PageBuf,
    /// Whether all of it was read.
    pub outcome: Result<(), DeviceError>,
}

/// Serves positioned reads from several threads. Reads end in any order.
pub trait BackgroundReader: Send + Sync {
    /// Takes a device in, best one of [`OpenDevice::reader`].
    fn attach(&self, device: OpenDevice) -> ReaderSlot;

    /// Closes a device once the reads before this have ended; later ones are answered with an error.
    fn detach(&self, slot: ReaderSlot);

    /// Queues a read, to be answered on `reply`, or gives it back when the queue is full.
    fn read(&self, read: BackgroundRead, reply: &Sender<BackgroundDone>) -> Result<(), BackgroundRead>;
}

/// Starts a background reader for at most `depth` reads at once. Errors: a depth of 0 or above [`crate::DEPTH_MAX`], a thread or,
/// with [`EngineChoice::Ring`], a ring that is refused.
pub fn start_background_reader(
    depth: usize,
    choice: EngineChoice,
) -> Result<Box<dyn BackgroundReader>, EngineError> {
    crate::host::check_depth(depth)?;
    let (commands, inbox) = unbounded_channel();
    let (started, outcome) = std::sync::mpsc::channel();
    let queued = Arc::new(AtomicUsize::new(0));
    let work = move || serve(inbox, depth, choice, &started);
    let thread = std::thread::Builder::new().name("background-read".to_owned()).spawn(work);
    let refused = |source| EngineError::Setup { step: "start a thread", source };
    let thread = thread.map_err(|error| refused(Errno::from_io_error(&error).unwrap_or(Errno::AGAIN)))?;
    outcome.recv().map_err(|_| refused(Errno::CANCELED))??;
    let next = AtomicU32::new(0);
    Ok(Box::new(ReaderThread { commands: Some(commands), queued, depth, next, thread: Some(thread) }))
}

/// What the thread is told.
enum Command {
    Attach(ReaderSlot, OpenDevice),
    Detach(ReaderSlot),
    Read(BackgroundRead, Answer),
}

/// Where a read is answered; also counts it as ended.
struct Answer {
    reply: Sender<BackgroundDone>,
    queued: Arc<AtomicUsize>,
}

impl Answer {
    fn send(self, tag: u64, at: ByteOffset, buffer: PageBuf, outcome: Result<(), DeviceError>) {
        let before = self.queued.fetch_sub(1, Ordering::AcqRel);
        assert!(before > 0, "a read is answered once");
        // Whoever asked may be gone; the buffer then goes home.
        drop(self.reply.send(BackgroundDone { tag, at, buffer, outcome }));
    }
}

/// The near end of the reading thread. Dropping it waits for the reads under way.
struct ReaderThread {
    commands: Option<UnboundedSender<Command>>,
    queued: Arc<AtomicUsize>,
    depth: usize,
    next: AtomicU32,
    thread: Option<JoinHandle<()>>,
}

impl ReaderThread {
    fn send(&self, command: Command) -> Result<(), Command> {
        let commands = self.commands.as_ref().expect("the channel is open until the reader is dropped");
        commands.send(command).map_err(|refused| refused.0)
    }
}

impl BackgroundReader for ReaderThread {
    fn attach(&self, device: OpenDevice) -> ReaderSlot {
        let slot = ReaderSlot(self.next.fetch_add(1, Ordering::Relaxed));
        assert!(slot.0 < u32::MAX, "slots of a reader are never used again");
        if self.send(Command::Attach(slot, device)).is_err() {
            tracing::error!("the background reader is gone");
        }
        slot
    }

    fn detach(&self, slot: ReaderSlot) {
        // If the thread is gone, so are its devices.
        drop(self.send(Command::Detach(slot)));
    }

    fn read(&self, read: BackgroundRead, reply: &Sender<BackgroundDone>) -> Result<(), BackgroundRead> {
        let place = |queued: usize| (queued < self.depth).then_some(queued + 1);
        if self.queued.fetch_update(Ordering::AcqRel, Ordering::Acquire, place).is_err() {
            return Err(read);
        }
        let answer = Answer { reply: reply.clone(), queued: Arc::clone(&self.queued) };
        match self.send(Command::Read(read, answer)) {
            Err(Command::Read(read, _)) => Err(read),
            _ => Ok(()),
        }
    }
}

impl Drop for ReaderThread {
    fn drop(&mut self) {
        assert!(self.queued.load(Ordering::Acquire) <= self.depth, "the queue is bounded");
        self.commands.take();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the background reader panicked");
        }
    }
}

/// The thread: makes its ring, says how that went, and works until the channel closes.
fn serve(
    inbox: UnboundedReceiver<Command>,
    depth: usize,
    choice: EngineChoice,
    started: &Sender<Result<(), EngineError>>,
) {
    let mut builder = tokio_uring::builder();
    builder.entries(u32::try_from(depth).expect("the depth is limited").next_power_of_two());
    let runtime = match choice {
        EngineChoice::Plain => None,
        EngineChoice::Best | EngineChoice::Ring => Some(tokio_uring::Runtime::new(&builder)),
    };
    let tell = |outcome| drop(started.send(outcome));
    match runtime {
        Some(Ok(runtime)) => {
            tell(Ok(()));
            runtime.block_on(serve_by_ring(inbox));
        }
        Some(Err(error)) if choice == EngineChoice::Ring => {
            let source = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            tell(Err(EngineError::Setup { step: "make a ring", source }));
        }
        other => {
            if let Some(Err(error)) = other {
                tracing::warn!(%error, "background reads are plain system calls");
            }
            tell(Ok(()));
            serve_plainly(inbox);
        }
    }
}

fn serve_plainly(mut inbox: UnboundedReceiver<Command>) {
    let mut devices = HashMap::new();
    let no_zeroes = PageBuf::zeroed(0);
    while let Some(command) = inbox.blocking_recv() {
        match command {
            Command::Attach(slot, device) => drop(devices.insert(slot, device)),
            Command::Detach(slot) => drop(devices.remove(&slot)),
            Command::Read(BackgroundRead { slot, tag, at, into }, answer) => {
                let mut operation = Operation::Read { at, into };
                let outcome = find(&devices, slot).and_then(|device| {
                    slots::check(device, &operation)?;
                    plain::perform(device, &mut operation, &no_zeroes)
                });
                let buffer = operation.into_buffer().expect("a read has a buffer");
                answer.send(tag, at, buffer, outcome);
            }
        }
    }
}

fn find<D>(devices: &HashMap<ReaderSlot, D>, slot: ReaderSlot) -> Result<&D, DeviceError> {
    let detached = || DeviceError::Failed {
        device: "a detached device".into(),
        kind: OperationKind::Read,
        at: ByteOffset(0),
        len: ByteLen::ZERO,
        source: Errno::BADF,
    };
    devices.get(&slot).ok_or_else(detached)
}

/// A device as the ring's thread has it.
struct RingDevice {
    device: OpenDevice,
    file: File,
}

async fn serve_by_ring(mut inbox: UnboundedReceiver<Command>) {
    let mut devices: HashMap<ReaderSlot, Rc<RingDevice>> = HashMap::new();
    let mut reads = Vec::new();
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Attach(slot, device) => match device.file.try_clone() {
                Ok(file) => {
                    let file = File::from_std(std::fs::File::from(file));
                    devices.insert(slot, Rc::new(RingDevice { device, file }));
                }
                Err(error) => {
                    tracing::error!(%error, device = %device.name(), "no file for a background device")
                }
            },
            Command::Detach(slot) => drop(devices.remove(&slot)),
            Command::Read(read, answer) => {
                let device = find(&devices, read.slot).cloned();
                reads.retain(|read: &tokio::task::JoinHandle<()>| !read.is_finished());
                reads.push(tokio_uring::spawn(read_by_ring(device, read, answer)));
            }
        }
    }
    for read in reads {
        if read.await.is_err() {
            tracing::error!("a background read panicked");
        }
    }
}

async fn read_by_ring(device: Result<Rc<RingDevice>, DeviceError>, read: BackgroundRead, answer: Answer) {
    let BackgroundRead { tag, at, into, .. } = read;
    let operation = Operation::Read { at, into };
    let checked = device.and_then(|device| slots::check(&device.device, &operation).map(|()| device));
    let mut buffer = operation.into_buffer().expect("a read has a buffer");
    let outcome = match checked {
        Ok(device) => {
            let (back, outcome) = fill(&device, at, buffer).await;
            buffer = back;
            outcome
        }
        Err(refusal) => Err(refusal),
    };
    answer.send(tag, at, buffer, outcome);
}

async fn fill(from: &RingDevice, at: ByteOffset, buffer: PageBuf) -> (PageBuf, Result<(), DeviceError>) {
    let (kind, len) = (OperationKind::Read, ByteLen(buffer.len() as u64));
    let device = || Arc::clone(from.device.name());
    let mut done = 0;
    let mut buffer = ReadBuf(buffer);
    while done < buffer.0.len() {
        let (outcome, part) = from.file.read_at(buffer.slice(done..), at.0 + done as u64).await;
        buffer = part.into_inner();
        match outcome.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)) {
            Ok(0) => {
                let done = ByteLen(done as u64);
                return (buffer.0, Err(DeviceError::Short { device: device(), kind, at, len, done }));
            }
            Ok(more) => {
                done += more;
                assert!(done <= buffer.0.len(), "the kernel moves no more than it was asked to");
            }
            Err(Errno::INTR) => {}
            Err(source) => {
                return (buffer.0, Err(DeviceError::Failed { device: device(), kind, at, len, source }));
            }
        }
    }
    assert_eq!(done, buffer.0.len(), "a read ends where its buffer does");
    (buffer.0, Ok(()))
}

/// A buffer as tokio-uring wants it.
struct ReadBuf(PageBuf);

// SAFETY: `stable_ptr` has to stay the same while the value is moved: a `PageBuf` keeps its bytes on the heap and never grows.
// `bytes_init` bytes have to be initialised: all of a `PageBuf` is, and its length is never above its capacity.
unsafe impl IoBuf for ReadBuf {
    fn stable_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.0.len()
    }

    fn bytes_total(&self) -> usize {
        self.0.len()
    }
}

// SAFETY: `stable_mut_ptr` points to the same bytes as `stable_ptr`, `bytes_total` of them, and nobody else can reach them while
// the value is owned by an operation.
unsafe impl IoBufMut for ReadBuf {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    /// Does nothing: every byte is initialised from the start.
    unsafe fn set_init(&mut self, end: usize) {
        assert!(end <= self.0.len(), "a read stays inside its buffer");
    }
}
