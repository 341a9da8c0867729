//! The thread that scrubs: one machine after the other, at its own pace, on an engine of its own.
//!
//! 1. The pass reads journal and disks (`replica::scrub`).
//! 2. What it found is noted in the head, durable: from here on the points it spoils are refused.
//! 3. The source is asked for what is in doubt on the target disks.
//! 4. The scrub record says that the pass is done, durable.
//!
//! Between passes, damage of target disks ends with the first consistent point behind the source's answer, and what has left
//! the history is forgotten.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use blockdev::{Access, DirVolume, HostEngine, OpenDevice, PagePool};
use retention::{Damage, DamagedPlace, Lifecycle, Point, ScrubPass, ScrubRecord};
use units::{ByteOffset, DiskIndex, Sequence, Timestamp};
use wire::Consistency;

use crate::clock::now;
use crate::machine::{Machine, lock};
use crate::node::{MasterTarget, open_disk};
use crate::replica::{
    Bench, DiskPass, Findings, Paced, ReplicaError, ScrubPace, SlotFile, ViewReader, Work, ask, chain,
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
        let (revision, begun, last, leaves, paused) = (0, None, None, None, false);
        let record = ScrubRecord { revision, machine: machine.id, begun, last, leaves, paused };
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
    let age = record.last.map(|last| now().since(last.until));
    rested && age.map_or(begun.elapsed() >= FIRST_AFTER, |age| age >= node.config.scrub_every)
}

/// Does a whole pass; what goes wrong is shown and tried again later.
fn scrub(node: &Arc<MasterTarget>, machine: &Arc<Machine>) {
    let scrub = &machine.scrub;
    scrub.wanted.store(false, Ordering::Relaxed);
    for counter in [&scrub.pace.done, &scrub.pace.total] {
        counter.store(0, Ordering::Relaxed);
    }
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
    let started = now();
    let pass = ScrubPass { started, until: started, ..ScrubPass::default() };
    file.update(&mut place.engine, |record| record.begun = Some(pass))?;
    *lock(&machine.scrub.record) = Some(file.record().clone());
    let paced = Paced::new(&machine.scrub.pace);
    let mut found = Findings::default();
    place.bench(machine, &paced, started).scrub_journal(&mut found)?;
    let disks = if found.blind { None } else { disk_pass(node, machine, &place, file.record())? };
    let leaves = match disks {
        Some(disks) => place.bench(machine, &paced, started).scrub_disks(disks, &mut found)?,
        None => file.record().leaves,
    };
    let count = u32::try_from(found.damage.len()).unwrap_or(u32::MAX).saturating_add(found.mended);
    let (damage, resend) = (std::mem::take(&mut found.damage), std::mem::take(&mut found.resend));
    report(machine, &damage);
    let change = Box::new(move |known: &mut Vec<Damage>| add(known, damage));
    ask(&machine.shared, |then| Work::NoteDamage { change, then })?;
    if !resend.is_empty() {
        lock(&machine.scrub.asked).extend(resend.iter().map(|span| (span.disk.0, span.start.0)));
        machine.shared.request_resend(&resend);
    }
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (done, total) = (load(&machine.scrub.pace.done), load(&machine.scrub.pace.total));
    let last = ScrubPass { started, until: now(), done, total, found: count, proved: found.proved };
    file.update(&mut place.engine, |record| {
        (record.begun, record.last, record.leaves) = (None, Some(last), leaves);
    })?;
    *lock(&machine.scrub.record) = Some(file.record().clone());
    tracing::info!(machine = %machine.name, done, found = count, proved = found.proved, "scrub finished");
    Ok(())
}

/// Opens what the disks are read through; `None` while there is no point to compare them with.
fn disk_pass(
    node: &Arc<MasterTarget>,
    machine: &Machine,
    place: &Workplace,
    record: &ScrubRecord,
) -> Result<Option<DiskPass<HostEngine, DirVolume>>, ReplicaError> {
    let (point, lens, base, generation) = {
        let state = machine.shared.lock();
        (newest(&state), state.lens.clone(), state.base, state.generation)
    };
    let Some(point) = point else { return Ok(None) };
    let open = |sequence: Sequence| -> Result<_, ReplicaError> {
        let view = ask(&machine.shared, |then| Work::View { to: sequence, then })?;
        let engine = node.config.engine_setting().open(QUEUE_DEPTH)?;
        let disks = machine.disks.iter().map(|disk| open_disk(disk, Access::ReadOnly));
        let disks = disks.collect::<Result<Vec<OpenDevice>, _>>()?;
        ViewReader::new(view, engine, place.volume.clone(), PagePool::new(BUFFERS, 256 << 10), disks)
    };
    let usable = |table: &retention::LeafTable| table.generation == generation && table.sequence >= base;
    let then = match record.leaves.filter(usable) {
        Some(table) => Some((table, open(table.sequence)?)),
        None => None,
    };
    Ok(Some(DiskPass { then, now: open(point.sequence)?, point, lens, generation }))
}

/// Returns the newest point that has roots, or else the newest.
fn newest(state: &crate::replica::State) -> Option<Point> {
    let points = || state.timeline.points().rev();
    points().find(|point| !point.roots.is_empty()).or_else(|| points().next()).cloned()
}

/// Adds what was found to what is known. All of the journal was read: what is not found there again was a reading that went wrong.
fn add(known: &mut Vec<Damage>, found: Vec<Damage>) {
    let same = |each: &Damage, other: &Damage| {
        let of =
            |damage: &Damage| (damage.place, damage.disk, damage.start, damage.len, damage.last.is_none());
        of(each) == of(other)
    };
    known.retain(|each| each.place == DamagedPlace::Target || found.iter().any(|other| same(each, other)));
    for damage in found {
        match known.iter_mut().find(|each| same(each, &damage)) {
            Some(each) => *each = Damage { found: each.found, ..damage },
            None => known.push(damage),
        }
    }
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
