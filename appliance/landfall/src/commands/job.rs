//! `landfall job list|watch`, and how any command follows its job.

use control::api::{DiskProof, Job, JobId, JobKind, JobList, JobOutcome, JobState, JobWatch, Jobs, Verdict};
use control::{ApiError, Code, ErrorReply};
use serde::Serialize;
use units::{ByteLen, Timestamp};

use super::{Context, machine};
use crate::paint::{Paint, Tone, harmless};
use crate::progress::ProgressView;
use crate::screen::Ending;
use crate::span::{percent, span};
use crate::table::{Cell, Column, Table};

/// A line for programs: what was started.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Note<'a, T: Serialize> {
    Started {
        #[serde(flatten)]
        started: &'a T,
    },
    Summary {
        job: &'a Job,
    },
}

/// Lists the jobs.
pub(super) fn list(context: &Context<'_>) -> Result<Ending, ErrorReply> {
    let jobs = context.ask(JobList {})?;
    context.screen.show(&jobs, |jobs: &Jobs, paint| match jobs.jobs.as_slice() {
        [] => "no jobs\n".to_owned(),
        list => table(list, jobs.time.0).render(paint),
    })?;
    Ok(Ending::Done)
}

/// Watches a job until it ends.
pub(super) fn watch(context: &Context<'_>, id: JobId) -> Result<Ending, ErrorReply> {
    let mut view = ProgressView::new(context.screen);
    let ended = context.connect()?.ask_watching(JobWatch { id }, &mut |progress| view.advance(progress));
    view.end()?;
    let job = ended?;
    if context.screen.is_json() {
        let summary: Note<'_, ()> = Note::Summary { job: &job };
        context.screen.json(&summary)?;
    } else {
        context.screen.text(&outcome(&job, context.screen.paint()))?;
    }
    verdict(job)
}

/// Tells programs what was started.
pub(super) fn note_started(context: &Context<'_>, started: &impl Serialize) -> Result<(), ErrorReply> {
    context.screen.json(&Note::Started { started })
}

impl Context<'_> {
    /// Tells programs what was started, then waits for the job if there is one and waiting is wanted.
    pub(super) fn follow(
        &self,
        started: &impl Serialize,
        job: Option<JobId>,
        no_wait: bool,
    ) -> Result<Ending, ErrorReply> {
        if self.screen.is_json() {
            self.screen.json(&Note::Started { started })?;
        }
        match job {
            None if self.screen.is_json() => Ok(Ending::Done),
            None => self.screen.text("nothing had to be done\n").map(|()| Ending::Done),
            Some(job) if !no_wait => watch(self, job),
            Some(_) if self.screen.is_json() => Ok(Ending::StillRunning),
            Some(job) => {
                self.screen
                    .text(&format!("job {job} is under way; `landfall job watch {job}` follows it\n"))?;
                Ok(Ending::StillRunning)
            }
        }
    }
}

/// Returns jobs as a table.
pub(super) fn table(jobs: &[Job], now: Timestamp) -> Table {
    use Column::{Number, Text};
    let mut table = Table::new([
        Number("JOB"),
        Text("KIND"),
        Text("MACHINE"),
        Number("POINT"),
        Text("STATE"),
        Number("DONE"),
        Number("BYTES"),
        Number("TOOK"),
        Text("STARTED"),
    ]);
    for job in jobs {
        let took = job.ended.map_or(now, |ended| ended.0).since(job.started.0).as_secs();
        table.row([
            job.id.to_string().into(),
            kind(job.kind).into(),
            job.machine.as_str().into(),
            job.point.as_ref().map(|point| format!("#{}", point.sequence)).unwrap_or_default().into(),
            state(job.state),
            percent(job.done_bytes, job.total_bytes).into(),
            ByteLen(job.total_bytes).to_string().into(),
            span(took).into(),
            job.started.to_string().into(),
        ]);
    }
    table
}

/// Returns the kind of a job as it is shown.
pub(super) fn kind(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Failback => "failback",
        JobKind::Cancel => "cancel",
        JobKind::Verify => "verify",
        JobKind::Commit => "commit",
        JobKind::Reprotect => "reprotect",
        JobKind::Resync => "resync",
        JobKind::Expire => "expire",
        JobKind::Scrub => "scrub",
    }
}

/// Returns how a job stands, in a word.
pub(super) fn word(state: JobState) -> &'static str {
    match state {
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

fn state(state: JobState) -> Cell {
    let tone = match state {
        JobState::Running | JobState::Cancelled => Tone::Warn,
        JobState::Done => Tone::Good,
        JobState::Failed => Tone::Bad,
    };
    Cell::toned(tone, word(state))
}

/// Says what came of a job that ended.
fn outcome(job: &Job, paint: Paint) -> String {
    let point = job.point.as_ref().map_or_else(|| "the latest".to_owned(), machine::describe);
    let seconds = job.ended.map_or(0, |ended| ended.0.since(job.started.0).as_secs());
    let (name, took) = (&job.machine, span(seconds));
    match &job.outcome {
        Some(JobOutcome::Failback { written_bytes, disks, manifest, manifest_problem }) => {
            let proofs: String = disks.iter().map(|proof| proof_lines(proof, paint)).collect();
            let unproved =
                if disks.is_empty() { "the disks were not read again: nothing is proved\n" } else { "" };
            let noted = match (manifest, manifest_problem) {
                (Some(number), _) => format!("manifest {number}: `landfall manifest show {name} {number}`\n"),
                (None, Some(why)) => format!("no manifest could be written: {}\n", harmless(why)),
                (None, None) => String::new(),
            };
            format!(
                "machine {name} stands at {point}\n{} were written, {took} in all\n{proofs}{unproved}{noted}\
                 next: check the disks, then `landfall commit {name}` or `landfall cancel {name}`\n",
                ByteLen(*written_bytes)
            )
        }
        Some(JobOutcome::Cancel { written_bytes }) => {
            format!(
                "machine {name} is at the latest again; {} were written in {took}\n",
                ByteLen(*written_bytes)
            )
        }
        Some(JobOutcome::Verify { disks }) => {
            let proofs: String = disks.iter().map(|proof| proof_lines(proof, paint)).collect();
            format!("{name} at {point}\n{proofs}")
        }
        Some(JobOutcome::Commit) => format!("machine {name} was committed\n"),
        Some(JobOutcome::Reprotect { generation }) => {
            format!("generation {generation} of {name} has begun\n")
        }
        Some(JobOutcome::Resync) => format!("{name} was compared with its source; it took {took}\n"),
        Some(JobOutcome::Expire { freed_bytes }) => {
            format!("{} of the history of {name} went in {took}\n", ByteLen(*freed_bytes))
        }
        Some(JobOutcome::Scrub { read_bytes, damaged }) => {
            let found =
                if *damaged == 0 { "no damage".to_owned() } else { format!("{damaged} damaged ranges") };
            format!("{} of {name} were read in {took}: {found}\n", ByteLen(*read_bytes))
        }
        None if job.state == JobState::Cancelled => {
            format!("job {} was ended by somebody; what was done before stays\n", job.id)
        }
        None => String::new(),
    }
}

fn proof_lines(proof: &DiskProof, paint: Paint) -> String {
    let (tone, word) = match proof.verdict {
        Verdict::Identical => (Tone::Good, "identical"),
        Verdict::Different => (Tone::Bad, "different"),
        Verdict::NotGiven => (Tone::Warn, "not given by the source; nothing is proved"),
    };
    let source = proof.source.map_or_else(|| "-".to_owned(), |root| root.to_string());
    format!("{}: {}\n  source  {source}\n  target  {}\n", proof.disk, paint.tone(tone, word), proof.target)
}

/// Ends as the job did. Differing roots are a failure, and so is a proof without any.
fn verdict(job: Job) -> Result<Ending, ErrorReply> {
    let machine = &job.machine;
    match (job.state, &job.outcome) {
        (JobState::Failed, _) => {
            let unsaid = || ApiError::new(Code::JobFailed, format!("job {} failed", job.id)).into();
            Err(job.error.clone().unwrap_or_else(unsaid))
        }
        (_, Some(JobOutcome::Verify { disks })) if disks.is_empty() => {
            let error = ApiError::new(Code::JobFailed, format!("machine {machine} was not verified"));
            Err(error.because("the answer holds no root of any disk").fixed_by("verify it again").into())
        }
        (_, Some(JobOutcome::Verify { disks } | JobOutcome::Failback { disks, .. }))
            if disks.iter().any(differs) =>
        {
            Err(ApiError::new(Code::RootsDiffer, format!("machine {machine} is not what its source was"))
                .into())
        }
        (JobState::Cancelled, _) => Ok(Ending::NotWell),
        (JobState::Running | JobState::Done, _) => Ok(Ending::Done),
    }
}

fn differs(proof: &DiskProof) -> bool {
    proof.verdict == Verdict::Different
}
