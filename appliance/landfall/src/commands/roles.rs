//! `landfall roles`

use control::ErrorReply;
use inventory::{ROLES, SUBJECTS, Verdict};
use serde::Serialize;

use crate::paint::Tone;
use crate::screen::{Ending, Screen};
use crate::table::{Cell, Column, Table};

/// One line of the table, for programs.
#[derive(Serialize)]
struct Line {
    action: &'static str,
    what: &'static str,
    allowed: Vec<String>,
    confirmed: Vec<String>,
}

/// Shows who may do what: the very table that requests are judged by.
pub(super) fn show(screen: &Screen) -> Result<Ending, ErrorReply> {
    let by = |row: &inventory::Row, wanted| {
        let pairs = SUBJECTS.iter().zip(row.verdicts);
        pairs.filter(|(_, verdict)| *verdict == wanted).map(|(subject, _)| subject.to_string()).collect()
    };
    let line = |row: &inventory::Row| {
        let (allowed, confirmed) = (by(row, Verdict::Allowed), by(row, Verdict::Confirmed));
        Line { action: row.name, what: row.what, allowed, confirmed }
    };
    let lines: Vec<_> = ROLES.iter().map(line).collect();
    screen.show(&lines, |_, paint| table().render(paint))?;
    Ok(Ending::Done)
}

fn table() -> Table {
    let subjects = SUBJECTS.iter().map(|subject| Column::Text(heading(*subject)));
    let mut table = Table::new(
        [Column::Text("ACTION")]
            .into_iter()
            .chain(subjects)
            .chain([Column::Text("WHAT")])
            .collect::<Vec<_>>(),
    );
    for row in ROLES {
        let verdicts = row.verdicts.iter().map(|verdict| {
            let tone = match verdict {
                Verdict::Allowed => Tone::Good,
                Verdict::Confirmed => Tone::Warn,
                Verdict::Denied => Tone::Plain,
            };
            Cell::toned(tone, verdict.to_string())
        });
        let cells = [Cell::from(row.name)].into_iter().chain(verdicts).chain([Cell::from(row.what)]);
        table.row(cells.collect::<Vec<_>>());
    }
    table
}

/// Returns the heading of a subject's column.
fn heading(subject: inventory::Subject) -> &'static str {
    use inventory::Subject as S;
    use wire::Role;
    match subject {
        S::Local => "LOCAL",
        S::Manager => "MANAGER",
        S::Peer(Role::Operator) => "OPERATOR",
        S::Peer(Role::ConfigurationServer) => "CONFIGURATION-SERVER",
        S::Peer(Role::MasterTarget) => "MASTER-TARGET",
        S::Peer(Role::ProcessServer) => "PROCESS-SERVER",
        S::Peer(Role::Source) => "SOURCE",
    }
}
