//! Alarms and the audit log of a real appliance: raised, noted, cleared, durable, told in every way; written down, and checked.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use catalog::{Catalog, Sqlite, Table};
use control::api::{Alarm, Alarms, AuditLog, AuditOutcome, AuditVerdict};
use inventory::AuditEntry;
use landfall_tests::command::{command, output};
use landfall_tests::disk::Kind;
use landfall_tests::rig::{Rig, within};

const LEN: u64 = 1 << 20;
const MINUTE: Duration = Duration::from_secs(60);

fn alarms(rig: &Rig, more: &[&str]) -> Result<Vec<Alarm>> {
    let words: Vec<_> = ["alarm", "list"].iter().chain(more).copied().collect();
    Ok(rig.appliance.landfall::<Alarms>(words)?.alarms)
}

/// Waits until an alarm of this kind and subject is as wanted, and returns it.
fn await_alarm(
    rig: &Rig,
    limit: Duration,
    about: (&str, &str),
    holds: impl Fn(&Alarm) -> bool,
) -> Result<Alarm> {
    let mut found = None;
    within(limit, || {
        let all = alarms(rig, &["--all"])?;
        let of = |alarm: &&Alarm| (alarm.kind.as_str(), alarm.subject.as_str()) == about && holds(alarm);
        found = Some(all.iter().find(of).cloned().with_context(|| format!("{about:?} in {all:?}"))?);
        Ok(())
    })?;
    found.context("it was found")
}

#[test]
fn alarms_come_up_are_noted_end_and_survive_a_kill() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    member.once()?;
    let (source, server) = (("source", "web-01"), ("server", "source/web-01"));
    let raised = await_alarm(&rig, MINUTE, source, |alarm| alarm.stands())?;
    ensure!(rig.appliance.status()?.alarms.contains(&raised), "it is in the status");
    let (exit, told) =
        rig.appliance.landfall_refused(["alarm", "ack", "--kind", "rpo", "--subject", "web-01"])?;
    ensure!(exit == 3 && told.contains("LF-1530"), "{told}");
    let acked: Alarms = rig.appliance.landfall(["alarm", "ack", "--subject", "web-01"])?;
    ensure!(acked.alarms.iter().any(|alarm| alarm.acked_by.as_deref() == Some("uid 0")), "{acked:?}");
    rig.appliance.kill()?;
    rig.appliance.start()?;
    let kept = await_alarm(&rig, MINUTE, source, |alarm| alarm.stands() && alarm.acked.is_some())?;
    ensure!(kept.first_seen == raised.first_seen, "it is the same: {kept:?}");
    let ann = rig.authority.issue("operator", "ann")?;
    let curl = |path: &str, more: &[&str]| -> Result<String> {
        let mut curl = command("curl");
        curl.args(["--silent", "--insecure", "--no-buffer"]).args(more);
        curl.arg("--cert").arg(ann.join("cert.pem")).arg("--key").arg(ann.join("key.pem"));
        let told = output(curl.arg(format!("https://{}{path}", rig.appliance.door())))?;
        Ok(String::from_utf8(told.stdout)?)
    };
    let line = r#"landfall_alarm{kind="source",subject="web-01",severity="degraded",acked="true"} 1"#;
    ensure!(curl("/metrics", &[])?.contains(line), "it is a metric");
    // Followed while it ends: the source connects.
    let follow = ["--max-time", "15", "--header", "accept: text/event-stream"];
    let (told, process) = std::thread::scope(|scope| {
        let following = scope.spawn(|| curl("/api/v1/alarms/events", &follow));
        std::thread::sleep(Duration::from_secs(2));
        let process = member.rounds("1s");
        (following.join().map_err(|_| anyhow::anyhow!("it panicked")), process)
    });
    let (told, process) = (told??, process?);
    ensure!(told.contains("event: result") && told.contains(r#""kind":"source""#), "{told}");
    let cleared = await_alarm(&rig, MINUTE, source, |alarm| !alarm.stands())?;
    ensure!(alarms(&rig, &[])?.iter().all(|alarm| alarm.kind != cleared.kind), "noted and over: not open");
    process.kill()?;
    let lost = await_alarm(&rig, Duration::from_secs(120), server, |alarm| alarm.stands())?;
    ensure!(lost.what.contains("does not report") && lost.acked.is_none(), "{lost:?}");
    let again = await_alarm(&rig, MINUTE, source, |alarm| alarm.stands())?;
    ensure!(again.raised == 2 && again.acked.is_none(), "it came up again, and is open: {again:?}");
    Ok(())
}

fn audit(rig: &Rig) -> Result<AuditLog> {
    rig.appliance.landfall(["audit", "list", "--limit", "0"])
}

#[test]
fn who_asked_for_what_is_written_down_and_a_changed_log_is_noticed() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let _member = rig.member("web-01", &[LEN], Kind::File)?;
    let home = rig.lab.file("home");
    let ann = rig.authority.issue("operator", "ann")?;
    std::fs::create_dir_all(&home)?;
    let mut landfall = command(&rig.appliance.binaries().landfall);
    landfall.env("LANDFALL_CONFIG", ann.parent().context("a parent")?);
    landfall.args(["--at", &rig.appliance.door(), "policy", "set", "web-01", "--window", "7d", "--yes"]);
    let done = output(&mut landfall)?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (exit, _) = rig.appliance.landfall_refused(["machine", "remove", "nobody", "--yes"])?;
    ensure!(exit == 3, "refused");
    rig.appliance.landfall::<serde_json::Value>([
        "policy",
        "set",
        "web-01",
        "--window",
        "1h",
        "--dry-run",
    ])?;
    let log = audit(&rig)?;
    let of = |action: &str, subject: &str, outcome| {
        log.entries
            .iter()
            .find(|entry| entry.action == action && entry.subject == subject && entry.outcome == outcome)
    };
    let set = of("policy-set", "web-01", AuditOutcome::Done).context("what an operator did")?;
    ensure!(set.who == "operator ann", "{set:?}");
    ensure!(
        of("policy-set", "web-01", AuditOutcome::Begun).is_some_and(|begun| begun.number < set.number),
        "{log:?}"
    );
    let refused = of("machine-remove", "nobody", AuditOutcome::Refused).context("what was refused")?;
    ensure!(refused.why.as_ref().is_some_and(|why| why.contains("LF-")), "{refused:?}");
    let sets = log.entries.iter().filter(|entry| entry.action == "policy-set").count();
    ensure!(sets == 2, "what only plans is not written down: {log:?}");
    let verdict: AuditVerdict = rig.appliance.landfall(["audit", "check"])?;
    ensure!(verdict.problem.is_none() && verdict.last == log.last, "{verdict:?}");
    let noted = format!("{}:{}", set.number, set.hash);
    rig.appliance.landfall::<AuditVerdict>(["audit", "check", "--known", &noted])?;
    rig.appliance.stop()?;
    // Somebody with the system volume in his hands makes it look as if somebody else had done it.
    let database = rig.appliance.state().join("catalog.db");
    let catalog: Arc<dyn Catalog> = Arc::new(Sqlite::open(&database)?);
    let table = Table::<AuditEntry>::new(catalog.clone());
    let entry = table.get(&format!("{:012}", set.number))?.context("the entry")?.record;
    table.put(&AuditEntry { who: "operator eve".to_owned(), ..entry }.sealed())?;
    drop((table, catalog));
    rig.appliance.start()?;
    let (exit, _) = rig.appliance.landfall_refused(["audit", "check"])?;
    ensure!(exit == 1, "it is noticed");
    let alarm = await_alarm(&rig, MINUTE, ("audit", "appliance"), |alarm| alarm.stands())?;
    // It was sealed anew: the one behind it is where the chain breaks.
    let breaks = format!("entry {} ", set.number + 1);
    ensure!(alarm.what.contains(&breaks), "and nobody needs to ask: {alarm:?}");
    Ok(())
}
