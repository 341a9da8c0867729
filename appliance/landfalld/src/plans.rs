//! Recovery plans: kept in the catalog, and run by a thread each, as jobs are.
//!
//! The order: 1. the run is durable; 2. a step is carried out, its jobs durable before they begin; 3. that it is done is durable; and so
//! on. A landfalld that finds a run under way when it starts goes on with the step whose end was not noted: jobs that it has started are
//! found by the run and the step they were started for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use catalog::{Catalog, CatalogError, Expect, Row, Table};
use control::api::{self, GroupTo, JobId, JobLine, PlanCreate, PlanRunning};
use control::{ApiError, Code};
use inventory::{
    Job, JobOrigin, JobState, JobWork, Plan, PlanError, PlanEvent, PlanRun, PlanState, PlanStep,
};
use target::PointName;
use units::{MachineName, Rfc3339, Sequence};

use crate::answers::now;
use crate::failure::api_error;
use crate::groups::{Groups, unusable};
use crate::hook::{HookEnd, run_hook};
use crate::jobs::Jobs;

/// Between two looks at the jobs of a step.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Between two attempts to note something in a catalog that fails.
const NOTE_AGAIN: Duration = Duration::from_secs(1);

/// The plans of this configuration server.
pub(crate) struct Plans {
    plans: Table<Plan>,
    runs: Table<PlanRun>,
    jobs: Arc<Jobs>,
    groups: Arc<Groups>,
    /// Where hooks lie.
    hooks: PathBuf,
    /// The plans that a thread of this process runs.
    running: Mutex<BTreeSet<MachineName>>,
}

impl Plans {
    /// Keeps plans in this catalog; hooks are the programs in `hooks`.
    pub(crate) fn new(
        catalog: Arc<dyn Catalog>,
        jobs: Arc<Jobs>,
        groups: Arc<Groups>,
        hooks: PathBuf,
    ) -> Arc<Self> {
        let (plans, runs) = (Table::new(catalog.clone()), Table::new(catalog));
        Arc::new(Self { plans, runs, jobs, groups, hooks, running: Mutex::default() })
    }

    /// Takes up the runs that an earlier landfalld has begun. Errors: the catalog fails.
    pub(crate) fn take_up(self: &Arc<Self>) -> Result<(), CatalogError> {
        for Row { record, .. } in self.runs.list()?.rows {
            if record.has_ended() {
                continue;
            }
            tracing::info!(plan = %record.plan, number = record.number, "plan taken up again");
            self.note(&record.plan, &PlanEvent::TakenUp);
            self.carry_on(&record.plan);
        }
        Ok(())
    }

    /// Describes every plan.
    pub(crate) fn list(&self) -> Result<api::Plans, ApiError> {
        let rows = self.plans.list().map_err(|error| unusable(&error))?.rows;
        let mut plans = Vec::new();
        for Row { record, .. } in rows {
            let run = self
                .run_of(&record.name)?
                .map(|run| PlanRunning { log: Vec::new(), ..self.describe_run(&run) });
            plans.push(api::Plan { name: record.name, steps: record.steps, run });
        }
        Ok(api::Plans { time: now().into(), plans })
    }

    /// Describes one plan, with all that happened in its newest run.
    pub(crate) fn show(&self, name: &MachineName) -> Result<api::Plan, ApiError> {
        let plan = self.find(name)?;
        let run = self.run_of(name)?.map(|run| self.describe_run(&run));
        Ok(api::Plan { name: plan.name, steps: plan.steps, run })
    }

    /// Makes a plan.
    pub(crate) fn create(&self, request: PlanCreate) -> Result<api::Plan, ApiError> {
        let what = format!("plan {} was not made", request.name);
        let plan = Plan::new(request.name, request.steps).map_err(|error| refused(&what, &error))?;
        for step in &plan.steps {
            self.is_possible(step)?;
        }
        match self.plans.insert(&plan) {
            Ok(_) => self.show(&plan.name),
            Err(error) if error.is_conflict() => Err(ApiError::new(Code::PlanExists, what)),
            Err(error) => Err(unusable(&error)),
        }
    }

    /// Deletes a plan that is not being run, and what is known of its runs.
    pub(crate) fn delete(&self, name: &MachineName) -> Result<api::Plan, ApiError> {
        let plan = self.show(name)?;
        self.refuse_if_running(name, "deleted")?;
        let gone = self.plans.remove(name.as_str(), Expect::Any);
        gone.and_then(|_| self.runs.remove(name.as_str(), Expect::Any)).map_err(|error| unusable(&error))?;
        Ok(plan)
    }

    /// Begins a run; durable on return.
    pub(crate) fn run(
        self: &Arc<Self>,
        name: &MachineName,
        to: Option<Rfc3339>,
    ) -> Result<api::Plan, ApiError> {
        let plan = self.find(name)?;
        self.refuse_if_running(name, "begun")?;
        for step in &plan.steps {
            self.is_possible(step)?;
        }
        let begun = self.runs.update(name.as_str(), |before| {
            let number = before.map_or(0, |run| run.number) + 1;
            let idle = before.is_none_or(PlanRun::has_ended);
            Ok::<_, CatalogError>(idle.then(|| PlanRun::new(&plan, number, to, now())))
        });
        begun.map_err(|error| unusable(&error))?;
        tracing::info!(plan = %name, "plan begun");
        self.carry_on(name);
        self.show(name)
    }

    /// Lets a run go on that waits for a person; durable on return.
    pub(crate) fn go_on(self: &Arc<Self>, name: &MachineName) -> Result<api::Plan, ApiError> {
        self.find(name)?;
        match self.run_of(name)? {
            Some(run) if run.state == PlanState::Waiting => {
                self.note(name, &PlanEvent::Continued);
                self.carry_on(name);
                self.show(name)
            }
            _ => Err(ApiError::new(Code::PlanNotWaiting, format!("plan {name} was left as it is"))),
        }
    }

    /// Ends a run before its next step; durable on return. Jobs that it has started go on.
    pub(crate) fn stop(&self, name: &MachineName) -> Result<api::Plan, ApiError> {
        self.find(name)?;
        match self.run_of(name)? {
            Some(run) if !run.has_ended() => {
                self.note(name, &PlanEvent::Stopped);
                self.show(name)
            }
            _ => Err(ApiError::new(Code::PlanNotWaiting, format!("plan {name} was left as it is"))),
        }
    }

    fn refuse_if_running(&self, name: &MachineName, done: &str) -> Result<(), ApiError> {
        match self.run_of(name)? {
            Some(run) if !run.has_ended() => {
                Err(ApiError::new(Code::PlanRunning, format!("plan {name} was not {done}")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a step that names what is not there.
    fn is_possible(&self, step: &PlanStep) -> Result<(), ApiError> {
        match step {
            PlanStep::Machines { machines } => machines.iter().try_for_each(|machine| {
                self.jobs.node.machine(machine).map(drop).map_err(|error| api_error(&error))
            }),
            PlanStep::Group { group } => self.groups.find(group).map(drop),
            PlanStep::Pause { .. } => Ok(()),
            PlanStep::Hook { program, .. } if self.hooks.join(program).is_file() => Ok(()),
            PlanStep::Hook { program, .. } => {
                let error = ApiError::new(Code::HookMissing, format!("there is no hook {program}"));
                Err(error.because(format!("{} has no such file", self.hooks.display())))
            }
        }
    }

    fn find(&self, name: &MachineName) -> Result<Plan, ApiError> {
        let found = self.plans.get(name.as_str()).map_err(|error| unusable(&error))?;
        let unknown = || ApiError::new(Code::PlanUnknown, format!("plan {name} is not known"));
        found.map(|row| row.record).ok_or_else(unknown)
    }

    fn run_of(&self, name: &MachineName) -> Result<Option<PlanRun>, ApiError> {
        Ok(self.runs.get(name.as_str()).map_err(|error| unusable(&error))?.map(|row| row.record))
    }

    /// Carries a run on, on a thread of its own, until it ends or waits.
    fn carry_on(self: &Arc<Self>, name: &MachineName) {
        if !self.lock().insert(name.clone()) {
            // Its thread sees what has changed.
            return;
        }
        let (plans, plan) = (self.clone(), name.clone());
        let work = move || {
            loop {
                plans.work(&plan);
                let mut running = plans.lock();
                // Whoever let it go on meanwhile has found it running still.
                if plans.step_of(&plan).is_none() {
                    running.remove(&plan);
                    return;
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("plan".to_owned()).spawn(work) {
            tracing::error!(plan = %name, %error, "no thread for a plan");
            self.lock().remove(name);
        }
    }

    fn work(&self, name: &MachineName) {
        while let Some((run, step)) = self.step_of(name) {
            let event = match self.carry_out(&run, &step) {
                Ok(()) => PlanEvent::StepDone,
                Err(why) => PlanEvent::StepFailed(why),
            };
            self.note(name, &event);
        }
    }

    /// Returns the step that is to be carried out.
    fn step_of(&self, name: &MachineName) -> Option<(PlanRun, PlanStep)> {
        loop {
            match self.runs.get(name.as_str()) {
                Ok(row) => {
                    let run = row?.record;
                    let step = run.next()?.clone();
                    return Some((run, step));
                }
                Err(error) => {
                    tracing::error!(plan = %name, %error, "a plan can't be read: it waits");
                    std::thread::sleep(NOTE_AGAIN);
                }
            }
        }
    }

    /// Carries one step out. Errors: why it failed.
    fn carry_out(&self, run: &PlanRun, step: &PlanStep) -> Result<(), String> {
        match step {
            PlanStep::Pause { .. } => unreachable!("a run waits at a pause"),
            PlanStep::Hook { program, seconds } => {
                let (path, limit) = (self.hooks.join(program), Duration::from_secs((*seconds).into()));
                let HookEnd { output, result } = run_hook(&path, &run.plan, run.number, limit);
                for line in output {
                    self.note(&run.plan, &PlanEvent::Told(format!("{program}: {line}")));
                }
                result
            }
            PlanStep::Machines { machines } => self.bring_home(run, || {
                let point = run.to.map_or(PointName::Latest, |to| PointName::Time(to.0));
                let find = |machine: &MachineName| {
                    let found = self.jobs.node.find(machine, point, wire::Consistency::Crash);
                    let found = found.map_err(|error| api_error(&error).to_string())?;
                    Ok((machine.clone(), found.sequence))
                };
                machines.iter().map(find).collect()
            }),
            PlanStep::Group { group } => self.bring_home(run, || {
                let to = run.to.map_or(GroupTo::Latest, GroupTo::Time);
                let point = self.groups.point(group, to).map_err(|error| error.to_string())?;
                Ok(point.members.into_iter().map(|(machine, point)| (machine, point.sequence)).collect())
            }),
        }
    }

    /// Has machines brought to their points, all at the same time, and waits until each stands there or has failed.
    fn bring_home(
        &self,
        run: &PlanRun,
        points: impl FnOnce() -> Result<BTreeMap<MachineName, Sequence>, String>,
    ) -> Result<(), String> {
        let origin = JobOrigin { plan: run.plan.clone(), run: run.number, step: run.done as u64 };
        let before: BTreeSet<_> = self.jobs_of(&origin)?.into_iter().map(|job| job.machine).collect();
        let mut failed = Vec::new();
        let points = match run.points.is_empty() {
            false => run.points.clone(),
            true => points()?,
        };
        self.note(&run.plan, &PlanEvent::Chosen(points.clone()));
        for (machine, to) in points {
            if before.contains(&machine) {
                continue;
            }
            let work = JobWork::Failback { to, prove: true };
            let begun = self
                .jobs
                .may(&machine, &work)
                .and_then(|()| self.jobs.start_for(&machine, work, Some(origin.clone())));
            match begun {
                Ok(job) => {
                    drop(self.note(&run.plan, &PlanEvent::Told(format!("job {job} brings {machine} home"))))
                }
                Err(error) => failed.push(format!("{machine}: {error}")),
            }
        }
        loop {
            let jobs = self.jobs_of(&origin)?;
            if jobs.iter().all(Job::has_ended) {
                let bad = jobs.iter().filter(|job| job.state != JobState::Done);
                failed.extend(
                    bad.map(|job| format!("{}: job {} did not come to its end", job.machine, job.id)),
                );
                return if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) };
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Returns the jobs that a step has started.
    fn jobs_of(&self, origin: &JobOrigin) -> Result<Vec<Job>, String> {
        let jobs = self.jobs.list().map_err(|error| error.to_string())?;
        Ok(jobs.into_iter().filter(|job| job.origin.as_ref() == Some(origin)).collect())
    }

    /// Notes what happened; durable on return, however long the catalog takes to be usable.
    fn note(&self, name: &MachineName, event: &PlanEvent) -> Option<PlanRun> {
        loop {
            let noted = self.runs.update(name.as_str(), |run| {
                Ok::<_, CatalogError>(run.cloned().map(|run| run.after(event.clone(), now())))
            });
            match noted {
                Ok(run) => return run,
                Err(error) => {
                    tracing::error!(plan = %name, %error, "what a plan has done can't be noted: it waits");
                    std::thread::sleep(NOTE_AGAIN);
                }
            }
        }
    }

    fn describe_run(&self, run: &PlanRun) -> PlanRunning {
        let origin = JobOrigin { plan: run.plan.clone(), run: run.number, step: run.done as u64 };
        PlanRunning {
            number: run.number,
            to: run.to,
            state: match run.state {
                PlanState::Running => api::PlanState::Running,
                PlanState::Waiting => api::PlanState::Waiting,
                PlanState::Done => api::PlanState::Done,
                PlanState::Failed => api::PlanState::Failed,
                PlanState::Stopped => api::PlanState::Stopped,
            },
            done: run.done as u64,
            steps: run.steps.clone(),
            started: run.started,
            ended: run.ended,
            jobs: self.jobs_of(&origin).unwrap_or_default().iter().map(|job| JobId(job.id)).collect(),
            log: run.log.iter().map(|line| JobLine { time: line.time, what: line.what.clone() }).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<MachineName>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(what: &str, error: &PlanError) -> ApiError {
    ApiError::new(Code::PlanSteps, what).because(error)
}
