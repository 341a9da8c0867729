//! Jobs that survive landfalld: killed at any moment of a job, it goes on with it when it starts again, and the outcome is that of one that
//! was never killed.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control::api::{Job, JobOutcome, JobState, Jobs, Manifests, Phase, Verdict};
use landfall_tests::disk::Kind;
use landfall_tests::material::Noise;
use landfall_tests::rig::{Member, Rig, newest, within};

const WAIT_MAX: Duration = Duration::from_secs(120);
const LEN: u64 = 24 << 20;

struct Scene {
    rig: Rig,
    member: Member,
    /// The first point, and where the newest is.
    first: String,
}

impl Scene {
    /// A machine with a first point that is kept aside, and a second that differs everywhere.
    fn set() -> Result<Self> {
        let rig = Rig::start(&[])?;
        let member = rig.member("web-01", &[LEN], Kind::File)?;
        member.once()?;
        member.keep("first")?;
        let first = newest(&rig.appliance.machine("web-01")?)?.sequence.to_string();
        let mut noise = Noise::new(5);
        for _ in 0..3 {
            member.change(0, &mut noise, 200)?;
            member.once()?;
        }
        rig.appliance.wait_applied("web-01")?;
        Ok(Self { rig, member, first })
    }

    fn show(&self, id: u64) -> Result<Job> {
        self.rig.appliance.landfall(["job", "show", &id.to_string()])
    }

    fn ended(&self, id: u64) -> Result<Job> {
        let mut job = self.show(id)?;
        within(WAIT_MAX, || {
            job = self.show(id)?;
            ensure!(job.state != JobState::Running, "still under way: {job:?}");
            Ok(())
        })?;
        Ok(job)
    }

    /// Starts a job that is not waited for; exits with 6.
    fn start(&self, words: &[&str]) -> Result<u64> {
        let (exit, _) = self.rig.appliance.landfall_refused([words, &["--no-wait"]].concat())?;
        ensure!(exit == 6, "{words:?} ended with {exit}");
        let jobs: Jobs = self.rig.appliance.landfall(["job", "list"])?;
        Ok(jobs.jobs.first().context("there is a job")?.id.0)
    }

    fn restart(&mut self) -> Result<()> {
        self.rig.appliance.kill()?;
        self.rig.appliance.start().map(drop)
    }
}

/// What a step of a job is over by, in its log.
fn has(job: &Job, words: &str) -> bool {
    job.log.iter().any(|line| line.what.contains(words))
}

#[test]
fn a_failback_survives_a_kill_at_any_step() -> Result<()> {
    let mut scene = Scene::set()?;
    let mut reached = [false; 4];
    // From before the first step to behind the last one, wherever the clock strikes.
    for (round, millis) in [0, 5, 15, 30, 60, 120, 250, 500].into_iter().enumerate() {
        let id = scene.start(&["failback", "web-01", "--to", &scene.first, "--yes"])?;
        std::thread::sleep(Duration::from_millis(millis));
        let before = scene.show(id)?;
        let done = before.steps.iter().filter(|step| step.done).count();
        scene.restart()?;
        let job = scene.ended(id)?;
        ensure!(job.state == JobState::Done, "killed with {done} steps done: {job:?}");
        if before.state == JobState::Running {
            reached[done.min(3)] = true;
            ensure!(has(&job, "taken up again") || has(&job, "done"), "{job:?}");
        }
        let Some(JobOutcome::Failback { disks, manifest, .. }) = &job.outcome else {
            anyhow::bail!("{job:?}")
        };
        ensure!(disks.iter().all(|disk| disk.verdict == Verdict::Identical) && disks.len() == 1, "{disks:?}");
        ensure!(*manifest == Some(round as u64 + 1), "one manifest for each failback: {manifest:?}");
        scene.member.is_as_kept("first")?;
        let manifests: Manifests = scene.rig.appliance.landfall(["manifest", "list", "web-01"])?;
        ensure!(manifests.manifests.len() == round + 1, "{manifests:?}");
        ensure!(scene.rig.appliance.machine("web-01")?.phase == Phase::Rewound, "it stands there");
        let back = scene.start(&["cancel", "web-01"])?;
        std::thread::sleep(Duration::from_millis(millis / 2));
        scene.restart()?;
        let back = scene.ended(back)?;
        ensure!(back.state == JobState::Done, "{back:?}");
        ensure!(scene.rig.appliance.machine("web-01")?.phase == Phase::Protected, "it is protected again");
        scene.member.is_same()?;
    }
    ensure!(reached.iter().filter(|reached| **reached).count() >= 2, "killed at the steps {reached:?} only");
    Ok(())
}

#[test]
fn jobs_are_listed_watched_and_ended_and_one_at_a_time_is_under_way() -> Result<()> {
    let mut scene = Scene::set()?;
    let appliance = &scene.rig.appliance;
    let id = scene.start(&["job", "start", "scrub", "web-01"])?;
    let job = scene.ended(id)?;
    ensure!(
        matches!(job.outcome, Some(JobOutcome::Scrub { read_bytes, damaged: 0 }) if read_bytes > 0),
        "{job:?}"
    );
    ensure!(
        appliance.job(["job", "start", "expire", "web-01"])?.is_some_and(|job| job.state == JobState::Done),
        "expired"
    );
    // A resync waits for its source, which does not run: it can be left, and the machine is free again.
    let waiting = scene.start(&["job", "start", "resync", "web-01"])?;
    let (exit, told) = appliance.landfall_refused(["failback", "web-01", "--to", "latest", "--yes"])?;
    ensure!(exit == 3 && told.contains("LF-1103") && told.contains(&waiting.to_string()), "{exit}: {told}");
    let (exit, told) = appliance.landfall_refused(["machine", "remove", "web-01", "--yes"])?;
    ensure!(exit == 3 && told.contains("LF-1103"), "{exit}: {told}");
    scene.restart()?;
    let appliance = &scene.rig.appliance;
    ensure!(scene.show(waiting)?.state == JobState::Running, "it was taken up again");
    appliance.landfall::<Job>(["job", "cancel", &waiting.to_string()])?;
    let job = scene.ended(waiting)?;
    ensure!(job.state == JobState::Cancelled && has(&job, "told to end"), "{job:?}");
    let (exit, told) = appliance.landfall_refused(["job", "cancel", &waiting.to_string()])?;
    ensure!(exit == 3 && told.contains("LF-1403"), "{exit}: {told}");
    let (exit, _) = appliance.landfall_refused(["job", "watch", &waiting.to_string()])?;
    ensure!(exit == 1, "whoever watches it is told that it did not come to its end: {exit}");
    let back = appliance.job(["failback", "web-01", "--to", &scene.first, "--yes"])?.context("a job")?;
    ensure!(back.steps.iter().all(|step| step.done) && back.steps.len() == 4, "{back:?}");
    Ok(())
}

#[test]
fn a_resync_is_ordered_once_and_ends_with_the_source() -> Result<()> {
    let scene = Scene::set()?;
    let id = scene.start(&["job", "start", "resync", "web-01"])?;
    let _source = scene.member.rounds("200ms")?;
    let job = scene.ended(id)?;
    ensure!(job.state == JobState::Done && matches!(job.outcome, Some(JobOutcome::Resync)), "{job:?}");
    Ok(())
}

#[test]
fn a_commit_and_a_reprotect_are_jobs_too_and_refused_ones_leave_none() -> Result<()> {
    let scene = Scene::set()?;
    let appliance = &scene.rig.appliance;
    let (exit, told) = appliance.landfall_refused(["commit", "web-01", "--yes"])?;
    ensure!(exit == 3 && told.contains("LF-1104"), "{exit}: {told}");
    ensure!(appliance.landfall::<Jobs>(["job", "list"])?.jobs.is_empty(), "nothing was begun");
    appliance.job(["failback", "web-01", "--to", &scene.first, "--yes", "--no-proof"])?.context("a job")?;
    appliance.landfall::<serde_json::Value>(["commit", "web-01", "--yes"])?;
    appliance.landfall::<serde_json::Value>(["reprotect", "web-01", "--yes"])?;
    let jobs = appliance.landfall::<Jobs>(["job", "list"])?.jobs;
    let kinds: Vec<_> = jobs.iter().map(|job| serde_json::to_string(&job.kind)).collect::<Result<_, _>>()?;
    ensure!(kinds == [r#""reprotect""#, r#""commit""#, r#""failback""#], "{kinds:?}");
    ensure!(jobs.iter().all(|job| job.state == JobState::Done && job.log.is_empty()), "{jobs:?}");
    Ok(())
}
