//! `landfall job show|cancel|start`

use control::ErrorReply;
use control::api::{Job, JobCancel, JobId, JobShow, JobStart, JobState, JobWish};
use units::{ByteLen, MachineName};

use super::{Context, job};
use crate::arguments::Startable;
use crate::paint::{Paint, Tone, harmless};
use crate::screen::Ending;
use crate::span::{percent, span};

/// Shows one job.
pub(super) fn show(context: &Context<'_>, id: JobId) -> Result<Ending, ErrorReply> {
    let job = context.ask(JobShow { id })?;
    context.screen.show(&job, sheet)?;
    Ok(Ending::Done)
}

/// Has a job end before its next step.
pub(super) fn cancel(context: &Context<'_>, id: JobId) -> Result<Ending, ErrorReply> {
    let job = context.ask(JobCancel { id })?;
    context
        .screen
        .show(&job, |job, paint| format!("job {id} ends before its next step\n\n{}", sheet(job, paint)))?;
    Ok(Ending::Done)
}

/// Starts a job, and follows it.
pub(super) fn start(
    context: &Context<'_>,
    kind: Startable,
    machine: MachineName,
    no_wait: bool,
) -> Result<Ending, ErrorReply> {
    let kind = match kind {
        Startable::Resync => JobWish::Resync,
        Startable::Expire => JobWish::Expire,
        Startable::Scrub => JobWish::Scrub,
    };
    let started = context.ask(JobStart { machine, kind })?;
    context.follow(&started, started.job, no_wait)
}

fn sheet(shown: &Job, paint: Paint) -> String {
    let mut text = format!("job {}: {} of {}, ", shown.id, job::kind(shown.kind), shown.machine);
    text += &paint.tone(tone(shown.state), job::word(shown.state));
    text += &format!("\n  started {}", shown.started);
    text += &shown.ended.map_or_else(|| "\n".to_owned(), |ended| format!(", ended {ended}\n"));
    let (done, total) = (ByteLen(shown.done_bytes), ByteLen(shown.total_bytes));
    if shown.total_bytes > 0 {
        text += &format!("  {done} of {total}, {}", percent(shown.done_bytes, shown.total_bytes));
        if shown.state == JobState::Running {
            let left =
                shown.eta_seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{} left", span(seconds)));
            text += &format!(", {}/s, {left}", ByteLen(shown.rate));
        }
        text += "\n";
    }
    for step in &shown.steps {
        text += &format!("  [{}] {}\n", if step.done { "x" } else { " " }, step.name);
    }
    if let Some(error) = &shown.error {
        text +=
            &format!("  {}: {} ({})\n", harmless(&error.what), harmless(&error.cause), harmless(&error.code));
    }
    if !shown.log.is_empty() {
        text += "\n";
    }
    let lines = shown.log.iter().map(|line| format!("{}  {}\n", line.time, harmless(&line.what)));
    text + &lines.collect::<String>()
}

fn tone(state: JobState) -> Tone {
    match state {
        JobState::Running | JobState::Cancelled => Tone::Warn,
        JobState::Done => Tone::Good,
        JobState::Failed => Tone::Bad,
    }
}
