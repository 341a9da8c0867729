//! Long random runs: each seed has its own sizes, operations and faults, crashes whenever it likes, and goes on.

use std::time::Duration;

use blockdev::{Fault, OperationKind};

use super::ops::Op;
use super::oracle::Stance;
use super::outage;
use super::random::Random;
use super::rig::{Crashed, Rig, Shape};
use super::runs::Outcome;
use super::seeding::protect;
use super::seen::Sight;
use super::shapes;

const OPS: [Op; 19] = [
    Op::WeaveBack,
    Op::Write,
    Op::Group,
    Op::Step,
    Op::Settle,
    Op::Rotate,
    Op::Back(0),
    Op::Back(2),
    Op::Back(4),
    Op::Forward,
    Op::Expire,
    Op::Accept,
    Op::Restart,
    Op::Weave,
    Op::WeaveStep,
    Op::WeaveProof,
    Op::Ask,
    Op::Seed,
    Op::SeedSync,
];

/// Runs one seed.
pub(crate) fn run(seed: u64, depth: u64, adjust: impl Fn(&mut Shape)) -> Outcome {
    let mut random = Random::new(seed);
    let mut shape = shapes::random(&mut random);
    adjust(&mut shape);
    let mut run = Run { menu: menu(&mut random), random, crashes: 0, faulty: false };
    run.faulty = run.random.one_in(4);
    let mut rig = Rig::create(seed, &shape).expect("nothing stops the world yet");
    run.begin(&mut rig);
    for _ in 0..run.random.between(10, 50) * depth {
        run.turn(&mut rig);
        rig.note_world();
    }
    run.crash(&mut rig);
    let time = Duration::from_micros(rig.now.0);
    Outcome { trace: rig.trace, crashes: run.crashes, images: rig.images, time, sights: rig.sights }
}

/// Chooses the operations of a run: always writes and steps, and each other one or not.
fn menu(random: &mut Random) -> Vec<Op> {
    let mut menu = vec![Op::Write, Op::Group, Op::Step];
    menu.extend(OPS.iter().filter(|op| random.one_in(if **op == Op::Accept { 8 } else { 2 })));
    menu
}

struct Run {
    menu: Vec<Op>,
    random: Random,
    crashes: u64,
    faulty: bool,
}

impl Run {
    /// Fills the disks, through crashes if need be.
    fn begin(&mut self, rig: &mut Rig) {
        if self.random.one_in(2) {
            rig.cut(rig.steps() + self.random.between(1, 60));
        }
        for machine in 0..rig.shape.machines.len() {
            while rig.oracles[machine].images.is_empty() {
                if protect(rig, machine).is_err() {
                    self.crash(rig);
                }
            }
        }
    }

    /// One operation, cut or not, on one machine.
    fn turn(&mut self, rig: &mut Rig) {
        if self.random.one_in(3) {
            rig.cut(rig.steps() + self.random.between(1, 40));
        }
        if self.faulty && self.random.one_in(8) {
            let kind = self.random.pick(&[OperationKind::Write, OperationKind::Flush]);
            rig.world.plant(Fault::Fail { kind, nth: self.random.between(1, 20) });
            rig.may_fail = true;
        }
        let machine = self.random.below(rig.shape.machines.len() as u64) as usize;
        let op = self.random.pick(&self.menu);
        let stopped = op.perform(rig, machine);
        if std::env::var_os("LANDFALL_SIM_SEED").is_some() {
            let state = rig.shared[machine].lock();
            let marks =
                [state.base, state.applied, state.written, state.durable, state.received].map(|mark| mark.0);
            println!(
                "{op:?} on {machine}: {stopped:?}, now {:?}, {:?}, base to received {marks:?}, full {:?}, failure {:?}",
                state.lifecycle, rig.oracles[machine].stance, state.full, state.failure
            );
        }
        let is_out = rig.shared.iter().any(|shared| shared.lock().failure.is_some());
        let between = self.random.one_in(12) && stopped.is_ok();
        if between {
            rig.sights.add(Sight::CrashBetweenOperations);
        }
        if stopped == Err(Crashed) || is_out || between {
            self.crash(rig);
        }
        let given = |stance: Stance| matches!(stance, Stance::Given(_));
        if rig.oracles.iter().all(|oracle| given(oracle.stance)) {
            self.menu = vec![Op::Restart, Op::Ask];
        }
    }

    /// Ends the world and goes on in what is found.
    fn crash(&mut self, rig: &mut Rig) {
        self.crashes += outage::crash(rig, &mut self.random);
    }
}
