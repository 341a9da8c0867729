//! What becomes of machines by themselves with real programs: told before, carried out by the clock, also by a landfalld that was killed.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control::api::{
    AuditLog, AuditOutcome, CommitBy, Health, JobKind, Jobs, Machine, Phase, Policies, PolicyChanged, View,
};
use landfall_tests::disk::Kind;
use landfall_tests::rig::{Member, Rig, newest, within};
use units::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);
const LEN: u64 = 1 << 20;

struct Scene {
    rig: Rig,
    member: Member,
    /// The first of its two points.
    first: String,
}

impl Scene {
    fn set() -> Result<Self> {
        let rig = Rig::start(&[])?;
        let member = rig.member("web-01", &[LEN], Kind::File)?;
        member.once()?;
        let first = newest(&rig.appliance.machine("web-01")?)?.sequence.to_string();
        member.keep("first")?;
        member.change(0, &mut landfall_tests::material::Noise::new(3), 9)?;
        member.once()?;
        rig.appliance.wait_applied("web-01")?;
        Ok(Self { rig, member, first })
    }

    fn policy(&self, words: &[&str]) -> Result<PolicyChanged> {
        self.rig.appliance.landfall([&["policy", "set", "web-01"], words].concat())
    }

    fn fail_back(&self) -> Result<()> {
        self.rig.appliance.job(["failback", "web-01", "--to", &self.first, "--yes"])?.context("a job")?;
        Ok(())
    }

    /// Waits until it is told when something becomes of the machine by itself.
    fn told(&self) -> Result<(CommitBy, Timestamp)> {
        let told = |machine: &Machine| machine.deadline.is_some();
        let deadline = self.rig.appliance.wait_until("web-01", MINUTE, told)?.deadline.context("one")?;
        Ok((deadline.by, deadline.at.0))
    }

    fn phase(&self, phase: Phase) -> Result<Machine> {
        self.rig.appliance.wait_until("web-01", MINUTE, |machine| machine.phase == phase)
    }

    fn jobs(&self, kind: JobKind) -> Result<usize> {
        let jobs: Jobs = self.rig.appliance.landfall(["job", "list"])?;
        Ok(jobs.jobs.iter().filter(|job| job.kind == kind).count())
    }

    /// Waits until there is a concern of the machine's commit, and returns how bad it is.
    fn concern(&self, words: &str) -> Result<Health> {
        let mut found = None;
        within(MINUTE, || {
            let status = self.rig.appliance.status()?;
            let concern = status.concerns.iter().find(|concern| concern.what.contains(words));
            found = Some(concern.with_context(|| format!("{words:?} in {:?}", status.concerns))?.health);
            Ok(())
        })?;
        found.context("it was found")
    }

    /// Tells how often the appliance itself has begun something, by the audit log: a kill may come before its end is written down.
    fn begun_by_itself(&self, action: &str) -> Result<usize> {
        let log: AuditLog = self.rig.appliance.landfall(["audit", "list", "--limit", "0"])?;
        let own = log.entries.iter().filter(|entry| entry.who == "the appliance" && entry.action == action);
        Ok(own.filter(|entry| entry.outcome == AuditOutcome::Begun).count())
    }
}

#[test]
fn a_machine_is_committed_when_its_time_is_over_though_landfalld_was_killed_before() -> Result<()> {
    let mut scene = Scene::set()?;
    let changed = scene.policy(&["--commit", "commit", "--commit-after", "30s"])?;
    ensure!(
        changed.after.commit == CommitBy::Commit && changed.after.commit_after_seconds == 30,
        "{changed:?}"
    );
    scene.fail_back()?;
    let (by, at) = scene.told()?;
    ensure!(by == CommitBy::Commit, "{by:?}");
    ensure!(scene.concern("committed by itself at")? == Health::Degraded, "it is told before");
    let next = scene.rig.appliance.machine("web-01")?.next.context("a hint")?;
    ensure!(next.contains("by itself"), "{next}");
    // Down when the time is over: it is done at the next start, once.
    scene.rig.appliance.kill()?;
    std::thread::sleep(at.since(Timestamp::from_system(std::time::SystemTime::now())));
    scene.rig.appliance.start()?;
    scene.phase(Phase::Committed)?;
    scene.rig.appliance.kill()?;
    scene.rig.appliance.start()?;
    std::thread::sleep(Duration::from_secs(3));
    let machine = scene.phase(Phase::Committed)?;
    ensure!(machine.deadline.is_none(), "{machine:?}");
    ensure!(scene.jobs(JobKind::Commit)? == 1, "one job");
    ensure!(scene.begun_by_itself("commit")? == 1, "on record as the appliance's own");
    scene.member.is_as_kept("first")
}

#[test]
fn a_deadline_that_was_told_stays_the_same_over_a_kill_and_begins_anew_with_another_policy() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.rig.appliance.landfall::<PolicyChanged>(["policy", "set", "--default", "--commit", "cancel"])?;
    scene.fail_back()?;
    let told = scene.told()?;
    ensure!(told.0 == CommitBy::Cancel, "by the default: {told:?}");
    scene.rig.appliance.kill()?;
    scene.rig.appliance.start()?;
    ensure!(scene.told()? == told, "it is kept");
    let policies: Policies = scene.rig.appliance.landfall(["policy", "show"])?;
    ensure!(!policies.machines[0].own && policies.default.commit_after_seconds == 4 * 3600, "{policies:?}");
    scene.policy(&["--commit-after", "5h"])?;
    within(MINUTE, || {
        let later = scene.told()?;
        ensure!(later.1 >= told.1.after(Duration::from_secs(3600)), "{later:?} after {told:?}");
        Ok(())
    })?;
    let policies: Policies = scene.rig.appliance.landfall(["policy", "show"])?;
    ensure!(policies.machines[0].own, "{policies:?}");
    ensure!(policies.machines[0].policy.window_seconds == policies.default.window_seconds, "{policies:?}");
    scene.policy(&["--commit-after", "10s"])?;
    scene.phase(Phase::Protected)?;
    ensure!(scene.begun_by_itself("cancel")? == 1, "on record");
    within(MINUTE, || scene.member.is_same())?;
    scene.policy(&["--inherit"])?;
    let policies: Policies = scene.rig.appliance.landfall(["policy", "show"])?;
    ensure!(!policies.machines[0].own && policies.machines[0].policy == policies.default, "{policies:?}");
    let (exit, told) = scene.rig.appliance.landfall_refused([
        "policy",
        "set",
        "web-01",
        "--commit",
        "commit",
        "--commit-after",
        "9s",
    ])?;
    ensure!(exit == 3 && told.contains("LF-1310") && told.contains("10s to 31d"), "{exit}: {told}");
    Ok(())
}

#[test]
fn what_keeps_a_machine_from_being_committed_is_an_alarm_and_it_is_tried_again() -> Result<()> {
    let scene = Scene::set()?;
    scene.policy(&["--commit", "commit", "--commit-after", "10s"])?;
    scene.fail_back()?;
    let view: View = scene.rig.appliance.landfall(["point", "view", "web-01@latest", "--no-wait"])?;
    ensure!(scene.concern("should have been committed")? == Health::Failed, "a person must act");
    let machine = scene.phase(Phase::Rewound)?;
    let refused = machine.deadline.and_then(|deadline| deadline.refused).context("why")?;
    ensure!(refused.contains("LF-1613"), "{refused}");
    ensure!(scene.jobs(JobKind::Commit)? == 0, "nothing was begun");
    scene.rig.appliance.landfall::<View>(["point", "close", &view.id.to_string()])?;
    scene.phase(Phase::Committed)?;
    ensure!(scene.begun_by_itself("commit")? == 1, "on record, once");
    Ok(())
}
