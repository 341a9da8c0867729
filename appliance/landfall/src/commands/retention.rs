//! `landfall retention show`

use control::ErrorReply;
use control::api::{Epoch, History, Retention, RetentionShow};
use units::{ByteLen, MachineName};

use super::{Context, policy, status};
use crate::paint::{Paint, harmless};
use crate::screen::Ending;
use crate::span::span;
use crate::table::{Column, Table};

/// Shows the retention volume and the history on it.
pub(super) fn show(context: &Context<'_>, machine: Option<MachineName>) -> Result<Ending, ErrorReply> {
    let detailed = machine.is_some();
    let retention = context.ask(RetentionShow { machine })?;
    context.screen.show(&retention, |retention, paint| render(retention, detailed, paint))?;
    Ok(Ending::Done)
}

fn render(retention: &Retention, detailed: bool, paint: Paint) -> String {
    let mut text = status::volume_line(&retention.volume);
    if retention.machines.is_empty() {
        return text + "no machine has history\n";
    }
    text += &format!("\n{}", histories(&retention.machines).render(paint));
    text += &notes(&retention.machines);
    for history in retention.machines.iter().filter(|_| detailed) {
        text += &format!("\n{}", epochs(&history.epochs).render(paint));
    }
    text
}

fn histories(machines: &[History]) -> Table {
    use Column::{Number, Text};
    let mut table = Table::new([
        Text("MACHINE"),
        Number("WINDOW"),
        Number("OF"),
        Number("HISTORY LEFT"),
        Number("PER HOUR"),
        Number("AT MOST"),
        Text("WHEN FULL"),
        Number("EPOCHS"),
        Number("BYTES"),
        Text("OLDEST POINT"),
        Text("NEWEST POINT"),
    ]);
    for history in machines {
        let [oldest, newest] = [&history.oldest, &history.newest]
            .map(|point| point.as_ref().map(|point| point.time.to_string()).unwrap_or_default());
        table.row([
            history.machine.as_str().into(),
            span(history.window_seconds).into(),
            span(history.keep_seconds).into(),
            span(history.keeping.history_left_seconds).into(),
            history
                .keeping
                .churn_bytes_per_hour
                .map(|churn| ByteLen(churn).to_string())
                .unwrap_or_default()
                .into(),
            history.keep_bytes.map(|bytes| ByteLen(bytes).to_string()).unwrap_or_default().into(),
            policy::when_full(history.keeping.policy.when_full).into(),
            history.epochs.len().to_string().into(),
            ByteLen(history.bytes).to_string().into(),
            oldest.into(),
            newest.into(),
        ]);
    }
    table
}

/// Writes what keeps a history from being as the policy wants it.
fn notes(histories: &[History]) -> String {
    let note = |history: &History| {
        let keeping = &history.keeping;
        let lines = [&keeping.paused, &keeping.shrunk, &keeping.held];
        let words = ["", "", "older history stays: "];
        let told = lines.into_iter().zip(words).filter_map(|(line, word)| Some((line.as_ref()?, word)));
        told.map(|(line, word)| format!("  {}: {word}{}\n", history.machine, harmless(line)))
            .collect::<String>()
    };
    histories.iter().map(note).collect()
}

fn state(epoch: &Epoch) -> String {
    match (epoch.sealed, epoch.thinned, epoch.joined) {
        (_, true, Some(joined)) => format!("thinned, {joined} as one"),
        (_, true, None) => "thinned".to_owned(),
        (true, false, _) => "sealed".to_owned(),
        (false, false, _) => "open".to_owned(),
    }
}

fn epochs(epochs: &[Epoch]) -> Table {
    use Column::{Number, Text};
    let mut table = Table::new([
        Number("EPOCH"),
        Number("FROM"),
        Number("TO"),
        Number("WRITES"),
        Number("BEFORE-IMAGES"),
        Text("STATE"),
        Text("STARTED"),
    ]);
    for epoch in epochs {
        table.row([
            epoch.number.to_string().into(),
            format!("#{}", epoch.first).into(),
            format!("#{}", epoch.last).into(),
            ByteLen(epoch.redo_bytes).to_string().into(),
            ByteLen(epoch.undo_bytes).to_string().into(),
            state(epoch).into(),
            epoch.started.map(|started| started.to_string()).unwrap_or_default().into(),
        ]);
    }
    table
}
