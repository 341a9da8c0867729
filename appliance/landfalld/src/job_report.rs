//! Jobs, in the words of the control interface.

use control::ErrorReply;
use control::api::{DiskProof, Job, JobId, JobKind, JobLine, JobOutcome, JobState, JobStep};
use inventory::{JobError, JobWork};
use units::{DiskIndex, Generation, HexHash};

use crate::jobs::Running;
use crate::report::named;

/// Describes a job; `running` if it is carried out here, `machine` if it is known.
pub(crate) fn job(job: &inventory::Job, running: Option<&Running>, machine: Option<&target::Machine>) -> Job {
    let (done, total, seconds) =
        running.map_or((job.found.done_bytes, job.found.done_bytes, 0.0), Running::bytes);
    let rate =
        if seconds > 0.0 { (done.saturating_sub(job.found.done_bytes) as f64 / seconds) as u64 } else { 0 };
    let left = total.saturating_sub(done);
    let steps = job.work.steps().iter().enumerate();
    Job {
        id: JobId(job.id),
        kind: kind(&job.work),
        machine: job.machine.clone(),
        point: job.work.point().zip(machine).map(|(to, machine)| named(&machine.shared.lock(), to)),
        state: match job.state {
            inventory::JobState::Running => JobState::Running,
            inventory::JobState::Done => JobState::Done,
            inventory::JobState::Failed => JobState::Failed,
            inventory::JobState::Cancelled => JobState::Cancelled,
        },
        started: job.started,
        ended: job.ended,
        done_bytes: done,
        total_bytes: total,
        rate,
        eta_seconds: (rate > 0 && left > 0).then(|| left.div_ceil(rate)),
        steps: steps
            .map(|(at, step)| JobStep { name: step.as_str().to_owned(), done: at < job.done })
            .collect(),
        log: Vec::new(),
        error: job.error.as_ref().map(error),
        outcome: (job.state == inventory::JobState::Done).then(|| outcome(job, machine)),
    }
}

/// Returns what happened in a job.
pub(crate) fn log(job: &inventory::Job) -> Vec<JobLine> {
    job.log.iter().map(|line| JobLine { time: line.time, what: line.what.clone() }).collect()
}

fn kind(work: &JobWork) -> JobKind {
    match work {
        JobWork::Failback { .. } => JobKind::Failback,
        JobWork::Cancel => JobKind::Cancel,
        JobWork::Verify { .. } => JobKind::Verify,
        JobWork::Commit => JobKind::Commit,
        JobWork::Reprotect { .. } => JobKind::Reprotect,
        JobWork::Resync => JobKind::Resync,
        JobWork::Expire => JobKind::Expire,
        JobWork::Scrub => JobKind::Scrub,
    }
}

fn error(error: &JobError) -> ErrorReply {
    let JobError { code, what, cause, fix, exit } = error.clone();
    ErrorReply { code, what, cause, fix, exit }
}

fn outcome(job: &inventory::Job, machine: Option<&target::Machine>) -> JobOutcome {
    let found = &job.found;
    match job.work {
        JobWork::Failback { .. } => JobOutcome::Failback {
            written_bytes: found.written_bytes,
            disks: proofs(job, machine),
            manifest: found.manifest,
            manifest_problem: found.manifest_problem.clone(),
        },
        JobWork::Cancel => JobOutcome::Cancel { written_bytes: found.written_bytes },
        JobWork::Verify { .. } => JobOutcome::Verify { disks: proofs(job, machine) },
        JobWork::Commit => JobOutcome::Commit,
        JobWork::Reprotect { over } => {
            let generation = found.generation.unwrap_or(Generation(over.0.saturating_add(1)));
            JobOutcome::Reprotect { generation }
        }
        JobWork::Resync => JobOutcome::Resync,
        JobWork::Expire => JobOutcome::Expire { freed_bytes: found.done_bytes },
        JobWork::Scrub => JobOutcome::Scrub { read_bytes: found.done_bytes, damaged: found.damaged },
    }
}

/// Compares the roots a job has computed with those the source gave; none, if it has computed none.
fn proofs(job: &inventory::Job, machine: Option<&target::Machine>) -> Vec<DiskProof> {
    let point = job.work.point();
    let given = machine.zip(point).and_then(|(machine, to)| machine.shared.lock().timeline.get(to).cloned());
    let given = given.map(|point| point.roots).unwrap_or_default();
    let proof = |(index, root): (usize, &HexHash)| {
        let disk = DiskIndex(u16::try_from(index).expect("a machine has at most 256 disks"));
        DiskProof::compare(disk, given.get(index).map(|root| (*root).into()), *root)
    };
    let roots = job.found.roots.as_ref();
    roots.map(|(roots, _)| roots.iter().enumerate().map(proof).collect()).unwrap_or_default()
}
