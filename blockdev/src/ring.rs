//! The io_uring engine.
//!
//! *Invariants:* the kernel never holds a buffer that we have given back or freed; an operation has at most one submission in
//! the ring, so that the ring never overflows; only registered files are touched.
//!
//! An operation that has not ended at its deadline is *hung*: whoever asked is told, and the device is out, with everything else
//! that is under way on it. The kernel may still do it, at any time. So its buffer stays with it, in `hung`, until the ring says
//! that it has ended; a pool that it came from has another made in its place meanwhile. The file stays open in the kernel until
//! then, and so stays taken: nobody gets the device anew before the last late write is done.

mod flight;
mod setup;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use io_uring::IoUring;
use io_uring::types::{SubmitArgs, Timespec};
use rustix::io::Errno;
use units::ByteLen;

use self::flight::{Flight, Next};
use crate::slots::{Attached, Slots};
use crate::{
    Completion, DeviceError, DeviceSlot, Engine, EngineError, Geometry, OpenDevice, PageBuf, PagePool,
    Request,
};

/// Bytes of zeroes written at once where the kernel cannot make a range read as zero.
const ZEROES_LEN: usize = 256 << 10;
/// A file number that empties a slot of the kernel's table.
const NO_FILE: RawFd = -1;

/// An engine over one io_uring of the calling thread. It may be made on one thread and moved to another before its first
/// `wait`; from then on it belongs to that thread.
pub struct RingEngine {
    // Fields drop in this order: the ring goes before anything it may point to. `drop` has emptied it by then.
    ring: IoUring,
    started: bool,
    restricted: bool,
    /// By their place, which is a part of the mark of a submission; `None` is free.
    flights: Vec<Option<Flight>>,
    free: Vec<u32>,
    /// The number of flights there have been.
    serial: u32,
    /// What has not ended in time and may end still, by the mark of its submission.
    hung: HashMap<u64, Flight>,
    deadline: Duration,
    /// The kernel can be waited for with a limit.
    waits_limited: bool,
    refused: Vec<Completion>,
    slots: Slots<OpenDevice>,
    attached: Vec<DeviceSlot>,
    zeroes: PageBuf,
    pool: Option<PagePool>,
}

impl RingEngine {
    /// Makes an engine for at most `depth` operations in flight. Errors: a depth of 0 or above [`crate::DEPTH_MAX`], a kernel
    /// that refuses a ring or lacks an operation.
    pub fn new(depth: usize) -> Result<Self, EngineError> {
        crate::host::check_depth(depth)?;
        let entries = u32::try_from(depth).expect("the depth is limited").next_power_of_two();
        let files = u32::try_from(crate::DEVICES_MAX).expect("the number of devices is limited");
        let made = setup::make(entries, files)?;
        assert!(made.ring.params().sq_entries() as usize >= depth, "every flight has a place in the ring");
        assert!(made.ring.params().cq_entries() as usize >= depth, "every end has a place in the ring");
        let waits_limited = made.ring.params().is_feature_ext_arg();
        if !waits_limited {
            tracing::warn!(
                "this kernel can't be waited for with a limit: a device that hangs holds up all others"
            );
        }
        Ok(Self {
            waits_limited,
            ring: made.ring,
            started: false,
            serial: 0,
            hung: HashMap::new(),
            deadline: crate::DEADLINE,
            restricted: made.restricted,
            flights: std::iter::repeat_with(|| None).take(depth).collect(),
            free: (0..u32::try_from(depth).expect("the depth is limited")).rev().collect(),
            refused: Vec::new(),
            slots: Slots::new(crate::DEVICES_MAX),
            attached: Vec::new(),
            zeroes: PageBuf::zeroed(ZEROES_LEN),
            pool: None,
        })
    }

    /// Sets how long an operation may take, instead of [`crate::DEADLINE`].
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// Registers the buffers of `pool` with the kernel: transfers with them need no mapping. Errors: the kernel refuses, mostly
    /// for the limit of locked memory; the engine works as before. Panics if a pool is registered already.
    pub fn register_pool(&mut self, pool: &PagePool) -> Result<(), EngineError> {
        assert!(self.pool.is_none(), "one pool is registered with a ring");
        let vector = |address: &usize| libc::iovec {
            iov_base: std::ptr::with_exposed_provenance_mut(*address),
            iov_len: pool.len_each(),
        };
        let vectors: Vec<libc::iovec> = pool.addresses().iter().map(vector).collect();
        // SAFETY: each vector is a whole buffer of the pool. A pool's buffers are never moved, grown or freed while a handle of
        // the pool or a lent buffer exists; `self.pool` is such a handle, and it is dropped after the ring.
        let outcome = unsafe { self.ring.submitter().register_buffers(&vectors) };
        outcome.map_err(|error| setup::setup("register buffers", &error))?;
        self.pool = Some(pool.clone());
        Ok(())
    }

    /// Tells whether the kernel lets this ring do nothing but our operations on attached devices.
    pub fn is_restricted(&self) -> bool {
        self.restricted
    }

    fn under_way(&self) -> usize {
        assert!(self.free.len() <= self.flights.len(), "a place is free once");
        self.flights.len() - self.free.len()
    }

    /// Puts the next step of a flight into the ring; the kernel sees it at the next entry.
    fn push(&mut self, mark: u32) {
        let flight = self.flights[mark as usize].as_mut().expect("the flight is under way");
        let (at, len) = flight.request.operation.range();
        let end = self.slots.device(flight.request.slot).geometry().len;
        // The second look, just before the kernel: nothing ever goes past the end of what was opened.
        assert!(at.checked_add(len).is_some_and(|past| past.0 <= end.0), "an operation stays on its device");
        let number = flight.mark(mark);
        let entry = flight.entry(self.pool.as_ref(), &self.zeroes).user_data(number);
        // SAFETY: the entry points into the buffer the flight owns, or into `zeroes`. Both stay where they are until the step
        // has ended: a flight leaves `flights` only in `reap`, after the ring said so, or in `abandon`, which moves it to `hung`,
        // and that only in `reap`, too; `drop` waits for those in `flights` and leaks those in `hung`, with `zeroes`; memory of a
        // buffer never moves; `zeroes` drops after that.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.expect("the ring has a place for every flight");
    }

    /// Takes the steps that have ended out of the ring; appends the operations that have ended with them.
    fn reap(&mut self, done: &mut Vec<Completion>) {
        let ended: Vec<(u64, i32)> =
            self.ring.completion().map(|entry| (entry.user_data(), entry.result())).collect();
        for (number, result) in ended {
            let mark = u32::try_from(number & u64::from(u32::MAX)).expect("the lower half of a mark");
            assert!((mark as usize) < self.flights.len(), "marks are numbers of flights");
            if let Some(mut late) = self.hung.remove(&number) {
                tracing::warn!(result, kind = ?late.request.operation.kind(), "an operation ended long after its deadline");
                late.buffer().into_iter().for_each(PageBuf::found);
                continue;
            }
            let place = &mut self.flights[mark as usize];
            let flight = place.as_mut().expect("a step that ended belongs to a flight");
            assert_eq!(flight.mark(mark), number, "a step that ended belongs to the flight at its place");
            match flight.advance(result, self.slots.device(flight.request.slot)) {
                Next::Step => self.push(mark),
                Next::End(outcome) => {
                    let Request { slot, tag, operation } =
                        place.take().expect("it was there a line ago").request;
                    self.free.push(mark);
                    let outcome = self.slots.end(slot, operation.kind(), outcome);
                    done.push(Completion { slot, tag, operation, outcome });
                }
            }
        }
        assert!(self.free.len() <= self.flights.len(), "a flight ends once");
    }

    /// Gives the kernel what is queued and waits for at least `steps` steps to end, or for the next deadline.
    fn enter(&mut self, steps: usize) -> Result<(), EngineError> {
        assert!(steps <= self.under_way(), "nobody waits for more than there is");
        if !self.started {
            setup::enable(&self.ring)?;
            self.started = true;
        }
        let now = Instant::now();
        let left = self.flights.iter().flatten().map(|flight| flight.left(self.deadline, now)).min();
        let waited = match left.filter(|_| self.waits_limited && steps > 0) {
            Some(left) => {
                let left = Timespec::from(left);
                self.ring.submitter().submit_with_args(steps, &SubmitArgs::new().timespec(&left))
            }
            None => self.ring.submit_and_wait(steps),
        };
        match waited.map_err(|error| setup::errno(&error)) {
            // Busy and again: the kernel wants completions taken out first, which our caller does.
            Ok(_) | Err(Errno::INTR | Errno::BUSY | Errno::AGAIN | Errno::TIME) => Ok(()),
            Err(source) => Err(EngineError::Wait { source }),
        }
    }

    /// Ends what has not ended in time, for whoever asked; the kernel keeps it. Everything on such a device goes with it.
    fn abandon(&mut self, done: &mut Vec<Completion>) {
        let (now, deadline) = (Instant::now(), self.deadline);
        let overdue = |flight: &&Flight| flight.left(deadline, now).is_zero();
        let slots: Vec<DeviceSlot> =
            self.flights.iter().flatten().filter(overdue).map(|flight| flight.request.slot).collect();
        for place in 0..self.flights.len() {
            let of_one = |flight: &mut Flight| slots.contains(&flight.request.slot);
            let Some(mut flight) = self.flights[place].take_if(of_one) else { continue };
            let place = u32::try_from(place).expect("the depth is limited");
            let (slot, tag) = (flight.request.slot, flight.request.tag);
            let (operation, error) = flight.abandoned(deadline, self.slots.device(slot));
            let outcome = self.slots.end(slot, operation.kind(), Err(error));
            flight.buffer().into_iter().for_each(|buffer| buffer.lost());
            self.hung.insert(flight.mark(place), flight);
            self.free.push(place);
            done.push(Completion { slot, tag, operation, outcome });
        }
    }

    /// Returns how many operations may be under way: as many as the ring has room for the ends of, with those that hang.
    fn room(&self) -> usize {
        let depth = self.flights.len();
        depth - self.hung.len().saturating_sub(depth).min(depth)
    }

    fn set_file(&self, slot: DeviceSlot, file: RawFd) -> Result<(), EngineError> {
        let updated = self.ring.submitter().register_files_update(u32::from(slot.0), &[file]);
        updated.map(drop).map_err(|error| setup::setup("register a file", &error))
    }
}

impl Engine for RingEngine {
    type Device = OpenDevice;

    fn attach(&mut self, device: OpenDevice) -> Result<DeviceSlot, EngineError> {
        let file = device.file.as_raw_fd();
        let slot = self.slots.attach(device)?;
        if let Err(error) = self.set_file(slot, file) {
            drop(self.slots.detach(slot));
            return Err(error);
        }
        assert!(!self.attached.contains(&slot), "a slot is given once");
        self.attached.push(slot);
        Ok(slot)
    }

    fn detach(&mut self, slot: DeviceSlot) -> OpenDevice {
        let device = self.slots.detach(slot);
        let before = self.attached.len();
        self.attached.retain(|other| *other != slot);
        assert_eq!(self.attached.len() + 1, before, "{}: it was attached", device.name());
        if let Err(error) = self.set_file(slot, NO_FILE) {
            tracing::error!(%error, device = %device.name(), "the kernel keeps the file until the engine ends");
        }
        device
    }

    fn geometry(&self, slot: DeviceSlot) -> Geometry {
        self.slots.device(slot).geometry()
    }

    fn grow(&mut self, slot: DeviceSlot, len: ByteLen) -> Result<(), DeviceError> {
        self.slots.device_mut(slot).grow(len)
    }

    fn submit(&mut self, request: Request) -> Result<(), Request> {
        if self.in_flight() >= self.room() {
            return Err(request);
        }
        match self.slots.begin(request.slot, &request.operation) {
            Ok(()) => {
                let mark = self.free.pop().expect("fewer are in flight than there are places");
                assert!(self.flights[mark as usize].is_none(), "a free place is empty");
                self.serial = self.serial.wrapping_add(1);
                self.flights[mark as usize] = Some(Flight::new(request, self.serial));
                self.push(mark);
            }
            Err(refusal) => self.refused.push(self.slots.refuse(request, refusal)),
        }
        Ok(())
    }

    fn wait(&mut self, at_least: usize, done: &mut Vec<Completion>) -> Result<(), EngineError> {
        let before = done.len();
        if self.in_flight() == 0 && self.room() == 0 {
            return Err(EngineError::Hung { operations: self.hung.len() });
        }
        let wanted = at_least.min(self.in_flight());
        done.append(&mut self.refused);
        self.reap(done);
        // Queued steps are started even if enough has ended already, and a caller may wait for none.
        let mut must_enter = wanted == 0 || !self.ring.submission().is_empty();
        while self.under_way() > 0 && (must_enter || done.len() - before < wanted) {
            let missing = wanted.saturating_sub(done.len() - before).min(self.under_way());
            self.enter(missing)?;
            self.reap(done);
            if missing > 0 && done.len() - before < wanted {
                self.abandon(done);
            }
            // A step that moved a part only has queued the next one.
            must_enter = !self.ring.submission().is_empty();
        }
        assert!(done.len() - before >= wanted, "as many ended as were waited for");
        Ok(())
    }

    fn in_flight(&self) -> usize {
        self.under_way() + self.refused.len()
    }
}

impl RingEngine {
    /// Leaves what the kernel may still use: buffers it may write to are never freed, nor the zeroes it may read. A buffer of a pool
    /// keeps all of its pool.
    fn leak(&mut self) {
        std::mem::take(&mut self.flights).into_iter().for_each(std::mem::forget);
        std::mem::take(&mut self.hung).into_values().for_each(std::mem::forget);
        std::mem::forget(std::mem::replace(&mut self.zeroes, PageBuf::zeroed(0)));
    }
}

impl Drop for RingEngine {
    /// Waits for everything in flight, until its deadline, then closes the ring, so that nobody writes into memory that was freed.
    fn drop(&mut self) {
        let mut ended = Vec::new();
        while self.under_way() > 0 {
            if let Err(error) = self.enter(1) {
                tracing::error!(%error, in_flight = self.under_way(), "a ring could not be emptied; its buffers are left");
                self.leak();
                return;
            }
            self.reap(&mut ended);
            self.abandon(&mut ended);
        }
        assert_eq!(self.under_way(), 0, "the kernel holds no buffer of ours any more");
        // The kernel closes a ring some time later, its files with it; emptied slots let go of them now.
        for slot in std::mem::take(&mut self.attached) {
            if let Err(error) = self.set_file(slot, NO_FILE) {
                tracing::debug!(%error, "a file stays open until the ring is gone");
            }
        }
        if !self.hung.is_empty() {
            tracing::error!(operations = self.hung.len(), "operations hang still: their buffers are left");
            self.leak();
        }
    }
}
