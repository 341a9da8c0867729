//! `landfall alarm list|ack|watch`

use control::ErrorReply;
use control::api::{Alarm, AlarmAck, AlarmEvents, AlarmList, AlarmWatch, Alarms, Health};

use super::Context;
use crate::arguments::AckArguments;
use crate::paint::{Paint, Tone, harmless};
use crate::screen::Ending;
use crate::span::{count, span};
use crate::table::{Cell, Column, Table};

/// Lists alarms.
pub(super) fn list(context: &Context<'_>, every: bool) -> Result<Ending, ErrorReply> {
    let alarms: Alarms = context.ask(AlarmList { every })?;
    context.screen.show(&alarms, lines)?;
    Ok(Ending::Done)
}

/// Takes note of alarms.
pub(super) fn ack(context: &Context<'_>, wanted: AckArguments) -> Result<Ending, ErrorReply> {
    let AckArguments { kind, subject, all: _ } = wanted;
    let acked: Alarms = context.ask(AlarmAck { kind, subject })?;
    context.screen.show(&acked, |acked, paint| {
        let number = count(acked.alarms.len() as u64, "alarm");
        let each = if acked.alarms.is_empty() { String::new() } else { lines(acked, paint) };
        format!("{number} acknowledged\n{each}")
    })?;
    Ok(Ending::Done)
}

/// Shows what becomes of alarms, each on a line, until interrupted.
pub(super) fn watch(context: &Context<'_>) -> Result<Ending, ErrorReply> {
    let mut client = context.connect()?;
    let mut after = None;
    if !context.screen.is_json() {
        context.screen.text("following alarms; Ctrl-C ends it\n")?;
    }
    loop {
        let news: AlarmEvents = client.ask(AlarmWatch { after })?;
        if news.missed && !context.screen.is_json() {
            context.screen.text("changes were too many to keep; these are all alarms\n")?;
        }
        for alarm in &news.alarms {
            context.screen.show(alarm, line)?;
        }
        after = Some(news.newest);
    }
}

fn lines(alarms: &Alarms, paint: Paint) -> String {
    if alarms.alarms.is_empty() {
        return "no alarms\n".to_owned();
    }
    let columns = ["SEVERITY", "KIND", "SUBJECT", "STATE", "SINCE", "WHAT"].map(Column::Text);
    let mut table = Table::new(columns);
    for alarm in &alarms.alarms {
        let (tone, word) = severity(alarm);
        let since = span(alarms.time.0.since(alarm.first_seen.0).as_secs());
        table.row([
            Cell::toned(tone, word),
            alarm.kind.as_str().into(),
            alarm.subject.as_str().into(),
            state(alarm).into(),
            since.into(),
            alarm.what.as_str().into(),
        ]);
    }
    table.render(paint)
}

fn line(alarm: &Alarm, paint: Paint) -> String {
    let (tone, word) = severity(alarm);
    let (kind, subject, what) = (alarm.kind.as_str(), harmless(&alarm.subject), harmless(&alarm.what));
    let time = alarm.cleared.unwrap_or(alarm.last_seen);
    format!("{time}  {} {kind} {subject}: {what} ({})\n", paint.tone(tone, word), state(alarm))
}

fn severity(alarm: &Alarm) -> (Tone, &'static str) {
    match (alarm.stands(), alarm.severity) {
        (false, _) => (Tone::Good, "over"),
        (true, Health::Failed) => (Tone::Bad, "failed"),
        (true, _) => (Tone::Warn, "degraded"),
    }
}

/// Says whether it is open, and who has taken note if not.
fn state(alarm: &Alarm) -> String {
    match (&alarm.acked_by, alarm.raised) {
        (Some(who), _) => format!("noted by {}", harmless(who)),
        (None, 0 | 1) => "open".to_owned(),
        (None, times) => format!("open, {times} times"),
    }
}
