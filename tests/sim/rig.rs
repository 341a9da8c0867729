//! One target with its machines in a simulated world, driven by hand: what the threads of `landfalld` do, one
//! step at a time, and both halves inside one another where that is asked for.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use blockdev::{Access, DeviceError, Expect, FilePolicy, PagePool, SimDevice, SimWorld};
use retention::{Head, HeadDisk, Lifecycle};
use target::replica::{
    Appender, Applier, Bell, Replica, ReplicaLimits, ResidentBudget, Setup, Shared, Unrecovered,
};
use units::{ByteLen, Generation, MachineId, Timestamp};

use super::material::Material;
use super::oracle::{Oracle, Stance};
use super::random::fold;
use super::seen::{Sights, sight_of};
use super::views::Views;
use super::witness::{Cuts, WitnessEngine, WitnessVolume};

/// The world stopped: nothing more can be done in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crashed;

/// What a rig is made of.
#[derive(Clone)]
pub(crate) struct Shape {
    /// For each machine the size of each protected disk.
    pub machines: Vec<Vec<u64>>,
    /// Bytes of each device behind the protected disk, which must never change.
    pub guard: u64,
    pub limits: ReplicaLimits,
    /// Memory that durable payloads may keep.
    pub resident: ByteLen,
    pub capacity: Option<ByteLen>,
    pub depth: usize,
    /// Bytes of redo that one item takes, at the most.
    pub record_len_max: u64,
    /// Views are opened right after a recovery.
    pub views: bool,
    /// The clock is set now and then: nothing is known of when something was.
    pub clock_is_set: bool,
    /// A mistake: a target disk that is not there is made.
    pub creates_disks: bool,
    /// A mistake: what hangs is opened anew and gone on with at once, as if the operation had failed and were over.
    pub retries_hangs: bool,
}

thread_local! {
    /// Buffers are lent and given back: one pool serves every rig of a thread.
    pub(crate) static POOL: PagePool = PagePool::new(8, 256 << 10);
}

/// The committing half of all machines, with its engine.
pub(crate) struct CommitHalf {
    pub engine: WitnessEngine,
    pub appenders: Vec<Appender>,
}

/// The applying half of all machines, with its engine.
pub(crate) struct ApplyHalf {
    pub engine: WitnessEngine,
    pub appliers: Vec<Option<Applier<WitnessVolume>>>,
}

/// See the module.
pub(crate) struct Rig {
    pub world: SimWorld,
    pub shape: Shape,
    pub commit: Rc<RefCell<CommitHalf>>,
    pub apply: Rc<RefCell<ApplyHalf>>,
    pub shared: Vec<Arc<Shared>>,
    pub oracles: Vec<Oracle>,
    pub material: Material,
    pub sights: Sights,
    pub now: Timestamp,
    /// How far the wall clock is ahead of it, in microseconds: it may have been set.
    pub wall_ahead: i64,
    /// Distinct worlds that were found after a crash.
    pub images: HashSet<u64>,
    /// Changes with everything that happens.
    pub trace: u64,
    /// A machine may fail: a fault was planted.
    pub may_fail: bool,
    /// The views that are open.
    pub views: Views,
    /// The next rewind is asked for while a group is being committed.
    pub weaves_next: bool,
    /// Changes the worlds before this one have seen, and the change to stop inside, counted over all of them.
    pub past: u64,
    pub cut_at: Option<u64>,
    cuts: Cuts,
    pub volume: WitnessVolume,
    pub woven: Rc<Cell<u64>>,
}

pub(crate) fn machine_id(machine: usize) -> MachineId {
    MachineId([machine as u8 + 1; 16])
}

pub(crate) fn disk_name(machine: usize, disk: usize) -> String {
    format!("disk-{machine}-{disk}")
}

/// Opens a target disk that was assigned before, as `landfalld` does: by what it is, and never making one.
pub(crate) fn open_target(
    world: &SimWorld,
    disk: &HeadDisk,
    creates: bool,
) -> Result<SimDevice, DeviceError> {
    if creates && world.identity(&disk.path).is_none() {
        return Ok(world.add_disk(&disk.path, disk.device_len));
    }
    let identity = Some(disk.identity.parse().expect("a head says what its disks are"));
    let (files, access) = (FilePolicy::Refuse, Access::Exclusive);
    world.open_expected(&disk.path, &Expect { identity, len_min: disk.device_len, files, access })
}

/// What lies behind each protected disk.
pub(crate) const GUARD: u8 = 0xa5;

impl Rig {
    /// Makes a world with blank disks and registers the machines.
    pub(crate) fn create(seed: u64, shape: &Shape) -> Result<Self, Crashed> {
        let world = SimWorld::new(seed);
        for (machine, lens) in shape.machines.iter().enumerate() {
            for (disk, len) in lens.iter().enumerate() {
                super::raw::make_disk(&world, &disk_name(machine, disk), *len, shape.guard);
            }
        }
        let oracles = shape.machines.iter().map(|lens| Oracle::new(lens)).collect();
        let mut rig = Self::empty(world, shape, oracles, seed, Timestamp(1_000_000));
        for machine in 0..shape.machines.len() {
            let setup = rig.setup();
            let (head, disks) = (rig.first_head(machine), rig.open_disks(machine));
            let replica = Replica::create(&mut rig.apply.borrow_mut().engine, setup, head, disks);
            rig.add(replica.map_err(|_| Crashed)?);
        }
        Ok(rig)
    }

    /// Recovers every machine in a world that was found after a crash or kill. Errors: the world stopped again, or a machine
    /// can't be had.
    pub(crate) fn recover(
        world: SimWorld,
        shape: &Shape,
        oracles: &[Oracle],
        seed: u64,
        now: Timestamp,
    ) -> Result<Self, Box<(Self, Option<Unrecovered>)>> {
        let mut rig = Self::empty(world, shape, oracles.to_vec(), seed, now);
        for machine in 0..shape.machines.len() {
            let setup = rig.setup();
            let world = rig.world.clone();
            let open = |disk: &HeadDisk| open_target(&world, disk, shape.creates_disks);
            let replica =
                Replica::recover(&mut rig.apply.borrow_mut().engine, setup, machine_id(machine), open);
            match replica {
                Ok(replica) => rig.add(replica),
                Err(unrecovered) => {
                    let crashed = rig.world.has_crashed();
                    return Err(Box::new((rig, (!crashed).then_some(unrecovered))));
                }
            }
        }
        Ok(rig)
    }

    fn empty(world: SimWorld, shape: &Shape, oracles: Vec<Oracle>, seed: u64, now: Timestamp) -> Self {
        if let Some(capacity) = shape.capacity {
            world.set_capacity(capacity);
        }
        let cuts = Cuts::default();
        let engine = |depth| WitnessEngine::new(world.engine(depth), cuts.clone());
        let commit = CommitHalf { engine: engine(shape.depth), appenders: Vec::new() };
        let apply = ApplyHalf { engine: engine(shape.depth), appliers: Vec::new() };
        let volume = WitnessVolume::new(world.volume(), cuts.clone());
        Self {
            shape: shape.clone(),
            commit: Rc::new(RefCell::new(commit)),
            apply: Rc::new(RefCell::new(apply)),
            shared: Vec::new(),
            oracles,
            material: Material::new(seed),
            sights: Sights::default(),
            now,
            wall_ahead: 0,
            images: HashSet::new(),
            trace: seed,
            may_fail: false,
            views: Views::default(),
            weaves_next: false,
            past: 0,
            cut_at: None,
            cuts,
            volume,
            woven: Rc::default(),
            world,
        }
    }

    pub(crate) fn setup(&self) -> Setup<WitnessVolume> {
        Setup {
            volume: self.volume.clone(),
            limits: self.shape.limits,
            pool: POOL.with(Clone::clone),
            budget: ResidentBudget::new(self.shape.resident),
            committer: Bell::default(),
            worker: Bell::default(),
        }
    }

    pub(crate) fn first_head(&self, machine: usize) -> Head {
        let disk = |(disk, len): (usize, &u64)| HeadDisk {
            path: disk_name(machine, disk),
            identity: self.world.identity(&disk_name(machine, disk)).expect("the disk is there").to_string(),
            file: false,
            device_len: ByteLen(len + self.shape.guard),
            len: ByteLen::ZERO,
        };
        let name = format!("machine-{machine}").parse().unwrap();
        let disks = self.shape.machines[machine].iter().enumerate().map(disk).collect();
        Head::new(machine_id(machine), name, Generation(1), disks)
    }

    pub(crate) fn open_disks(&self, machine: usize) -> Vec<SimDevice> {
        let disks = 0..self.shape.machines[machine].len();
        disks.map(|disk| self.world.open_disk(&disk_name(machine, disk))).collect()
    }

    /// Lets go of a machine's devices and recovers it in the same world.
    pub(crate) fn open_anew(&mut self, machine: usize) -> Result<(), Crashed> {
        self.views.close_of(machine);
        let setup = self.setup();
        let (world, creates) = (self.world.clone(), self.shape.creates_disks);
        let open = |disk: &HeadDisk| open_target(&world, disk, creates);
        let (mut apply, mut commit) = (self.apply.borrow_mut(), self.commit.borrow_mut());
        let (apply, commit) = (&mut *apply, &mut *commit);
        if let Some(applier) = apply.appliers[machine].take() {
            applier.close(&mut apply.engine);
        }
        commit.appenders[machine].close(&mut commit.engine);
        let replica =
            Replica::recover(&mut apply.engine, setup, machine_id(machine), open).map_err(|_| Crashed)?;
        self.shared[machine] = replica.applier.shared().clone();
        commit.appenders[machine] = replica.appender;
        apply.appliers[machine] = Some(replica.applier);
        Ok(())
    }

    fn add(&mut self, replica: Replica<WitnessVolume>) {
        self.shared.push(replica.applier.shared().clone());
        self.commit.borrow_mut().appenders.push(replica.appender);
        self.apply.borrow_mut().appliers.push(Some(replica.applier));
    }

    /// Returns a rig without machines that knows what this one knew, to go on in another world.
    pub(crate) fn in_the_same_world(&self) -> Self {
        let seed = self.trace ^ self.steps();
        let mut rig = Self::empty(self.world.clone(), &self.shape, self.oracles.clone(), seed, self.now);
        rig.past = self.past;
        rig
    }

    /// Ends with [`Crashed`] if the world has stopped, and notes what that cut through.
    pub(crate) fn alive(&mut self) -> Result<(), Crashed> {
        if !self.world.has_crashed() {
            return Ok(());
        }
        let acts = std::mem::take(&mut *self.cuts.borrow_mut());
        for machine in 0..self.shared.len() {
            let lifecycle = self.lifecycle(machine);
            let rewinding = matches!(self.oracles[machine].wanted, Some(Stance::At(_) | Stance::Following));
            let seeding = matches!(lifecycle, Lifecycle::Seeding { .. });
            let rewinding = rewinding || matches!(lifecycle, Lifecycle::Rewinding { .. });
            let sights = acts.iter().filter_map(|(act, part)| sight_of(*act, *part, seeding, rewinding));
            sights.for_each(|sight| self.sights.add(sight));
        }
        Err(Crashed)
    }

    /// Tells whether history may have to go for want of room.
    pub(crate) fn is_tight(&self) -> bool {
        let limits = self.shape.limits.retention.budget < ByteLen::gib(1);
        self.shape.capacity.is_some() || limits || self.oracles.iter().any(|oracle| oracle.wishes.is_tight)
    }

    pub(crate) fn lifecycle(&self, machine: usize) -> Lifecycle {
        self.shared[machine].lock().lifecycle.clone()
    }

    /// Folds what happened into the trace.
    pub(crate) fn note(&mut self, what: u64) {
        self.trace = fold(self.trace, what);
    }

    /// Folds the world as it is into the trace.
    pub(crate) fn note_world(&mut self) {
        let (fingerprint, steps) = (self.world.fingerprint(), self.world.steps());
        self.note(fingerprint);
        self.note(steps);
    }

    /// Returns what the wall clock says.
    pub(crate) fn wall(&self) -> Timestamp {
        Timestamp(self.now.0.saturating_add_signed(self.wall_ahead))
    }

    /// Returns how many changes this rig has seen.
    pub(crate) fn steps(&self) -> u64 {
        self.past + self.world.steps()
    }

    /// Makes the world stop inside the `step`-th change of this rig.
    pub(crate) fn cut(&mut self, step: u64) {
        self.cut_at = Some(step);
        self.world.crash_at(step - self.past);
    }

    pub(crate) fn quiet(&mut self, time: Duration) {
        self.now.0 += time.as_micros() as u64;
    }
}
