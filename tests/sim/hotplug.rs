//! Target disks that vanish, come back under another name, or are others than they were (I6).

use blockdev::{CrashChoice, DeviceError, SimWorld};
use target::replica::{ReplicaError, chain};
use units::ByteLen;

use super::check;
use super::faults::stays_out;
use super::ops::{Op, restart_in};
use super::rig::{Rig, Shape, disk_name};
use super::seeding::protect;

/// What is done to the disk that was pulled out, before the target starts again.
type Deed = (&'static str, fn(&SimWorld, &str, ByteLen));

/// With none of these the machine may be had.
const DEEDS: [Deed; 4] = [
    ("it is missing", |_, _, _| ()),
    ("another lies in its place", |world, name, len| drop(world.add_disk(name, len))),
    ("it is back under another name", |world, name, _| world.put_back(name, "elsewhere")),
    ("it is back, but smaller", |world, name, len| {
        world.put_back(name, name);
        world.resize_disk(name, ByteLen(len.0 - 512));
    }),
];

/// Pulls a disk of the last machine out while both are at work, and starts again with each deed done. The other machine goes on; with
/// the right disk back in its place nothing is lost.
pub(crate) fn pull_out(shape: &Shape) {
    let out = shape.machines.len() - 1;
    let name = disk_name(out, 0);
    let mut rig = Rig::create(7, shape).expect("nothing stops the world");
    for machine in 0..=out {
        protect(&mut rig, machine).expect("nothing stops the world");
        for op in [Op::Write, Op::Settle, Op::Group] {
            op.perform(&mut rig, machine).expect("nothing stops the world");
        }
    }
    rig.may_fail = true;
    rig.world.pull_out(&name);
    for machine in 0..=out {
        Op::Settle.perform(&mut rig, machine).expect("nothing stops the world");
    }
    assert!(rig.shared[out].lock().failure.is_some(), "I12: a machine whose disk vanished is out");
    stays_out(&mut rig, out);
    let len = ByteLen(shape.machines[out][0] + shape.guard);
    for (what, deed) in DEEDS {
        let world = rig.world.after_crash(CrashChoice::All);
        deed(&world, &name, len);
        refused(&rig, world, &name, what);
    }
    rig.may_fail = false;
    let world = rig.world.after_crash(CrashChoice::Seeded(3));
    world.put_back(&name, &name);
    let mut next = rig.in_the_same_world();
    restart_in(&mut next, world).expect("nothing stops the world");
    (0..=out).for_each(|machine| {
        check::everything(&mut next, machine, true).expect("nothing stops the world");
    });
}

/// The machine can't be had, and says why; what lies in its disk's place is as it was, and the others go on.
fn refused(rig: &Rig, world: SimWorld, name: &str, what: &str) {
    let before = world.identity(name).map(|_| world.contents(name));
    let recovered = Rig::recover(world, &rig.shape, &rig.oracles, 1, rig.now);
    let Err(stopped) = recovered else { panic!("I6: a machine was recovered though of its disk {what}") };
    let (mut next, unrecovered) = *stopped;
    let error = unrecovered.expect("nothing stops the world").error;
    let named = matches!(
        error,
        ReplicaError::Device(
            DeviceError::Missing { .. } | DeviceError::WrongIdentity { .. } | DeviceError::TooSmall { .. }
        )
    );
    assert!(named, "I6: of the disk {what}, and the error says: {}", chain(&error));
    for machine in 0..next.shared.len() {
        check::found(&mut next, machine);
        check::everything(&mut next, machine, false).expect("nothing stops the world");
    }
    let after = next.world.identity(name).map(|_| next.world.contents(name));
    assert!(before == after, "I6: of the disk {what}, and what is there was written");
}
