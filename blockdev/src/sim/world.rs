//! The state behind every handle of one simulated world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use units::ByteLen;

use super::disk::{Change, Disk, mix};
use super::random::Random;
use super::{CrashChoice, Fault};
use crate::{Operation, Request};

/// The number of a disk or file in its world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DiskId(pub(super) u32);

/// What a disk is called; disks and files of the volume have names of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Disk(String),
    File(String),
}

/// A disk or file together with the count of its open handles.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) disk: Disk,
    pub(super) handles: Arc<()>,
    pub(super) is_file: bool,
    /// It was pulled out: nothing can be done with it until it is put back.
    pub(super) is_gone: bool,
}

/// An operation under way.
pub(super) struct Queued {
    pub(super) id: DiskId,
    pub(super) request: Request,
    /// How many changes of the disk were complete when this was submitted.
    pub(super) completed_before: u64,
    /// The fault that keeps it from ending with the others.
    pub(super) held: Option<Fault>,
}

impl Queued {
    /// Returns how long it is held up.
    pub(super) fn delay(&self) -> Duration {
        self.held.and_then(|fault| fault.delay()).unwrap_or_default()
    }
}

/// A change of a name or a size that a crash cut through: either it happened or it did not.
#[derive(Clone)]
pub(super) enum Undecided {
    Create { path: String, len: u64 },
    Remove { path: String },
    Grow { id: DiskId, len: u64 },
}

/// The state of one world.
///
/// *Invariant:* once `crashed` is set nothing changes any more, and nothing is under way.
pub(super) struct World {
    pub(super) random: Random,
    pub(super) alignment: u32,
    pub(super) stores: BTreeMap<DiskId, Store>,
    pub(super) names: BTreeMap<Name, DiskId>,
    pub(super) directories: BTreeSet<String>,
    pub(super) capacity: u64,
    pub(super) queues: BTreeMap<u32, Vec<Queued>>,
    pub(super) steps: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) crashed: Option<u64>,
    /// Writes that hang: each may be done at any moment.
    pub(super) late: Vec<(DiskId, Change)>,
    /// Time spent waiting for what is slow or hangs.
    pub(super) waited: Duration,
    /// The changes that were under way when the world stopped.
    pub(super) cut: Vec<(DiskId, Change)>,
    pub(super) undecided: Vec<Undecided>,
    /// Each with whether it strikes files of the volume only.
    pub(super) faults: Vec<(bool, Fault)>,
    next_id: u32,
}

impl World {
    pub(super) fn new(seed: u64, alignment: u32) -> Self {
        assert!(alignment == 512 || alignment == 4096, "sectors are 512 or 4096 bytes");
        Self {
            random: Random::new(seed),
            alignment,
            stores: BTreeMap::new(),
            names: BTreeMap::new(),
            directories: BTreeSet::new(),
            capacity: 1 << 40,
            queues: BTreeMap::new(),
            steps: 0,
            crash_at: None,
            crashed: None,
            late: Vec::new(),
            waited: Duration::ZERO,
            cut: Vec::new(),
            undecided: Vec::new(),
            faults: Vec::new(),
            next_id: 0,
        }
    }

    /// Returns a number nobody in this world has yet.
    pub(super) fn fresh_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn store(&self, id: DiskId) -> &Store {
        self.stores.get(&id).expect("a disk exists while a handle of it does")
    }

    pub(super) fn disk_mut(&mut self, id: DiskId) -> &mut Disk {
        &mut self.stores.get_mut(&id).expect("a disk exists while a handle of it does").disk
    }

    /// Adds a disk or file that reads as zero.
    pub(super) fn add(&mut self, name: Name, len: u64) -> DiskId {
        self.forget_unreachable();
        let id = DiskId(self.fresh_id());
        let is_file = matches!(name, Name::File(_));
        let taken = self.names.insert(name, id);
        assert!(taken.is_none(), "a name is given once");
        self.stores
            .insert(id, Store { disk: Disk::new(len), handles: Arc::new(()), is_file, is_gone: false });
        id
    }

    /// Drops the contents of files that were removed and are not open.
    fn forget_unreachable(&mut self) {
        if self.stores.len() > self.names.len() {
            let named: BTreeSet<DiskId> = self.names.values().copied().collect();
            self.stores.retain(|id, store| named.contains(id) || Arc::strong_count(&store.handles) > 1);
        }
    }

    /// Returns how many bytes the volume's files take.
    pub(super) fn used(&self) -> u64 {
        let files = self.names.iter().filter(|(name, _)| matches!(name, Name::File(_)));
        files.map(|(_, id)| self.store(*id).disk.len).sum()
    }

    /// Tells whether the next change still happens; if not, the world has just stopped.
    pub(super) fn step(&mut self) -> Result<(), u64> {
        self.alive()?;
        if self.crash_at.is_some_and(|at| self.steps + 1 >= at) {
            self.crash();
            return self.alive();
        }
        self.steps += 1;
        assert!(self.crash_at.is_none_or(|at| self.steps < at), "no step is taken at or after the crash");
        Ok(())
    }

    /// Says at which step the world stopped, if it did.
    pub(super) fn alive(&self) -> Result<(), u64> {
        self.crashed.map_or(Ok(()), Err)
    }

    fn crash(&mut self) {
        assert!(self.crashed.is_none(), "a world stops once");
        self.crashed = Some(self.steps + 1);
        self.cut = self.under_way();
        self.late.clear();
        self.queues.clear();
        assert!(self.alive().is_err(), "a crashed world stays so");
    }

    /// Lets a write that hangs be done after all, now and then.
    pub(super) fn end_late(&mut self) {
        const ONE_IN: usize = 6;
        if self.late.is_empty() || self.random.index(ONE_IN) > 0 {
            return;
        }
        let chosen = self.random.index(self.late.len());
        let (id, change) = self.late.swap_remove(chosen);
        if let Some(store) = self.stores.get_mut(&id).filter(|store| !store.is_gone) {
            store.disk.change(change);
        }
    }

    /// Returns the changes under way, in a seeded order: any of them may have reached its disk.
    fn under_way(&mut self) -> Vec<(DiskId, Change)> {
        let queued = self.queues.values().flatten();
        let mut changes = self.cut.clone();
        changes.extend(self.late.iter().cloned());
        changes.extend(queued.filter_map(|one| Some((one.id, change_of(&one.request.operation)?))));
        for last in (1..changes.len()).rev() {
            let other = self.random.index(last + 1);
            changes.swap(last, other);
        }
        changes
    }

    /// Returns a copy with the same contents, durable or not, in which nothing is under way.
    fn copy(&self, seed: u64) -> Self {
        let named: BTreeSet<DiskId> = self.names.values().copied().collect();
        let stores = self.stores.iter().filter(|(id, _)| named.contains(*id));
        let stores = stores
            .map(|(id, store)| (*id, Store { disk: store.disk.clone(), handles: Arc::new(()), ..*store }));
        Self {
            stores: stores.collect(),
            names: self.names.clone(),
            directories: self.directories.clone(),
            capacity: self.capacity,
            next_id: self.next_id,
            ..Self::new(seed, self.alignment)
        }
    }

    /// Returns the world as it is found after the machine lost power now.
    pub(super) fn after_crash(&mut self, choice: CrashChoice) -> Self {
        let seed = match choice {
            CrashChoice::Seeded(seed) => seed,
            CrashChoice::None | CrashChoice::All => 0,
        };
        let mut found = self.copy(seed);
        let mut random = Random::new(mix(seed, 1));
        for (id, change) in self.under_way() {
            if let Some(store) = found.stores.get_mut(&id) {
                store.disk.change(change);
            }
        }
        for store in found.stores.values_mut() {
            store.disk.crash(choice, &mut random);
        }
        self.decide(&mut found, choice, &mut random);
        assert!(found.steps == 0 && found.alive().is_ok(), "the world found is a fresh one");
        found
    }

    /// Returns the world as it is found after our process was killed now: what was complete is there, but not durable; what was
    /// under way, each wholly or not at all.
    pub(super) fn after_kill(&mut self) -> Self {
        let mut random = self.random.clone();
        let mut found = self.copy(random.next());
        for (id, change) in self.under_way() {
            if let Some(store) = found.stores.get_mut(&id).filter(|_| random.one_in(2)) {
                store.disk.change(change);
            }
        }
        let choice = CrashChoice::Seeded(0);
        self.decide(&mut found, choice, &mut random);
        found
    }

    /// Settles in `found` what the crash cut through.
    fn decide(&self, found: &mut Self, choice: CrashChoice, random: &mut Random) {
        for undecided in self.undecided.iter().cloned() {
            let happened = match choice {
                CrashChoice::All => true,
                CrashChoice::None => false,
                CrashChoice::Seeded(_) => random.one_in(2),
            };
            match undecided {
                Undecided::Create { path, len } if happened => found.create(path, len),
                Undecided::Remove { path } if happened => found.remove(&path),
                Undecided::Grow { id, len } if happened => {
                    if let Some(store) = found.stores.get_mut(&id) {
                        store.disk.len = len;
                    }
                }
                Undecided::Create { .. } | Undecided::Remove { .. } | Undecided::Grow { .. } => {}
            }
        }
    }

    /// Adds a file and its directories.
    pub(super) fn create(&mut self, path: String, len: u64) {
        assert!(!self.directories.contains(&path), "a file is not made in the place of a directory");
        let parents = path.match_indices('/').map(|(end, _)| path[..end].to_owned());
        self.directories.extend(parents);
        self.add(Name::File(path), len);
    }

    /// Removes a file or an empty directory.
    pub(super) fn remove(&mut self, path: &str) {
        assert!(!path.is_empty(), "the volume itself stays");
        self.names.remove(&Name::File(path.to_owned()));
        self.directories.remove(path);
        self.forget_unreachable();
    }

    /// Returns the number of bytes free on the volume.
    pub(super) fn free(&self) -> ByteLen {
        ByteLen(self.capacity.saturating_sub(self.used()))
    }
}

/// Returns what an operation puts on its disk. What was discarded reads as zero here.
pub(super) fn change_of(operation: &Operation) -> Option<Change> {
    match operation {
        Operation::Write { at, from } => Some(Change::bytes(at.0, from)),
        Operation::WriteZeroes { at, len } | Operation::Discard { at, len } => {
            Some(Change::zeroes(at.0, len.0))
        }
        Operation::Read { .. } | Operation::Flush => None,
    }
}
