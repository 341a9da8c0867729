//! What the master target knows, in the words of the control interface.

use control::api::{
    Consistency, Epoch, Gap, GapKind, GroupMark, History, Job, JobState, Machine, MachineDisk, Phase, Point,
    Resync, Rfc3339, Session,
};
use retention::Lifecycle;
use target::replica::{FailureKind, State};
use units::{DiskIndex, Sequence, Timestamp};

use crate::commits::CommitBook;
use crate::keeping;

/// Describes a machine.
pub(crate) fn machine(
    machine: &target::Machine,
    jobs: &[Job],
    views: Vec<u64>,
    commits: &CommitBook,
    forecast: target::Forecast,
    now: Timestamp,
) -> Machine {
    let session = machine.session().map(session).unwrap_or_default();
    let running = |job: &&Job| job.machine == machine.name && job.state == JobState::Running;
    let job = jobs.iter().find(running).map(|job| job.id);
    let state = machine.shared.lock();
    let rewound = matches!(state.lifecycle, Lifecycle::Rewound { .. });
    let deadline = commits.deadline(machine, now).filter(|_| rewound);
    let at = standing(&state).map(|sequence| named(&state, sequence));
    let problem = state.failure.as_ref().map(|(_, why)| why.clone());
    let described = |each: &retention::Point| point(&state, each);
    let full = state.full.as_ref().map(|what| format!("the retention volume has no room for {what}"));
    Machine {
        name: machine.name.clone(),
        phase: phase(&state),
        problem: problem.or(state.stalled.clone()).or(full),
        generation: machine.generation,
        disks: machine
            .disks
            .iter()
            .enumerate()
            .map(|(index, disk)| machine_disk(&state, index, disk))
            .collect(),
        durable: state.durable,
        applied: state.applied,
        lag_bytes: state.lag.0,
        oldest: state.timeline.points().next().map(described),
        newest: state.timeline.points().next_back().map(described),
        at,
        rpo_seconds: None,
        deadline,
        session,
        resync: resync(&state, now),
        job,
        views,
        damage: crate::scrub::damage(&state),
        scrub: Some(crate::scrub::scrub(&machine.scrub, now)),
        next: None,
        keeping: keeping::keeping(&state, commits.of(machine), forecast, now),
    }
    .derived(now)
}

fn phase(state: &State) -> Phase {
    match (&state.failure, &state.lifecycle) {
        (Some((FailureKind::Damaged, _)), _) => Phase::Damaged,
        (Some(_), _) => Phase::Failed,
        (None, Lifecycle::Registered | Lifecycle::Seeding { .. }) => Phase::Seeding,
        (None, Lifecycle::Original { .. }) => Phase::Resyncing,
        (None, Lifecycle::Protected) if state.timeline.resync().is_some() => Phase::Resyncing,
        (None, Lifecycle::Protected) => Phase::Protected,
        (None, Lifecycle::Rewinding { .. }) => Phase::Rewinding,
        (None, Lifecycle::Rewound { .. }) => Phase::Rewound,
        (None, Lifecycle::Committed { .. }) => Phase::Committed,
    }
}

/// Describes the resync under way.
pub(crate) fn resync(state: &State, now: Timestamp) -> Option<Resync> {
    let resync = state.timeline.resync()?;
    let compared = state.compared;
    let described = Resync {
        from: resync.since,
        since: resync.time.into(),
        compared_bytes: compared.map_or(0, |compared| compared.compared.0),
        total_bytes: state.lens.iter().map(|len| len.0).sum(),
        received_bytes: compared.map_or(0, |compared| compared.received.0),
        rate: None,
        eta_seconds: None,
    };
    Some(match compared {
        Some(compared) => described.timed(now.since(compared.since)),
        None => described,
    })
}

/// Returns the sequence the target disks stand at, when that is not simply the newest.
fn standing(state: &State) -> Option<Sequence> {
    match state.lifecycle {
        Lifecycle::Rewinding { to, .. } => Some(to),
        Lifecycle::Rewound { at } | Lifecycle::Committed { at } => Some(at),
        _ => None,
    }
}

fn machine_disk(state: &State, index: usize, disk: &retention::HeadDisk) -> MachineDisk {
    let protected = state.lens.get(index).filter(|len| len.0 > 0).map(|len| len.0);
    let seeded = match &state.lifecycle {
        Lifecycle::Registered => 0,
        Lifecycle::Seeding { through, .. } => through.get(index).map_or(0, |through| through.0),
        _ => protected.unwrap_or(0),
    };
    MachineDisk {
        index: DiskIndex(u16::try_from(index).expect("a machine has at most 256 disks")),
        path: disk.path.clone(),
        len_bytes: disk.device_len.0,
        protected_bytes: protected,
        seeded_bytes: seeded,
        problem: state.sights.get(&index).cloned(),
    }
}

fn session(report: target::SessionReport) -> Session {
    Session {
        connected: report.connected,
        peer: Some(report.peer.to_string()),
        software: Some(report.software),
        connections: report.connections,
        since: Some(report.since.into()),
        received_bytes: report.received,
    }
}

/// Describes a recovery point.
pub(crate) fn point(state: &State, point: &retention::Point) -> Point {
    Point { spoilt: state.spoils(point.sequence).is_some(), ..point_alone(point) }
}

/// Describes a recovery point, whatever may have become of what it needs.
pub(crate) fn point_alone(point: &retention::Point) -> Point {
    Point {
        sequence: point.sequence,
        time: point.time.into(),
        consistency: consistency(point.consistency),
        label: point.label.clone(),
        proof: !point.roots.is_empty(),
        spoilt: false,
        group: point.group.as_ref().map(group_mark),
    }
}

/// Says how far a point can be trusted.
pub(crate) fn consistency(consistency: wire::Consistency) -> Consistency {
    match consistency {
        // The beginning of a resync is never listed as a point.
        wire::Consistency::Resync | wire::Consistency::Fuzzy => Consistency::Fuzzy,
        wire::Consistency::Crash => Consistency::Crash,
        wire::Consistency::Application => Consistency::Application,
    }
}

fn group_mark(mark: &wire::GroupMark) -> GroupMark {
    GroupMark { group: mark.group.clone(), number: mark.number }
}

/// Lists the spans without points.
pub(crate) fn gaps(state: &State, now: Timestamp) -> Vec<Gap> {
    let thinned = |sequence| {
        let ended =
            |info: &&target::replica::EpochInfo| info.thinned && (info.first..=info.last).contains(&sequence);
        state.epochs.iter().any(|info| ended(&info))
    };
    let gap = |gap: retention::Gap| Gap {
        from: gap.from.into(),
        to: gap.to.into(),
        kind: match gap.kind {
            retention::GapKind::Silent => GapKind::Silent,
            retention::GapKind::Thinned => GapKind::Thinned,
        },
    };
    state.timeline.gaps(state.policy().rpo(), now, thinned).into_iter().map(gap).collect()
}

/// Describes a sequence as a point, even where it is none: then it is as good as fuzzy, and as old as the point before it.
pub(crate) fn named(state: &State, sequence: Sequence) -> Point {
    if let Some(found) = state.timeline.get(sequence) {
        return point(state, found);
    }
    let before = state.timeline.points().take_while(|point| point.sequence < sequence).last();
    let time = Rfc3339(before.map_or(Timestamp(0), |point| point.time));
    Point {
        sequence,
        time,
        consistency: Consistency::Fuzzy,
        label: "between points".to_owned(),
        proof: false,
        spoilt: state.spoils(sequence).is_some(),
        group: None,
    }
}

/// Describes how far back a machine's history reaches.
pub(crate) fn history(
    machine: &target::Machine,
    commits: &CommitBook,
    forecast: target::Forecast,
    now: Timestamp,
) -> History {
    let state = machine.shared.lock();
    let policy = state.policy();
    let (oldest, newest) = (state.timeline.points().next(), state.timeline.points().next_back());
    let window = oldest.zip(newest).map_or(0, |(oldest, newest)| newest.time.since(oldest.time).as_secs());
    let epoch = |info: &target::replica::EpochInfo| Epoch {
        number: info.epoch,
        first: info.first,
        last: info.last,
        started: state
            .timeline
            .points()
            .find(|point| point.sequence >= info.first)
            .map(|point| point.time.into()),
        sealed: info.sealed,
        thinned: info.thinned,
        joined: (info.through != info.epoch).then(|| info.through.0 - info.epoch.0 + 1),
        redo_bytes: info.redo.0,
        undo_bytes: info.undo.0,
    };
    History {
        machine: machine.name.clone(),
        oldest: oldest.map(|each| point(&state, each)),
        newest: newest.map(|each| point(&state, each)),
        window_seconds: window,
        keep_seconds: policy.window_seconds.into(),
        keep_bytes: (policy.budget.0 < 1 << 50).then_some(policy.budget.0),
        bytes: state.journal_len().0,
        keeping: keeping::keeping(&state, commits.of(machine), forecast, now),
        epochs: state.epochs.iter().map(epoch).collect(),
    }
}

/// Locks; what these locks guard is never left half changed.
pub(crate) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
