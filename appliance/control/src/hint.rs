//! What is not well, and what to do next: pure functions of the facts.

use crate::api::{Concern, Health, Machine, Phase, Status};

/// A machine whose newest recovery point is older than this is a concern, in seconds.
const RPO_SECONDS_MAX: u64 = 900;
/// A retention volume with less free space than this, in per cent, is a concern.
const FREE_PERCENT_MIN: u64 = 10;

/// Says what to do next with a machine, if anything.
pub(crate) fn for_machine(machine: &Machine) -> Option<String> {
    let name = &machine.name;
    let step = match machine.phase {
        Phase::Seeding if !machine.session.connected => {
            format!("start the source agent of {name}; nothing is connected")
        }
        Phase::Seeding => format!("wait: {name} is being seeded"),
        Phase::Protected if !machine.session.connected => {
            format!("start the source agent of {name}; no new points arrive")
        }
        Phase::Protected => return None,
        Phase::Rewinding => match machine.job {
            Some(job) => format!("wait: `landfall job watch {job}`"),
            None => "wait: the rewind goes on".to_owned(),
        },
        Phase::Rewound => {
            format!("check the disks, then `landfall commit {name}` or `landfall cancel {name}`")
        }
        Phase::Committed => {
            format!("the disks are the machine's; `landfall machine remove {name}` forgets its history")
        }
        Phase::Damaged => format!("`landfall machine remove {name}`, add it again and seed it anew"),
        Phase::Failed => "look at the device and the kernel's log, then restart landfalld".to_owned(),
    };
    Some(step)
}

/// Says what keeps the appliance from being healthy, worst first.
pub(crate) fn concerns(status: &Status) -> Vec<Concern> {
    let mut concerns: Vec<_> = status.machines.iter().filter_map(machine_concern).collect();
    concerns.extend(volume_concern(status));
    concerns.sort_by_key(|concern| concern.health);
    concerns
}

/// Says what to do next with the appliance, if anything: about the worst first.
pub(crate) fn for_status(status: &Status) -> Option<String> {
    if status.machines.is_empty() {
        return Some("add a machine: `landfall machine add NAME --disk PATH`".to_owned());
    }
    let concerned = status.concerns.iter().find_map(|concern| concern.machine.as_ref());
    let first = status.machines.iter().find(|machine| Some(&machine.name) == concerned);
    first.into_iter().chain(&status.machines).find_map(|machine| machine.next.clone())
}

fn machine_concern(machine: &Machine) -> Option<Concern> {
    let disk_problem = machine.disks.iter().find_map(|disk| disk.problem.as_ref());
    let problem = machine.problem.as_ref().or(disk_problem);
    let (health, what) = match (machine.phase, problem) {
        (Phase::Failed | Phase::Damaged, Some(why)) => (Health::Failed, why.clone()),
        (Phase::Failed, None) => (Health::Failed, "a device of this machine is out".to_owned()),
        (Phase::Damaged, None) => (Health::Failed, "its journal is damaged".to_owned()),
        (_, Some(why)) => (Health::Degraded, why.clone()),
        (Phase::Seeding | Phase::Protected, None) if !machine.session.connected => {
            (Health::Degraded, "its source is not connected".to_owned())
        }
        (Phase::Protected, None) if machine.rpo_seconds.is_some_and(|age| age > RPO_SECONDS_MAX) => {
            (Health::Degraded, "its newest recovery point is older than 15 minutes".to_owned())
        }
        _ => return None,
    };
    Some(Concern { health, machine: Some(machine.name.clone()), what })
}

fn volume_concern(status: &Status) -> Option<Concern> {
    let volume = &status.volume;
    let low = volume.free_bytes < volume.capacity_bytes / 100 * FREE_PERCENT_MIN;
    low.then(|| Concern {
        health: Health::Degraded,
        machine: None,
        what: format!("less than {FREE_PERCENT_MIN} % of the retention volume is free"),
    })
}
