//! A simulated world of disks and one volume, for trying crashes by the hundred thousand.
//!
//! Per sector of 512 bytes a disk has its durable content and the versions written since; reads see the newest. A crash
//! leaves any of them. Everything that changes the world is a numbered step, so that a crash can be tried inside each.
//! The same seed and the same calls give the same world.

mod disk;
mod engine;
mod hotplug;
mod perform;
mod random;
#[cfg(test)]
mod tests;
mod volume;
mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use units::{ByteLen, ByteOffset};

use self::{
    disk::{SECTOR, mix},
    world::{Name, World},
};
/// The handles a world gives.
pub use self::{
    engine::{SimDevice, SimEngine},
    volume::SimVolume,
};
use crate::OperationKind;

/// One world, shared by its handles.
type Shared = Arc<Mutex<World>>;

fn lock(world: &Shared) -> MutexGuard<'_, World> {
    // A test thread that panicked has failed already; what the world holds can still be looked at.
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(shared: &Shared, world: &World, name: &Name) -> Option<SimDevice> {
    let id = *world.names.get(name)?;
    let (Name::Disk(text) | Name::File(text)) = name;
    Some(SimDevice {
        world: Arc::clone(shared),
        id,
        name: text.as_str().into(),
        is_file: matches!(name, Name::File(_)),
        len: ByteLen(world.store(id).disk.len),
        failure: None,
        _handle: Arc::clone(&world.store(id).handles),
    })
}

/// What a crash leaves of the writes that were not yet flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashChoice {
    /// All of them, in the order of their completion.
    All,
    /// None of them.
    None,
    /// By this seed: mostly for each sector any version of it, sometimes whole writes kept and lost.
    Seeded(u64),
}

/// Something that goes wrong. Operations of a kind are counted from the moment the fault is planted, the next is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The `nth` operation of this kind on any disk fails with EIO. A write that fails may have been done in part; after a
    /// flush that failed nothing on that disk becomes durable any more, though later flushes report success.
    Fail {
        /// Which kind.
        kind: OperationKind,
        /// Which of them, from 1.
        nth: u64,
    },
    /// The `nth` operation of this kind does not end: when all others have, and [`DEADLINE`](crate::DEADLINE) has passed, the device is
    /// out, and its buffer is not given back. A write may be done all the same, at any later moment, or never.
    Hang {
        /// Which kind.
        kind: OperationKind,
        /// Which of them, from 1.
        nth: u64,
    },
    /// The `nth` operation of this kind ends so much later than those beside it, and well.
    Slow {
        /// Which kind.
        kind: OperationKind,
        /// Which of them, from 1.
        nth: u64,
        /// How long it takes; less than [`DEADLINE`](crate::DEADLINE).
        takes: Duration,
    },
    /// The `nth` write reports success and is not done.
    LoseWrite {
        /// Which write, from 1.
        nth: u64,
    },
    /// The `nth` write reports success and goes to another place of its disk.
    MisdirectWrite {
        /// Which write, from 1.
        nth: u64,
        /// Where it goes, a multiple of the sector; at most as far as it fits.
        to: ByteOffset,
    },
    /// From now on flushes report success and make nothing durable.
    IgnoreFlush,
}

impl Fault {
    /// Counts an operation of `kind`; tells whether this fault is due with it.
    fn counts_down(&mut self, kind: OperationKind) -> bool {
        let (affected, nth) = match self {
            Self::Fail { kind, nth } | Self::Hang { kind, nth } | Self::Slow { kind, nth, .. } => {
                (*kind, nth)
            }
            Self::LoseWrite { nth } | Self::MisdirectWrite { nth, .. } => (OperationKind::Write, nth),
            Self::IgnoreFlush => return false,
        };
        if affected != kind {
            return false;
        }
        assert!(*nth > 0, "operations are counted from 1");
        *nth -= 1;
        *nth == 0
    }

    /// Returns how long an operation it strikes takes, if it takes any time at all.
    fn delay(&self) -> Option<Duration> {
        match self {
            Self::Hang { .. } => Some(crate::DEADLINE),
            Self::Slow { takes, .. } => Some(*takes),
            _ => None,
        }
    }
}

/// A handle of a simulated world; clones are handles of the same world.
#[derive(Clone)]
pub struct SimWorld {
    shared: Shared,
}

impl SimWorld {
    /// Makes an empty world of 512-byte sectors. `seed` decides every choice in it.
    pub fn new(seed: u64) -> Self {
        Self::with_alignment(seed, 512)
    }

    /// Makes an empty world whose devices ask for `alignment`, 512 or 4096 (panics otherwise). Writes tear at 512 bytes in both.
    pub fn with_alignment(seed: u64, alignment: u32) -> Self {
        Self::of(World::new(seed, alignment))
    }

    fn of(world: World) -> Self {
        Self { shared: Arc::new(Mutex::new(world)) }
    }

    /// Returns an engine of this world for at most `depth` operations in flight. Panics if `depth` is 0.
    pub fn engine(&self, depth: usize) -> SimEngine {
        SimEngine::new(&self.shared, depth)
    }

    /// Returns the volume of this world.
    pub fn volume(&self) -> SimVolume {
        SimVolume { world: Arc::clone(&self.shared) }
    }

    /// Adds a disk of `len` bytes that reads as zero, and opens it. Panics if the name is taken or `len` is not in sectors.
    pub fn add_disk(&self, name: &str, len: ByteLen) -> SimDevice {
        lock(&self.shared).add(Name::Disk(name.to_owned()), len.0);
        self.open_disk(name)
    }

    /// Opens a disk once more. Panics if there is none of this name: a mistake in the test.
    pub fn open_disk(&self, name: &str) -> SimDevice {
        let world = lock(&self.shared);
        open(&self.shared, &world, &Name::Disk(name.to_owned())).expect("the world has a disk of this name")
    }

    /// Sets how many bytes the files of the volume may take together.
    pub fn set_capacity(&self, capacity: ByteLen) {
        lock(&self.shared).capacity = capacity.0;
    }

    /// Returns the newest contents of a disk, or of a file by its path. Panics if there is neither.
    pub fn contents(&self, name: &str) -> Vec<u8> {
        let world = lock(&self.shared);
        let disk = &world.store(find(&world, name)).disk;
        let mut bytes = vec![0; ByteLen(disk.len).as_usize()];
        disk.read(0, &mut bytes);
        bytes
    }

    /// Returns how many changes the world has seen.
    pub fn steps(&self) -> u64 {
        lock(&self.shared).steps
    }

    /// Makes the world stop inside its `step`-th change, counted from 1 (inside the next one if that is past): it may have
    /// happened or not, and every call from then on fails.
    pub fn crash_at(&self, step: u64) {
        assert!(step > 0, "steps are counted from 1");
        lock(&self.shared).crash_at = Some(step);
    }

    /// Tells whether the world has stopped.
    pub fn has_crashed(&self) -> bool {
        lock(&self.shared).crashed.is_some()
    }

    /// Returns the world as it is found after power was lost now, or when it stopped. This one stays as it is, so that many
    /// choices can be tried; the new one has counted no steps and has no faults.
    pub fn after_crash(&self, choice: CrashChoice) -> Self {
        Self::of(lock(&self.shared).after_crash(choice))
    }

    /// Returns the world as it is found after the process was killed now, or when it stopped: what was complete can be read, but
    /// is still not durable. What was under way happened wholly or not at all.
    pub fn after_kill(&self) -> Self {
        Self::of(lock(&self.shared).after_kill())
    }

    /// Plants a fault.
    pub fn plant(&self, fault: Fault) {
        self.plant_where(false, fault);
    }

    /// Plants a fault that strikes files of the volume only, and counts operations on these.
    pub fn plant_on_files(&self, fault: Fault) {
        self.plant_where(true, fault);
    }

    fn plant_where(&self, files_only: bool, fault: Fault) {
        assert!(!self.has_crashed(), "nothing goes wrong in a world that has stopped");
        if let Fault::Slow { takes, .. } = fault {
            assert!(takes < crate::DEADLINE, "what is slow ends before its deadline");
        }
        lock(&self.shared).faults.push((files_only, fault));
    }

    /// Returns the time that was spent waiting for slow devices since this was asked last.
    pub fn take_waited(&self) -> Duration {
        std::mem::take(&mut lock(&self.shared).waited)
    }

    /// Tells whether a planted fault has yet to strike.
    pub fn has_faults(&self) -> bool {
        !lock(&self.shared).faults.is_empty()
    }

    /// Flips one bit (0 to 7) of the byte at `at` of a disk or file, durably. Panics if there is no such bit.
    pub fn flip_bit(&self, name: &str, at: ByteOffset, bit: u8) {
        let mut world = lock(&self.shared);
        let id = find(&world, name);
        world.disk_mut(id).flip(at.0, bit);
    }

    /// Returns a hash of all names and newest contents: worlds that differ in a byte have, but for chance, different ones.
    pub fn fingerprint(&self) -> u64 {
        let world = lock(&self.shared);
        world.names.iter().fold(SECTOR, |hash, (name, id)| {
            let (kind, text) = match name {
                Name::Disk(text) => (1, text),
                Name::File(text) => (2, text),
            };
            let named = text.bytes().fold(mix(hash, kind), |hash, byte| mix(hash, u64::from(byte)));
            mix(named, world.store(*id).disk.fingerprint())
        })
    }
}

fn find(world: &World, name: &str) -> world::DiskId {
    let disk = world.names.get(&Name::Disk(name.to_owned()));
    let file = || world.names.get(&Name::File(name.to_owned()));
    *disk.or_else(file).expect("the world has a disk or file of this name")
}
