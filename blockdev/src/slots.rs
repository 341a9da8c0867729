//! The devices attached to an engine, what they refuse, and when they stop.

use std::error::Error;
use std::sync::Arc;

use crate::{Completion, DeviceError, DeviceSlot, EngineError, Geometry, Operation, OperationKind, Request};

/// What every engine has to know of its devices.
pub(crate) trait Attached {
    /// Returns the name for messages.
    fn name(&self) -> &Arc<str>;
    /// Returns size and alignment.
    fn geometry(&self) -> Geometry;
    /// Tells whether the device was opened for changes.
    fn writable(&self) -> bool;
    /// Returns the failure that put the device out, if any; it stays with the device when it is detached.
    fn failure(&self) -> Option<&Arc<str>>;
    /// Puts the device out.
    fn set_failure(&mut self, first: Arc<str>);
}

/// A bounded table of devices.
///
/// *Invariant:* a device that is out never gets anything to do, and never out of that state by itself.
pub(crate) struct Slots<D> {
    entries: Vec<Option<Entry<D>>>,
    most: usize,
}

struct Entry<D> {
    device: D,
    in_flight: usize,
}

impl<D: Attached> Slots<D> {
    /// Makes a table for at most `most` devices.
    pub(crate) fn new(most: usize) -> Self {
        assert!((1..=usize::from(u16::MAX)).contains(&most), "a slot is numbered by a u16");
        Self { entries: Vec::new(), most }
    }

    /// Takes a device in, at the lowest free slot.
    pub(crate) fn attach(&mut self, device: D) -> Result<DeviceSlot, EngineError> {
        let free = self.entries.iter().position(Option::is_none).unwrap_or(self.entries.len());
        if free >= self.most {
            return Err(EngineError::DevicesFull { most: self.most });
        }
        if free == self.entries.len() {
            self.entries.push(None);
        }
        assert!(self.entries[free].is_none(), "a slot holds one device");
        self.entries[free] = Some(Entry { device, in_flight: 0 });
        Ok(DeviceSlot(u16::try_from(free).expect("a slot is below the u16 limit")))
    }

    /// Gives a device back. Panics if the slot is empty or busy.
    pub(crate) fn detach(&mut self, slot: DeviceSlot) -> D {
        let entry = self
            .entries
            .get_mut(usize::from(slot.0))
            .and_then(Option::take)
            .expect("the slot holds a device");
        assert_eq!(entry.in_flight, 0, "{}: detached with operations in flight", entry.device.name());
        entry.device
    }

    /// Returns the device in a slot. Panics if the slot is empty: a bug of ours.
    pub(crate) fn device(&self, slot: DeviceSlot) -> &D {
        &self.entry(slot).device
    }

    /// Returns the device in a slot, to change it.
    pub(crate) fn device_mut(&mut self, slot: DeviceSlot) -> &mut D {
        &mut self.entry_mut(slot).device
    }

    /// Returns every device.
    pub(crate) fn each(&self) -> impl Iterator<Item = &D> {
        self.entries.iter().flatten().map(|entry| &entry.device)
    }

    /// Counts an operation as in flight and says whether the device refuses it.
    pub(crate) fn begin(&mut self, slot: DeviceSlot, operation: &Operation) -> Result<(), DeviceError> {
        let entry = self.entry_mut(slot);
        entry.in_flight += 1;
        assert!(
            entry.in_flight <= crate::DEPTH_MAX,
            "{}: more in flight than any engine takes",
            entry.device.name()
        );
        check(&entry.device, operation)
    }

    /// Ends an operation that its device refused when it was to begin.
    pub(crate) fn refuse(&mut self, request: Request, refusal: DeviceError) -> Completion {
        let outcome = self.end(request.slot, request.operation.kind(), Err(refusal));
        Completion { slot: request.slot, tag: request.tag, operation: request.operation, outcome }
    }

    /// Counts an operation as ended, puts the device out when its outcome demands it, and returns the outcome to report.
    ///
    /// A change that ended well on a device that is out by then is reported as refused: of two flushes at once the kernel
    /// tells only one of an error.
    pub(crate) fn end(
        &mut self,
        slot: DeviceSlot,
        kind: OperationKind,
        outcome: Result<(), DeviceError>,
    ) -> Result<(), DeviceError> {
        let entry = self.entry_mut(slot);
        assert!(entry.in_flight > 0, "{}: an operation ended that had not begun", entry.device.name());
        entry.in_flight -= 1;
        match outcome {
            Ok(()) if kind.stops_device() => check_running(&entry.device),
            Err(error) if leaves_doubt(&error) && (kind.stops_device() || hangs(&error)) => {
                stop(&mut entry.device, &error);
                Err(error)
            }
            outcome => outcome,
        }
    }

    /// Forgets what was in flight: it ended with the world it was in.
    pub(crate) fn abandon(&mut self) {
        self.entries.iter_mut().flatten().for_each(|entry| entry.in_flight = 0);
    }

    fn entry(&self, slot: DeviceSlot) -> &Entry<D> {
        self.entries.get(usize::from(slot.0)).and_then(Option::as_ref).expect("the slot holds a device")
    }

    fn entry_mut(&mut self, slot: DeviceSlot) -> &mut Entry<D> {
        self.entries.get_mut(usize::from(slot.0)).and_then(Option::as_mut).expect("the slot holds a device")
    }
}

/// Tells whether after this error nobody knows what is on the device.
fn leaves_doubt(error: &DeviceError) -> bool {
    matches!(error, DeviceError::Failed { .. } | DeviceError::Short { .. }) || hangs(error)
}

/// Tells whether the device does not answer: then not even a read is asked of it again.
fn hangs(error: &DeviceError) -> bool {
    matches!(error, DeviceError::TimedOut { .. })
}

fn stop<D: Attached>(device: &mut D, error: &DeviceError) {
    assert!(leaves_doubt(error), "a refusal stops nothing");
    if device.failure().is_none() {
        let first = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        tracing::error!(device = %device.name(), %first, "device stopped");
        device.set_failure(first.into());
    }
    assert!(device.failure().is_some(), "a device that failed is out");
}

fn check_running<D: Attached>(device: &D) -> Result<(), DeviceError> {
    match device.failure() {
        Some(first) => {
            Err(DeviceError::FailedStop { device: Arc::clone(device.name()), first: Arc::clone(first) })
        }
        None => Ok(()),
    }
}

/// Says whether `device` can take `operation`. Nothing has been done when it cannot.
pub(crate) fn check<D: Attached>(device: &D, operation: &Operation) -> Result<(), DeviceError> {
    check_running(device)?;
    let kind = operation.kind();
    let name = || Arc::clone(device.name());
    if kind.stops_device() && kind != OperationKind::Flush && !device.writable() {
        return Err(DeviceError::ReadOnly { device: name(), kind });
    }
    if kind == OperationKind::Flush {
        return Ok(());
    }
    let (at, len) = operation.range();
    let Geometry { len: end, alignment } = device.geometry();
    let unit = u64::from(alignment);
    assert!(unit == 512 || unit == 4096, "{}: opened with an alignment we know", device.name());
    assert!(end.0.is_multiple_of(unit), "{}: a device is whole units long", device.name());
    if len.0 == 0 || !len.0.is_multiple_of(unit) || !at.is_multiple_of(unit) {
        return Err(DeviceError::Misaligned { device: name(), kind, at, len, alignment });
    }
    if at.checked_add(len).is_none_or(|past| past.0 > end.0) {
        return Err(DeviceError::PastEnd { device: name(), kind, at, len, end });
    }
    Ok(())
}
