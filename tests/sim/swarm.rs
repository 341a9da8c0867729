//! Long random runs: each seed has its own sizes, operations and faults, crashes whenever it likes, and goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use blockdev::{Fault, OperationKind};
use units::Sequence;

use super::ops::Op;
use super::oracle::Stance;
use super::outage;
use super::random::Random;
use super::rig::{Crashed, Rig, Shape};
use super::runs::Outcome;
use super::seeding::protect;
use super::seen::Sight;
use super::{shapes, views};

const OPS: [Op; 26] = [
    Op::Resync,
    Op::View,
    Op::View,
    Op::Unview,
    Op::Pin,
    Op::Unpin,
    Op::Policy,
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
    let (menu, devices) = (menu(&mut random), Devices::some(&mut random));
    let mut run = Run { menu, devices, random, crashes: 0, planted: 0, out: BTreeMap::new() };
    let mut rig = Rig::create(seed, &shape).expect("nothing stops the world yet");
    rig.shape.views = run.menu.contains(&Op::View);
    run.begin(&mut rig);
    for _ in 0..run.random.between(10, 50) * depth {
        run.turn(&mut rig);
        rig.note_world();
    }
    run.crash(&mut rig);
    rig.views.sights().for_each(|sight| rig.sights.add(sight));
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
    devices: Devices,
    random: Random,
    crashes: u64,
    /// Devices that were told to fail or to hang since the last crash.
    planted: usize,
    /// Machines that are out since, each with what it had acked by then.
    out: BTreeMap<usize, Sequence>,
}

/// What devices do in a run.
struct Devices {
    fail: bool,
    hang: bool,
    are_slow: bool,
}

impl Devices {
    fn some(random: &mut Random) -> Self {
        Self { fail: random.one_in(5), hang: random.one_in(5), are_slow: random.one_in(4) }
    }

    /// Returns what goes wrong next, if anything does.
    fn fault(&self, random: &mut Random) -> Option<Fault> {
        let kind = random.pick(&[OperationKind::Write, OperationKind::Flush, OperationKind::Read]);
        let (nth, takes) = (random.between(1, 20), Duration::from_millis(random.between(20, 50_000)));
        let faults = [
            (self.fail, Fault::Fail { kind, nth }),
            (self.hang, Fault::Hang { kind, nth }),
            (self.are_slow, Fault::Slow { kind, nth, takes }),
        ];
        let (happens, fault) = random.pick(&faults);
        (happens && random.one_in(3)).then_some(fault)
    }
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
        self.break_device(rig);
        let machine = self.random.below(rig.shape.machines.len() as u64) as usize;
        let mut op = self.random.pick(&self.menu);
        // A device that failed comes back with its power, not with the process; and nothing else is asked of who is out.
        if self.out.contains_key(&machine) || op == Op::Restart && !self.out.is_empty() {
            op = self.random.pick(&[Op::Write, Op::Group, Op::Step, Op::Settle]);
        }
        let stopped = match self.random.one_in(3) {
            true => views::while_read(rig, |rig| op.perform(rig, machine)),
            false => op.perform(rig, machine).and_then(|()| views::look(rig)),
        };
        if std::env::var_os("LANDFALL_SIM_SEED").is_some() {
            let state = rig.shared[machine].lock();
            let marks =
                [state.base, state.applied, state.written, state.durable, state.received].map(|mark| mark.0);
            println!(
                "{op:?} on {machine}: {stopped:?}, now {:?}, {:?}, base to received {marks:?}, full {:?}, failure {:?}",
                state.lifecycle, rig.oracles[machine].stance, state.full, state.failure
            );
        }
        let is_over = self.contained(rig);
        let between = self.random.one_in(12) && stopped.is_ok();
        if between {
            rig.sights.add(Sight::CrashBetweenOperations);
        }
        if stopped == Err(Crashed) || rig.world.has_crashed() || is_over || between {
            self.crash(rig);
        }
        let given = |stance: Stance| matches!(stance, Stance::Given(_));
        if rig.oracles.iter().all(|oracle| given(oracle.stance)) {
            self.menu = vec![Op::Restart, Op::Ask];
        }
    }

    /// Something goes wrong with a device, if it does in this run. What is slow puts nobody out.
    fn break_device(&mut self, rig: &mut Rig) {
        let Some(fault) = self.devices.fault(&mut self.random).filter(|_| !rig.world.has_crashed()) else {
            return;
        };
        rig.world.plant(fault);
        if !matches!(fault, Fault::Slow { .. }) {
            self.planted += 1;
            rig.may_fail = true;
        }
    }

    /// No more machines are out than devices were told to fail; who is out acks nothing, and the others go on for a while (I12).
    /// Returns whether that while is over.
    fn contained(&mut self, rig: &mut Rig) -> bool {
        let out = |machine: &usize| rig.shared[*machine].lock().failure.is_some();
        let out: Vec<usize> = (0..rig.shared.len()).filter(out).collect();
        if rig.world.has_crashed() {
            return true;
        }
        assert!(out.len() <= self.planted, "I12: machines {out:?} are out, {} devices failed", self.planted);
        for machine in &out {
            let acked = rig.shared[*machine].lock().durable;
            let then = *self.out.entry(*machine).or_insert(acked);
            assert_eq!(acked, then, "I12: machine {machine} is out and acks");
        }
        if out.is_empty() {
            return false;
        }
        rig.sights.add(Sight::DeviceFailed);
        if out.len() < rig.shared.len() && self.out.len() == out.len() {
            rig.sights.add(Sight::WentOnBesideOneThatIsOut);
        }
        self.random.one_in(4)
    }

    /// Ends the world and goes on in what is found.
    fn crash(&mut self, rig: &mut Rig) {
        self.planted = 0;
        self.out.clear();
        self.crashes += outage::crash(rig, &mut self.random);
    }
}
