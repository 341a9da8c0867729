//! The engine of a simulated world: operations in flight end in a seeded order.

use std::sync::Arc;

use rustix::io::Errno;
use units::{ByteLen, ByteOffset};

use super::world::{DiskId, Queued, Undecided};
use super::{Shared, lock};
use crate::slots::{Attached, Slots};
use crate::{Completion, DeviceError, DeviceSlot, Engine, EngineError, Geometry, OperationKind, Request};

/// Devices one simulated engine can hold.
const DEVICES_MAX: usize = 1024;

/// An open disk or file of a simulated world.
pub struct SimDevice {
    pub(super) world: Shared,
    pub(super) id: DiskId,
    pub(super) name: Arc<str>,
    pub(super) is_file: bool,
    /// Its length when it was opened, or grown through this handle since: what others grow is not seen, as on a real host.
    pub(super) len: ByteLen,
    pub(super) failure: Option<Arc<str>>,
    /// Keeps the contents of a removed file while it is open.
    pub(super) _handle: Arc<()>,
}

impl std::fmt::Debug for SimDevice {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SimDevice({})", self.name)
    }
}

impl Attached for SimDevice {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn geometry(&self) -> Geometry {
        Geometry { len: self.len, alignment: lock(&self.world).alignment }
    }

    fn writable(&self) -> bool {
        true
    }

    fn failure(&self) -> Option<&Arc<str>> {
        self.failure.as_ref()
    }

    fn set_failure(&mut self, first: Arc<str>) {
        self.failure = Some(first);
    }
}

/// An engine over the disks of one simulated world.
pub struct SimEngine {
    world: Shared,
    queue: u32,
    depth: usize,
    queued: usize,
    slots: Slots<SimDevice>,
    refused: Vec<Completion>,
}

impl SimEngine {
    /// Forgets what was in flight: it ended with the world.
    fn crashed(&mut self, step: u64) -> EngineError {
        self.queued = 0;
        self.slots.abandon();
        EngineError::Crashed { step }
    }

    /// Tells whether something in flight is slow or hangs.
    pub fn holds(&self) -> bool {
        let world = lock(&self.world);
        world.queues.get(&self.queue).is_some_and(|queue| queue.iter().any(|queued| queued.held.is_some()))
    }

    /// Makes an engine that has at most `depth` operations in flight. Panics if `depth` is 0.
    pub(super) fn new(world: &Shared, depth: usize) -> Self {
        assert!(depth > 0, "an engine has room for an operation");
        let queue = lock(world).fresh_id();
        let world = Arc::clone(world);
        Self { world, queue, depth, queued: 0, slots: Slots::new(DEVICES_MAX), refused: Vec::new() }
    }

    /// Ends one operation in flight, chosen by the world's seed: of those that are slow or hang the shortest, after all others and
    /// only with `patience`. Errors: the world crashed.
    fn end_one(&mut self, patience: bool) -> Result<Option<Completion>, u64> {
        let mut world = lock(&self.world);
        world.alive()?;
        world.end_late();
        let Some(queued) = world.take_next(self.queue, patience) else { return Ok(None) };
        let (slot, kind) = (queued.request.slot, queued.request.operation.kind());
        let performed = world.perform(queued, &self.slots.device(slot).name)?;
        drop(world);
        self.queued -= 1;
        let outcome = self.slots.end(slot, kind, performed.outcome);
        let Request { tag, operation, .. } = performed.request;
        Ok(Some(Completion { slot, tag, operation, outcome }))
    }
}

impl Engine for SimEngine {
    type Device = SimDevice;

    fn attach(&mut self, device: SimDevice) -> Result<DeviceSlot, EngineError> {
        assert!(Arc::ptr_eq(&self.world, &device.world), "a device belongs to its own world");
        self.slots.attach(device)
    }

    fn detach(&mut self, slot: DeviceSlot) -> SimDevice {
        self.slots.detach(slot)
    }

    fn geometry(&self, slot: DeviceSlot) -> Geometry {
        self.slots.device(slot).geometry()
    }

    fn grow(&mut self, slot: DeviceSlot, len: ByteLen) -> Result<(), DeviceError> {
        let device = self.slots.device(slot);
        let name = || Arc::clone(&device.name);
        if let Some(first) = &device.failure {
            return Err(DeviceError::FailedStop { device: name(), first: Arc::clone(first) });
        }
        let mut world = lock(&self.world);
        let now = world.store(device.id).disk.len;
        if !device.is_file || len.0 < now || !len.0.is_multiple_of(u64::from(world.alignment)) {
            let reason = "only a file grows, and in whole sectors";
            return Err(DeviceError::NotGrowable { device: name(), len, reason });
        }
        if len.0 - now > world.free().0 {
            return Err(DeviceError::NoSpace { device: name(), len });
        }
        if world.due_fault(OperationKind::Grow, true).is_some() {
            let (kind, at) = (OperationKind::Grow, ByteOffset(now));
            return Err(DeviceError::Failed { device: name(), kind, at, len, source: Errno::IO });
        }
        if world.alive().is_ok() && world.step().is_err() {
            world.undecided.push(Undecided::Grow { id: device.id, len: len.0 });
        }
        world.alive().map_err(|step| DeviceError::Crashed { step })?;
        assert!(world.used() + (len.0 - now) <= world.capacity, "the volume has space for what grows");
        world.disk_mut(device.id).len = len.0;
        drop(world);
        self.slots.device_mut(slot).len = len;
        Ok(())
    }

    fn submit(&mut self, request: Request) -> Result<(), Request> {
        if self.in_flight() >= self.depth {
            return Err(request);
        }
        let slot = request.slot;
        if let Err(refusal) = self.slots.begin(slot, &request.operation) {
            self.refused.push(self.slots.refuse(request, refusal));
            return Ok(());
        }
        let id = self.slots.device(slot).id;
        let mut world = lock(&self.world);
        let completed_before = world.store(id).disk.completed();
        let queue = world.queues.entry(self.queue).or_default();
        assert!(queue.len() < self.depth, "the queue is bounded");
        queue.push(Queued { id, request, completed_before, held: None });
        self.queued += 1;
        Ok(())
    }

    fn wait(&mut self, at_least: usize, done: &mut Vec<Completion>) -> Result<(), EngineError> {
        let least = at_least.saturating_sub(self.refused.len()).min(self.queued);
        done.append(&mut self.refused);
        let more = lock(&self.world).random.index(self.queued - least + 1);
        for nth in 0..least + more {
            match self.end_one(nth < least) {
                Ok(completion) => done.extend(completion),
                Err(step) => return Err(self.crashed(step)),
            }
        }
        assert!(self.in_flight() <= self.depth, "the queue is bounded");
        let alive = lock(&self.world).alive();
        alive.map_err(|step| self.crashed(step))
    }

    fn in_flight(&self) -> usize {
        self.queued + self.refused.len()
    }
}

impl Drop for SimEngine {
    /// Lets everything in flight end, as the kernel does for a ring that is closed.
    fn drop(&mut self) {
        while self.queued > 0 && self.end_one(true).is_ok() {}
    }
}
