//! What operators ask for: machines in and out, failback and its likes.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use blockdev::{Access, Expect, FilePolicy, Identity, OpenDevice, open_device};
use retention::{Afterwards, Head, HeadDisk, Lifecycle, Point, RewindPlan};
use units::{ByteLen, Generation, Hash, MachineId, MachineName, Sequence, Timestamp};
use wire::Consistency;

use crate::clock::now;
use crate::error::TargetError;
use crate::generation::next_generation;
use crate::machine::Machine;
use crate::node::MasterTarget;
use crate::replica::{Progress, Replica, ReplicaError, State, Work};
use crate::worker::CommitOrder;

/// Bytes a disk's path and its identity may have, so that a head of 256 disks fits its slot.
const PATH_LEN_MAX: usize = 400;
const _: () = {
    let disks = units::DISKS_MAX * (2 * PATH_LEN_MAX + 64);
    let pins = retention::PINS_MAX * (retention::PIN_NOTE_LEN_MAX + 32);
    let damage = retention::DAMAGE_MAX * 72;
    // Numbers of epochs have 32 bits: as varints five bytes.
    let thinned = retention::THINNED_MAX * 10;
    let joined = retention::JOINED_MAX * 10;
    assert!(disks + pins + damage + thinned + joined + 4096 <= retention::HEAD_LEN_MAX);
};

/// A target disk an operator offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskOffer {
    /// The device or file.
    pub path: String,
    /// Whether it may be a regular file.
    pub files: FilePolicy,
}

/// How a recovery point is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointName {
    /// The newest consistent one.
    Latest,
    /// The newest consistent one at or before this time; or, where an inconsistent one will do, exactly the last sequence at or
    /// before it, to the second.
    Time(Timestamp),
    /// Exactly this sequence.
    Sequence(Sequence),
}

/// A recovery point that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its sequence.
    pub sequence: Sequence,
    /// The point, unless the sequence lies between two.
    pub point: Option<Point>,
}

impl MasterTarget {
    /// Registers a machine with its target disks, to be seeded; durable on return. `id` is 16 random bytes.
    pub fn add(
        &self,
        id: MachineId,
        name: &MachineName,
        offers: &[DiskOffer],
    ) -> Result<Arc<Machine>, TargetError> {
        self.register(id, name, offers, Lifecycle::Registered)
    }

    /// Registers a machine; durable on return.
    pub(crate) fn register(
        &self,
        id: MachineId,
        name: &MachineName,
        offers: &[DiskOffer],
        lifecycle: Lifecycle,
    ) -> Result<Arc<Machine>, TargetError> {
        if self.machine(name).is_ok() {
            return Err(TargetError::MachineExists { name: name.clone() });
        }
        if offers.is_empty() || offers.len() > units::DISKS_MAX {
            return Err(TargetError::DiskCount { found: offers.len() });
        }
        let opened = offers.iter().map(|offer| self.open_offer(offer)).collect::<Result<Vec<_>, _>>()?;
        let opened = opened
            .into_iter()
            .enumerate()
            .map(|(index, opened)| label(opened, id, index))
            .collect::<Vec<_>>();
        let (disks, devices): (Vec<HeadDisk>, Vec<OpenDevice>) = opened.into_iter().unzip();
        let twice = |(index, disk): (usize, &HeadDisk)| {
            disks[..index].iter().any(|other| other.identity == disk.identity)
        };
        if disks.iter().enumerate().any(twice) {
            return Err(TargetError::DiskCount { found: offers.len() });
        }
        let newest = self.machines().iter().map(|machine| machine.generation).max().unwrap_or(Generation(0));
        let generation = next_generation(&self.volume, newest)?;
        let head = Head { lifecycle, ..Head::new(id, name.clone(), generation, disks) };
        let worker = self.next_worker();
        let (setup, made) = (self.setup(worker), head.clone());
        let replica = self.on_worker(worker, move |engine, appliers| {
            let replica = Replica::create(engine, setup, made, devices)?;
            let shared = replica.applier.shared().clone();
            appliers.insert(id, replica.applier);
            Ok::<_, ReplicaError>((shared, replica.appender))
        })?;
        let (shared, appender) =
            replica.map_err(|source| TargetError::Replica { name: name.clone(), source })?;
        self.committer.order(CommitOrder::Adopt(id, Box::new(appender)));
        tracing::info!(machine = %name, %id, disks = offers.len(), "machine added");
        Ok(self.insert(Machine::new(&head, shared, worker)))
    }

    fn open_offer(&self, offer: &DiskOffer) -> Result<(HeadDisk, OpenDevice), TargetError> {
        let path = Path::new(&offer.path);
        let len_min = ByteLen(units::SECTOR_LEN);
        let expect = Expect { identity: None, len_min, files: offer.files, access: Access::Exclusive };
        let device = open_device(path, &expect);
        if let Some(machine) =
            self.machines().iter().find(|machine| machine.disks.iter().any(|d| d.path == offer.path))
        {
            return Err(TargetError::DiskTaken { path: offer.path.clone(), machine: machine.name.clone() });
        }
        let device = device.map_err(TargetError::Disk)?;
        if let Some(machine) = device.identity().and_then(|identity| self.owner_of(identity)) {
            return Err(TargetError::DiskTaken { path: offer.path.clone(), machine });
        }
        let identity = device
            .identity()
            .ok_or_else(|| TargetError::NoIdentity { path: offer.path.clone() })?
            .to_string();
        if offer.path.len() > PATH_LEN_MAX || identity.len() > PATH_LEN_MAX {
            return Err(TargetError::LongPath { path: offer.path.clone(), most: PATH_LEN_MAX });
        }
        let file = device.kind() == blockdev::FileKind::RegularFile;
        let (device_len, len) = (device.geometry().len, ByteLen::ZERO);
        Ok((HeadDisk { path: offer.path.clone(), identity, file, device_len, len }, device))
    }

    /// Tells whose target disk it is already, if one's; a copy with its label counts as the disk.
    fn owner_of(&self, identity: &Identity) -> Option<MachineName> {
        let is_it = |disk: &HeadDisk| disk.identity.parse().is_ok_and(|own: Identity| own.is_same(identity));
        let owner = self.machines().into_iter().find(|machine| machine.disks.iter().any(is_it));
        owner.map(|machine| machine.name.clone())
    }

    /// Forgets a machine and its history; the target disks keep their content. Errors: its source is connected, a job is under
    /// way.
    pub fn remove(&self, name: &MachineName) -> Result<Arc<Machine>, TargetError> {
        let machine = self.machine(name)?;
        if let Some(session) = machine.session().filter(|session| session.connected) {
            return Err(TargetError::Connected { name: name.clone(), peer: session.peer });
        }
        self.refuse_if_busy(name)?;
        self.forget(&machine)?;
        tracing::info!(machine = %name, id = %machine.id, "machine removed");
        Ok(machine)
    }

    /// Finds the recovery point a name means. Errors: outside the history, not consistent while that was not accepted, or
    /// spoilt by damage.
    pub fn find(
        &self,
        name: &MachineName,
        point: PointName,
        floor: Consistency,
    ) -> Result<Found, TargetError> {
        let machine = self.in_service(name)?;
        let state = machine.shared.lock();
        let found = find_in(&state, name, point, floor)?;
        match state.spoils(found.sequence) {
            None => Ok(found),
            Some(damage) => {
                let (before, after) = state.good_around(found.sequence);
                let (name, sequence) = (name.clone(), found.sequence);
                Err(TargetError::Spoilt { name, sequence, damage: damage.clone(), before, after })
            }
        }
    }

    /// Says what a failback would write; touches nothing.
    pub fn plan(&self, name: &MachineName, to: Sequence) -> Result<RewindPlan, TargetError> {
        let machine = self.in_service(name)?;
        self.ask(&machine, |then| Work::Plan { to, then })
    }

    /// Begins to bring the disks to a point, and hold them there; a crash in the middle is taken up at the next start. Errors: the
    /// machine is out.
    pub fn rewind(&self, name: &MachineName, to: Sequence) -> Result<Arc<Progress>, TargetError> {
        let (machine, progress) = (self.in_service(name)?, Arc::<Progress>::default());
        machine.shared.give(Work::Rewind { to, afterwards: Afterwards::Stand, progress: progress.clone() });
        Ok(progress)
    }

    /// Returns a machine whose disks can be brought back to the newest state. Errors: it is out, or stands at no point.
    pub fn may_go_forward(&self, name: &MachineName) -> Result<Arc<Machine>, TargetError> {
        let machine = self.in_service(name)?;
        let lifecycle = machine.shared.lock().lifecycle.clone();
        match lifecycle {
            Lifecycle::Rewound { .. } | Lifecycle::Rewinding { .. } => Ok(machine),
            other => Err(wrong_phase(name, &other, "rewinding or rewound")),
        }
    }

    /// Begins to bring the disks back to the newest state, so that replication goes on; `None` if it does already. Errors: the machine
    /// is out, or stands at no point.
    pub fn forward(&self, name: &MachineName) -> Result<Option<Arc<Progress>>, TargetError> {
        if self.in_service(name)?.shared.lock().lifecycle == Lifecycle::Protected {
            return Ok(None);
        }
        let machine = self.may_go_forward(name)?;
        let (to, progress) = (machine.shared.lock().durable, Arc::<Progress>::default());
        machine.shared.give(Work::Rewind {
            to,
            afterwards: Afterwards::Replicate,
            progress: progress.clone(),
        });
        Ok(Some(progress))
    }

    /// Begins to compute the root of each disk at a sequence; they come once the work has ended well. Errors: the machine is out.
    pub fn verify(
        &self,
        name: &MachineName,
        to: Sequence,
    ) -> Result<(Arc<Progress>, Receiver<Vec<Hash>>), TargetError> {
        let (machine, progress) = (self.in_service(name)?, Arc::<Progress>::default());
        let (told, roots) = channel();
        let then = Box::new(move |found: Result<_, ReplicaError>| {
            // Whoever asked may be gone.
            let _ = found.map(|roots| told.send(roots));
        });
        machine.shared.give(Work::Verify { to, progress: progress.clone(), then });
        Ok((progress, roots))
    }

    /// Returns a machine whose point can be accepted, or was. Errors: it is out, or stands at none.
    pub fn may_commit(&self, name: &MachineName) -> Result<Arc<Machine>, TargetError> {
        let machine = self.in_service(name)?;
        let lifecycle = machine.shared.lock().lifecycle.clone();
        match lifecycle {
            Lifecycle::Rewound { .. } => Ok(machine),
            other => Err(wrong_phase(name, &other, "rewound")),
        }
    }

    /// Accepts the point the disks stand at; durable on return. The generation is over. One that was accepted before stays so.
    pub fn commit(&self, name: &MachineName) -> Result<Arc<Machine>, TargetError> {
        let machine = self.in_service(name)?;
        if matches!(machine.shared.lock().lifecycle, Lifecycle::Committed { .. }) {
            return Ok(machine);
        }
        let machine = self.may_commit(name)?;
        self.ask(&machine, |then| Work::Commit { then })?;
        self.note_commit(&machine);
        Ok(machine)
    }

    /// Returns size and free space of the retention volume.
    pub fn usage(&self) -> Result<blockdev::VolumeUsage, TargetError> {
        Ok(blockdev::Volume::usage(&self.volume)?)
    }

    pub(crate) fn in_service(&self, name: &MachineName) -> Result<Arc<Machine>, TargetError> {
        let machine = self.machine(name)?;
        let failure = machine.shared.lock().failure.clone();
        match failure {
            Some((kind, why)) => Err(TargetError::Out { name: name.clone(), kind, why }),
            None => Ok(machine),
        }
    }

    pub(crate) fn ask<T: Send + 'static>(
        &self,
        machine: &Machine,
        work: impl FnOnce(crate::replica::Then<T>) -> Work,
    ) -> Result<T, TargetError> {
        let (sender, receiver) = channel();
        machine.shared.give(work(Box::new(move |result| {
            // Whoever asked may be gone.
            let _ = sender.send(result);
        })));
        let result = receiver.recv().map_err(|_| TargetError::Stopping)?;
        result.map_err(|source| TargetError::Replica { name: machine.name.clone(), source })
    }
}

/// Labels what has no other lasting name: a file is known by its place alone, and places change.
fn label(
    (mut disk, mut device): (HeadDisk, OpenDevice),
    machine: MachineId,
    index: usize,
) -> (HeadDisk, OpenDevice) {
    if device.give_label(&format!("{machine}-{index}")) {
        let identity = device.identity().expect("a labelled disk has an identity");
        disk.identity = identity.to_string();
    }
    (disk, device)
}

/// Finds the recovery point a name means, spoilt or not.
fn find_in(
    state: &State,
    name: &MachineName,
    point: PointName,
    floor: Consistency,
) -> Result<Found, TargetError> {
    let none = || TargetError::NoPoint { name: name.clone() };
    let (oldest, newest) = (state.base, state.durable);
    let found = match point {
        PointName::Latest => state.timeline.latest(floor).ok_or_else(none)?,
        PointName::Time(time) => {
            if floor == Consistency::Fuzzy
                && let Some(sequence) = state.moments.at(time).filter(|_| time <= now())
            {
                // Any second can be named, where an inconsistent one will do.
                return Ok(Found { sequence, point: state.timeline.get(sequence).cloned() });
            }
            let first = state.timeline.points().next().ok_or_else(none)?;
            let last = state.timeline.points().next_back().ok_or_else(none)?;
            let outside =
                TargetError::TimeOutside { name: name.clone(), time, oldest: first.time, newest: last.time };
            state.timeline.at(time, floor).filter(|_| time <= last.time.max(now())).ok_or(outside)?
        }
        PointName::Sequence(sequence) => {
            if sequence < oldest || sequence > newest || sequence == Sequence(0) {
                return Err(TargetError::SequenceOutside { name: name.clone(), sequence, oldest, newest });
            }
            if let Some(source) = state.thinned_at(sequence) {
                return Err(TargetError::Replica { name: name.clone(), source: source.into() });
            }
            let found = state.timeline.get(sequence).cloned();
            return check_consistency(name, sequence, found, floor);
        }
    };
    Ok(Found { sequence: found.sequence, point: Some(found.clone()) })
}

fn check_consistency(
    name: &MachineName,
    sequence: Sequence,
    point: Option<Point>,
    floor: Consistency,
) -> Result<Found, TargetError> {
    let why = match &point {
        None => "lies between two recovery points: some of a round is in it, some is not",
        Some(_) => "is a fuzzy recovery point: the disk was being written while it was scanned",
    };
    let consistency = point.as_ref().map_or(Consistency::Fuzzy, |point| point.consistency);
    if consistency < floor {
        return Err(TargetError::Inconsistent { name: name.clone(), sequence, why });
    }
    Ok(Found { sequence, point })
}

pub(crate) fn wrong_phase(name: &MachineName, lifecycle: &Lifecycle, needed: &'static str) -> TargetError {
    let phase = match lifecycle {
        Lifecycle::Registered => "registered",
        Lifecycle::Seeding { .. } => "seeding",
        Lifecycle::Protected => "protected",
        Lifecycle::Rewinding { .. } => "rewinding",
        Lifecycle::Rewound { .. } => "rewound",
        Lifecycle::Committed { .. } => "committed",
        Lifecycle::Original { .. } => "waiting for its source",
    };
    TargetError::Phase { name: name.clone(), phase, needed }
}
