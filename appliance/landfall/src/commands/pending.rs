//! `landfall pending list|cancel`, `landfall approve`

use control::api::{
    PendingApprove, PendingCancel, PendingCommand, PendingCommands, PendingList, PendingStatus,
};
use control::{ApiError, Code, ErrorReply};

use super::Context;
use crate::arguments::ApproveArguments;
use crate::paint::{Paint, Tone, harmless};
use crate::prompt;
use crate::screen::Ending;
use crate::span::span;
use crate::table::{Cell, Column, Table};

/// Lists what waits and what has waited.
pub(super) fn list(context: &Context<'_>) -> Result<Ending, ErrorReply> {
    let pending = context.ask(PendingList {})?;
    context.screen.show(&pending, |pending: &PendingCommands, paint| table(&pending.commands, paint))?;
    Ok(Ending::Done)
}

/// Ends something that waits.
pub(super) fn cancel(context: &Context<'_>, id: u64) -> Result<Ending, ErrorReply> {
    let cancelled = context.ask(PendingCancel { id })?;
    context.screen.show(&cancelled, |cancelled, paint| table(std::slice::from_ref(cancelled), paint))?;
    Ok(Ending::Done)
}

/// Has something done that waits, after it was shown and agreed to.
pub(super) fn approve(context: &Context<'_>, wanted: &ApproveArguments) -> Result<Ending, ErrorReply> {
    let id = wanted.id;
    if !wanted.yes {
        agree(context, id)?;
    }
    let done = context.ask(PendingApprove { id })?;
    context.screen.show(&done, |done, paint| table(std::slice::from_ref(done), paint))?;
    Ok(Ending::Done)
}

fn agree(context: &Context<'_>, id: u64) -> Result<(), ErrorReply> {
    let refused = |cause: &str, fix: &str| {
        let error = ApiError::new(Code::NotConfirmed, format!("number {id} was left as it is"));
        Err(error.because(cause).fixed_by(fix).into())
    };
    if !context.screen.can_ask() {
        return refused("nobody can be asked: this is not a terminal", "add --yes");
    }
    let known = context.ask(PendingList {})?.commands.into_iter().find(|pending| pending.id == id);
    // What is not known is refused when it is asked for, with its reason.
    if let Some(pending) = known {
        context.screen.text(&table(&[pending], context.screen.paint()))?;
    }
    if prompt::agreed("Do it?")? {
        Ok(())
    } else {
        refused("the question was not answered with y", "answer y, or add --yes")
    }
}

fn table(commands: &[PendingCommand], paint: Paint) -> String {
    if commands.is_empty() {
        return "nothing waits to be confirmed\n".to_owned();
    }
    use Column::{Number, Text};
    let columns = [Number("ID"), Text("WHO"), Text("WANTS"), Text("ASKED"), Text("STATE"), Text("WHY")];
    let mut table = Table::new(columns);
    for pending in commands {
        table.row([
            pending.id.to_string().into(),
            pending.who.as_str().into(),
            format!("{} {}", pending.action, harmless(&pending.subject)).trim_end().to_owned().into(),
            pending.asked.to_string().into(),
            state(pending),
            pending.why.clone().unwrap_or_default().into(),
        ]);
    }
    table.render(paint)
}

fn state(pending: &PendingCommand) -> Cell {
    let (tone, word) = match pending.state {
        PendingStatus::Waiting => {
            let left = span(pending.seconds_left.unwrap_or_default());
            return Cell::toned(Tone::Warn, format!("waits {left} more"));
        }
        PendingStatus::Begun => (Tone::Warn, "is being done"),
        PendingStatus::Done => (Tone::Good, "done"),
        PendingStatus::Failed => (Tone::Bad, "failed"),
        PendingStatus::Cancelled => (Tone::Good, "cancelled"),
        PendingStatus::Interrupted => (Tone::Bad, "interrupted"),
    };
    Cell::toned(tone, word)
}
