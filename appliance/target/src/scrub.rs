//! The thread that scrubs: one machine after the other, at its own pace, on an engine of its own.
//!
//! 1. The pass reads journal and disks (`replica::scrub`).
//! 2. What it found is noted in the head, durable: from here on the points it spoils are refused.
//! 3. The source is asked for what is in doubt on the target disks.
//! 4. The scrub record says that the pass is done, durable.
//!
//! After each epoch and each page of leaf hashes steps 2 and 3 are taken for what was found so far, and then the record says how far
//! the pass is, durable: one that is cut by a stop, a kill or a pause goes on there.
//!
//! Between passes, damage of target disks ends with the first consistent point behind the source's answer, and what has left
//! the history is forgotten.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use blockdev::{Access, DirVolume, HostEngine, OpenDevice, PagePool};
use retention::{Damage, DamagedPlace, LeafTable, Lifecycle, Point, ScrubAt, ScrubPass, ScrubRecord};
use units::{ByteOffset, DiskIndex, EpochNumber, Sequence, Timestamp};
use wire::Consistency;

use crate::clock::now;
use crate::machine::{Machine, lock};
use crate::node::{MasterTarget, open_disk};
use crate::replica::{
    Bench, DiskPass, Findings, Paced, Progressed, ReplicaError, ScrubPace, SlotFile, ViewReader, Work,
    add_damage, ask, chain, is_same_damage,
};

/// Operations the engine of a pass keeps in flight.
const QUEUE_DEPTH: usize = 8;
/// Buffers of 256 KiB of a pass.
const BUFFERS: usize = 16;
/// How often it is looked whether something is to be done.
const TICK: Duration = Duration::from_millis(250);
/// A machine that was never scrubbed is left in peace this long after the start.
const FIRST_AFTER: Duration = Duration::from_secs(600);
/// A pass that failed is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// When a machine is scrubbed, and how it went.
#[derive(Debug, Default)]
pub struct Scrub {
    /// How fast, and how far it is.
    pub pace: ScrubPace,
    /// What is remembered over restarts; none before the first look.
    pub record: Mutex<Option<ScrubRecord>>,
    /// Why the last pass did not come to its end.
    pub problem: Mutex<Option<String>>,
    /// A pass is under way.
    pub running: AtomicBool,
    /// An operator wants one now.
    wanted: AtomicBool,
    /// When the pass under way began, or none may begin before.
    since: Mutex<Option<Instant>>,
    /// Ranges of target disks the source was asked for.
    asked: Mutex<BTreeSet<(u16, u64)>>,
}

/// What an operator wants of scrubbing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubWish {
    /// A pass now.
    pub now: bool,
    /// Another rate, in bytes a second.
    pub rate: Option<u64>,
    /// Wait, or go on.
    pub paused: Option<bool>,
}

impl Scrub {
    /// Returns how long the pass under way has been going on.
    pub fn elapsed(&self) -> Option<Duration> {
        let running = self.running.load(Ordering::Relaxed);
        lock(&self.since).filter(|_| running).map(|since| since.elapsed())
    }

    /// Ends the pass under way and waits until it has ended.
    pub(crate) fn stop(&self) {
        self.pace.stop.store(true, Ordering::Relaxed);
        while self.running.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Starts the thread; it ends with its server.
pub(crate) fn start(node: &Arc<MasterTarget>) -> std::io::Result<()> {
    let node = Arc::downgrade(node);
    let thread = std::thread::Builder::new().name("scrub".to_owned());
    thread.spawn(move || serve(&node)).map(drop)
}

fn serve(node: &Weak<MasterTarget>) {
    let begun = Instant::now();
    loop {
        std::thread::sleep(TICK);
        let Some(node) = node.upgrade() else { return };
        for machine in node.machines() {
            if machine.shared.lock().failure.is_some() {
                continue;
            }
            tend(&machine);
            if is_due(&node, &machine, begun) {
                scrub(&node, &machine);
            }
        }
    }
}

impl MasterTarget {
    /// Does what an operator wants of scrubbing; a pause is durable on return.
    pub fn scrub(&self, machine: &Machine, wish: ScrubWish) -> Result<(), ReplicaError> {
        if let Some(rate) = wish.rate {
            machine.scrub.pace.rate.store(rate, Ordering::Relaxed);
        }
        if let Some(paused) = wish.paused {
            if paused {
                machine.scrub.stop();
            }
            let mut bench = Workplace::new(self)?;
            let mut file = bench.record(machine)?;
            file.update(&mut bench.engine, |record| record.paused = paused)?;
            *lock(&machine.scrub.record) = Some(file.record().clone());
            if !paused {
                // What was cut goes on at once.
                *lock(&machine.scrub.since) = None;
            }
        }
        machine.scrub.wanted.fetch_or(wish.now, Ordering::Relaxed);
        Ok(())
    }
}

/// What the thread works with.
struct Workplace {
    engine: HostEngine,
    pool: PagePool,
    volume: DirVolume,
}

impl Workplace {
    fn new(node: &MasterTarget) -> Result<Self, ReplicaError> {
        let engine = node.config.engine_setting().open(QUEUE_DEPTH)?;
        Ok(Self { engine, pool: PagePool::new(BUFFERS, 256 << 10), volume: node.volume.clone() })
    }

    fn bench<'b>(
        &'b mut self,
        machine: &'b Machine,
        pace: &'b Paced<'b>,
        now: Timestamp,
    ) -> Bench<'b, HostEngine, DirVolume> {
        let (engine, volume, pool) = (&mut self.engine, &self.volume, &self.pool);
        Bench { engine, volume, pool, machine: machine.id, shared: &machine.shared, pace, now }
    }

    /// Opens a machine's record, or begins one. A record without a whole copy is begun anew: it says nothing that can't be found out.
    fn record(&mut self, machine: &Machine) -> Result<SlotFile<ScrubRecord>, ReplicaError> {
        let path = crate::replica::scrub_path(machine.id);
        let of_machine = |record: ScrubRecord| {
            let (found, expected) = (record.machine.to_string(), machine.id.to_string());
            let other = retention::DecodeError::Misplaced { what: "machine", found, expected };
            if record.machine == machine.id { Ok(record) } else { Err(other) }
        };
        match SlotFile::open(&mut self.engine, &self.pool, &self.volume, &path, of_machine) {
            Err(ReplicaError::Volume(blockdev::VolumeError::Missing { .. })) => {}
            Err(ReplicaError::Damaged { .. }) => blockdev::Volume::remove(&self.volume, &path)?,
            other => return other,
        }
        let (revision, begun, last, leaves, paused, at) = (0, None, None, None, false, None);
        let record = ScrubRecord { revision, machine: machine.id, begun, last, leaves, paused, at };
        SlotFile::create(&mut self.engine, &self.volume, &path, record)
    }
}

fn is_due(node: &MasterTarget, machine: &Machine, begun: Instant) -> bool {
    let scrub = &machine.scrub;
    if lock(&scrub.record).is_none() {
        let looked = Workplace::new(node).and_then(|mut bench| Ok(bench.record(machine)?.record().clone()));
        match looked {
            Ok(record) => *lock(&scrub.record) = Some(record),
            Err(error) => *lock(&scrub.problem) = Some(chain(&error)),
        }
    }
    let Some(record) = lock(&scrub.record).clone() else { return false };
    if machine.shared.lock().lifecycle != Lifecycle::Protected || record.paused {
        return false;
    }
    if scrub.wanted.load(Ordering::Relaxed) {
        return true;
    }
    let rested = lock(&scrub.since).is_none_or(|since| since.elapsed() >= AGAIN_AFTER);
    if record.begun.is_some() {
        // It was cut, and goes on.
        return rested;
    }
    let age = record.last.map(|last| now().since(last.until));
    rested && age.map_or(begun.elapsed() >= FIRST_AFTER, |age| age >= node.config.scrub_every)
}

/// Does a whole pass; what goes wrong is shown and tried again later.
fn scrub(node: &Arc<MasterTarget>, machine: &Arc<Machine>) {
    let scrub = &machine.scrub;
    scrub.wanted.store(false, Ordering::Relaxed);
    *lock(&scrub.since) = Some(Instant::now());
    scrub.running.store(true, Ordering::SeqCst);
    let result = pass(node, machine);
    scrub.running.store(false, Ordering::SeqCst);
    scrub.pace.stop.store(false, Ordering::SeqCst);
    *lock(&scrub.problem) = result.err().map(|error| {
        let error = chain(&error);
        tracing::warn!(machine = %machine.name, error, "a scrub did not come to its end");
        error
    });
}

fn pass(node: &Arc<MasterTarget>, machine: &Arc<Machine>) -> Result<(), ReplicaError> {
    let mut place = Workplace::new(node)?;
    let mut file = place.record(machine)?;
    let generation = machine.shared.lock().generation;
    let cut = file.record().at.filter(|at| at.generation == generation);
    let (begun, at) = match file.record().begun.zip(cut) {
        Some(cut) => cut,
        None => {
            let (started, epoch) = (now(), EpochNumber(0));
            let begun = ScrubPass { started, until: started, ..ScrubPass::default() };
            (begun, ScrubAt { generation, epoch, table: None, pages: 0 })
        }
    };
    let is_whole = at.epoch == EpochNumber(0);
    if !is_whole {
        tracing::info!(machine = %machine.name, epoch = %at.epoch, pages = at.pages, "a scrub that was cut goes on");
    }
    machine.scrub.pace.done.store(begun.done, Ordering::Relaxed);
    machine.scrub.pace.before.store(begun.done, Ordering::Relaxed);
    machine.scrub.pace.total.store(begun.done, Ordering::Relaxed);
    file.update(&mut place.engine, |record| (record.begun, record.at) = (Some(begun), Some(at)))?;
    *lock(&machine.scrub.record) = Some(file.record().clone());
    let record = file.record().clone();
    let mut marking = Marking { machine, file, all: Vec::new(), count: begun.found };
    let paced = Paced::new(&machine.scrub.pace);
    let mut found = Findings::default();
    let mut mark =
        |engine: &mut HostEngine, found: &mut Findings, progressed| marking.mark(engine, found, progressed);
    place.bench(machine, &paced, begun.started).scrub_journal(at.epoch, &mut found, &mut mark)?;
    let disks = if found.blind { None } else { disk_pass(node, machine, &place, &record, at)? };
    let leaves = match disks {
        Some(disks) => {
            place.bench(machine, &paced, begun.started).scrub_disks(disks, &mut found, &mut mark)?
        }
        None => record.leaves,
    };
    marking.note(&mut found)?;
    marking.end(&mut place.engine, leaves, found.proved, is_whole)
}

/// Notes what a pass finds, and how far it is.
struct Marking<'m> {
    machine: &'m Arc<Machine>,
    file: SlotFile<ScrubRecord>,
    /// All damage of this part of the pass.
    all: Vec<Damage>,
    /// What the pass has found, in all parts: damaged places, and indexes that were made again.
    count: u32,
}

impl Marking<'_> {
    /// 1. What was found is noted, durable, and asked for. 2. How far the pass is, durable.
    fn mark(
        &mut self,
        engine: &mut HostEngine,
        found: &mut Findings,
        progressed: Progressed,
    ) -> Result<(), ReplicaError> {
        self.note(found)?;
        let done = self.machine.scrub.pace.done.load(Ordering::Relaxed);
        self.file.update(engine, |record| {
            if let Some((begun, at)) = record.begun.as_mut().zip(record.at.as_mut()) {
                (begun.until, begun.done, begun.found) = (now(), done, self.count);
                match progressed {
                    Progressed::Journal(epoch) => at.epoch = epoch,
                    Progressed::Disks(table, pages) => (at.table, at.pages) = (Some(table), pages),
                }
            }
        })?;
        *lock(&self.machine.scrub.record) = Some(self.file.record().clone());
        Ok(())
    }

    /// Notes what was found, durable on return, and asks the source for what is in doubt.
    fn note(&mut self, found: &mut Findings) -> Result<(), ReplicaError> {
        let (damage, resend) = (std::mem::take(&mut found.damage), std::mem::take(&mut found.resend));
        let more = damage.len() + std::mem::take(&mut found.mended) as usize;
        self.count = self.count.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        if !damage.is_empty() {
            report(self.machine, &damage);
            self.all.extend_from_slice(&damage);
            let change = Box::new(move |known: &mut Vec<Damage>| {
                damage.into_iter().for_each(|damage| add_damage(known, damage));
            });
            ask(&self.machine.shared, |then| Work::NoteDamage { change, then })?;
        }
        if !resend.is_empty() {
            lock(&self.machine.scrub.asked).extend(resend.iter().map(|span| (span.disk.0, span.start.0)));
            self.machine.shared.request_resend(&resend);
        }
        Ok(())
    }

    /// Ends the pass. What a whole one has not found again of the journal's damage was a reading that went wrong.
    fn end(
        mut self,
        engine: &mut HostEngine,
        leaves: Option<LeafTable>,
        proved: bool,
        is_whole: bool,
    ) -> Result<(), ReplicaError> {
        let (machine, all) = (self.machine, std::mem::take(&mut self.all));
        let change = Box::new(move |known: &mut Vec<Damage>| {
            let stays = |each: &Damage| {
                each.place == DamagedPlace::Target || all.iter().any(|other| is_same_damage(each, other))
            };
            known.retain(|each| !is_whole || stays(each));
        });
        ask(&machine.shared, |then| Work::NoteDamage { change, then })?;
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (done, total) = (load(&machine.scrub.pace.done), load(&machine.scrub.pace.total));
        let begun = self.file.record().begun.unwrap_or_default();
        let last = ScrubPass { until: now(), done, total, found: self.count, proved, ..begun };
        self.file.update(engine, |record| {
            (record.begun, record.at, record.last, record.leaves) = (None, None, Some(last), leaves);
        })?;
        *lock(&machine.scrub.record) = Some(self.file.record().clone());
        tracing::info!(machine = %machine.name, done, found = last.found, proved, "scrub finished");
        Ok(())
    }
}

/// Opens what the disks are read through; `None` while there is no point to compare them with.
fn disk_pass(
    node: &Arc<MasterTarget>,
    machine: &Machine,
    place: &Workplace,
    record: &ScrubRecord,
    at: ScrubAt,
) -> Result<Option<DiskPass<HostEngine, DirVolume>>, ReplicaError> {
    let (point, begun, lens, base, generation) = {
        let state = machine.shared.lock();
        let begun = at.table.and_then(|table| state.timeline.get(table.sequence).cloned());
        (newest(&state), begun, state.lens.clone(), state.base, state.generation)
    };
    // A table that was begun is of a point: that is gone on with, while it can be had.
    let pages = if begun.is_some() { at.pages } else { 0 };
    let Some(point) = begun.or(point) else { return Ok(None) };
    let open = |sequence: Sequence| -> Result<_, ReplicaError> {
        let view = ask(&machine.shared, |then| Work::View { to: sequence, then })?;
        let engine = node.config.engine_setting().open(QUEUE_DEPTH)?;
        let disks = machine.disks.iter().map(|disk| open_disk(disk, Access::ReadOnly));
        let disks = disks.collect::<Result<Vec<OpenDevice>, _>>()?;
        ViewReader::new(view, engine, place.volume.clone(), PagePool::new(BUFFERS, 256 << 10), disks)
    };
    let usable = |table: &LeafTable| table.generation == generation && table.sequence >= base;
    let then = match record.leaves.filter(usable) {
        Some(table) => Some((table, open(table.sequence)?)),
        None => None,
    };
    // It was begun beside the table of then: without that it would be written over.
    let beside =
        at.table.is_none_or(|begun| then.as_ref().map_or(0, |(table, _)| 1 - table.file) == begun.file);
    let pages = if beside { pages } else { 0 };
    Ok(Some(DiskPass { then, now: open(point.sequence)?, point, lens, generation, pages }))
}

/// Returns the newest point that has roots, or else the newest.
fn newest(state: &crate::replica::State) -> Option<Point> {
    let points = || state.timeline.points().rev();
    points().find(|point| !point.roots.is_empty()).or_else(|| points().next()).cloned()
}

fn report(machine: &Machine, damage: &[Damage]) {
    for each in damage {
        let (disk, start, len, place) = (each.disk, each.start, each.len, each.place);
        let last = each.last.map(|last| last.0);
        tracing::error!(machine = %machine.name, %disk, %start, %len, ?place, first = each.first.0, last, "damage");
    }
}

/// Ends damage that the source has repaired, asks for what it was not asked for yet, and forgets what has left the history.
fn tend(machine: &Machine) {
    let (open, pending, vouched, lens, left) = {
        let state = machine.shared.lock();
        if state.damage.is_empty() {
            return;
        }
        let open: Vec<Damage> = state.damage.iter().filter(|damage| is_open(damage)).cloned().collect();
        let pending: Vec<wire::Span> = state.resends.pending().copied().collect();
        let vouched = state.timeline.latest(Consistency::Crash).map(|point| point.sequence);
        (open, pending, vouched, state.lens.clone(), state.damage_has_left())
    };
    let asked = lock(&machine.scrub.asked).clone();
    let key = |damage: &Damage| (damage.disk.0, damage.start.0);
    let waits = |damage: &Damage| pending.iter().any(|span| overlaps(span, damage));
    let inside = |damage: &&Damage| {
        lens.get(usize::from(damage.disk.0)).is_some_and(|len| damage.start.0 + damage.len.0 <= len.0)
    };
    let unasked: Vec<_> = open.iter().filter(|damage| !asked.contains(&key(damage))).filter(inside).collect();
    if !unasked.is_empty() {
        lock(&machine.scrub.asked).extend(unasked.iter().map(|damage| key(damage)));
        machine.shared.request_resend(&unasked.iter().map(|damage| damage.span()).collect::<Vec<_>>());
    }
    // What was asked for the sake of the journal has come: the next pass finds what is spoilt from now on.
    let is_pending = |key: &(u16, u64)| pending.iter().any(|span| (span.disk.0, span.start.0) == *key);
    let came = |asked: &(u16, u64)| !is_pending(asked) && !open.iter().any(|damage| key(damage) == *asked);
    if asked.iter().any(came) {
        lock(&machine.scrub.asked).retain(|asked| !came(asked));
        machine.scrub.wanted.store(true, Ordering::Relaxed);
    }
    let mended: Vec<(DiskIndex, ByteOffset)> = open
        .iter()
        .filter(|damage| asked.contains(&key(damage)) && !waits(damage))
        .map(|damage| (damage.disk, damage.start))
        .collect();
    let Some(vouched) = vouched.filter(|_| !mended.is_empty() || left) else { return };
    lock(&machine.scrub.asked)
        .retain(|asked| !mended.iter().any(|(disk, start)| *asked == (disk.0, start.0)));
    let change = Box::new(move |known: &mut Vec<Damage>| {
        let repaired = |damage: &Damage| is_open(damage) && mended.contains(&(damage.disk, damage.start));
        for damage in known.iter_mut().filter(|damage| repaired(damage)) {
            damage.last = Some(Sequence(vouched.0 - 1));
        }
    });
    if let Err(error) = ask(&machine.shared, |then| Work::NoteDamage { change, then }) {
        tracing::warn!(machine = %machine.name, error = %chain(&error), "a repair could not be noted");
    }
}

fn is_open(damage: &Damage) -> bool {
    damage.place == DamagedPlace::Target && damage.last.is_none()
}

fn overlaps(span: &wire::Span, damage: &Damage) -> bool {
    span.disk == damage.disk
        && span.start.0 < damage.start.0 + damage.len.0
        && damage.start.0 < span.start.0 + span.len.0
}
