//! What the steps of jobs do. Each may be done twice with the effect of once: a step that finds its end reached is done.

use std::sync::Arc;
use std::time::Duration;

use control::api::JobWish;
use control::heartbeat::Wanted;
use control::{ApiError, Code, ErrorReply};
use inventory::{Job, JobError, JobEvent, JobFound, JobStep, JobWork};
use retention::Lifecycle;
use target::replica::{Progress, ReplicaError, chain};
use target::{Machine, Noted, ScrubWish, TargetError};
use units::MachineName;
use wire::heartbeat::{CommandId, Instruction, SourceOrder};
use wire::{Identity, Role};

use crate::answers::now;
use crate::failure::{api_error, code_of_replica};
use crate::group_point::outcome;
use crate::jobs::{Jobs, Running};
use crate::report::lock;

/// Between two looks at what goes on by itself.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// For a source to begin with an order.
const ORDER_WITHIN: Duration = Duration::from_secs(600);

/// How a step ends that is not done.
enum Undone {
    /// It failed.
    Failed(ApiError),
    /// Somebody wants the job to end; what goes on by itself goes on.
    Left,
}

impl From<ApiError> for Undone {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<TargetError> for Undone {
    fn from(error: TargetError) -> Self {
        Self::Failed(api_error(&error))
    }
}

impl Jobs {
    /// Carries one step out, and says what came of it.
    pub(crate) fn carry_out(&self, job: &Job, step: JobStep, running: &Running) -> JobEvent {
        let mut found = job.found.clone();
        let done = match step {
            JobStep::Preflight => self.may(&job.machine, &job.work).map_err(Undone::from),
            JobStep::Rewind => self.rewind(job, &mut found, running),
            JobStep::Prove => self.prove(job, &mut found, running),
            JobStep::Manifest => {
                self.note_manifest(job, &mut found);
                Ok(())
            }
            JobStep::Forward => self.forward(job, &mut found, running),
            JobStep::Commit => self.node.commit(&job.machine).map(drop).map_err(Undone::from),
            JobStep::Reprotect => self.reprotect(job, &mut found),
            JobStep::Resync => self.resync(job, running),
            JobStep::Expire => self.expire(job, &mut found, running),
            JobStep::Scrub => self.scrub(job, &mut found, running),
        };
        match done {
            Ok(()) => JobEvent::StepDone(Box::new(found)),
            Err(Undone::Left) => JobEvent::StepLeft,
            Err(Undone::Failed(error)) => JobEvent::StepFailed(Box::new(job_error(&error))),
        }
    }

    /// Returns the work that is wished for by its kind alone.
    pub(crate) fn work_of(wish: JobWish) -> JobWork {
        match wish {
            JobWish::Resync => JobWork::Resync,
            JobWish::Expire => JobWork::Expire,
            JobWish::Scrub => JobWork::Scrub,
        }
    }

    /// Tells whether a machine is where such work can begin; touches nothing.
    pub(crate) fn may(&self, machine: &MachineName, work: &JobWork) -> Result<(), ApiError> {
        let node = &self.node;
        // Of a machine that is not known, the master target says so.
        node.machine(machine).map_err(|error| api_error(&error))?;
        self.preflight.check(machine, work)?;
        let refused = match work {
            JobWork::Failback { .. } => node.may_fail_back(machine).map(drop),
            JobWork::Cancel => node.may_go_forward(machine).map(drop),
            JobWork::Commit => node.may_commit(machine).map(drop),
            JobWork::Reprotect { .. } => node.reprotect_plan(machine).map(drop),
            JobWork::Verify { .. } => node.machine(machine).map(drop),
            JobWork::Resync | JobWork::Expire | JobWork::Scrub => return self.is_protected(machine, work),
        };
        refused.map_err(|error| api_error(&error))
    }

    fn is_protected(&self, name: &MachineName, work: &JobWork) -> Result<(), ApiError> {
        let machine = self.node.machine(name).map_err(|error| api_error(&error))?;
        let refused = |code, cause: &str| {
            Err(ApiError::new(code, format!("no {} of machine {name} was begun", work.kind())).because(cause))
        };
        let failure = machine.shared.lock().failure.clone();
        if let Some((kind, why)) = failure {
            return Err(api_error(&TargetError::Out { name: name.clone(), kind, why }));
        }
        let protected = machine.shared.lock().lifecycle == Lifecycle::Protected;
        let paused = lock(&machine.scrub.record).as_ref().is_some_and(|record| record.paused);
        match work {
            _ if !protected => refused(Code::MachinePhase, "it is not protected"),
            JobWork::Resync if self.orders.get().is_none() => {
                refused(Code::NotHere, "orders to sources are given by the configuration server")
            }
            JobWork::Scrub if paused => refused(Code::MachinePhase, "scrubbing of it is paused"),
            _ => Ok(()),
        }
    }

    fn rewind(&self, job: &Job, found: &mut JobFound, running: &Running) -> Result<(), Undone> {
        let JobWork::Failback { to, prove } = job.work else { unreachable!("only a failback rewinds") };
        let machine = self.node.machine(&job.machine)?;
        let lens: u64 = machine.shared.lock().lens.iter().map(|len| len.0).sum();
        let progress = self.node.rewind(&job.machine, to)?;
        running.count(found.done_bytes, progress.clone(), if prove { lens } else { 0 });
        self.wait(job, &progress)?;
        found.written_bytes += progress.bytes().0;
        found.done_bytes += progress.bytes().0;
        found.reached = Some(now().into());
        Ok(())
    }

    fn prove(&self, job: &Job, found: &mut JobFound, running: &Running) -> Result<(), Undone> {
        let to = job.work.point().expect("what is proved is a point");
        let (progress, roots) = self.node.verify(&job.machine, to)?;
        running.count(found.done_bytes, progress.clone(), 0);
        self.wait(job, &progress)?;
        let roots = roots.recv().map_err(|_| self.failed(job, &ReplicaError::Panicked))?;
        found.roots = Some((roots.into_iter().map(Into::into).collect(), now().into()));
        found.done_bytes += progress.bytes().0;
        Ok(())
    }

    /// A manifest that can't be written leaves the machine where it is, and the job says why.
    fn note_manifest(&self, job: &Job, found: &mut JobFound) {
        let noted = Noted {
            at: job.work.point().expect("a failback has a point"),
            started: job.started.0,
            reached: found.reached.map_or_else(now, |reached| reached.0),
            proved: found.roots.as_ref().map(|(roots, at)| (roots.iter().map(|root| root.0).collect(), at.0)),
            written: found.written_bytes,
        };
        match self.node.note_failback(&job.machine, &noted) {
            Ok(number) => found.manifest = Some(number),
            Err(why) => found.manifest_problem = Some(why),
        }
    }

    fn forward(&self, job: &Job, found: &mut JobFound, running: &Running) -> Result<(), Undone> {
        let Some(progress) = self.node.forward(&job.machine)? else { return Ok(()) };
        running.count(found.done_bytes, progress.clone(), 0);
        let waited = self.wait(job, &progress);
        // Taken up after a restart, the rewind that was cut off may have come to its end before this one began.
        let machine = self.node.machine(&job.machine)?;
        if machine.shared.lock().lifecycle != Lifecycle::Protected {
            waited?;
        }
        found.written_bytes += progress.bytes().0;
        found.done_bytes += progress.bytes().0;
        Ok(())
    }

    fn reprotect(&self, job: &Job, found: &mut JobFound) -> Result<(), Undone> {
        let JobWork::Reprotect { over } = job.work else {
            unreachable!("only a reprotect begins a generation")
        };
        let mut machine = self.node.machine(&job.machine)?;
        if machine.generation <= over {
            machine = self.node.reprotect(&job.machine)?;
        }
        found.generation = Some(machine.generation);
        Ok(())
    }

    /// Orders the source to compare everything, once: the order has the same id after a restart.
    fn resync(&self, job: &Job, running: &Running) -> Result<(), Undone> {
        let refused = |cause: String| {
            let what = format!("the source of machine {} did not resync", job.machine);
            Undone::Failed(ApiError::new(Code::JobFailed, what).because(cause))
        };
        let orders = self.orders.get().ok_or_else(|| refused("this server orders no sources".to_owned()))?;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&job.id.to_be_bytes());
        id[8..].copy_from_slice(&job.started.0.0.to_be_bytes());
        let wanted = Wanted {
            id: CommandId(id),
            by: format!("job {}", job.id),
            instruction: Instruction::Source(SourceOrder::Resync),
            expires_after: ORDER_WITHIN,
        };
        let source = Identity { role: Role::Source, name: job.machine.clone() };
        let mut ticket = orders.give(&source, wanted).map_err(|error| refused(error.to_string()))?;
        while !ticket.wait(LOOK_EVERY).has_ended() {
            let expired = ticket.order().expires.0 < now() && !self.is_connected(&job.machine);
            if expired {
                return Err(refused("it was not reached in time".to_owned()));
            }
            if running.is_stopping() {
                return Err(Undone::Left);
            }
            self.tell_resync(job, running);
        }
        outcome(ticket.order()).map_err(refused)
    }

    fn is_connected(&self, name: &MachineName) -> bool {
        let session = self.node.machine(name).ok().and_then(|machine| machine.session());
        session.is_some_and(|session| session.connected)
    }

    fn tell_resync(&self, job: &Job, running: &Running) {
        let Ok(machine) = self.node.machine(&job.machine) else { return };
        let state = machine.shared.lock();
        let total = state.lens.iter().map(|len| len.0).sum();
        let done = state.compared.map_or(0, |compared| compared.compared.0);
        running.tell(job.found.done_bytes, done, total);
    }

    /// Waits until nothing is left that the policy wants gone; the applier lets it go by itself.
    fn expire(&self, job: &Job, found: &mut JobFound, running: &Running) -> Result<(), Undone> {
        let left = || -> Result<Option<u64>, Undone> {
            let plan = self.node.expiry_plan(&job.machine, None)?;
            let freed = |step: &retention::Expired| match step.loss {
                retention::Loss::Whole => step.epoch.size().0,
                retention::Loss::Redo => step.epoch.redo.0,
                retention::Loss::End => 0,
            };
            Ok((!plan.steps.is_empty()).then(|| plan.steps.iter().map(freed).sum()))
        };
        let mut total = 0;
        while let Some(rest) = left()? {
            total = total.max(rest);
            running.tell(job.found.done_bytes, total - rest, total);
            if running.is_stopping() {
                return Err(Undone::Left);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        found.done_bytes += total;
        Ok(())
    }

    /// Waits for a pass that was begun after the job was.
    fn scrub(&self, job: &Job, found: &mut JobFound, running: &Running) -> Result<(), Undone> {
        let machine: Arc<Machine> = self.node.machine(&job.machine)?;
        let ours = |pass: &retention::ScrubPass| pass.started >= job.started.0;
        let mut begun = false;
        loop {
            let record = lock(&machine.scrub.record).clone();
            if let Some(last) = record.as_ref().and_then(|record| record.last).filter(ours) {
                (found.done_bytes, found.damaged) = (found.done_bytes + last.done, last.found);
                return Ok(());
            }
            let under_way = machine.scrub.elapsed().is_some();
            let mine = under_way && record.and_then(|record| record.begun).is_some_and(|pass| ours(&pass));
            if begun && !under_way {
                let why = lock(&machine.scrub.problem).clone();
                if let Some(why) = why {
                    let what = format!("the scrub of machine {} did not come to its end", job.machine);
                    return Err(ApiError::new(Code::JobFailed, what).because(why).into());
                }
            }
            begun |= mine;
            if !begun {
                let wish = ScrubWish { now: true, ..ScrubWish::default() };
                self.node.scrub(&machine, wish).map_err(|error| self.failed(job, &error))?;
            }
            if running.is_stopping() {
                return Err(Undone::Left);
            }
            if mine {
                let load = |counter: &std::sync::atomic::AtomicU64| {
                    counter.load(std::sync::atomic::Ordering::Relaxed)
                };
                let pace = &machine.scrub.pace;
                running.tell(job.found.done_bytes, load(&pace.done), load(&pace.total));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn wait(&self, job: &Job, progress: &Progress) -> Result<(), Undone> {
        progress.wait().map_err(|error| self.failed(job, &error))
    }

    fn failed(&self, job: &Job, error: &ReplicaError) -> Undone {
        let to = job.work.point().map_or_else(String::new, |to| format!(" to sequence {to}"));
        let what = format!("{} of {}{to} failed", job.work.kind(), job.machine);
        Undone::Failed(ApiError::new(code_of_replica(error), what).because(chain(error)))
    }
}

/// Returns an error as jobs keep it.
pub(crate) fn job_error(error: &ApiError) -> JobError {
    let ErrorReply { code, what, cause, fix, exit } = error.clone().into();
    JobError { code, what, cause, fix, exit }
}
