//! `landfall audit list|check`

use control::ErrorReply;
use control::api::{AuditCheck, AuditList, AuditLog, AuditOutcome, AuditVerdict};

use super::Context;
use crate::arguments::AuditCheckArguments;
use crate::paint::{Paint, Tone, harmless};
use crate::screen::Ending;
use crate::table::{Cell, Column, Table};

/// Lists who asked for what.
pub(super) fn list(context: &Context<'_>, limit: u32, before: Option<u64>) -> Result<Ending, ErrorReply> {
    let log: AuditLog = context.ask(AuditList { limit, before })?;
    context.screen.show(&log, lines)?;
    Ok(Ending::Done)
}

/// Says whether the log is as it was written.
pub(super) fn check(context: &Context<'_>, wanted: &AuditCheckArguments) -> Result<Ending, ErrorReply> {
    let (number, hash) = wanted.known.unzip();
    let verdict: AuditVerdict = context.ask(AuditCheck { number, hash })?;
    context.screen.show(&verdict, |verdict, paint| match &verdict.problem {
        None => format!(
            "{}: entries {} to {} are as they were written\nnote elsewhere: {}:{}\n",
            paint.tone(Tone::Good, "whole"),
            verdict.first,
            verdict.last,
            verdict.last,
            verdict.hash
        ),
        Some(problem) => format!("{}: {}\n", paint.tone(Tone::Bad, "not whole"), harmless(problem)),
    })?;
    Ok(if verdict.problem.is_none() { Ending::Done } else { Ending::NotWell })
}

fn lines(log: &AuditLog, paint: Paint) -> String {
    if log.entries.is_empty() {
        return "nobody has asked for anything yet\n".to_owned();
    }
    let columns = [
        Column::Number("NUMBER"),
        Column::Text("TIME"),
        Column::Text("WHO"),
        Column::Text("WHAT"),
        Column::Text("WITH"),
        Column::Text("OUTCOME"),
    ];
    let mut table = Table::new(columns);
    for entry in &log.entries {
        let outcome = match (entry.outcome, &entry.why) {
            (AuditOutcome::Begun, _) => Cell::from("begun"),
            (AuditOutcome::Done, _) => Cell::toned(Tone::Good, "done"),
            (AuditOutcome::Refused, why) => {
                Cell::toned(Tone::Bad, format!("refused: {}", why.as_deref().unwrap_or("no reason told")))
            }
        };
        table.row([
            entry.number.to_string().into(),
            entry.time.to_string().into(),
            entry.who.as_str().into(),
            entry.action.as_str().into(),
            entry.subject.as_str().into(),
            outcome,
        ]);
    }
    table.render(paint)
}
