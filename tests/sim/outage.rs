//! The end of a process or of its power, and what is found afterwards.

use blockdev::CrashChoice;

use super::check;
use super::ops::restart_in;
use super::random::Random;
use super::rig::{Crashed, Rig};
use super::seen::Sight;
use super::views;

/// Opens a view of each machine, while what was durable is still being applied.
fn open_views(rig: &mut Rig) -> Result<(), Crashed> {
    (0..rig.shape.machines.len()).try_for_each(|machine| views::open(rig, machine))
}

/// Ends the world, perhaps during the recovery too, and checks everything. Returns how often it ended.
pub(crate) fn crash(rig: &mut Rig, random: &mut Random) -> u64 {
    rig.cut_at = None;
    for crashes in 1.. {
        let choice = match random.below(8) {
            0 => CrashChoice::All,
            1 => CrashChoice::None,
            _ => CrashChoice::Seeded(random.next()),
        };
        // A device that failed comes back with its power, not with the process: what the kernel was told to forget stays
        // forgotten until then.
        let may_kill = rig.shared.iter().all(|shared| {
            let state = shared.lock();
            state.failure.is_none() || rig.world.has_crashed()
        }) && !rig.may_fail;
        let world = match may_kill && random.one_in(5) {
            true => {
                rig.sights.add(Sight::KilledThenPowerLost);
                rig.world.after_kill()
            }
            false => rig.world.after_crash(choice),
        };
        rig.images.insert(world.fingerprint());
        rig.cut_at = random.one_in(4).then(|| rig.steps() + random.between(1, 40));
        let thorough = random.one_in(3);
        if std::env::var_os("LANDFALL_SIM_SEED").is_some() {
            println!("crash: {choice:?}, again at {:?} after {}", rig.cut_at, rig.steps());
        }
        let machines = rig.shape.machines.len();
        let looks = rig.shape.views && random.one_in(2);
        let result = restart_in(rig, world)
            .and_then(|()| if looks { open_views(rig) } else { Ok(()) })
            .and_then(|()| (0..machines).try_for_each(|machine| check::everything(rig, machine, thorough)))
            .and_then(|()| views::look(rig));
        if result.is_ok() {
            // What is left of the plan to crash must not hit anything but operations.
            rig.world.crash_at(u64::MAX);
            rig.cut_at = None;
            return crashes;
        }
    }
    unreachable!("a world that is not cut again is recovered")
}
