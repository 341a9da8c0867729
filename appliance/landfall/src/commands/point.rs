//! `landfall point list|verify`

use control::ErrorReply;
use control::api::{Consistency, FailbackTo, Gap, GapKind, Point, PointList, PointVerify, Points, Rfc3339};
use units::MachineName;

use super::{Context, now, reprotect};
use crate::paint::{Paint, Tone};
use crate::screen::Ending;
use crate::span::{count, span};
use crate::table::{Cell, Column, Table};
use crate::timeline;
use crate::when::{PointName, When};

/// Cells of the timeline where nobody looks, and its bounds on a terminal.
const LINE_CELLS: usize = 72;
const CELLS: std::ops::RangeInclusive<usize> = 56..=160;
/// Rows a person is shown unless more are asked for.
const ROWS_MAX: usize = 40;

/// Lists a machine's recovery points.
pub(super) fn list(
    context: &Context<'_>,
    machine: MachineName,
    around: Option<When>,
    limit: Option<u32>,
) -> Result<Ending, ErrorReply> {
    let around = around.map(|around| moment(context, &machine, around)).transpose()?.flatten();
    let near = if around.is_some() { ROWS_MAX as u32 } else { 0 };
    let points = context.ask(PointList { machine, around, limit: limit.unwrap_or(near) })?;
    let rows_max = limit.map_or(ROWS_MAX, |limit| limit as usize);
    context.screen.show(&points, |points, paint| render(points, rows_max, paint))?;
    Ok(Ending::Done)
}

/// Compares the roots at a recovery point.
pub(super) fn verify(context: &Context<'_>, name: PointName, no_wait: bool) -> Result<Ending, ErrorReply> {
    let PointName { machine, point } = name;
    let started = context.ask(PointVerify { machine, point: point.resolve(now()) })?;
    context.follow(&started, started.job, no_wait)
}

/// Returns the tone and the word of a consistency.
pub(super) fn consistency(consistency: Consistency) -> (Tone, &'static str) {
    match consistency {
        Consistency::Fuzzy => (Tone::Warn, "fuzzy"),
        Consistency::Crash => (Tone::Plain, "crash-consistent"),
        Consistency::Application => (Tone::Good, "application-consistent"),
    }
}

/// Returns the time of the point that is meant; none where the history has no such point.
fn moment(context: &Context<'_>, machine: &MachineName, when: When) -> Result<Option<Rfc3339>, ErrorReply> {
    let limit = match when.resolve(now()) {
        FailbackTo::Time(time) => return Ok(Some(time)),
        FailbackTo::Latest => 1,
        FailbackTo::Sequence(_) => 0,
    };
    let points = context.ask(PointList { machine: machine.clone(), around: None, limit })?.points;
    let meant = |point: &&Point| !matches!(when, When::Sequence(sequence) if point.sequence > sequence);
    Ok(points.iter().rev().find(meant).map(|point| point.time))
}

fn render(points: &Points, rows_max: usize, paint: Paint) -> String {
    let (Some(oldest), Some(newest)) = (points.points.first(), points.points.last()) else {
        let resync = resync(points);
        return format!("machine {} has no recovery points yet\n{resync}", points.machine);
    };
    let listed = points.points.len() as u64;
    let of = if listed < points.total { format!(" of {}", points.total) } else { String::new() };
    let window = span(newest.time.0.since(oldest.time.0).as_secs());
    let mut text = format!("{}: {}{of} in {window}\n\n", points.machine, count(listed, "recovery point"));
    let cells = line_cells();
    text += &format!("  {}\n", timeline::draw(points, cells));
    let room = cells.saturating_sub(oldest.time.to_string().chars().count());
    text += &format!("  {}{:>room$}\n  {}\n\n", oldest.time, newest.time.to_string(), timeline::LEGEND);
    if let Some(now) = points.gaps.last().filter(|gap| gap.kind == GapKind::Silent && gap.to == points.time) {
        let since = span(now.to.0.since(now.from.0).as_secs());
        text += &paint.tone(Tone::Warn, &format!("no point for {since}: the source is silent"));
        text += "\n\n";
    }
    let hidden = points.points.len().saturating_sub(rows_max);
    if hidden > 0 {
        text += &format!("{} not shown; --limit {listed} shows all\n", count(hidden as u64, "older point"));
    }
    text + &table(points, hidden).render(paint) + &resync(points)
}

/// Says that there is no consistent point since a resync began.
fn resync(points: &Points) -> String {
    points.resync.as_ref().map_or_else(String::new, |resync| {
        let (from, resync) = (resync.from, reprotect::describe(resync));
        format!("no consistent point from #{from} on: resync in progress {resync}\n")
    })
}

/// Returns how wide the line may be: as the terminal, less the margin.
fn line_cells() -> usize {
    let columns = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { LINE_CELLS } else { columns.saturating_sub(4).clamp(*CELLS.start(), *CELLS.end()) }
}

fn table(points: &Points, hidden: usize) -> Table {
    use Column::{Number, Text};
    let mut table = Table::new([
        Number("SEQ"),
        Text("TIME"),
        Number("AGE"),
        Text("CONSISTENCY"),
        Text("ROOTS"),
        Text("LABEL"),
        Text("PINNED"),
    ]);
    for point in points.points.iter().skip(hidden) {
        if let Some(gap) = points.gaps.iter().find(|gap| gap.to == point.time && gap.from < point.time) {
            table.row(gap_row(gap));
        }
        table.row(row(points, point));
    }
    table
}

fn gap_row(gap: &Gap) -> [Cell; 7] {
    let len = span(gap.to.0.since(gap.from.0).as_secs());
    let what = match gap.kind {
        GapKind::Silent => format!("(no point for {len})"),
        GapKind::Thinned => format!("({len} thinned)"),
    };
    let empty = Cell::default;
    [empty(), Cell::toned(Tone::Warn, what), empty(), empty(), empty(), empty(), empty()]
}

fn row(points: &Points, point: &Point) -> [Cell; 7] {
    let (tone, word) = match point.spoilt {
        true => (Tone::Bad, "SPOILT: something it needs is damaged"),
        false => consistency(point.consistency),
    };
    [
        format!("#{}", point.sequence).into(),
        point.time.to_string().into(),
        span(points.time.0.since(point.time.0).as_secs()).into(),
        Cell::toned(tone, word),
        if point.proof { "given" } else { "" }.into(),
        point.label.as_str().into(),
        pinned(points, point).into(),
    ]
}

/// Says until when a point is pinned, and why; nothing, if it is not.
fn pinned(points: &Points, point: &Point) -> String {
    let Some(pin) = points.pins.iter().find(|pin| pin.point.sequence == point.sequence) else {
        return String::new();
    };
    let until = pin.until.map_or_else(|| "for ever".to_owned(), |until| format!("until {until}"));
    if pin.note.is_empty() { until } else { format!("{until}: {}", pin.note) }
}
