//! What would destroy something and comes from elsewhere, with real programs: it waits, is told, and is done once it is approved at the
//! appliance or has waited its time; also by a landfalld that was killed. What is asked for at the appliance is done at once, as ever.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control::api::{
    AuditLog, AuditOutcome, Machines, PendingCommand, PendingCommands, PendingStatus, Policies,
};
use landfall_tests::command::{command, output};
use landfall_tests::disk::Kind;
use landfall_tests::rig::{Rig, within};

const LEN: u64 = 1 << 20;
const MINUTE: Duration = Duration::from_secs(60);

struct Scene {
    rig: Rig,
    /// Where the certificate of an operator lies who is elsewhere.
    ann: PathBuf,
}

impl Scene {
    /// An appliance with two machines, started with more arguments.
    fn set(arguments: &[&str]) -> Result<Self> {
        let rig = Rig::start(arguments)?;
        for name in ["web-01", "db-01"] {
            rig.member(name, &[LEN], Kind::File)?;
        }
        let ann = rig.authority.issue("operator", "ann")?;
        Ok(Self { rig, ann })
    }

    /// Runs `landfall --at` as the operator elsewhere; returns its exit code and what it complained.
    fn elsewhere(&self, words: &[&str]) -> Result<(Option<i32>, String)> {
        let mut landfall = command(&self.rig.appliance.binaries().landfall);
        landfall.env("LANDFALL_CONFIG", self.ann.parent().context("a parent")?);
        let done = output(landfall.args(["--at", &self.rig.appliance.door()]).args(words))?;
        Ok((done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned()))
    }

    /// Asks from elsewhere for what must wait, and returns its number.
    fn held(&self, words: &[&str]) -> Result<u64> {
        let (exit, told) = self.elsewhere(words)?;
        ensure!(exit == Some(3) && told.contains("LF-1560"), "{words:?}: {exit:?}: {told}");
        let id = told.split("landfall approve ").nth(1).context("its number")?;
        let digits: String = id.chars().take_while(char::is_ascii_digit).collect();
        Ok(digits.parse()?)
    }

    fn pending(&self) -> Result<Vec<PendingCommand>> {
        Ok(self.rig.appliance.landfall::<PendingCommands>(["pending", "list"])?.commands)
    }

    fn one(&self, id: u64) -> Result<PendingCommand> {
        self.pending()?.into_iter().find(|pending| pending.id == id).context("it is listed")
    }

    fn machines(&self) -> Result<Vec<String>> {
        let machines: Machines = self.rig.appliance.landfall(["machine", "list"])?;
        Ok(machines.machines.iter().map(|machine| machine.name.to_string()).collect())
    }

    fn window(&self) -> Result<u32> {
        let policies: Policies = self.rig.appliance.landfall(["policy", "show", "web-01"])?;
        Ok(policies.machines.first().context("a policy")?.policy.window_seconds)
    }

    fn restart(&mut self) -> Result<()> {
        self.rig.appliance.kill()?;
        self.rig.appliance.start().map(drop)
    }

    /// Tells who has done something, by the audit log.
    fn doers(&self, action: &str, outcome: AuditOutcome) -> Result<Vec<String>> {
        let log: AuditLog = self.rig.appliance.landfall(["audit", "list", "--limit", "0"])?;
        let of = log.entries.into_iter().filter(|entry| entry.action == action && entry.outcome == outcome);
        Ok(of.map(|entry| entry.who).collect())
    }
}

#[test]
fn what_would_destroy_something_waits_for_somebody_at_the_appliance() -> Result<()> {
    let mut scene = Scene::set(&[])?;
    let remove = ["machine", "remove", "web-01", "--yes"];
    let id = scene.held(&remove)?;
    ensure!(scene.held(&remove)? == id, "asked for again it is the same");
    ensure!(scene.machines()?.len() == 2, "nothing went");
    let waiting = scene.one(id)?;
    let day = 24 * 3600;
    ensure!(waiting.state == PendingStatus::Waiting && waiting.who == "operator ann", "{waiting:?}");
    ensure!(waiting.seconds_left.is_some_and(|left| (day - 120..=day).contains(&left)), "{waiting:?}");
    within(MINUTE, || {
        let alarms = scene.rig.appliance.status()?.alarms;
        let told =
            alarms.iter().any(|alarm| alarm.kind.as_str() == "pending" && alarm.what.contains("web-01"));
        ensure!(told, "{alarms:?}");
        Ok(())
    })?;
    // He may see and cancel it, but not confirm it himself.
    let approve = ["approve", &id.to_string(), "--yes"];
    let (exit, told) = scene.elsewhere(&approve)?;
    ensure!(exit == Some(5) && told.contains("LF-1002"), "{exit:?}: {told}");
    let shorter = scene.held(&["policy", "set", "web-01", "--window", "1h", "--yes"])?;
    let (exit, told) = scene.elsewhere(&["pending", "cancel", &shorter.to_string()])?;
    ensure!(exit == Some(0), "{exit:?}: {told}");
    scene.restart()?;
    ensure!(scene.one(id)?.state == PendingStatus::Waiting, "it is kept");
    let cancelled = scene.one(shorter)?;
    ensure!(cancelled.state == PendingStatus::Cancelled, "{cancelled:?}");
    ensure!(cancelled.why.as_deref() == Some("by operator ann"), "{cancelled:?}");
    let done: PendingCommand = scene.rig.appliance.landfall(approve)?;
    ensure!(done.state == PendingStatus::Done, "{done:?}");
    ensure!(scene.machines()? == ["db-01"], "it went");
    let (exit, told) = scene.rig.appliance.landfall_refused(approve)?;
    ensure!(exit == 3 && told.contains("LF-1562"), "once: {exit}: {told}");
    let (exit, told) = scene.rig.appliance.landfall_refused(["approve", "99", "--yes"])?;
    ensure!(exit == 3 && told.contains("LF-1561"), "{exit}: {told}");
    ensure!(scene.doers("machine-remove", AuditOutcome::Done)? == ["operator ann"], "whose wish it was");
    ensure!(scene.doers("pending-approve", AuditOutcome::Done)? == ["uid 0"], "and who confirmed it");
    ensure!(!scene.doers("machine-remove", AuditOutcome::Refused)?.is_empty(), "that it waited is on record");
    within(MINUTE, || {
        let concerns = scene.rig.appliance.status()?.concerns;
        ensure!(concerns.iter().all(|concern| concern.kind.as_str() != "pending"), "{concerns:?}");
        Ok(())
    })
}

#[test]
fn what_destroys_nothing_and_what_is_asked_for_at_the_appliance_is_done_at_once() -> Result<()> {
    let scene = Scene::set(&[])?;
    for words in [
        &["policy", "set", "web-01", "--window", "7d"][..],
        &["policy", "set", "web-01", "--when-full", "pause"],
        &["policy", "set", "web-01", "--commit", "cancel"],
        &["policy", "set", "web-01", "--window", "1h", "--dry-run"],
        &["status"],
    ] {
        let (exit, told) = scene.elsewhere(words)?;
        ensure!(exit == Some(0), "{words:?}: {exit:?}: {told}");
    }
    ensure!(scene.window()? == 7 * 86_400, "it was done");
    for words in [
        &["policy", "set", "web-01", "--window", "6d", "--yes"][..],
        &["policy", "set", "web-01", "--when-full", "thin", "--yes"],
        &["policy", "set", "web-01", "--inherit", "--yes"],
        &["policy", "set", "--default", "--budget", "1GiB", "--yes"],
    ] {
        scene.held(words)?;
    }
    ensure!(scene.pending()?.len() == 4, "each is one of its own");
    scene
        .rig
        .appliance
        .landfall::<serde_json::Value>(["policy", "set", "web-01", "--window", "1h", "--yes"])?;
    ensure!(scene.window()? == 3600, "at the appliance as ever");
    scene.rig.appliance.landfall::<serde_json::Value>(["machine", "remove", "db-01", "--yes"])?;
    ensure!(scene.machines()? == ["web-01"], "at the appliance as ever");
    Ok(())
}

#[test]
fn what_nobody_objects_to_is_done_when_its_time_is_over_though_landfalld_was_killed() -> Result<()> {
    let mut scene = Scene::set(&["--confirm-within", "20s"])?;
    let id = scene.held(&["machine", "remove", "web-01", "--yes"])?;
    let cancelled = scene.held(&["machine", "remove", "db-01", "--yes"])?;
    scene.rig.appliance.landfall::<PendingCommand>(["pending", "cancel", &cancelled.to_string()])?;
    within(MINUTE, || {
        let left = scene.one(id)?.seconds_left.context("it waits")?;
        ensure!(left < 20, "its time is counted");
        Ok(())
    })?;
    let left = scene.one(id)?.seconds_left.context("it waits")?;
    // The time that landfalld is down does not count.
    scene.rig.appliance.kill()?;
    std::thread::sleep(Duration::from_secs(5));
    scene.rig.appliance.start()?;
    let after = scene.one(id)?.seconds_left.context("it waits")?;
    ensure!(left - after <= 2, "{left} s were left, {after} s are");
    within(MINUTE, || {
        let pending = scene.one(id)?;
        ensure!(pending.state == PendingStatus::Done, "{pending:?}");
        Ok(())
    })?;
    ensure!(scene.machines()? == ["db-01"], "the one went, the other was not let go");
    ensure!(scene.doers("pending-approve", AuditOutcome::Done)? == ["the appliance"], "by itself");
    scene.restart()?;
    ensure!(scene.one(id)?.state == PendingStatus::Done, "once");
    Ok(())
}
