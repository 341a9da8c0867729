//! An engine over a background reader: several of them, on any threads, share the reader's ring. It only reads.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use units::ByteLen;

use crate::slots::{Attached, Slots};
use crate::{
    BackgroundDone, BackgroundRead, BackgroundReader, Completion, DeviceError, DeviceSlot, Engine,
    EngineError, Geometry, OpenDevice, Operation, ReaderSlot, Request,
};

/// How long to wait before the reader is asked again, when others have filled its queue.
const CROWDED_PAUSE: Duration = Duration::from_micros(100);
/// How long the reader may give no sign of life: longer than any disk takes.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// An engine whose reads are done by a background reader.
pub struct BackgroundEngine {
    reader: Arc<dyn BackgroundReader>,
    slots: Slots<Remote>,
    depth: usize,
    /// Taken, but not handed on.
    queue: VecDeque<Request>,
    /// Handed on, by the tag they were given.
    under_way: Vec<Option<(DeviceSlot, u64)>>,
    refused: Vec<Completion>,
    reply: Sender<BackgroundDone>,
    done: Receiver<BackgroundDone>,
}

/// A device, and what the reader calls it.
struct Remote {
    device: OpenDevice,
    slot: ReaderSlot,
}

impl BackgroundEngine {
    /// Makes an engine that queues at most `depth` reads. Errors: a depth of 0 or above [`crate::DEPTH_MAX`].
    pub fn new(reader: Arc<dyn BackgroundReader>, depth: usize) -> Result<Self, EngineError> {
        crate::host::check_depth(depth)?;
        let (reply, done) = channel();
        let (queue, refused, under_way) = (VecDeque::new(), Vec::new(), vec![None; depth]);
        let slots = Slots::new(crate::DEVICES_MAX);
        Ok(Self { reader, slots, depth, queue, under_way, refused, reply, done })
    }

    /// Hands on as much as the reader takes.
    fn hand_on(&mut self) {
        while let Some(Request { slot, tag, operation }) = self.queue.pop_front() {
            let (at, _) = operation.range();
            let into = operation.into_buffer().expect("only reads are queued");
            let free = self.under_way.iter().position(Option::is_none);
            let free = free.expect("as many places as reads are taken");
            let read = BackgroundRead { slot: self.slots.device(slot).slot, tag: free as u64, at, into };
            if let Err(BackgroundRead { into, .. }) = self.reader.read(read, &self.reply) {
                self.queue.push_front(Request { slot, tag, operation: Operation::Read { at, into } });
                return;
            }
            self.under_way[free] = Some((slot, tag));
        }
    }

    fn completion(&mut self, done: BackgroundDone) -> Completion {
        let BackgroundDone { tag, at, buffer, outcome } = done;
        let place = usize::try_from(tag).expect("the tag is a place of ours");
        let (slot, tag) = self.under_way[place].take().expect("a read ends once");
        let operation = Operation::Read { at, into: buffer };
        let outcome = self.slots.end(slot, operation.kind(), outcome);
        Completion { slot, tag, operation, outcome }
    }

    /// Waits for the next end. Errors: the reader is gone.
    fn next(&mut self) -> Result<BackgroundDone, EngineError> {
        let silent = Instant::now() + SILENCE_MAX;
        loop {
            self.hand_on();
            let idle = self.under_way.iter().all(Option::is_none);
            // With nothing under way only the queue of the reader is waited for.
            let pause = if idle { CROWDED_PAUSE } else { SILENCE_MAX };
            match self.done.recv_timeout(pause) {
                Ok(done) => return Ok(done),
                Err(_) if Instant::now() < silent => {}
                Err(_) => return Err(EngineError::Wait { source: Errno::TIMEDOUT }),
            }
        }
    }
}

impl Engine for BackgroundEngine {
    type Device = OpenDevice;

    fn attach(&mut self, device: OpenDevice) -> Result<DeviceSlot, EngineError> {
        let reader = device.reader().map_err(|error| {
            tracing::warn!(error = %error, "a device can't be opened once more");
            EngineError::Setup { step: "open a device once more", source: Errno::IO }
        })?;
        let slot = self.reader.attach(reader);
        self.slots.attach(Remote { device, slot })
    }

    fn detach(&mut self, slot: DeviceSlot) -> OpenDevice {
        let Remote { device, slot } = self.slots.detach(slot);
        self.reader.detach(slot);
        device
    }

    fn geometry(&self, slot: DeviceSlot) -> Geometry {
        self.slots.device(slot).geometry()
    }

    fn grow(&mut self, slot: DeviceSlot, len: ByteLen) -> Result<(), DeviceError> {
        let (device, reason) = (Arc::clone(self.slots.device(slot).name()), "this engine only reads");
        Err(DeviceError::NotGrowable { device, len, reason })
    }

    fn submit(&mut self, request: Request) -> Result<(), Request> {
        if self.in_flight() >= self.depth {
            return Err(request);
        }
        match self.slots.begin(request.slot, &request.operation) {
            Ok(()) if matches!(request.operation, Operation::Read { .. }) => self.queue.push_back(request),
            Ok(()) => {
                let device = Arc::clone(self.slots.device(request.slot).name());
                let refusal = DeviceError::ReadOnly { device, kind: request.operation.kind() };
                self.refused.push(self.slots.refuse(request, refusal));
            }
            Err(refusal) => self.refused.push(self.slots.refuse(request, refusal)),
        }
        Ok(())
    }

    fn wait(&mut self, at_least: usize, done: &mut Vec<Completion>) -> Result<(), EngineError> {
        let wanted = at_least.min(self.in_flight());
        let before = done.len();
        done.append(&mut self.refused);
        self.hand_on();
        while done.len() - before < wanted {
            let ended = self.next()?;
            done.push(self.completion(ended));
        }
        while let Ok(ended) = self.done.try_recv() {
            done.push(self.completion(ended));
        }
        Ok(())
    }

    fn in_flight(&self) -> usize {
        self.queue.len() + self.refused.len() + self.under_way.iter().flatten().count()
    }
}

impl Drop for BackgroundEngine {
    /// Closes what is open at the reader, once its reads have ended.
    fn drop(&mut self) {
        self.slots.each().for_each(|remote| self.reader.detach(remote.slot));
    }
}

impl Attached for Remote {
    fn name(&self) -> &Arc<str> {
        self.device.name()
    }

    fn geometry(&self) -> Geometry {
        self.device.geometry()
    }

    fn writable(&self) -> bool {
        false
    }

    fn failure(&self) -> Option<&Arc<str>> {
        self.device.failure()
    }

    fn set_failure(&mut self, first: Arc<str>) {
        self.device.set_failure(first);
    }
}
