//! Devices that fail: the machine is out, at once and for good, nothing is acked any more, and nobody else is touched (I12).

use blockdev::{CrashChoice, Fault, OperationKind};

use super::check;
use super::explore::told;
use super::ops::{Op, restart_in};
use super::rig::{Rig, Shape};
use super::seeding::protect;

const SCRIPT: [Op; 11] = [
    Op::Write,
    Op::Settle,
    Op::Group,
    Op::Step,
    Op::Rotate,
    Op::Settle,
    Op::Back(1),
    Op::Forward,
    Op::Write,
    Op::Expire,
    Op::Write,
];

/// Lets the n-th operation of a kind fail, for every n there is. Returns how many there were.
pub(crate) fn fail_each(shape: &Shape, kind: OperationKind) -> u64 {
    each(shape, |nth| Fault::Fail { kind, nth })
}

/// Lets the n-th operation of a kind hang, for every n there is. Returns how many there were.
pub(crate) fn hang_each(shape: &Shape, kind: OperationKind) -> u64 {
    each(shape, |nth| Fault::Hang { kind, nth })
}

fn each(shape: &Shape, fault: impl Fn(u64) -> Fault) -> u64 {
    let one = |nth: &u64| told(|| format!("{:?}", fault(*nth)), || fail_one(shape, fault(*nth), *nth));
    (1..).find(|nth| !one(nth)).expect("a script ends") - 1
}

/// Returns whether anything failed.
fn fail_one(shape: &Shape, fault: Fault, nth: u64) -> bool {
    let mut rig = Rig::create(nth, shape).expect("nothing stops the world");
    let machines = rig.shape.machines.len();
    for machine in 0..machines {
        protect(&mut rig, machine).expect("nothing stops the world");
    }
    rig.world.plant(fault);
    rig.may_fail = true;
    let is_out = |rig: &Rig| (0..machines).find(|machine| rig.shared[*machine].lock().failure.is_some());
    for op in SCRIPT {
        for machine in 0..machines {
            op.perform(&mut rig, machine).expect("nothing stops the world");
        }
        if is_out(&rig).is_some() {
            break;
        }
    }
    let Some(out) = is_out(&rig) else { return false };
    stays_out(&mut rig, out);
    rig.may_fail = false;
    for choice in [CrashChoice::None, CrashChoice::All, CrashChoice::Seeded(nth)] {
        let mut next = rig.in_the_same_world();
        restart_in(&mut next, rig.world.after_crash(choice)).expect("nothing stops the world");
        for machine in 0..machines {
            check::everything(&mut next, machine, true).expect("nothing stops the world");
        }
    }
    true
}

/// The machine acks nothing any more; the others go on as if nothing had happened.
pub(crate) fn stays_out(rig: &mut Rig, out: usize) {
    let acked = rig.oracles[out].acked;
    for machine in 0..rig.shape.machines.len() {
        let fails = rig.shared[machine].lock().failure.is_some();
        assert_eq!(fails, machine == out, "I12: one device failed, machine {machine} beside {out}");
    }
    for op in [Op::Write, Op::Settle, Op::Rotate, Op::Settle, Op::Step] {
        for machine in 0..rig.shape.machines.len() {
            op.perform(rig, machine).expect("nothing stops the world");
        }
    }
    assert_eq!(rig.oracles[out].acked, acked, "I12: a machine that is out acks nothing");
    for machine in (0..rig.shape.machines.len()).filter(|machine| *machine != out) {
        let (base, newest) = super::ops::window(rig, machine);
        assert!(newest > acked.min(2), "I12: the other machine goes on");
        if rig.oracles[machine].stance == super::oracle::Stance::Following {
            check::disks_are(rig, machine, newest, "I12: beside a machine that is out");
            check::history(rig, machine, base, newest).expect("nothing stops the world");
        }
    }
}
