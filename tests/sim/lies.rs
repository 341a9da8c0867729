//! Devices that lie: a write to the volume that is reported done and never was, or went elsewhere. Whatever comes of it, every
//! answer is exact or an error that names the place (I4, I5). What a device swallowed of the newest group can be lost.

use blockdev::{CrashChoice, Fault};
use units::ByteOffset;

use super::explore::told;
use super::ops::Op;
use super::rig::{Rig, Shape};
use super::rot::{Tally, judge_lie};
use super::seeding::protect;

const SCRIPT: [Op; 12] = [
    Op::Write,
    Op::Group,
    Op::Settle,
    Op::Rotate,
    Op::Write,
    Op::Settle,
    Op::Write,
    Op::Rotate,
    Op::Group,
    Op::Settle,
    Op::Write,
    Op::Write,
];

/// How a device lies about a write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lie {
    /// It is not done.
    Lost,
    /// It is done elsewhere.
    Astray,
}

/// Has a device lie about each write to the volume in turn.
pub(crate) fn lie_each(shape: &Shape, lie: Lie) -> Tally {
    let mut tally = Tally::default();
    for nth in 1.. {
        if !told(|| format!("write {nth} is {lie:?}"), || lie_once(shape, lie, nth, &mut tally)) {
            break;
        }
    }
    tally
}

/// Returns whether there was such a write.
fn lie_once(shape: &Shape, lie: Lie, nth: u64, tally: &mut Tally) -> bool {
    let mut rig = Rig::create(nth, shape).expect("nothing stops the world");
    protect(&mut rig, 0).expect("nothing stops the world");
    rig.world.plant_on_files(match lie {
        Lie::Lost => Fault::LoseWrite { nth },
        Lie::Astray => Fault::MisdirectWrite { nth, to: ByteOffset(nth * 4096) },
    });
    rig.may_fail = true;
    for op in SCRIPT {
        op.perform(&mut rig, 0).expect("nothing stops the world");
    }
    let lied = !rig.world.has_faults();
    if lied {
        for choice in [CrashChoice::All, CrashChoice::None] {
            judge_lie(&rig, rig.world.after_crash(choice), tally);
        }
    }
    lied
}
