//! Units of work that survive the program that carries them out: what is to be done, step by step, and how far it is.
//!
//! A job is carried out by whoever keeps it: the step [`Job::next`] names, again and again until there is none. Every step may be carried
//! out twice with the effect of once, since the program may end between a step and the note that it was done.
//!
//! *Invariants:* the steps of a job are done in order; what has ended stays as it is; of the jobs that change a machine one is under way
//! at a time, as its [`JobClaim`] says.

use serde::{Deserialize, Serialize};
use units::{Generation, HexHash, MachineName, Rfc3339, Sequence, Timestamp};

use crate::Record;

/// Lines that are kept of what happened in a job; of more, the oldest go.
pub const JOB_LINES_MAX: usize = 64;
/// Jobs that are kept after they ended.
pub const JOBS_KEPT: usize = 256;

/// A unit of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its number, from 1.
    pub id: u64,
    /// The machine it is about.
    pub machine: MachineName,
    /// What it does.
    pub work: JobWork,
    /// How it stands.
    pub state: JobState,
    /// Steps that were done.
    #[serde(default)]
    pub done: usize,
    /// The step of a recovery plan that started it, if one did.
    #[serde(default)]
    pub origin: Option<JobOrigin>,
    /// Somebody wants it to end before its next step.
    #[serde(default)]
    pub stop: bool,
    /// When it was started.
    pub started: Rfc3339,
    /// When it ended.
    #[serde(default)]
    pub ended: Option<Rfc3339>,
    /// What its steps have found.
    #[serde(default)]
    pub found: JobFound,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<JobError>,
    /// What happened, oldest first.
    #[serde(default)]
    pub log: Vec<JobLine>,
}

/// A step of a run of a recovery plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOrigin {
    /// The plan.
    pub plan: MachineName,
    /// Which run of it.
    pub run: u64,
    /// Which step, from 0.
    pub step: u64,
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobWork {
    /// Brings the target disks to a recovery point.
    Failback {
        /// The point.
        to: Sequence,
        /// Their roots are computed once they stand there.
        prove: bool,
    },
    /// Brings the target disks back to the latest.
    Cancel,
    /// Computes the roots at a recovery point.
    Verify {
        /// The point.
        to: Sequence,
    },
    /// Accepts the point a machine stands at.
    Commit,
    /// Begins another generation of a committed machine.
    Reprotect {
        /// The generation that is over then.
        over: Generation,
    },
    /// Has the source compare everything anew.
    Resync,
    /// Lets history go that the policy wants gone.
    Expire,
    /// Reads journal and target disks against their checksums.
    Scrub,
}

/// A part of a job that is done, or not, as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStep {
    /// See whether it may be done at all; nothing was touched before.
    Preflight,
    /// Bring the target disks to the point.
    Rewind,
    /// Compute the root of each disk.
    Prove,
    /// Sign and store the manifest.
    Manifest,
    /// Bring the target disks to the latest.
    Forward,
    /// Accept the point.
    Commit,
    /// Begin another generation.
    Reprotect,
    /// Wait for the source to have compared everything.
    Resync,
    /// Wait until what is to go is gone.
    Expire,
    /// Wait for a whole pass.
    Scrub,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It is being carried out, or will be when its server runs.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// Somebody ended it between two steps; what was done before stays.
    Cancelled,
}

/// What the steps of a job have found. Each step fills in its part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFound {
    /// Bytes of work that the steps which are done have done.
    #[serde(default)]
    pub done_bytes: u64,
    /// Bytes written to the target disks.
    #[serde(default)]
    pub written_bytes: u64,
    /// When the target disks stood at the point.
    #[serde(default)]
    pub reached: Option<Rfc3339>,
    /// The root of each target disk, and when they were computed.
    #[serde(default)]
    pub roots: Option<(Vec<HexHash>, Rfc3339)>,
    /// The number of the manifest.
    #[serde(default)]
    pub manifest: Option<u64>,
    /// Why there is no manifest.
    #[serde(default)]
    pub manifest_problem: Option<String>,
    /// The generation that began.
    #[serde(default)]
    pub generation: Option<Generation>,
    /// Ranges that a scrub found damaged.
    #[serde(default)]
    pub damaged: u32,
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// Which kind of failure, as `LF-nnnn`.
    pub code: String,
    /// What happened and to what.
    pub what: String,
    /// Why.
    pub cause: String,
    /// What to do.
    pub fix: String,
    /// The exit code a command ends with.
    pub exit: u8,
}

/// Something that happened in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLine {
    /// When.
    pub time: Rfc3339,
    /// What.
    pub what: String,
}

/// Says that a job works on a machine; there is one for each machine at the most, for as long as the job is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobClaim {
    /// The machine.
    pub machine: MachineName,
    /// The job.
    pub job: u64,
}

/// Something that happens to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEvent {
    /// The program that carries it out has begun anew.
    TakenUp,
    /// The step that [`Job::next`] named is done; this is what is known then.
    StepDone(Box<JobFound>),
    /// The step failed.
    StepFailed(Box<JobError>),
    /// Somebody wants it to end before its next step.
    StopWanted,
    /// The step was left before it was done, since somebody wants the job to end.
    StepLeft,
}

impl JobWork {
    /// Returns its steps, in their order.
    pub fn steps(&self) -> &'static [JobStep] {
        use JobStep::{
            Commit, Expire, Forward, Manifest, Preflight, Prove, Reprotect, Resync, Rewind, Scrub,
        };
        match self {
            Self::Failback { prove: true, .. } => &[Preflight, Rewind, Prove, Manifest],
            Self::Failback { prove: false, .. } => &[Preflight, Rewind, Manifest],
            Self::Cancel => &[Preflight, Forward],
            Self::Verify { .. } => &[Preflight, Prove],
            Self::Commit => &[Preflight, Commit],
            Self::Reprotect { .. } => &[Preflight, Reprotect],
            Self::Resync => &[Preflight, Resync],
            Self::Expire => &[Preflight, Expire],
            Self::Scrub => &[Preflight, Scrub],
        }
    }

    /// Returns its kind, as commands name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Failback { .. } => "failback",
            Self::Cancel => "cancel",
            Self::Verify { .. } => "verify",
            Self::Commit => "commit",
            Self::Reprotect { .. } => "reprotect",
            Self::Resync => "resync",
            Self::Expire => "expire",
            Self::Scrub => "scrub",
        }
    }

    /// Returns the point it is about.
    pub fn point(&self) -> Option<Sequence> {
        match self {
            Self::Failback { to, .. } | Self::Verify { to } => Some(*to),
            _ => None,
        }
    }
}

impl JobStep {
    /// Returns its name, as it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Rewind => "rewind",
            Self::Prove => "prove",
            Self::Manifest => "manifest",
            Self::Forward => "forward",
            Self::Commit => "commit",
            Self::Reprotect => "reprotect",
            Self::Resync => "resync",
            Self::Expire => "expire",
            Self::Scrub => "scrub",
        }
    }
}

impl Job {
    /// Begins a job, of which no step was done.
    pub fn new(id: u64, machine: MachineName, work: JobWork, now: Timestamp) -> Self {
        let (started, state) = (now.into(), JobState::Running);
        let job = Self {
            id,
            machine,
            work,
            state,
            done: 0,
            origin: None,
            stop: false,
            started,
            ended: None,
            found: JobFound::default(),
            error: None,
            log: Vec::new(),
        };
        job.noted("started", now)
    }

    /// Returns the step that is to be carried out; none once it has ended.
    pub fn next(&self) -> Option<JobStep> {
        (self.state == JobState::Running).then(|| self.work.steps()[self.done])
    }

    /// Tells whether nothing more comes of it.
    pub fn has_ended(&self) -> bool {
        self.state != JobState::Running
    }

    /// Returns what it is after something happened. What has ended stays as it is.
    #[must_use]
    pub fn after(self, event: JobEvent, now: Timestamp) -> Self {
        let Some(step) = self.next() else { return self };
        match event {
            JobEvent::TakenUp => {
                let line = format!("taken up again at step {}", step.as_str());
                self.noted(&line, now)
            }
            JobEvent::StopWanted => {
                Self { stop: true, ..self }.noted("told to end before its next step", now)
            }
            JobEvent::StepDone(found) => {
                let job = Self { done: self.done + 1, found: *found, ..self };
                let job = job.noted(&format!("{} is done", step.as_str()), now);
                if job.done == job.work.steps().len() {
                    job.ending(JobState::Done, now)
                } else if job.stop {
                    job.ending(JobState::Cancelled, now)
                } else {
                    job
                }
            }
            JobEvent::StepLeft => self.ending(JobState::Cancelled, now),
            JobEvent::StepFailed(error) => {
                let line =
                    format!("{} failed: {}: {} ({})", step.as_str(), error.what, error.cause, error.code);
                Self { error: Some(*error), ..self }.noted(&line, now).ending(JobState::Failed, now)
            }
        }
    }

    fn noted(mut self, what: &str, now: Timestamp) -> Self {
        self.log.push(JobLine { time: now.into(), what: what.to_owned() });
        let excess = self.log.len().saturating_sub(JOB_LINES_MAX);
        self.log.drain(..excess);
        self
    }

    fn ending(self, state: JobState, now: Timestamp) -> Self {
        let word = match state {
            JobState::Running => unreachable!("an end is another state"),
            JobState::Done => "done",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
        };
        Self { state, ended: Some(now.into()), ..self }.noted(word, now)
    }
}

/// Returns the numbers of the ended jobs that need not be kept any more.
pub fn forgettable_jobs(jobs: &[Job]) -> Vec<u64> {
    let mut ended: Vec<u64> = jobs.iter().filter(|job| job.has_ended()).map(|job| job.id).collect();
    ended.sort_unstable();
    ended.truncate(ended.len().saturating_sub(JOBS_KEPT));
    ended
}

impl Record for Job {
    const KIND: &'static str = "job";

    /// Digits enough that the order of keys is the order of numbers.
    fn name(&self) -> String {
        format!("{:012}", self.id)
    }
}

impl Record for JobClaim {
    const KIND: &'static str = "job-claim";

    fn name(&self) -> String {
        self.machine.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    fn failback() -> Job {
        let work = JobWork::Failback { to: Sequence(7), prove: true };
        Job::new(3, "web-01".parse().unwrap(), work, at(1))
    }

    fn done(job: Job) -> Job {
        let found = Box::new(job.found.clone());
        job.after(JobEvent::StepDone(found), at(2))
    }

    fn error() -> Box<JobError> {
        let text = |text: &str| text.to_owned();
        let (code, what, cause, fix) = (text("LF-1207"), text("it failed"), text("why"), text("mend it"));
        Box::new(JobError { code, what, cause, fix, exit: 1 })
    }

    #[test]
    fn steps_are_done_in_order_and_then_it_is_over() {
        let mut job = failback();
        let mut steps = Vec::new();
        while let Some(step) = job.next() {
            steps.push(step);
            job = done(job);
        }
        assert_eq!(steps, [JobStep::Preflight, JobStep::Rewind, JobStep::Prove, JobStep::Manifest]);
        assert_eq!((job.state, job.ended), (JobState::Done, Some(at(2).into())));
        let ended = job.clone();
        assert_eq!(job.after(JobEvent::StepFailed(error()), at(9)), ended, "what has ended stays");
    }

    /// The program may end after any number of steps: what was noted is read again, and the rest is done.
    #[test]
    fn a_job_goes_on_where_it_was_whenever_the_program_ends() {
        for killed_after in 0..=failback().work.steps().len() {
            let mut job = failback();
            (0..killed_after).for_each(|_| job = done(job.clone()));
            let mut again = Job::decode(&job.key(), &job.encode()).unwrap();
            assert_eq!(again, job);
            again = again.after(JobEvent::TakenUp, at(5));
            assert_eq!(again.next(), failback().work.steps().get(killed_after).copied());
            let mut rest = 0;
            while again.next().is_some() {
                again = done(again);
                rest += 1;
            }
            assert_eq!((again.state, rest), (JobState::Done, 4 - killed_after));
        }
    }

    #[test]
    fn a_job_that_is_to_end_ends_before_its_next_step_but_what_was_done_stays() {
        let wanted = done(failback()).after(JobEvent::StopWanted, at(3));
        assert_eq!(wanted.next(), Some(JobStep::Rewind), "the step under way is not torn");
        let ended = done(wanted);
        assert_eq!((ended.state, ended.done), (JobState::Cancelled, 2));
        let mut last = failback();
        (0..3).for_each(|_| last = done(last.clone()));
        let last = done(last.after(JobEvent::StopWanted, at(3)));
        assert_eq!(last.state, JobState::Done, "nothing was left to end before");
    }

    #[test]
    fn a_failed_step_ends_the_job_with_its_reason_and_the_log_has_a_bound() {
        let failed = done(failback()).after(JobEvent::StepFailed(error()), at(4));
        assert_eq!((failed.state, failed.next()), (JobState::Failed, None));
        assert!(failed.log.iter().any(|line| line.what == "rewind failed: it failed: why (LF-1207)"));
        let mut job = failback();
        (0..200).for_each(|_| job = job.clone().after(JobEvent::TakenUp, at(5)));
        assert_eq!(job.log.len(), JOB_LINES_MAX);
    }

    #[test]
    fn the_newest_ended_jobs_are_kept_and_every_one_under_way() {
        let job = |id| Job { id, ..failback() };
        let mut jobs: Vec<Job> = (1..=300).map(job).collect();
        jobs[1..].iter_mut().for_each(|job| job.state = JobState::Done);
        assert_eq!(forgettable_jobs(&jobs), (2..=44).collect::<Vec<_>>());
    }
}
