//! What the fake service tells: fixed, so that every output can be compared byte for byte.

use control::api::{
    CommitBy, CommitDeadline, Consistency, Content, ContentOrigin, Cutover, Damage, Disk, DiskEvent,
    DiskEventKind, DiskProof, DiskVerdict, Eligibility, Epoch, ExpiryStep, FailbackPlan, FailbackTo, Gap,
    GapKind, Health, HeartbeatState, HexHash, History, Job, JobId, JobKind, JobLine, JobOutcome, JobState,
    JobStep, Keeping, Loss, Machine, MachineAdd, MachineDisk, MachineExpiry, MachineScrub, ManifestEntry,
    ManifestFile, ManifestSummary, Manifests, Phase, Pin, Pins, PlanDisk, Point, PointList, PointView,
    Points, Policy, Preflight, PreflightFinding, Reason, Reprotect, ReprotectPlan, Reprotected, Resync,
    Retention, Rfc3339, Scrub, ScrubResult, ScrubState, Scrubs, ServerEntry, ServerHeartbeat, Servers,
    Session, Status, View, ViewDisk, VolumeUse, WhenFull,
};
use control::{ApiError, Code};
use units::{DiskIndex, EpochNumber, Generation, Hash, MachineName, Sequence, Timestamp};

const GIB: u64 = 1 << 30;

pub(super) fn now() -> Rfc3339 {
    at("2026-11-20T14:03:19Z")
}

pub(super) fn at(text: &str) -> Rfc3339 {
    Rfc3339(text.parse().unwrap())
}

fn point(sequence: u64, time: Rfc3339, consistency: Consistency, label: &str) -> Point {
    Point {
        sequence: Sequence(sequence),
        time,
        consistency,
        label: label.to_owned(),
        proof: sequence.is_multiple_of(2),
        spoilt: sequence == 650,
        group: None,
    }
}

fn newest() -> Point {
    point(812, at("2026-11-20T14:03:07.000250Z"), Consistency::Crash, "")
}

fn oldest() -> Point {
    point(640, at("2026-11-20T11:00:00Z"), Consistency::Crash, "")
}

fn disk(index: u16, path: &str) -> MachineDisk {
    MachineDisk {
        index: DiskIndex(index),
        path: path.to_owned(),
        len_bytes: 40 * GIB,
        protected_bytes: Some(40 * GIB),
        seeded_bytes: 40 * GIB,
        problem: None,
    }
}

fn machine(name: &str, phase: Phase) -> Machine {
    Machine {
        name: name.parse().unwrap(),
        phase,
        problem: None,
        generation: Generation(2),
        disks: vec![disk(0, &format!("/dev/disk/by-id/{name}-0"))],
        durable: Sequence(812),
        applied: Sequence(810),
        lag_bytes: 3 << 20,
        oldest: Some(oldest()),
        newest: Some(newest()),
        at: None,
        rpo_seconds: None,
        deadline: None,
        session: Session {
            connected: true,
            peer: Some("192.0.2.7:50112".to_owned()),
            software: Some("landfall-source 0.1.0".to_owned()),
            connections: 2,
            since: Some(at("2026-11-20T10:58:00Z")),
            received_bytes: 7 * GIB,
        },
        resync: None,
        job: None,
        views: Vec::new(),
        damage: if name == "mail-01" { damage() } else { Vec::new() },
        scrub: (name == "mail-01").then(|| scrubs().machines.swap_remove(2).scrub),
        next: None,
        keeping: keeping(),
    }
}

pub(super) fn policy() -> Policy {
    Policy {
        rpo_seconds: 900,
        window_seconds: 86_400,
        application_seconds: 3600,
        budget_bytes: None,
        when_full: WhenFull::Shrink,
        commit: CommitBy::None,
        commit_after_seconds: 14_400,
    }
}

fn keeping() -> Keeping {
    Keeping {
        policy: policy(),
        churn_bytes_per_hour: Some(2 * GIB),
        history_left_seconds: 86_400,
        ..Keeping::default()
    }
}

pub(super) fn preflight() -> Preflight {
    let finding = |machine: &str, code: Code, evidence: &str, refuses: &[&str], retired: &[u32]| {
        let entry = code.entry();
        PreflightFinding {
            machine: machine.parse().unwrap(),
            code: code.to_string(),
            title: entry.title.to_owned(),
            evidence: evidence.to_owned(),
            fix: entry.fix.to_owned(),
            refuses: refuses.iter().map(|kind| (*kind).to_owned()).collect(),
            retired: retired.to_vec(),
        }
    };
    let skew = "the source's clock is 1800 s ahead";
    let findings = vec![
        finding(
            "mail-01",
            Code::SourceSilent,
            "it is lost (route): nothing comes back",
            &[],
            &[78093, 95226],
        ),
        finding("web-01", Code::ClockSkew, skew, &["reprotect", "resync"], &[]),
    ];
    Preflight { time: now(), machines: 4, rules: 13, findings }
}

pub(super) fn machines() -> Vec<Machine> {
    let mut rewound = machine("db-01", Phase::Rewound);
    rewound.at = Some(point(700, at("2026-11-20T12:00:00Z"), Consistency::Application, "before the upgrade"));
    let (by, deadline) = (CommitBy::Commit, at("2026-11-20T14:30:00Z"));
    rewound.deadline = Some(CommitDeadline { by, at: deadline, soon: true, refused: None });
    let mut seeding =
        Machine { oldest: None, newest: None, durable: Sequence(0), ..machine("mail-01", Phase::Seeding) };
    seeding.disks[0].seeded_bytes = 17 * GIB;
    seeding.applied = Sequence(0);
    let mut failed = machine("old-01", Phase::Failed);
    failed.session = Session::default();
    failed.problem = Some("disk 0 failed to flush\x1b]0;owned\x07".to_owned());
    failed.disks[0].problem = Some("input/output error".to_owned());
    let protected = machine("web-01", Phase::Protected);
    failed.keeping.paused = Some("its source waits: the policy is to pause".to_owned());
    failed.keeping.history_left_seconds = 7200;
    [rewound, seeding, failed, protected].map(|machine| machine.derived(now().0)).to_vec()
}

pub(super) fn added(request: MachineAdd) -> Machine {
    let disks = request.disks.iter().enumerate().map(|(index, choice)| MachineDisk {
        protected_bytes: None,
        seeded_bytes: 0,
        ..disk(u16::try_from(index).unwrap(), &choice.path)
    });
    let fresh = Machine {
        name: request.name,
        generation: Generation(1),
        disks: disks.collect(),
        durable: Sequence(0),
        applied: Sequence(0),
        lag_bytes: 0,
        oldest: None,
        newest: None,
        session: Session::default(),
        ..machine("new", Phase::Seeding)
    };
    fresh.derived(now().0)
}

pub(super) fn committed(machine: Machine) -> Machine {
    Machine { phase: Phase::Committed, session: Session::default(), ..machine }.derived(now().0)
}

pub(super) fn volume() -> VolumeUse {
    VolumeUse {
        path: "/mnt/retention".to_owned(),
        capacity_bytes: 100 * GIB,
        free_bytes: 85 * GIB,
        journal_bytes: 12 * GIB,
    }
}

pub(super) fn status(machines: Vec<Machine>, jobs: Vec<Job>) -> Status {
    let status = Status {
        time: now(),
        version: "0.1.0".to_owned(),
        listen: "0.0.0.0:9443".to_owned(),
        health: Health::Healthy,
        concerns: Vec::new(),
        machines,
        jobs,
        volume: volume(),
        alarms: Vec::new(),
        next: None,
    };
    status.derived()
}

pub(super) fn verdicts() -> Vec<DiskVerdict> {
    let verdict = |path: &str, holds: &[&str], target_disk, retention_volume| DiskVerdict {
        path: path.to_owned(),
        len_bytes: 100 * GIB,
        holds: holds.iter().map(|what| (*what).to_owned()).collect(),
        target_disk,
        retention_volume,
    };
    let reason = |code: &str, what: &str, fix: &str| Reason {
        code: code.to_owned(),
        what: what.to_owned(),
        fix: fix.to_owned(),
    };
    let data = reason("LF-1241", "it holds file system ext4 at byte 1024", "erase it");
    let system = || vec![reason("LF-1230", "sda1 is mounted at /", "choose another")];
    vec![
        verdict("/dev/sda", &["a GPT partition table at byte 512"], system(), system()),
        verdict("/dev/sdb", &[], Vec::new(), Vec::new()),
        verdict("/dev/sdc", &["file system ext4 at byte 1024"], Vec::new(), vec![data]),
    ]
}

/// Returns an event about a disk; the number decides which.
pub(super) fn disk_event(number: u64) -> DiskEvent {
    let disk = disks().remove(2);
    let kind = if number % 2 == 1 { DiskEventKind::Added } else { DiskEventKind::Removed };
    DiskEvent { number, time: now(), kind, disk }
}

pub(super) fn disks() -> Vec<Disk> {
    let disk = |path: &str, sector_bytes, eligible| Disk {
        path: path.to_owned(),
        len_bytes: 40 * GIB,
        sector_bytes,
        model: "VMware Virtual disk".to_owned(),
        serial: String::new(),
        eligible,
    };
    let reason = "mounted at /".to_owned();
    vec![
        disk("/dev/sda", 512, Eligibility::No { reason }),
        disk("/dev/sdb", 512, Eligibility::Used { by: "web-01 disk 0".to_owned() }),
        Disk {
            len_bytes: 5000 * GIB,
            serial: "6000c29f".to_owned(),
            ..disk("/dev/sdc", 4096, Eligibility::Yes {})
        },
    ]
}

/// 60 points a minute apart, the 20th application-consistent, the 21st fuzzy, then half an hour without, then four more.
/// A machine that is being reprotected: a committed one with its history, or a new one.
pub(super) fn reprotected(request: &Reprotect, known: Option<Machine>) -> Reprotected {
    let paths = request.disks.iter().map(|choice| choice.path.clone());
    let plan = ReprotectPlan {
        machine: request.machine.clone(),
        generation: known.as_ref().map(|machine| machine.generation),
        points: known.as_ref().map_or(0, |_| 172),
        oldest: known.as_ref().map(|_| oldest()),
        newest: known.as_ref().map(|_| newest()),
        journal_bytes: known.as_ref().map_or(0, |_| 3 * GIB),
        disks: known.as_ref().map_or_else(|| paths.collect(), |machine| vec![machine.disks[0].path.clone()]),
    };
    let resync = Resync {
        from: Sequence(2),
        since: at("2026-11-20T11:00:00Z"),
        compared_bytes: 10 * GIB,
        total_bytes: 40 * GIB,
        received_bytes: GIB,
        rate: Some(200 << 20),
        eta_seconds: Some(154),
    };
    let fresh = Machine {
        generation: Generation(3),
        name: request.machine.clone(),
        resync: Some(resync),
        ..machine("web-01", Phase::Resyncing)
    };
    let machine = (!request.plan_only).then(|| fresh.derived(now().0));
    Reprotected { plan, machine }
}

pub(super) fn points(request: &PointList) -> Points {
    let start = oldest().time.0;
    let minute = |minutes: u64| Rfc3339(Timestamp(start.0 + minutes * 60_000_000));
    let regular = (0..60).map(|index| match index {
        19 => point(640 + index, minute(index), Consistency::Application, "before the upgrade"),
        20 => point(640 + index, minute(index), Consistency::Fuzzy, "\x1b[2J"),
        _ => point(640 + index, minute(index), Consistency::Crash, ""),
    });
    let late = (0..4).map(|index| point(700 + index, minute(90 + index), Consistency::Crash, ""));
    let mut points: Vec<_> = regular.chain(late).collect();
    let total = points.len() as u64;
    if let Some(around) = request.around {
        points.sort_by_key(|point| point.time.0.0.abs_diff(around.0.0));
        points.truncate(request.limit.max(1) as usize);
        points.sort_by_key(|point| point.sequence);
    } else if request.limit > 0 {
        points.drain(..points.len().saturating_sub(request.limit as usize));
    }
    let gap = |from, to, kind| Gap { from: minute(from), to: minute(to), kind };
    let gaps = vec![gap(4, 5, GapKind::Thinned), gap(59, 90, GapKind::Silent)];
    let pins = pins().pins;
    Points {
        machine: request.machine.clone(),
        time: now(),
        total,
        at: Sequence(702),
        points,
        resync: None,
        gaps,
        pins,
    }
}

pub(super) fn pins() -> Pins {
    let minute = |minutes: u64| Rfc3339(Timestamp(oldest().time.0.0 + minutes * 60_000_000));
    let upgrade = point(659, minute(19), Consistency::Application, "before the upgrade");
    let pin = |point, until, note: &str| Pin { point, until, note: note.to_owned() };
    let pins = vec![
        pin(oldest(), None, ""),
        pin(upgrade, Some(at("2026-12-24T00:00:00Z")), "the auditors\x1b[2J want it"),
    ];
    Pins { machine: "web-01".parse().unwrap(), time: now(), pins }
}

pub(super) fn expiry(machine: MachineName) -> MachineExpiry {
    let step = |epoch: u64, loss, reason: &str| ExpiryStep {
        epoch: EpochNumber(epoch),
        first: Sequence(600 + epoch * 10),
        last: Sequence(609 + epoch * 10),
        closed: at("2026-11-20T11:00:00Z"),
        loss,
        freed_bytes: GIB,
        reason: reason.to_owned(),
    };
    let steps = vec![
        step(4, Loss::Whole, "closed 90000 s ago, before the window"),
        step(6, Loss::Redo, "closed 87000 s ago, before the window"),
    ];
    MachineExpiry { machine, steps, held: Some("point #655 is pinned".to_owned()), wanting: None }
}

pub(super) fn plan(machine: MachineName) -> FailbackPlan {
    let content = |origin, granules: u64| Content { origin, granules, bytes: granules * 4096 };
    FailbackPlan {
        machine,
        from: Sequence(812),
        to: point(700, at("2026-11-20T12:00:00Z"), Consistency::Application, "before the upgrade"),
        granules: 3000,
        write_bytes: 3000 * 4096,
        content: vec![
            content(ContentOrigin::Redo, 1000),
            content(ContentOrigin::Undo, 1900),
            content(ContentOrigin::Zero, 100),
        ],
        disks: vec![
            PlanDisk {
                index: DiskIndex(0),
                path: "/dev/sdb".to_owned(),
                granules: 2999,
                write_bytes: 2999 * 4096,
            },
            PlanDisk { index: DiskIndex(1), path: "/dev/sdc".to_owned(), granules: 1, write_bytes: 4096 },
        ],
        cutover: Some(Cutover {
            outstanding_bytes: 600 << 20,
            rate: 50 << 20,
            dirty_rate: 2 << 20,
            converging: true,
            downtime_ms: 12_000,
            downtime_least_ms: 9_500,
            downtime_most_ms: 31_000,
        }),
    }
}

pub(super) fn running(id: JobId) -> Job {
    Job {
        id,
        kind: JobKind::Failback,
        machine: "db-01".parse().unwrap(),
        point: Some(point(700, at("2026-11-20T12:00:00Z"), Consistency::Application, "before the upgrade")),
        state: JobState::Running,
        started: at("2026-11-20T14:03:00Z"),
        ended: None,
        done_bytes: 4 << 20,
        total_bytes: 12 << 20,
        rate: 1 << 20,
        eta_seconds: Some(8),
        steps: steps(2),
        log: Vec::new(),
        error: None,
        outcome: None,
    }
}

fn steps(done: usize) -> Vec<JobStep> {
    let names = ["preflight", "rewind", "prove", "manifest"].into_iter().enumerate();
    names.map(|(at, name)| JobStep { name: name.to_owned(), done: at < done }).collect()
}

pub(super) fn job_log() -> Vec<JobLine> {
    let line = |time, what: &str| JobLine { time: at(time), what: what.to_owned() };
    let first = line("2026-11-20T14:03:00Z", "started");
    vec![
        first,
        line("2026-11-20T14:03:02Z", "rewind is done"),
        line("2026-11-20T14:03:09Z", "taken up again\x07"),
    ]
}

/// 3 is a proof without any root, 4 a failback, 5 one that failed, 6 a proof, 7 one that fails, 8 one of nothing, 9 a cancel.
pub(super) fn ended(id: JobId) -> Job {
    let root = |byte| HexHash(Hash([byte; 32]));
    let proof = |disk, source| DiskProof::compare(DiskIndex(disk), source, root(0xa5));
    let error =
        ApiError::new(Code::DiskFailed, "disk 0 of db-01 failed").because("input/output error at byte 4096");
    let (kind, outcome) = match id.0 {
        3 => (JobKind::Verify, Some(JobOutcome::Verify { disks: Vec::new() })),
        4 => {
            let (disks, manifest_problem) = (vec![proof(0, Some(root(0xa5)))], None);
            let written_bytes = 12 << 20;
            let outcome = JobOutcome::Failback { written_bytes, disks, manifest: Some(3), manifest_problem };
            (JobKind::Failback, Some(outcome))
        }
        5 => (JobKind::Failback, None),
        6 => (JobKind::Verify, Some(JobOutcome::Verify { disks: vec![proof(0, Some(root(0xa5)))] })),
        7 => {
            let disks = vec![proof(0, Some(root(0xa5))), proof(1, Some(root(0x5a)))];
            (JobKind::Verify, Some(JobOutcome::Verify { disks }))
        }
        8 => (JobKind::Verify, Some(JobOutcome::Verify { disks: vec![proof(0, None)] })),
        _ => (JobKind::Cancel, Some(JobOutcome::Cancel { written_bytes: 12 << 20 })),
    };
    let failed = outcome.is_none();
    Job {
        kind,
        state: if failed { JobState::Failed } else { JobState::Done },
        ended: Some(at("2026-11-20T14:03:12Z")),
        rate: 0,
        eta_seconds: None,
        steps: steps(if failed { 1 } else { 4 }),
        done_bytes: if failed { 4 << 20 } else { 12 << 20 },
        error: failed.then(|| error.into()),
        outcome,
        ..running(id)
    }
}

pub(super) fn retention(empty: bool) -> Retention {
    let epoch = |number: u64, sealed| Epoch {
        number: EpochNumber(number),
        first: Sequence(640 + number * 10),
        last: Sequence(649 + number * 10),
        started: Some(at("2026-11-20T11:00:00Z")),
        sealed,
        thinned: number == 1,
        joined: (number == 1).then_some(4),
        redo_bytes: 2 * GIB,
        undo_bytes: 700 << 20,
    };
    let history = History {
        machine: "web-01".parse().unwrap(),
        oldest: Some(oldest()),
        newest: Some(newest()),
        window_seconds: 10_987,
        keep_seconds: 86_400,
        keep_bytes: None,
        bytes: 6 * GIB,
        keeping: Keeping { held: Some("point #640 is pinned".to_owned()), ..keeping() },
        epochs: vec![epoch(1, true), epoch(2, false)],
    };
    Retention { time: now(), volume: volume(), machines: if empty { Vec::new() } else { vec![history] } }
}

/// A manifest that nobody signed: showing one checks no signature.
fn sealed() -> manifest::Manifest {
    let root = Some(Hash([0xa5; 32]));
    let disk = manifest::Disk {
        index: 0,
        path: "/dev/sdb".to_owned(),
        identity: "serial:6000c29".to_owned(),
        device_bytes: 80 * GIB,
        protected_bytes: 40 * GIB,
        source_root: root,
        target_root: root,
        verdict: manifest::Verdict::Identical,
    };
    let (started, signed) = (oldest().time.0, now().0);
    manifest::Manifest {
        format: manifest::FORMAT.to_owned(),
        facts: manifest::Facts {
            product: "landfall 0.1.0".to_owned(),
            event: manifest::Event::Failback,
            machine: "web-01".parse().unwrap(),
            machine_id: units::MachineId([7; 16]),
            generation: Generation(1),
            point: manifest::Point {
                sequence: Sequence(812),
                time: Some(newest().time.0),
                consistency: manifest::Consistency::Crash,
                label: "before the \u{1b}[31mupdate".to_owned(),
            },
            disks: vec![disk],
            times: manifest::Times { started, reached: Some(signed), proved: Some(signed), signed },
            written_bytes: 12 << 20,
        },
        signer: manifest::Signer {
            identity: "landfall:master-target:home-01".to_owned(),
            algorithm: manifest::Algorithm::EcdsaP256Sha256,
            key_id: "c3".repeat(32),
            certificates: "none\n".to_owned(),
        },
    }
}

pub(super) fn manifest() -> ManifestFile {
    ManifestFile { number: 3, text: manifest::seal(&sealed(), &[1, 2, 3]) }
}

pub(super) fn manifests(machine: &MachineName) -> Manifests {
    let says = sealed();
    let summary = ManifestSummary {
        event: says.facts.event,
        signed: now(),
        generation: Generation(1),
        point: says.facts.point,
        verdict: manifest::Verdict::Identical,
        key_id: says.signer.key_id,
    };
    let damaged = "it is not the five lines of a manifest: line 1 is not what it should be".to_owned();
    let manifests = vec![
        ManifestEntry { number: 2, says: None, problem: Some(damaged) },
        ManifestEntry { number: 3, says: Some(summary), problem: None },
    ];
    Manifests { machine: machine.clone(), manifests }
}

/// A view as it is opened.
pub(super) fn view(request: &PointView) -> View {
    let disk = |(index, gib): (u16, u64)| ViewDisk {
        index: DiskIndex(index),
        len_bytes: gib * GIB,
        uri: match request.listen {
            None => format!("nbd+unix:///{index}?socket=/run/landfall/view-3.sock"),
            Some(_) => format!("nbds://192.0.2.1:10809/{index}"),
        },
    };
    View {
        id: 3,
        machine: request.machine.clone(),
        point: newest(),
        opened: now(),
        disks: [(0, 40), (1, 2)].map(disk).to_vec(),
        scratch_bytes: request.scratch_bytes,
        used_bytes: 0,
        connections: 0,
        ended: None,
    }
}

/// A view in use, and one that has ended.
pub(super) fn views() -> Vec<View> {
    let request = |scratch_bytes| PointView {
        machine: "web-01".parse().unwrap(),
        point: FailbackTo::Latest,
        inconsistent_ok: false,
        scratch_bytes,
        listen: None,
    };
    let used = View { used_bytes: 3 << 20, connections: 2, ..view(&request(Some(GIB))) };
    let ended = Some("the retention volume is full, and the history it shows had to go".to_owned());
    vec![used, View { id: 4, ended, ..view(&request(None)) }]
}

pub(super) fn scrubs() -> Scrubs {
    let last = ScrubResult {
        started: at("2026-11-20T02:00:00Z"),
        finished: at("2026-11-20T03:30:00Z"),
        read_bytes: 46 * GIB,
        found: 2,
        proved: true,
    };
    let scrub = |state, last: Option<ScrubResult>, problem: Option<String>| Scrub {
        state,
        done_bytes: 6 * GIB,
        total_bytes: 24 * GIB,
        rate: 16 << 20,
        rate_max: Some(16 << 20),
        eta_seconds: Some(1152),
        age_seconds: last.as_ref().map(|_| 37_999),
        last,
        problem,
    };
    let entry = |name: &str, scrub| MachineScrub { machine: name.parse().unwrap(), scrub };
    let ended = "the view has ended: the retention volume is full".to_owned();
    let machines = vec![
        entry("web-01", scrub(ScrubState::Running, Some(last.clone()), None)),
        entry("db-01", scrub(ScrubState::Paused, None, None)),
        entry("mail-01", scrub(ScrubState::Waiting, Some(last), Some(ended))),
    ];
    Scrubs { time: now(), machines }
}

/// Damage of a target disk that goes on, of a log, and of a record that nothing needs.
fn damage() -> Vec<Damage> {
    let damage = |place: &str, len_bytes, first, last: Option<u64>| Damage {
        disk: DiskIndex(0),
        start_bytes: 5 << 20,
        len_bytes,
        place: place.to_owned(),
        first: Sequence(first),
        last: last.map(Sequence),
        found: now(),
        before: Some(Sequence(640)),
        after: last.map(|_| Sequence(812)),
    };
    vec![
        damage("the target disk", 65_536, 700, None),
        damage("undo log of epoch 2 at 4096", 8192, 650, Some(655)),
        damage("redo log of epoch 1 at 0", 0, 650, Some(649)),
    ]
}

pub(super) fn servers() -> Servers {
    let entry = |role: &str, name: &str| ServerEntry {
        role: role.parse().unwrap(),
        name: name.parse().unwrap(),
        enrolled: at("2026-11-01T08:00:00Z"),
        certificate: Some("40".repeat(16)),
        expires: Some(at("2026-11-27T08:00:00Z")),
        revoked: None,
        heartbeat: None,
    };
    let beat = |state, silent_seconds, cause: Option<&str>| {
        Some(ServerHeartbeat {
            state,
            silent_seconds,
            cause: cause.map(str::to_owned),
            address: Some("192.0.2.7:41000".to_owned()),
            software: Some("landfall-source 0.1.0".to_owned()),
        })
    };
    let heard = ServerEntry { heartbeat: beat(HeartbeatState::Alive, 3, None), ..entry("source", "db-01") };
    let cause = Some("its connection was closed without a word, and it has not come back");
    let silent = ServerEntry { heartbeat: beat(HeartbeatState::Lost, 95, cause), ..entry("source", "db-02") };
    let lost = entry("source", "web-01");
    let revoked = Some(at("2026-11-20T09:00:00Z"));
    let lost = ServerEntry { certificate: None, expires: None, revoked, ..lost };
    Servers {
        time: now(),
        servers: vec![entry("master-target", "home-01"), entry("operator", "ann"), heard, silent, lost],
    }
}
