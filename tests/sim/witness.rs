//! An engine and a volume that hand everything on, and remember what was under way when the world stopped.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use blockdev::{
    Completion, DeviceError, DeviceSlot, Engine, EngineError, Geometry, OperationKind, Request, SimDevice,
    SimEngine, SimVolume, Volume, VolumeError, VolumeUsage,
};
use units::ByteLen;

use super::seen::{Act, Part};

/// What the crash cut through.
pub(crate) type Cuts = Rc<RefCell<BTreeSet<(Act, Part)>>>;

/// Called before each wait of an engine: the other half of a replica runs there, as its own thread would.
pub(crate) type Between = Rc<dyn Fn()>;

/// How often the other half has its turn while this one waits for something slow.
const SLOW_TURNS: u64 = 4;

/// See the module.
pub(crate) struct WitnessEngine {
    inner: SimEngine,
    cuts: Cuts,
    parts: BTreeMap<DeviceSlot, Part>,
    under_way: Vec<(DeviceSlot, u64, OperationKind)>,
    pub between: Option<Between>,
}

impl WitnessEngine {
    pub(crate) fn new(inner: SimEngine, cuts: Cuts) -> Self {
        Self { inner, cuts, parts: BTreeMap::new(), under_way: Vec::new(), between: None }
    }

    fn part(&self, slot: DeviceSlot) -> Part {
        self.parts.get(&slot).copied().unwrap_or(Part::Target)
    }

    fn note_cut(&mut self) {
        let cuts: Vec<_> = self.under_way.drain(..).map(|(slot, _, kind)| (Act::from(kind), slot)).collect();
        let mut noted = self.cuts.borrow_mut();
        for (act, slot) in cuts {
            noted.insert((act, self.parts.get(&slot).copied().unwrap_or(Part::Target)));
        }
    }
}

impl Engine for WitnessEngine {
    type Device = SimDevice;

    fn attach(&mut self, device: SimDevice) -> Result<DeviceSlot, EngineError> {
        let text = format!("{device:?}");
        let name = text.trim_start_matches("SimDevice(").trim_end_matches(')');
        let part = Part::of(name);
        let slot = self.inner.attach(device)?;
        self.parts.insert(slot, part);
        Ok(slot)
    }

    fn detach(&mut self, slot: DeviceSlot) -> SimDevice {
        self.parts.remove(&slot);
        self.inner.detach(slot)
    }

    fn geometry(&self, slot: DeviceSlot) -> Geometry {
        self.inner.geometry(slot)
    }

    fn grow(&mut self, slot: DeviceSlot, len: ByteLen) -> Result<(), DeviceError> {
        let result = self.inner.grow(slot, len);
        if matches!(result, Err(DeviceError::Crashed { .. })) {
            self.cuts.borrow_mut().insert((Act::from(OperationKind::Grow), self.part(slot)));
        }
        result
    }

    fn submit(&mut self, request: Request) -> Result<(), Request> {
        let note = (request.slot, request.tag, request.operation.kind());
        self.inner.submit(request)?;
        self.under_way.push(note);
        Ok(())
    }

    fn wait(&mut self, at_least: usize, done: &mut Vec<Completion>) -> Result<(), EngineError> {
        // What unwinds after a check failed waits too, and nothing is to be checked inside of that.
        let between = self.between.clone().filter(|_| !std::thread::panicking());
        let before = done.len();
        let mut result = Ok(());
        if let Some(between) = between {
            between();
            result = self.inner.wait(0, done);
            // Whoever waits for something slow gives the others time.
            let times = if result.is_ok() && self.inner.holds() { SLOW_TURNS } else { 0 };
            (0..times).for_each(|_| between());
        }
        let more = at_least.saturating_sub(done.len() - before);
        let result = result.and_then(|()| self.inner.wait(more, done));
        for completion in &done[before..] {
            let note = (completion.slot, completion.tag, completion.operation.kind());
            let at = self.under_way.iter().position(|each| *each == note);
            self.under_way.swap_remove(at.expect("what ends was submitted"));
        }
        if matches!(result, Err(EngineError::Crashed { .. })) {
            self.note_cut();
        }
        result
    }

    fn in_flight(&self) -> usize {
        self.inner.in_flight()
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct WitnessVolume {
    inner: SimVolume,
    cuts: Cuts,
}

impl WitnessVolume {
    pub(crate) fn new(inner: SimVolume, cuts: Cuts) -> Self {
        Self { inner, cuts }
    }

    fn note<T>(&self, act: Act, path: &str, result: Result<T, VolumeError>) -> Result<T, VolumeError> {
        if matches!(result, Err(VolumeError::Crashed { .. })) {
            self.cuts.borrow_mut().insert((act, Part::of(path)));
        }
        result
    }
}

impl Volume for WitnessVolume {
    type Device = SimDevice;

    fn create(&self, path: &str, len: ByteLen) -> Result<SimDevice, VolumeError> {
        self.note(Act::Create, path, self.inner.create(path, len))
    }

    fn open(&self, path: &str) -> Result<SimDevice, VolumeError> {
        self.inner.open(path)
    }

    fn remove(&self, path: &str) -> Result<(), VolumeError> {
        self.note(Act::Remove, path, self.inner.remove(path))
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, VolumeError> {
        self.inner.list(directory)
    }

    fn usage(&self) -> Result<VolumeUsage, VolumeError> {
        self.inner.usage()
    }
}
