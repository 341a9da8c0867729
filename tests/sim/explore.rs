//! Every sequence of operations up to a length, cut at every step, in every way tried: each distinct image that a
//! crash can leave is recovered and checked.

use std::collections::HashSet;
use std::fmt;

use blockdev::{CrashChoice, SimWorld};
use units::Timestamp;

use super::check;
use super::ops::{Op, restart_in};
use super::oracle::Oracle;
use super::random::{Random, fold};
use super::rig::{Crashed, Rig, Shape};
use super::seen::{Sight, Sights};

/// A world from which sequences begin.
pub(crate) struct Start {
    pub world: SimWorld,
    pub oracles: Vec<Oracle>,
    pub now: Timestamp,
    pub shape: Shape,
}

/// How hard to look.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Sequences have at most this many operations.
    pub length: usize,
    /// Of the longest sequences one in so many is tried, of the shorter ones all.
    pub thin: usize,
    /// Distinct images tried of one cut, at most.
    pub images_per_cut: usize,
    /// A cut is done with after so many images that were met before.
    pub repeats: u64,
    /// One image in so many is looked at thoroughly, and one in so many crashes again in its recovery.
    pub thorough: u64,
    pub again: u64,
}

/// What an exploration met.
#[derive(Default)]
pub(crate) struct Found {
    pub images: HashSet<u64>,
    pub recoveries: u64,
    pub sequences: u64,
    pub cuts: u64,
    pub sights: Sights,
}

impl Found {
    /// Adds what another shard found; an image that both met counts once.
    pub(crate) fn merge(&mut self, other: Self) {
        self.images.extend(other.images);
        self.recoveries += other.recoveries;
        self.sequences += other.sequences;
        self.cuts += other.cuts;
        self.sights.merge(&other.sights);
    }
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images, recoveries, sequences, cuts, sights } = self;
        let images = images.len();
        write!(
            out,
            "{images} distinct crash images, {recoveries} recoveries, {sequences} sequences, {cuts} cuts"
        )?;
        sights.fmt(out)
    }
}

impl Start {
    /// Performs `prefix` in a new world, and ends it there, with everything in flight as it is.
    pub(crate) fn new(seed: u64, shape: &Shape, prefix: &[Op]) -> Self {
        let mut rig = Rig::create(seed, shape).expect("nothing stops the world yet");
        for op in prefix {
            op.perform(&mut rig, 0).expect("nothing stops the world yet");
        }
        Self { world: rig.world.clone(), oracles: rig.oracles.clone(), now: rig.now, shape: shape.clone() }
    }

    fn rig(&self, seed: u64) -> Rig {
        let world = self.world.after_kill();
        let rig = Rig::recover(world, &self.shape, &self.oracles, seed, self.now);
        let mut rig = rig.ok().expect("a start can be gone on from");
        check::found(&mut rig, 0);
        rig
    }
}

/// The choice of one shard: sequences whose number leaves this remainder.
#[derive(Clone, Copy)]
pub(crate) struct Shard {
    pub number: usize,
    pub of: usize,
}

/// Tries every sequence of a shard.
pub(crate) fn explore(start: &Start, alphabet: &[Op], effort: Effort, shard: Shard) -> Found {
    let mut found = Found::default();
    for length in 1..=effort.length {
        let of = if length == effort.length { shard.of * effort.thin } else { shard.of };
        for number in 0..alphabet.len().pow(length as u32) {
            if number % of == shard.number {
                explore_sequence(start, &sequence(alphabet, length, number), effort, &mut found);
            }
        }
    }
    found
}

fn sequence(alphabet: &[Op], length: usize, number: usize) -> Vec<Op> {
    let digit = |place: u32| alphabet[number / alphabet.len().pow(place) % alphabet.len()];
    (0..length as u32).map(digit).collect()
}

/// Cuts one sequence at every step of its last operation: what is before was cut when that was the last.
fn explore_sequence(start: &Start, ops: &[Op], effort: Effort, found: &mut Found) {
    found.sequences += 1;
    let seed = ops.iter().fold(1, |seed, op| fold(seed, hash_of(*op)));
    let (last, before) = ops.split_last().expect("a sequence has an operation");
    let mut rig = start.rig(seed);
    before.iter().for_each(|op| op.perform(&mut rig, 0).expect("nothing stops the world"));
    let first = rig.steps();
    last.perform(&mut rig, 0).expect("nothing stops the world");
    let end = rig.steps();
    crash_every_way(&mut rig, ops, None, effort, found);
    for step in first + 1..=end {
        let mut rig = start.rig(seed);
        rig.cut(step);
        let stopped = ops.iter().try_for_each(|op| op.perform(&mut rig, 0));
        assert_eq!(stopped, Err(Crashed), "determinism: {ops:?} has a step {step} of {end}");
        crash_every_way(&mut rig, ops, Some(step), effort, found);
        found.sights.merge(&rig.sights);
    }
}

fn hash_of(op: Op) -> u64 {
    format!("{op:?}").bytes().fold(7, |hash, byte| fold(hash, u64::from(byte)))
}

/// Recovers and checks every image that the stopped world may leave, up to the effort.
fn crash_every_way(rig: &mut Rig, ops: &[Op], cut: Option<u64>, effort: Effort, found: &mut Found) {
    found.cuts += 1;
    if cut.is_none() {
        found.sights.add(Sight::CrashBetweenOperations);
    }
    let (mut here, mut repeated, mut nth) = (0, 0, 0);
    while here < effort.images_per_cut && repeated < effort.repeats {
        let choice = match nth {
            0 => CrashChoice::None,
            1 => CrashChoice::All,
            seed => CrashChoice::Seeded(seed),
        };
        nth += 1;
        let world = rig.world.after_crash(choice);
        let image = world.fingerprint();
        if found.images.insert(image) {
            here += 1;
            let what = || format!("{ops:?} cut at {cut:?}, {choice:?}");
            found.recoveries +=
                told(what, || recover_and_check(rig, world, image, effort, &mut found.sights));
        } else {
            repeated += 1;
        }
    }
    found.recoveries += told(
        || format!("{ops:?} killed at {cut:?}, then power lost"),
        || kill_and_check(rig, &mut found.sights),
    );
}

/// Says what was done when a check fails in it.
pub(crate) fn told<T>(what: impl Fn() -> String, run: impl FnOnce() -> T) -> T {
    struct Tell<F: Fn() -> String>(F);
    impl<F: Fn() -> String> Drop for Tell<F> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("in: {}", (self.0)());
            }
        }
    }
    let _tell = Tell(what);
    run()
}

fn recover_and_check(rig: &Rig, world: SimWorld, image: u64, effort: Effort, sights: &mut Sights) -> u64 {
    let mut random = Random::new(image);
    let thorough = random.one_in(effort.thorough);
    let again = random.one_in(effort.again).then(|| random.between(1, 24));
    let mut next = successor(rig);
    next.cut_at = again.map(|step| next.steps() + step);
    let result = restart_in(&mut next, world).and_then(|()| check::everything(&mut next, 0, thorough));
    let mut recoveries = 1;
    if result == Err(Crashed) {
        next.sights.add(Sight::CrashInRecovery);
        next.cut_at = None;
        let world = next.world.after_crash(CrashChoice::Seeded(random.next()));
        restart_in(&mut next, world)
            .and_then(|()| check::everything(&mut next, 0, thorough))
            .expect("nothing stops the world");
        recoveries += 1;
    }
    sights.merge(&next.sights);
    recoveries
}

/// What a killed process had read when it came back counts, and so must survive a power cut right after.
fn kill_and_check(rig: &Rig, sights: &mut Sights) -> u64 {
    let mut next = successor(rig);
    restart_in(&mut next, rig.world.after_kill()).expect("nothing stops the world");
    let world = next.world.after_crash(CrashChoice::None);
    restart_in(&mut next, world).expect("nothing stops the world");
    check::everything(&mut next, 0, false).expect("nothing stops the world");
    next.sights.add(Sight::KilledThenPowerLost);
    sights.merge(&next.sights);
    2
}

/// Returns a rig that knows what `rig` knew when it stopped, to be put into another world.
fn successor(rig: &Rig) -> Rig {
    rig.in_the_same_world()
}
