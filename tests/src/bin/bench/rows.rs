//! The rows of the table: what is compared with what, and the goal.

use std::fmt::Write as _;

use landfall_tests::report::{median, size};
use serde_json::{Value, json};

use crate::board::Board;

/// How a figure of ours is held against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sense {
    /// Ours divided by the largest of the others: more is better.
    Times,
    /// The smallest of the others divided by ours: less time is better, so more of this is.
    Speedup,
    /// Ours divided by the smallest of the others: less is better.
    Fraction,
    /// Ours alone.
    Absolute,
}

/// What the ratio is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    /// The goal's name.
    pub(crate) name: &'static str,
    /// What is measured.
    pub(crate) what: &'static str,
    /// The measurement of ours.
    pub(crate) ours: &'static str,
    /// The measurements it is held against.
    pub(crate) against: &'static [&'static str],
    /// How.
    pub(crate) sense: Sense,
    /// The goal.
    pub(crate) goal: Goal,
    /// The unit of the figures.
    pub(crate) unit: &'static str,
}

/// Block copy over TLS with certificates at both ends.
pub(crate) const NBD: &[&str] = &["nbdcopy, nbdkit", "nbdcopy, qemu-nbd", "qemu-img, qemu-nbd"];

macro_rules! rows {
    ($($name:literal $what:literal: $ours:literal against $against:expr, $sense:ident $goal:ident $value:literal $unit:literal;)*) => {
        /// The table, in the order of the goals.
        pub(crate) const ROWS: &[Row] = &[$(Row {
            name: $name, what: $what, ours: $ours, against: $against,
            sense: Sense::$sense, goal: Goal::$goal($value), unit: $unit,
        },)*];
    };
}

rows! {
    "P1" "seed": "seed" against NBD, Times AtLeast 1.5 "MB/s";
    "P1" "seed": "seed" against &["fio sequential write"], Times AtLeast 0.5 "MB/s";
    "P2" "protected ingest, acked": "ingest" against NBD, Times AtLeast 1.5 "MB/s";
    "P2" "protected ingest, acked": "ingest" against &["fio sequential write"], Times AtLeast 0.5 "MB/s";
    "P2b" "protected ingest, applied": "ingest applied" against NBD, Times AtLeast 0.8 "MB/s";
    "P3" "resync 2 %, leaf table": "round of 2 %" against &["rsync"], Speedup AtLeast 8.0 "s";
    "P3" "resync 2 %, both read": "resync of 2 %" against &["rsync"], Speedup AtLeast 4.0 "s";
    "P3" "resync 2 %, both read": "resync of 2 %" against &["fio reading both disks"], Fraction AtMost 1.3 "s";
    "P4" "rewind of 2 %": "rewind of 2 %" against &["fio random 64 KiB write"], Times AtLeast 0.6 "MB/s";
    "P4" "rewind of everything": "rewind of all" against &["fio random 64 KiB write"], Times AtLeast 0.6 "MB/s";
    "P4" "time back, 4 times the change": "rewind 64 MiB" against &["rewind 16 MiB"], Fraction AtMost 4.0 "s";
    "P4" "time back, 16 times the change": "rewind 256 MiB" against &["rewind 16 MiB"], Fraction AtMost 16.0 "s";
    "P4" "time back, disk of 1 TiB": "rewind 64 MiB of 1 TiB" against &["rewind 64 MiB"], Fraction AtMost 1.2 "s";
    "P5" "ack of 4 KiB, p50": "ack p50" against &["fio write+fdatasync p50"], Fraction AtMost 1.5 "µs";
    "P5" "ack of 4 KiB, p99": "ack p99" against &[], Absolute AtMost 5000.0 "µs";
    "P6" "target's CPU-s per GiB, seed": "seed CPU" against &[], Absolute AtMost 0.5 "s";
    "P7" "target's memory, 16 machines": "memory of 16" against &[], Absolute AtMost 256.0 "MiB";
    "P7" "memory for each TiB protected": "memory per TiB" against &[], Absolute AtMost 64.0 "MiB";
    "P7" "memory for each hour of history": "memory per hour" against &[], Absolute AtMost 1024.0 "KiB";
    "P8" "written per byte, uncompressed": "written" against &[], Absolute AtMost 2.0 "B";
    "P8" "retention, per byte received": "retention again" against &[], Absolute AtMost 0.5 "B";
    "P8" "retention, added by first touch": "retention first touch" against &[], Absolute AtMost 0.5 "B";
    "P8" "target, per byte received": "target written" against &[], Absolute AtMost 1.0 "B";
    "P9" "view, 2 % differs": "view, 2 % differs" against &["nbdcopy of the raw disk"], Times AtLeast 0.8 "MB/s";
    "P9" "view, all differs": "view, all differs" against &["nbdcopy of the raw disk"], Times AtLeast 0.8 "MB/s";
    "P10" "random 4 KiB, 80/20, acked": "random acked" against &["fio random 4 KiB write"], Times AtLeast 2.0 "MB/s";
    "P10" "random 4 KiB, 80/20, applied": "random applied" against &["fio random 4 KiB write"], Times AtLeast 1.2 "MB/s";
    "P11" "recovery after a kill": "recovery" against &[], Absolute AtMost 2.0 "s";
}

/// A row with its figures.
struct Line<'row> {
    row: &'row Row,
    ours: Option<f64>,
    other: Option<(&'static str, f64)>,
    ratio: Option<f64>,
}

impl<'row> Line<'row> {
    fn new(row: &'row Row, board: &Board) -> Self {
        let ours = board.median(row.ours);
        let others = row.against.iter().filter_map(|name| Some((*name, board.median(name)?)));
        let other = match row.sense {
            Sense::Times => others.max_by(|one, two| one.1.total_cmp(&two.1)),
            _ => others.min_by(|one, two| one.1.total_cmp(&two.1)),
        };
        let ratio = match (row.sense, ours, other) {
            (Sense::Absolute, ours, _) => ours,
            (Sense::Speedup, Some(ours), Some((_, other))) => Some(other / ours),
            (_, Some(ours), Some((_, other))) => Some(ours / other),
            _ => None,
        };
        Self { row, ours, other, ratio }
    }

    fn verdict(&self) -> &'static str {
        match (self.ratio, self.row.goal) {
            (None, _) => "not measured",
            (Some(ratio), Goal::AtLeast(goal)) if ratio >= goal => "met",
            (Some(ratio), Goal::AtMost(goal)) if ratio <= goal => "met",
            _ => "missed",
        }
    }

    fn goal(&self) -> String {
        match (self.row.goal, self.row.sense) {
            (Goal::AtLeast(goal), _) => format!("≥ {goal}×"),
            (Goal::AtMost(goal), Sense::Absolute) => format!("≤ {goal} {}", self.row.unit),
            (Goal::AtMost(goal), _) => format!("≤ {goal}×"),
        }
    }
}

/// Returns the table as text: the rows, then every measurement with its turns, then what was left out.
pub(crate) fn table(board: &Board) -> String {
    let mut out =
        format!("\n{:<5}{:<32}{:>12}  {:<38}{:>8}  {:<12}\n", "", "", "landfall", "against", "ratio", "goal");
    for row in ROWS.iter().filter(|row| board.wants_row(row)) {
        let line = Line::new(row, board);
        let ours = line.ours.map_or("–".to_owned(), |value| format!("{} {}", figure(value), row.unit));
        let other = line
            .other
            .map_or(String::new(), |(name, value)| format!("{} {}  {name}", figure(value), row.unit));
        let ratio = match (row.sense, line.ratio) {
            (Sense::Absolute, _) | (_, None) => String::new(),
            (_, Some(ratio)) => format!("{ratio:.2}×"),
        };
        let (goal, verdict) = (line.goal(), line.verdict());
        let _ = writeln!(
            out,
            "{:<5}{:<32}{ours:>12}  {other:<38}{ratio:>8}  {goal:<12}{verdict}",
            row.name, row.what
        );
    }
    details(board, &mut out);
    out
}

fn details(board: &Board, out: &mut String) {
    let _ = writeln!(
        out,
        "\n{:<28}{:>10}  {:<24}{:>26}{:>26}",
        "every turn", "median", "from – to", "CPU-s/GiB send, receive", "memory send, receive"
    );
    for (name, values) in board.series() {
        let (low, high) = values
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
        let cost = board.costs().get(name).map_or((String::new(), String::new()), |cost| {
            let cpu =
                format!("{:.2}, {:.2}", cost.sender_cpu_seconds_per_gib, cost.receiver_cpu_seconds_per_gib);
            (cpu, format!("{}, {}", size(cost.sender_memory_bytes), size(cost.receiver_memory_bytes)))
        });
        let span = format!("{} – {}", figure(low), figure(high));
        let _ =
            writeln!(out, "{name:<28}{:>10}  {span:<24}{:>26}{:>26}", figure(median(values)), cost.0, cost.1);
    }
    for (name, why) in board.absent() {
        let _ = writeln!(out, "{name:<28}skipped: {why}");
    }
}

fn figure(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// Returns the same as JSON: rows with ratio and verdict, then the turns, costs and gaps by name.
pub(crate) fn json(board: &Board) -> Value {
    let rows: Vec<_> = ROWS
        .iter()
        .filter(|row| board.wants_row(row))
        .map(|row| {
            let line = Line::new(row, board);
            json!({
                "row": row.name, "what": row.what, "unit": row.unit, "ours": line.ours,
                "against": line.other.map(|(name, _)| name), "other": line.other.map(|(_, value)| value),
                "ratio": line.ratio, "goal": line.goal(), "verdict": line.verdict(),
            })
        })
        .collect();
    json!({ "rows": rows, "turns": board.series(), "costs": board.costs(), "skipped": board.absent() })
}
