//! What is not well, and what to do next: pure functions of the facts.

use inventory::AlarmKind;

use crate::api::{CommitBy, CommitDeadline, Concern, Damage, Health, Machine, Phase, Status};

/// A retention volume with less free space than this, in per cent, is a concern.
const FREE_PERCENT_LOW: u64 = 30;
/// With less than this a person must act.
const FREE_PERCENT_LEAST: u64 = 25;

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
        Phase::Resyncing if !machine.session.connected => {
            format!("start the source agent of {name}: it compares the disks and sends what differs")
        }
        Phase::Resyncing => {
            format!(
                "wait: the disks of {name} are being compared; its last consistent point stays until that is done"
            )
        }
        Phase::Rewinding => match machine.job {
            Some(job) => format!("wait: `landfall job watch {job}`"),
            None => "wait: the rewind goes on".to_owned(),
        },
        Phase::Rewound => {
            let step = format!("check the disks, then `landfall commit {name}` or `landfall cancel {name}`");
            match &machine.deadline {
                Some(deadline) => format!("{step}; {}", by_itself(deadline)),
                None => step,
            }
        }
        Phase::Committed => {
            format!(
                "the disks are the machine's; `landfall reprotect {name}` protects it again, `landfall machine remove {name}` forgets it"
            )
        }
        Phase::Damaged => format!("`landfall machine remove {name}`, add it again and seed it anew"),
        Phase::Failed => "look at the device and the kernel's log, then restart landfalld".to_owned(),
    };
    Some(step)
}

/// Says what keeps the appliance from being healthy, worst first.
pub(crate) fn concerns(status: &Status) -> Vec<Concern> {
    let mut concerns: Vec<_> = status.machines.iter().flat_map(machine_concerns).collect();
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

/// Lists what is wrong with a machine: what it is, how old its points are, and how its history stands.
fn machine_concerns(machine: &Machine) -> Vec<Concern> {
    let concern = |(kind, health, what)| Concern::of_machine(kind, health, &machine.name, what);
    let found = machine_concern(machine).into_iter().chain(rpo_concern(machine));
    found.chain(keeping_concerns(machine)).chain(deadline_concern(machine)).map(concern).collect()
}

/// Says that a machine is committed or brought back by itself soon, or should have been.
fn deadline_concern(machine: &Machine) -> Option<(AlarmKind, Health, String)> {
    let deadline = machine.deadline.as_ref()?;
    match &deadline.refused {
        Some(why) => {
            let what = match deadline.by {
                CommitBy::Cancel => "brought back",
                CommitBy::Commit | CommitBy::None => "committed",
            };
            let what = format!("it should have been {what} by itself at {}: {why}", deadline.at);
            Some((AlarmKind::Commit, Health::Failed, what))
        }
        None => deadline.soon.then(|| (AlarmKind::Commit, Health::Degraded, by_itself(deadline))),
    }
}

fn by_itself(deadline: &CommitDeadline) -> String {
    match deadline.by {
        CommitBy::Cancel => format!("it is brought back to the latest by itself at {}", deadline.at),
        CommitBy::Commit | CommitBy::None => format!("it is committed by itself at {}", deadline.at),
    }
}

/// Says how old the newest point is, where it is older than wanted: an alarm, if twice as old.
fn rpo_concern(machine: &Machine) -> Option<(AlarmKind, Health, String)> {
    let (age, most) = (machine.rpo_seconds?, u64::from(machine.keeping.policy.rpo_seconds));
    if machine.phase != Phase::Protected || most == 0 || age <= most {
        return None;
    }
    let health = if age > 2 * most { Health::Failed } else { Health::Degraded };
    let [age, most] = [age, most].map(span);
    Some((
        AlarmKind::Rpo,
        health,
        format!("its newest recovery point is {age} old, the RPO threshold is {most}"),
    ))
}

/// Says how the history falls short of the policy.
fn keeping_concerns(machine: &Machine) -> Vec<(AlarmKind, Health, String)> {
    let keeping = &machine.keeping;
    let mut concerns = Vec::new();
    concerns.extend(keeping.paused.clone().map(|what| (AlarmKind::Paused, Health::Failed, what)));
    concerns.extend(keeping.shrunk.clone().map(|what| (AlarmKind::History, Health::Degraded, what)));
    let (left, wanted) = (keeping.history_left_seconds, u64::from(keeping.policy.window_seconds));
    if keeping.churn_bytes_per_hour.is_some() && left < wanted {
        let [left, wanted] = [left, wanted].map(span);
        concerns.push((
            AlarmKind::History,
            Health::Degraded,
            format!("its history will reach {left} back, the policy wants {wanted}"),
        ));
    }
    let most = u64::from(keeping.policy.application_seconds);
    if let Some(age) = keeping.application_age_seconds.filter(|age| most > 0 && *age > most) {
        let [age, most] = [age, most].map(span);
        let what =
            format!("its newest application-consistent point is {age} old, wanted is one every {most}");
        concerns.push((AlarmKind::Application, Health::Degraded, what));
    }
    concerns
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn machine_concern(machine: &Machine) -> Option<(AlarmKind, Health, String)> {
    let disk_problem = machine.disks.iter().find_map(|disk| disk.problem.as_ref());
    let problem = machine.problem.as_ref().or(disk_problem);
    let kind = AlarmKind::Machine;
    Some(match (machine.phase, problem) {
        (Phase::Failed | Phase::Damaged, Some(why)) => (kind, Health::Failed, why.clone()),
        (Phase::Failed, None) => (kind, Health::Failed, "a device of this machine is out".to_owned()),
        (Phase::Damaged, None) => (kind, Health::Failed, "its journal is damaged".to_owned()),
        (_, Some(why)) => (kind, Health::Degraded, why.clone()),
        _ if machine.damage.iter().any(spoils) => (AlarmKind::Damage, Health::Degraded, damage(machine)),
        (Phase::Seeding | Phase::Protected | Phase::Resyncing, None) if !machine.session.connected => {
            (AlarmKind::Source, Health::Degraded, "its source is not connected".to_owned())
        }
        _ => return None,
    })
}

/// Tells whether any recovery point is spoilt.
fn spoils(damage: &Damage) -> bool {
    damage.last.is_none_or(|last| damage.first <= last)
}

fn damage(machine: &Machine) -> String {
    let all = || machine.damage.iter().filter(|damage| spoils(damage));
    let bytes: u64 = all().map(|damage| damage.len_bytes).sum();
    let first = all().map(|damage| damage.first).min().unwrap_or_default();
    match all().map(|damage| damage.last).collect::<Option<Vec<_>>>() {
        None => {
            let open = all().filter(|damage| damage.last.is_none());
            let first = open.map(|damage| damage.first).min().unwrap_or_default();
            format!(
                "{bytes} bytes are damaged: no point from #{first} on is whole until its source has sent them again"
            )
        }
        Some(last) => {
            let last = last.into_iter().max().unwrap_or_default();
            format!(
                "{bytes} bytes of its history are damaged: some points from #{first} to #{last} are refused"
            )
        }
    }
}

fn volume_concern(status: &Status) -> Option<Concern> {
    let volume = &status.volume;
    let below = |percent| volume.free_bytes < volume.capacity_bytes / 100 * percent;
    let (health, percent) = match (below(FREE_PERCENT_LEAST), below(FREE_PERCENT_LOW)) {
        (true, _) => (Health::Failed, FREE_PERCENT_LEAST),
        (_, true) => (Health::Degraded, FREE_PERCENT_LOW),
        _ => return None,
    };
    let what = format!("less than {percent} % of the retention volume is free");
    Some(Concern::of_appliance(AlarmKind::Volume, health, what))
}

#[cfg(test)]
mod tests {
    use units::{Generation, Sequence, Timestamp};

    use super::*;
    use crate::api::{Consistency, JobId, Keeping, Point, Policy, Rfc3339, Session, VolumeUse};

    fn machine(name: &str, phase: Phase) -> Machine {
        let newest = Point {
            sequence: Sequence(5),
            time: Rfc3339(Timestamp(1_000_000_000)),
            consistency: Consistency::Crash,
            label: String::new(),
            proof: true,
            spoilt: false,
            group: None,
        };
        Machine {
            name: name.parse().unwrap(),
            phase,
            problem: None,
            generation: Generation(1),
            disks: Vec::new(),
            durable: Sequence(5),
            applied: Sequence(5),
            lag_bytes: 0,
            oldest: None,
            newest: Some(newest),
            at: None,
            rpo_seconds: None,
            deadline: None,
            session: Session { connected: true, ..Session::default() },
            resync: None,
            job: None,
            views: Vec::new(),
            damage: Vec::new(),
            scrub: None,
            next: None,
            keeping: Keeping {
                policy: Policy {
                    rpo_seconds: 900,
                    window_seconds: 86_400,
                    application_seconds: 3600,
                    ..Policy::default()
                },
                history_left_seconds: 86_400,
                ..Keeping::default()
            },
        }
    }

    fn status(seconds: u64, machines: Vec<Machine>, free_bytes: u64) -> Status {
        let now = Timestamp(1_000_000_000 + seconds * 1_000_000);
        let status = Status {
            time: now.into(),
            version: String::new(),
            listen: String::new(),
            health: Health::Failed,
            concerns: Vec::new(),
            machines: machines.into_iter().map(|machine| machine.derived(now)).collect(),
            jobs: Vec::new(),
            volume: VolumeUse { path: String::new(), capacity_bytes: 1000, free_bytes, journal_bytes: 0 },
            alarms: Vec::new(),
            next: None,
        };
        status.derived()
    }

    #[test]
    fn a_machine_with_fresh_points_and_room_is_healthy_and_needs_nothing() {
        let status = status(30, vec![machine("a", Phase::Protected)], 500);
        assert_eq!(
            (status.health, status.next, status.machines[0].rpo_seconds),
            (Health::Healthy, None, Some(30))
        );
    }

    #[test]
    fn old_points_a_lost_source_and_a_filling_volume_are_concerns() {
        let lost = Machine { session: Session::default(), ..machine("b", Phase::Protected) };
        let status = status(901, vec![machine("a", Phase::Protected), lost], 299);
        assert_eq!(status.health, Health::Degraded);
        let about: Vec<_> = status
            .concerns
            .iter()
            .map(|concern| concern.machine.as_ref().map(|name| name.as_str()))
            .collect();
        assert_eq!(about, [Some("a"), Some("b"), Some("b"), None], "b is lost, and its points are old");
    }

    #[test]
    fn a_volume_is_low_below_30_per_cent_and_a_person_must_act_below_25() {
        let health = |free| status(0, vec![machine("a", Phase::Protected)], free).health;
        use Health::{Degraded, Failed, Healthy};
        assert_eq!([300, 299, 250, 249].map(health), [Healthy, Degraded, Degraded, Failed]);
    }

    #[test]
    fn points_twice_as_old_as_the_threshold_are_an_alarm() {
        let health = |seconds| status(seconds, vec![machine("a", Phase::Protected)], 500).health;
        assert_eq!([900, 901, 1800, 1801].map(health), {
            use Health::{Degraded, Failed, Healthy};
            [Healthy, Degraded, Degraded, Failed]
        });
    }

    #[test]
    fn a_history_that_falls_short_of_its_policy_is_a_concern() {
        let with = |change: fn(&mut Keeping)| {
            let mut machine = machine("a", Phase::Protected);
            change(&mut machine.keeping);
            let concerns = status(0, vec![machine], 500).concerns;
            concerns.into_iter().map(|concern| (concern.health, concern.what)).collect::<Vec<_>>()
        };
        assert_eq!(with(|keeping| keeping.history_left_seconds = 3600), [], "nothing is known of its churn");
        let short = with(|keeping| {
            keeping.history_left_seconds = 3 * 3600;
            keeping.churn_bytes_per_hour = Some(1 << 30);
        });
        let what = "its history will reach 3 h back, the policy wants 24 h".to_owned();
        assert_eq!(short, [(Health::Degraded, what)]);
        let paused = with(|keeping| keeping.paused = Some("it waits".to_owned()));
        assert_eq!(paused, [(Health::Failed, "it waits".to_owned())]);
        let late = with(|keeping| keeping.application_age_seconds = Some(3601));
        assert_eq!(late.len(), 1);
        assert_eq!(with(|keeping| keeping.application_age_seconds = None), [], "it never gave one");
    }

    #[test]
    fn the_worst_comes_first_and_its_hint_is_the_hint() {
        let broken = Machine { problem: Some("disk 0 failed".to_owned()), ..machine("z", Phase::Failed) };
        let lost = Machine { session: Session::default(), ..machine("a", Phase::Seeding) };
        let status = status(0, vec![lost, broken], 500);
        assert_eq!(status.health, Health::Failed);
        assert_eq!(status.concerns[0].what, "disk 0 failed");
        assert_eq!(status.next, for_machine(&machine("z", Phase::Failed)));
    }

    #[test]
    fn what_becomes_of_a_machine_by_itself_is_told_before_and_when_it_did_not() {
        let at = Rfc3339(Timestamp(2_000_000_000_000_000));
        let with = |soon, refused: Option<&str>| {
            let deadline =
                CommitDeadline { by: CommitBy::Commit, at, soon, refused: refused.map(str::to_owned) };
            let machine = Machine { deadline: Some(deadline), ..machine("a", Phase::Rewound) };
            assert!(
                for_machine(&machine).is_some_and(|next| next.ends_with("by itself at 2033-05-18T03:33:20Z"))
            );
            status(0, vec![machine], 500).concerns.pop().map(|concern| (concern.kind, concern.health))
        };
        assert_eq!(with(false, None), None);
        assert_eq!(with(true, None), Some((AlarmKind::Commit, Health::Degraded)));
        assert_eq!(with(true, Some("a view is open")), Some((AlarmKind::Commit, Health::Failed)));
    }

    #[test]
    fn a_problem_that_leaves_the_phase_alone_degrades() {
        let stalled = Machine { problem: Some("no room".to_owned()), ..machine("a", Phase::Protected) };
        assert_eq!(status(0, vec![stalled], 500).health, Health::Degraded);
    }

    #[test]
    fn every_phase_but_a_well_protected_one_has_a_next_step() {
        use Phase::{Committed, Damaged, Failed, Resyncing, Rewinding, Rewound, Seeding};
        for phase in [Seeding, Resyncing, Rewinding, Rewound, Committed, Damaged, Failed] {
            assert!(for_machine(&machine("a", phase)).is_some(), "{phase:?}");
        }
        let watched = Machine { job: Some(JobId(4)), ..machine("a", Rewinding) };
        assert_eq!(for_machine(&watched).as_deref(), Some("wait: `landfall job watch 4`"));
        assert_eq!(for_machine(&machine("a", Phase::Protected)), None);
    }
}
