//! The engine of this host: io_uring where the kernel lets us, plain system calls otherwise.

use std::time::Duration;

use rustix::io::Errno;
use units::ByteLen;

use crate::{
    Completion, DeviceError, DeviceSlot, Engine, EngineError, Geometry, OpenDevice, PagePool, PlainEngine,
    Request, RingEngine,
};

/// Devices one engine can hold.
pub const DEVICES_MAX: usize = 1024;
/// Operations one engine can have in flight.
pub const DEPTH_MAX: usize = 4096;

/// How long an operation may take before its device counts as hung, unless an engine is told otherwise: longer than the kernel's
/// own retries of a disk that answers at all.
pub const DEADLINE: Duration = Duration::from_secs(60);

const _: () = assert!(DEVICES_MAX < u16::MAX as usize && DEPTH_MAX.is_power_of_two());

/// Which engine is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// io_uring if the kernel offers it, plain system calls if it is switched off.
    #[default]
    Best,
    /// io_uring or nothing.
    Ring,
    /// Plain system calls.
    Plain,
}

/// One of the engines over real devices.
pub enum HostEngine {
    /// The io_uring engine.
    Ring(Box<RingEngine>),
    /// The engine of plain system calls.
    Plain(PlainEngine),
}

/// Makes an engine for at most `depth` operations in flight. Errors: a depth of 0 or above [`DEPTH_MAX`]; with
/// [`EngineChoice::Ring`], a kernel that refuses.
pub fn open_engine(depth: usize, choice: EngineChoice) -> Result<HostEngine, EngineError> {
    check_depth(depth)?;
    if choice == EngineChoice::Plain {
        return PlainEngine::new(depth).map(HostEngine::Plain);
    }
    match RingEngine::new(depth) {
        Err(error) if choice == EngineChoice::Best && is_switched_off(&error) => {
            tracing::warn!(%error, "io_uring is switched off, plain system calls are used");
            PlainEngine::new(depth).map(HostEngine::Plain)
        }
        engine => engine.map(|ring| HostEngine::Ring(Box::new(ring))),
    }
}

/// Checks how many operations an engine is to have in flight.
pub(crate) fn check_depth(depth: usize) -> Result<(), EngineError> {
    if (1..=DEPTH_MAX).contains(&depth) {
        return Ok(());
    }
    Err(EngineError::Limit { what: "operations in flight", found: depth, most: DEPTH_MAX })
}

/// Tells whether the kernel has no ring for us at all, rather than that something is wrong with this one.
fn is_switched_off(error: &EngineError) -> bool {
    match error {
        EngineError::Setup { source, .. } => matches!(*source, Errno::PERM | Errno::NOSYS | Errno::ACCESS),
        EngineError::Unsupported { .. } => true,
        _ => false,
    }
}

impl HostEngine {
    /// Returns the engine's name for reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ring(_) => "io_uring",
            Self::Plain(_) => "plain",
        }
    }

    /// Sets how long an operation may take before its device is out, instead of [`DEADLINE`]. Plain system calls have no deadline:
    /// with them, a device that hangs holds up all others of its engine.
    pub fn set_deadline(&mut self, deadline: Duration) {
        if let Self::Ring(ring) = self {
            ring.set_deadline(deadline);
        }
    }

    /// Lets the kernel keep the buffers of `pool` mapped, which makes transfers with them cheaper. Where it refuses, or there
    /// is no ring, everything works as before. Panics if a pool is registered already.
    pub fn register_pool(&mut self, pool: &PagePool) {
        if let Self::Ring(ring) = self
            && let Err(error) = ring.register_pool(pool)
        {
            tracing::warn!(%error, pages = pool.count(), "buffers not registered");
        }
    }
}

impl Engine for HostEngine {
    type Device = OpenDevice;

    fn attach(&mut self, device: OpenDevice) -> Result<DeviceSlot, EngineError> {
        match self {
            Self::Ring(engine) => engine.attach(device),
            Self::Plain(engine) => engine.attach(device),
        }
    }

    fn detach(&mut self, slot: DeviceSlot) -> OpenDevice {
        match self {
            Self::Ring(engine) => engine.detach(slot),
            Self::Plain(engine) => engine.detach(slot),
        }
    }

    fn geometry(&self, slot: DeviceSlot) -> Geometry {
        match self {
            Self::Ring(engine) => engine.geometry(slot),
            Self::Plain(engine) => engine.geometry(slot),
        }
    }

    fn grow(&mut self, slot: DeviceSlot, len: ByteLen) -> Result<(), DeviceError> {
        match self {
            Self::Ring(engine) => engine.grow(slot, len),
            Self::Plain(engine) => engine.grow(slot, len),
        }
    }

    fn submit(&mut self, request: Request) -> Result<(), Request> {
        match self {
            Self::Ring(engine) => engine.submit(request),
            Self::Plain(engine) => engine.submit(request),
        }
    }

    fn wait(&mut self, at_least: usize, done: &mut Vec<Completion>) -> Result<(), EngineError> {
        match self {
            Self::Ring(engine) => engine.wait(at_least, done),
            Self::Plain(engine) => engine.wait(at_least, done),
        }
    }

    fn in_flight(&self) -> usize {
        match self {
            Self::Ring(engine) => engine.in_flight(),
            Self::Plain(engine) => engine.in_flight(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_switches_rings_off_is_told_from_one_that_is_short_of_something() {
        let setup = |source| EngineError::Setup { step: "make a ring", source };
        assert!(is_switched_off(&setup(Errno::PERM)) && is_switched_off(&setup(Errno::NOSYS)));
        assert!(is_switched_off(&EngineError::Unsupported { missing: "fallocate" }));
        assert!(!is_switched_off(&setup(Errno::NOMEM)) && !is_switched_off(&setup(Errno::MFILE)));
    }

    #[test]
    fn a_depth_outside_its_limits_is_refused() {
        for depth in [0, DEPTH_MAX + 1] {
            for choice in [EngineChoice::Best, EngineChoice::Plain] {
                assert!(
                    matches!(open_engine(depth, choice), Err(EngineError::Limit { found, .. }) if found == depth)
                );
            }
        }
        assert_eq!(open_engine(1, EngineChoice::Plain).unwrap().name(), "plain");
    }
}
