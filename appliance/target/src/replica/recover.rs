//! Making a replica, and finding it again after any end: a clean one, a kill, a power cut.
//!
//! 1. The head: the newest whole copy.
//! 2. Epochs before its oldest are left-overs of an expiry, and removed.
//! 3. Each epoch's redo log is walked (or its index read): its records must follow one another without a gap; what
//!    can't be read is a torn tail or damage.
//! 4. What is above `applied` waits to be destaged again; each item is whole granules, so that doing it twice changes
//!    nothing.
//! 5. The undo log of the first epoch that is not sealed says what it has captured.
//!
//! Everything that is read is flushed first: it counts once it is durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use blockdev::{Engine, PagePool, Volume, VolumeError};
use retention::{
    Body, DecodeError, EpochIndex, ExtentDecoder, ExtentEncoder, GranuleSet, Head, HeadDisk, Log, Moment,
    Placement, Point, Tail, TailScan,
};
use units::{ByteLen, ByteOffset, EpochNumber, Hash, MachineId, Sequence, Timestamp};

use super::append::{Appender, content_len};
use super::apply::Applier;
use super::budget::ResidentBudget;
use super::error::ReplicaError;
use super::expire::Aging;
use super::join::Apart;
use super::kept_index::KeptIndex;
use super::limits::ReplicaLimits;
use super::log_reader::LogReader;
use super::log_writer::LogPosition;
use super::paths;
use super::planted::Planted;
use super::shared::{AppendStart, Bell, EpochInfo, Queued, Shared, State};
use super::slot_file::SlotFile;
use super::transfer::flush_all;

/// What a replica is made with.
#[derive(Clone)]
pub struct Setup<V> {
    /// The retention volume.
    pub volume: V,
    /// The machine's limits.
    pub limits: ReplicaLimits,
    /// Buffers for the applier's transfers; at least two of 256 KiB.
    pub pool: PagePool,
    /// The memory durable payloads may keep.
    pub budget: ResidentBudget,
    /// Rings for the thread that commits.
    pub committer: Bell,
    /// Rings for the thread that applies.
    pub worker: Bell,
}

/// Both halves of one machine's replica.
pub struct Replica<V> {
    /// The half that makes what is received durable.
    pub appender: Appender,
    /// The half that brings the target disks up to it.
    pub applier: Applier<V>,
}

/// A machine whose replica can't be had: it is listed, and refused, with the reason.
#[derive(Debug)]
pub struct Unrecovered {
    /// Its head, if that could be read.
    pub head: Option<Box<Head>>,
    /// Why.
    pub error: ReplicaError,
}

/// Lists the machines on a volume, by id.
pub fn list_machines<V: Volume>(volume: &V) -> Result<Vec<MachineId>, VolumeError> {
    Ok(volume.list(paths::MACHINES)?.iter().filter_map(|name| name.parse().ok()).collect())
}

/// Tells whether what can't be read of a machine is what a crash leaves while the machine is being added: at the most a head
/// that was never written. Nobody was told that it was added.
pub fn was_never_added<V: Volume>(volume: &V, machine: MachineId, error: &ReplicaError) -> bool {
    let unwritten = matches!(
        error,
        ReplicaError::Damaged { cause: DecodeError::Blank, .. }
            | ReplicaError::Volume(VolumeError::Missing { .. })
    );
    let alone = |names: Vec<String>| names.iter().all(|name| paths::head(machine).ends_with(name));
    unwritten && volume.list(&paths::machine(machine)).is_ok_and(alone)
}

/// Removes everything a machine has on the volume. The head goes last, so that a crash leaves a machine that can be removed again.
pub fn remove_machine<V: Volume>(volume: &V, machine: MachineId) -> Result<(), ReplicaError> {
    for name in volume.list(&paths::machine(machine))? {
        if let Some(epoch) = paths::parse_epoch(&name) {
            super::epochs::remove_epoch(volume, machine, epoch)?;
        }
    }
    super::manifest_file::remove_manifests(volume, machine)?;
    super::scrub::remove_leaves(volume, machine)?;
    volume.remove(&paths::head(machine))?;
    Ok(volume.remove(&paths::machine(machine))?)
}

/// Refuses a head that was written for another machine.
pub(super) fn of_machine(machine: MachineId) -> impl Fn(Head) -> Result<Head, DecodeError> {
    move |head| {
        let (found, expected) = (head.machine.to_string(), machine.to_string());
        if head.machine == machine {
            Ok(head)
        } else {
            Err(DecodeError::Misplaced { what: "machine", found, expected })
        }
    }
}

impl<V: Volume> Replica<V> {
    /// Makes the replica of a new machine; durable on return. `disks` are the opened target disks, by index.
    pub fn create<E: Engine<Device = V::Device>>(
        engine: &mut E,
        setup: Setup<V>,
        head: Head,
        disks: Vec<V::Device>,
    ) -> Result<Self, ReplicaError> {
        assert_eq!(head.disks.len(), disks.len(), "each disk is opened");
        let head = SlotFile::create(engine, &setup.volume, &paths::head(head.machine), head)?;
        Self::with_head(engine, setup, head, disks)
    }

    /// Finds the replica of a machine. `open` opens a target disk, and checks that it is the one.
    pub fn recover<E: Engine<Device = V::Device>>(
        engine: &mut E,
        setup: Setup<V>,
        machine: MachineId,
        mut open: impl FnMut(&HeadDisk) -> Result<V::Device, blockdev::DeviceError>,
    ) -> Result<Self, Unrecovered> {
        let head =
            SlotFile::open(engine, &setup.pool, &setup.volume, &paths::head(machine), of_machine(machine))
                .map_err(|error| Unrecovered { head: None, error })?;
        let known = head.head().clone();
        let out = |error| Unrecovered { head: Some(Box::new(known.clone())), error };
        let disks =
            known.disks.iter().map(&mut open).collect::<Result<_, _>>().map_err(|error| out(error.into()))?;
        let mut replica = Self::with_head(engine, setup, head, disks).map_err(out)?;
        replica.applier.recover_epochs(engine).map_err(out)?;
        Ok(replica)
    }

    fn with_head<E: Engine<Device = V::Device>>(
        engine: &mut E,
        setup: Setup<V>,
        head: SlotFile<Head>,
        disks: Vec<V::Device>,
    ) -> Result<Self, ReplicaError> {
        let Setup { volume, limits, pool, budget, committer, worker } = setup;
        let shared = Arc::new(Shared::new(State::of(head.head(), limits.retention), committer, worker));
        shared.plant(&limits);
        let slots = disks.into_iter().map(|disk| engine.attach(disk)).collect::<Result<_, _>>()?;
        let applier = Applier {
            shared: shared.clone(),
            volume,
            limits,
            pool,
            budget: budget.clone(),
            head,
            disks: slots,
            open: None,
            run: None,
            decoder: ExtentDecoder::new().map_err(|_| ReplicaError::NoMemory)?,
            encoder: ExtentEncoder::new(limits.before_level).map_err(|_| ReplicaError::NoMemory)?,
            unflushed: 0,
            last_round: Timestamp(0),
            gathering: None,
            stalled: false,
            views: Vec::new(),
            aging: Aging::default(),
            stepped: Timestamp(0),
            joining: None,
            apart: Apart::default(),
        };
        Ok(Self { appender: Appender::new(shared, limits, budget), applier })
    }
}

/// What the walk over the epochs has found so far.
pub(crate) struct Found {
    pub(crate) last: Sequence,
    pub(crate) previous: Option<Hash>,
    end: ByteOffset,
    pub(crate) epoch: EpochNumber,
    /// What was applied of each epoch that is not sealed: its undo log must hold what was there before.
    applied: BTreeMap<EpochNumber, GranuleSet>,
}

impl<V: Volume> Applier<V> {
    fn recover_epochs<E: Engine<Device = V::Device>>(&mut self, engine: &mut E) -> Result<(), ReplicaError> {
        let (base, applied) = (self.head.head().base, self.head.head().applied);
        let epochs = self.list_epochs()?;
        let first = epochs.first().copied().unwrap_or(self.head.head().oldest_epoch);
        let (end, done) = (ByteOffset(0), BTreeMap::new());
        let mut found = Found { last: base, previous: None, end, epoch: first, applied: done };
        if base == Sequence(0) {
            found.previous = Some(Hash::default());
        }
        for &epoch in &epochs {
            self.recover_epoch(engine, epoch, &mut found)?;
        }
        if found.last < applied {
            let what = "the redo log ends before what was applied";
            return Err(ReplicaError::LostHistory { what, found: found.last, expected: applied });
        }
        self.publish(&found, !epochs.is_empty());
        self.take_up(engine, &found)
    }

    /// Opens the epoch that is to be applied next, or else the newest; those before it are sealed if they are not.
    fn take_up<E: Engine<Device = V::Device>>(
        &mut self,
        engine: &mut E,
        found: &Found,
    ) -> Result<(), ReplicaError> {
        let applied = self.head.head().applied;
        let next = {
            let state = self.shared.lock();
            let waits = |info: &&EpochInfo| !info.sealed && info.last > applied;
            let next = state.epochs.iter().find(waits).or(state.epochs.back().filter(|info| !info.sealed));
            next.map(|info| info.epoch)
        };
        let Some(epoch) = next else { return Ok(()) };
        self.open_epoch(engine, epoch)?;
        let captured = &self.open.as_ref().expect("the epoch was just opened").captured;
        match found.applied.get(&epoch).and_then(|written| written.first_not_in(captured)) {
            Some((disk, start)) => {
                Err(ReplicaError::Uncaptured { file: paths::undo(self.machine(), epoch), disk, start })
            }
            None => Ok(()),
        }
    }

    fn publish(&mut self, found: &Found, exists: bool) {
        let (machine, generation) = (self.machine(), self.head.head().generation);
        let (epoch, end, previous) = (found.epoch, found.end, found.previous.unwrap_or_default());
        let position = LogPosition { machine, generation, epoch, end, previous };
        let mut state = self.shared.lock();
        (state.received, state.durable, state.recovered) = (found.last, found.last, found.last);
        state.lag = state.queue.iter().map(Queued::lag).sum();
        state.replays = state.lag;
        state.start = Some(AppendStart { position, exists });
        state.closed = state.stays_closed(&state.lifecycle);
    }

    /// Lists the epochs that exist, oldest first, and removes what an expiry left over. Errors: one is missing between.
    fn list_epochs(&self) -> Result<Vec<EpochNumber>, ReplicaError> {
        let (machine, oldest) = (self.machine(), self.head.head().oldest_epoch);
        let mut epochs = Vec::new();
        for name in self.volume.list(&paths::machine(machine))? {
            let Some(epoch) = paths::parse_epoch(&name) else { continue };
            if epoch < oldest {
                super::epochs::remove_epoch(&self.volume, machine, epoch)?;
            } else if self.head.head().is_joined_into_earlier(epoch) {
                // Left over from a crash between the head and the removal.
                super::epochs::remove_epoch(&self.volume, machine, epoch)?;
            } else if self.head.head().is_thinned(epoch) {
                // So is this, and an index from before epochs were joined, or before they would have been.
                self.volume.remove(&paths::redo(machine, epoch))?;
                self.remove_other_indexes(epoch)?;
                epochs.push(epoch);
            } else if self.volume.list(&paths::epoch(machine, epoch))?.iter().any(|name| name == "redo") {
                epochs.push(epoch);
            }
        }
        epochs.sort();
        let behind = epochs.iter().map(|epoch| self.head.head().joined_through(*epoch).next());
        let expected = std::iter::once(oldest).chain(behind);
        match epochs.iter().zip(expected).find(|(found, expected)| *found != expected) {
            Some((found, expected)) => Err(ReplicaError::LostHistory {
                what: "an epoch is missing",
                found: Sequence(found.0),
                expected: Sequence(expected.0),
            }),
            None => Ok(epochs),
        }
    }

    fn recover_epoch<E: Engine<Device = V::Device>>(
        &mut self,
        engine: &mut E,
        epoch: EpochNumber,
        found: &mut Found,
    ) -> Result<(), ReplicaError> {
        if self.head.head().is_thinned(epoch) {
            return self.recover_thinned(engine, epoch, found);
        }
        let first = found.last.next();
        if let Some(index) = self.recover_index(engine, epoch)? {
            found.epoch = epoch;
            return self.take_index(index, found);
        }
        let path = paths::redo(self.machine(), epoch);
        let slot = engine.attach(self.volume.open(&path)?)?;
        flush_all(engine, &[slot])?;
        let head = self.head.head();
        let (machine, generation, position) = (head.machine, head.generation, ByteOffset(0));
        let placement = Placement { machine, generation, epoch, position, previous: Hash::default() };
        let scan = self.limits.scan(TailScan::new(placement, found.previous, ByteOffset(0)));
        let (applied, mut items, mut points, mut moments) =
            (head.applied, Vec::new(), Vec::new(), Vec::new());
        let (mut last, mut gap, mut closed) = (found.last, None, Timestamp(0));
        let mut written = GranuleSet::new(self.disks.len());
        let index = EpochIndex::empty(machine, generation, epoch, first);
        let mut index = KeptIndex::recover(self.budget.indexes(), index);
        let mut reader = LogReader::new(engine, &self.pool, slot, Log::Redo);
        if self.limits.plants(Planted::TornGroupKept) {
            reader.keep_torn_groups();
        }
        let end = reader.walk(scan, None, |head, body| {
            if head.sequence != last.next() {
                gap = gap.or(Some((head.sequence, last.next())));
            }
            (last, closed) = (head.sequence, closed.max(head.received));
            if let Body::Marker(marker) = body {
                points.push(Point::from(marker.as_ref()));
            }
            moments.extend(Moment::of(body));
            index.add(Log::Redo, &head.place(), body);
            if head.sequence > applied {
                let (sequence, payload_len, place) = (head.sequence, head.payload_len, head.place());
                let content_len = content_len(body);
                items.push(Queued { sequence, epoch, place, payload_len, content_len, resident: None });
            } else {
                body.extents().iter().for_each(|extent| written.insert(&extent.span()));
            }
        });
        drop(engine.detach(slot));
        let end = end?;
        if let Some((found, expected)) = gap {
            return Err(ReplicaError::LostHistory {
                what: "a sequence is missing in the redo log",
                found,
                expected,
            });
        }
        let tail = match end.tail {
            Tail::At(tail) => tail,
            Tail::Damaged { at, .. } if self.limits.plants(Planted::DamageIsTail) => at,
            Tail::Damaged { at, cause } => return Err(ReplicaError::Damaged { file: path, at, cause }),
        };
        (found.last, found.previous, found.end, found.epoch) = (last, end.previous, tail, epoch);
        found.applied.insert(epoch, written);
        let (redo, undo) = (ByteLen(tail.0), ByteLen::ZERO);
        let mut state = self.shared.lock();
        let (sealed, indexed, thinned) = (false, false, false);
        state.epochs.push_back(EpochInfo {
            epoch,
            through: epoch,
            first,
            last,
            closed,
            sealed,
            indexed,
            thinned,
            given_up: ByteLen::ZERO,
            redo,
            undo,
        });
        state.indexes.insert(epoch, index);
        state.queue.extend(items);
        points.into_iter().for_each(|point| state.timeline.push(point));
        moments.into_iter().for_each(|moment| state.moments.push(moment));
        Ok(())
    }

    pub(crate) fn take_index(&mut self, index: EpochIndex, found: &mut Found) -> Result<(), ReplicaError> {
        if index.first != found.last.next() {
            let (what, expected) = ("a sequence is missing between two epochs", found.last.next());
            return Err(ReplicaError::LostHistory { what, found: index.first, expected });
        }
        (found.last, found.previous, found.end) = (index.last, Some(index.last_checksum), index.redo_len);
        let mut state = self.shared.lock();
        state.epochs.push_back(EpochInfo {
            epoch: index.epoch,
            through: self.head.head().joined_through(index.epoch),
            first: index.first,
            last: index.last,
            closed: index.closed,
            sealed: true,
            indexed: true,
            thinned: index.is_thinned(),
            given_up: ByteLen::ZERO,
            redo: ByteLen(index.redo_len.0),
            undo: ByteLen(index.undo_len.0),
        });
        index.points.into_iter().for_each(|point| state.timeline.push(point));
        index.moments.into_iter().for_each(|moment| state.moments.push(moment));
        Ok(())
    }
}
