//! Recovery plans with real programs: steps in order, machines of a step together, a pause for a person, hooks; and kills in the middle.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control::api::{Jobs, Phase, Plan, PlanState};
use landfall_tests::disk::Kind;
use landfall_tests::rig::{Member, Rig, within};

const WAIT_MAX: Duration = Duration::from_secs(120);
const LEN: u64 = 4 << 20;

struct Scene {
    rig: Rig,
    members: Vec<Member>,
}

impl Scene {
    /// Two machines with a point each, and a hook directory.
    fn set() -> Result<Self> {
        let rig = Rig::start(&[])?;
        let mut members = Vec::new();
        for name in ["db-01", "web-01"] {
            let member = rig.member(name, &[LEN], Kind::File)?;
            member.once()?;
            rig.appliance.wait_applied(name)?;
            members.push(member);
        }
        fs::create_dir_all(rig.appliance.state().join("hooks"))?;
        Ok(Self { rig, members })
    }

    fn hook(&self, name: &str, script: &str) -> Result<()> {
        let path = self.rig.appliance.state().join("hooks").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?)
    }

    fn create(&self, steps: &[&str]) -> Result<Plan> {
        let mut words = vec!["plan", "create", "shop"];
        steps.iter().for_each(|step| words.extend(["--step", step]));
        self.rig.appliance.landfall(words)
    }

    fn plan(&self) -> Result<Plan> {
        self.rig.appliance.landfall(["plan", "show", "shop"])
    }

    /// Waits until the run stands so, and returns the plan.
    fn until(&self, state: PlanState) -> Result<Plan> {
        let mut plan = self.plan()?;
        within(WAIT_MAX, || {
            plan = self.plan()?;
            ensure!(plan.run.as_ref().is_some_and(|run| run.state == state), "{plan:?}");
            Ok(())
        })?;
        Ok(plan)
    }

    fn begin(&self) -> Result<()> {
        let (exit, told) =
            self.rig.appliance.landfall_refused(["plan", "run", "shop", "--yes", "--no-wait"])?;
        ensure!(exit == 6, "{exit}: {told}");
        Ok(())
    }

    fn phase(&self, name: &str) -> Result<Phase> {
        Ok(self.rig.appliance.machine(name)?.phase)
    }

    fn restart(&mut self) -> Result<()> {
        self.rig.appliance.kill()?;
        self.rig.appliance.start().map(drop)
    }
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[test]
fn a_plan_goes_step_by_step_waits_for_a_person_and_survives_kills() -> Result<()> {
    let mut scene = Scene::set()?;
    let done = scene.rig.lab.file("hook-ran");
    scene.hook(
        "tell",
        &format!("echo $LANDFALL_PLAN $LANDFALL_RUN >> '{}'; echo it was told", done.display()),
    )?;
    scene.create(&["machines:db-01", "pause:look at the database", "machines:web-01", "hook:tell/30s"])?;
    scene.begin()?;
    scene.restart()?;
    let waiting = scene.until(PlanState::Waiting)?;
    ensure!(waiting.run.as_ref().is_some_and(|run| run.done == 1), "{waiting:?}");
    ensure!(scene.phase("db-01")? == Phase::Rewound, "the first machine is home");
    ensure!(scene.phase("web-01")? == Phase::Protected, "the second waits for a person");
    scene.restart()?;
    std::thread::sleep(Duration::from_secs(1));
    ensure!(scene.plan()?.run.is_some_and(|run| run.state == PlanState::Waiting), "no restart is a person");
    let (exit, told) = scene.rig.appliance.landfall_refused(["plan", "run", "shop", "--yes"])?;
    ensure!(exit == 3 && told.contains("LF-1723"), "{exit}: {told}");
    let (exit, _) = scene.rig.appliance.landfall_refused(["plan", "continue", "shop", "--no-wait"])?;
    ensure!(exit == 6, "{exit}");
    scene.restart()?;
    let plan = scene.until(PlanState::Done)?;
    ensure!(scene.phase("web-01")? == Phase::Rewound, "the second machine is home");
    ensure!((1..=2).contains(&lines(&done)), "the hook was run, again at most once: {}", lines(&done));
    ensure!(fs::read_to_string(&done)?.starts_with("shop 1"), "it was told what it is about");
    let run = plan.run.context("a run")?;
    ensure!(run.log.iter().any(|line| line.what.contains("it was told")), "what it printed is kept: {run:?}");
    let jobs = scene.rig.appliance.landfall::<Jobs>(["job", "list"])?.jobs;
    ensure!(jobs.len() == 2, "each machine was brought home once: {jobs:?}");
    for member in &scene.members {
        member.is_same()?;
    }
    Ok(())
}

#[test]
fn machines_of_a_step_go_together_and_a_failed_step_ends_the_run() -> Result<()> {
    let scene = Scene::set()?;
    let never = scene.rig.lab.file("never");
    scene.hook("fail", "echo no luck >&2; exit 4")?;
    scene.hook("never", &format!("touch '{}'", never.display()))?;
    scene.create(&["machines:db-01,web-01", "hook:fail", "hook:never"])?;
    let (exit, told) = scene.rig.appliance.landfall_refused(["plan", "run", "shop", "--yes"])?;
    ensure!(exit == 1 && told.contains("LF-1726") && told.contains("exit status: 4"), "{exit}: {told}");
    let run = scene.plan()?.run.context("a run")?;
    ensure!(run.state == PlanState::Failed && run.done == 1, "{run:?}");
    ensure!(run.log.iter().any(|line| line.what.contains("no luck")), "{run:?}");
    ensure!(!never.exists(), "what is behind was not begun");
    for name in ["db-01", "web-01"] {
        ensure!(scene.phase(name)? == Phase::Rewound, "{name} is home");
    }
    scene.rig.appliance.landfall::<Plan>(["plan", "delete", "shop", "--yes"])?;
    Ok(())
}

#[test]
fn a_plan_that_names_what_is_not_there_or_could_do_harm_is_refused() -> Result<()> {
    let scene = Scene::set()?;
    for (step, code) in [
        ("machines:nobody", "LF-1101"),
        ("machines:db-01,db-01", "LF-1722"),
        ("group:nobody", "LF-1701"),
        ("hook:missing", "LF-1725"),
        ("hook:../fail", "LF-1013"),
        ("hook:.hidden", "LF-1722"),
    ] {
        let (_, told) = scene.rig.appliance.landfall_refused(["plan", "create", "shop", "--step", step])?;
        let refused = told.contains(code) || step.contains("..") && told.contains("error");
        ensure!(refused, "{step}: {told}");
    }
    let (exit, told) = scene.rig.appliance.landfall_refused(["plan", "continue", "shop"])?;
    ensure!(exit == 3 && told.contains("LF-1720"), "{exit}: {told}");
    Ok(())
}

#[test]
fn a_run_that_is_stopped_begins_no_further_step() -> Result<()> {
    let scene = Scene::set()?;
    scene.create(&["pause:", "machines:db-01"])?;
    scene.begin()?;
    scene.until(PlanState::Waiting)?;
    scene.rig.appliance.landfall::<Plan>(["plan", "stop", "shop"])?;
    let (exit, told) = scene.rig.appliance.landfall_refused(["plan", "continue", "shop"])?;
    ensure!(exit == 3 && told.contains("LF-1724"), "{exit}: {told}");
    ensure!(scene.phase("db-01")? == Phase::Protected, "it was left where it is");
    Ok(())
}
