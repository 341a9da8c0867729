//! The numbers people watch, as Prometheus reads them: a pure function of the status.

use std::fmt::Write;

use crate::api::{Health, Machine, Phase, ScrubState, Status};

/// One number that is told.
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// It only rises, but for restarts.
    pub counter: bool,
    /// What it is, in one sentence.
    pub help: &'static str,
    read: Read,
}

/// Where a number comes from.
enum Read {
    /// The appliance has one.
    Appliance(fn(&Status) -> f64),
    /// The appliance has several, told apart by a label.
    Labelled(fn(&Status) -> Vec<(String, f64)>),
    /// Each machine has one, or none.
    Machine(fn(&Machine) -> Option<f64>),
}

macro_rules! metrics {
    ($($name:literal $kind:ident $read:ident($of:expr): $help:literal;)*) => {
        /// Every number that is told.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: concat!("landfall_", $name), counter: metrics!(@$kind), help: $help, read: Read::$read($of),
        },)*];
    };
    (@gauge) => { false };
    (@counter) => { true };
}

metrics! {
    "info" gauge Labelled(|status| vec![(label("version", &status.version), 1.0)]): "The version that runs.";
    "health" gauge Labelled(|status| states(status.health, &HEALTH)): "1 for the state the appliance is in.";
    "concerns" gauge Labelled(concerns): "How many things are not well, by how bad they are.";
    "alarm" gauge Labelled(alarms): "1 for each alarm that stands; acked is true once somebody has taken note.";
    "machines" gauge Appliance(|status| count(status.machines.len())): "Protected machines.";
    "jobs_running" gauge Appliance(|status| count(status.jobs.len())): "Jobs under way.";
    "job_progress_ratio" gauge Labelled(jobs): "The part of each job under way that is done.";
    "retention_capacity_bytes" gauge Appliance(|status| number(status.volume.capacity_bytes)): "What the retention volume can hold.";
    "retention_free_bytes" gauge Appliance(|status| number(status.volume.free_bytes)): "What is free on the retention volume.";
    "retention_journal_bytes" gauge Appliance(|status| number(status.volume.journal_bytes)): "What the journals take.";
    "machine_phase" gauge Labelled(phases): "1 for the phase each machine is in.";
    "source_connected" gauge Machine(|machine| Some(truth(machine.session.connected))): "1 while the machine's source is connected.";
    "rpo_seconds" gauge Machine(|machine| machine.rpo_seconds.map(number)): "Age of the newest recovery point.";
    "rpo_threshold_seconds" gauge Machine(|machine| Some(machine.keeping.policy.rpo_seconds.into())):
        "Age of the newest recovery point that is still well, by the policy.";
    "ingest_bytes_total" counter Machine(|machine| Some(number(machine.session.received_bytes))):
        "Payload bytes received in the source's session.";
    "apply_lag_bytes" gauge Machine(|machine| Some(number(machine.lag_bytes))): "Payload bytes that are durable but not yet on the target disks.";
    "durable_sequence" counter Machine(|machine| Some(number(machine.durable.0))): "The last durable sequence.";
    "applied_sequence" counter Machine(|machine| Some(number(machine.applied.0))): "The last sequence that is on the target disks.";
    "protected_bytes" gauge Machine(protected): "Size of the protected disks.";
    "seeded_bytes" gauge Machine(|machine| Some(machine.disks.iter().map(|disk| number(disk.seeded_bytes)).sum())):
        "What of the protected disks is seeded and durable.";
    "resync_remaining_bytes" gauge Machine(resync): "What a resync under way has yet to compare.";
    "retention_window_seconds" gauge Machine(window): "How far back recovery points reach.";
    "retention_window_wanted_seconds" gauge Machine(|machine| Some(machine.keeping.policy.window_seconds.into())):
        "How far back recovery points should reach, by the policy.";
    "history_left_seconds" gauge Machine(|machine| machine.newest.as_ref().map(|_| number(machine.keeping.history_left_seconds))):
        "How far back recovery points will reach at the present churn.";
    "churn_bytes_per_hour" gauge Machine(|machine| machine.keeping.churn_bytes_per_hour.map(number)): "What is added to the journal in an hour.";
    "application_point_age_seconds" gauge Machine(|machine| machine.keeping.application_age_seconds.map(number)):
        "Age of the newest application-consistent point.";
    "replication_paused" gauge Machine(|machine| Some(truth(machine.keeping.paused.is_some()))): "1 while the source waits for room.";
    "damaged_ranges" gauge Machine(|machine| Some(count(machine.damage.len()))): "Ranges of disks or history that are lost.";
    "disks_out" gauge Machine(|machine| Some(count(machine.disks.iter().filter(|disk| disk.problem.is_some()).count()))):
        "Target disks that are out.";
    "scrub_age_seconds" gauge Machine(|machine| machine.scrub.as_ref()?.age_seconds.map(number)): "Time since the last scrub ended.";
    "scrub_found" gauge Machine(|machine| Some(machine.scrub.as_ref()?.last.as_ref()?.found.into())): "Damaged places that the last scrub found.";
    "scrub_running" gauge Machine(|machine| Some(truth(machine.scrub.as_ref()?.state == ScrubState::Running))): "1 while a scrub is under way.";
}

const HEALTH: [(Health, &str); 3] =
    [(Health::Healthy, "healthy"), (Health::Degraded, "degraded"), (Health::Failed, "failed")];
const PHASES: [(Phase, &str); 8] = [
    (Phase::Seeding, "seeding"),
    (Phase::Protected, "protected"),
    (Phase::Resyncing, "resyncing"),
    (Phase::Rewinding, "rewinding"),
    (Phase::Rewound, "rewound"),
    (Phase::Committed, "committed"),
    (Phase::Damaged, "damaged"),
    (Phase::Failed, "failed"),
];

/// Writes every number.
pub(super) fn render(status: &Status) -> String {
    let mut text = String::new();
    for metric in METRICS {
        let samples = metric.samples(status);
        if samples.is_empty() {
            continue;
        }
        let (name, kind) = (metric.name, if metric.counter { "counter" } else { "gauge" });
        put(&mut text, format_args!("# HELP {name} {}\n# TYPE {name} {kind}\n", metric.help));
        for (labels, value) in samples {
            put(&mut text, format_args!("{name}{labels} {value}\n"));
        }
    }
    text
}

impl Metric {
    fn samples(&self, status: &Status) -> Vec<(String, f64)> {
        match self.read {
            Read::Appliance(read) => vec![(String::new(), read(status))],
            Read::Labelled(read) => read(status),
            Read::Machine(read) => {
                let sample =
                    |machine: &Machine| Some((label("machine", machine.name.as_str()), read(machine)?));
                status.machines.iter().filter_map(sample).collect()
            }
        }
    }
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("a text takes all that is written");
}

fn label(name: &str, value: &str) -> String {
    labels(&[(name, value)])
}

fn labels(labels: &[(&str, &str)]) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let each = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    format!("{{{}}}", each.collect::<Vec<_>>().join(","))
}

fn states<S: PartialEq>(state: S, all: &[(S, &str)]) -> Vec<(String, f64)> {
    all.iter().map(|(one, word)| (label("state", word), truth(*one == state))).collect()
}

fn phases(status: &Status) -> Vec<(String, f64)> {
    let of = |machine: &Machine| {
        let (_, word) =
            PHASES.iter().find(|(phase, _)| *phase == machine.phase).expect("every phase has a word");
        (labels(&[("machine", machine.name.as_str()), ("phase", word)]), 1.0)
    };
    status.machines.iter().map(of).collect()
}

fn concerns(status: &Status) -> Vec<(String, f64)> {
    let count_of = |health| count(status.concerns.iter().filter(|concern| concern.health == health).count());
    HEALTH.iter().skip(1).map(|(health, word)| (label("health", word), count_of(*health))).collect()
}

fn alarms(status: &Status) -> Vec<(String, f64)> {
    let of = |alarm: &crate::api::Alarm| {
        let severity =
            HEALTH.iter().find(|(health, _)| *health == alarm.severity).expect("every severity has a word").1;
        let acked = if alarm.acked.is_some() { "true" } else { "false" };
        let about = [("kind", alarm.kind.as_str()), ("subject", alarm.subject.as_str())];
        (labels(&[about[0], about[1], ("severity", severity), ("acked", acked)]), 1.0)
    };
    status.alarms.iter().filter(|alarm| alarm.stands()).map(of).collect()
}

fn jobs(status: &Status) -> Vec<(String, f64)> {
    let ratio = |done: u64, total: u64| if total == 0 { 0.0 } else { number(done) / number(total) };
    let of = |job: &crate::api::Job| {
        let labels = labels(&[("job", &job.id.to_string()), ("machine", job.machine.as_str())]);
        (labels, ratio(job.done_bytes, job.total_bytes))
    };
    status.jobs.iter().map(of).collect()
}

fn protected(machine: &Machine) -> Option<f64> {
    machine.disks.iter().map(|disk| disk.protected_bytes.map(number)).sum()
}

fn resync(machine: &Machine) -> Option<f64> {
    let resync = machine.resync.as_ref()?;
    Some(number(resync.total_bytes.saturating_sub(resync.compared_bytes)))
}

fn window(machine: &Machine) -> Option<f64> {
    let (oldest, newest) = (machine.oldest.as_ref()?, machine.newest.as_ref()?);
    Some(newest.time.0.since(oldest.time.0).as_secs_f64())
}

fn truth(truth: bool) -> f64 {
    f64::from(u8::from(truth))
}

/// Prometheus knows only floating-point numbers: exact up to 2^53, which is 8 PiB.
fn number(number: u64) -> f64 {
    number as f64
}

fn count(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status() -> Status {
        let point = |sequence: u64, time: &str| json!({ "sequence": sequence, "time": time, "consistency": "crash", "label": "", "proof": true });
        let machine = json!({
            "name": "web-01", "phase": "protected", "problem": null, "generation": 1, "durable": 8, "applied": 7,
            "lag_bytes": 4096, "oldest": point(1, "2026-11-20T13:00:00Z"), "newest": point(8, "2026-11-20T14:00:00Z"), "at": null,
            "disks": [{ "index": 0, "path": "/dev/sdb", "len_bytes": 8192, "protected_bytes": 8192, "seeded_bytes": 8192, "problem": null }],
            "rpo_seconds": 12, "job": null, "next": null,
            "session": { "connected": true, "peer": null, "software": null, "connections": 1, "since": null, "received_bytes": 5 },
        });
        let status = json!({
            "time": "2026-11-20T14:00:12Z", "version": "1\"2", "listen": "[::]:9443", "health": "degraded",
            "concerns": [{ "health": "degraded", "machine": null, "what": "w" }], "machines": [machine], "jobs": [],
            "alarms": [
                { "kind": "rpo", "subject": "web-01", "severity": "failed", "what": "w", "first_seen": "2026-11-20T14:00:00Z",
                  "last_seen": "2026-11-20T14:00:00Z", "raised": 1, "cleared": null, "acked_by": null, "acked": null },
                { "kind": "source", "subject": "web-02", "severity": "degraded", "what": "w", "first_seen": "2026-11-20T14:00:00Z",
                  "last_seen": "2026-11-20T14:00:00Z", "raised": 1, "cleared": "2026-11-20T14:00:01Z", "acked_by": null, "acked": null },
            ],
            "volume": { "path": "/mnt/retention", "capacity_bytes": 100, "free_bytes": 40, "journal_bytes": 50 }, "next": null,
        });
        serde_json::from_value(status).expect("a status")
    }

    #[test]
    fn every_number_has_its_kind_and_its_labels() {
        let text = render(&status());
        for line in [
            r#"landfall_info{version="1\"2"} 1"#,
            r#"landfall_health{state="degraded"} 1"#,
            r#"landfall_health{state="failed"} 0"#,
            r#"landfall_concerns{health="degraded"} 1"#,
            r#"landfall_alarm{kind="rpo",subject="web-01",severity="failed",acked="false"} 1"#,
            "landfall_retention_free_bytes 40",
            "# TYPE landfall_ingest_bytes_total counter",
            r#"landfall_ingest_bytes_total{machine="web-01"} 5"#,
            r#"landfall_machine_phase{machine="web-01",phase="protected"} 1"#,
            r#"landfall_rpo_seconds{machine="web-01"} 12"#,
            r#"landfall_retention_window_seconds{machine="web-01"} 3600"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert!(!text.contains("web-02"), "an alarm that is over does not stand: {text}");
        assert!(!text.contains("scrub_age"), "what is not known is not told: {text}");
    }

    #[test]
    fn only_counters_that_are_sums_are_called_totals() {
        for metric in METRICS {
            assert!(metric.counter || !metric.name.ends_with("_total"), "{}", metric.name);
            assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "{}", metric.name);
        }
    }
}
