//! The next start after a crash has little to do, however long the run before it was, and whatever was sent in it (I9).

use blockdev::CrashChoice;

use super::explore::told;
use super::ops::{Op, restart_in};
use super::random::Random;
use super::rig::{Rig, Shape};
use super::seeding::protect;

/// Batches, recovery points without payload, steps; and never a pause, after which everything would be checkpointed.
const OPS: [Op; 6] = [Op::Write, Op::Write, Op::Group, Op::Points, Op::Step, Op::Weave];

/// Crashes machines whose epochs last after runs of many operations, `runs` times; each recovery is judged by `check::found`. Returns the
/// most that had to be replayed.
pub(crate) fn crash_long_runs(shape: &Shape, runs: u64) -> u64 {
    (0..runs).map(|seed| told(|| format!("long run {seed}"), || crash_one(shape, seed))).max().unwrap_or(0)
}

fn crash_one(shape: &Shape, seed: u64) -> u64 {
    let mut rig = Rig::create(seed, shape).expect("nothing stops the world");
    protect(&mut rig, 0).expect("nothing stops the world");
    let mut random = Random::new(seed);
    for _ in 0..random.between(20, 120) {
        random.pick(&OPS).perform(&mut rig, 0).expect("nothing stops the world");
    }
    let mut next = rig.in_the_same_world();
    let world = rig.world.after_crash(CrashChoice::Seeded(seed));
    restart_in(&mut next, world).expect("nothing stops the world");
    next.shared[0].lock().replays.0
}
