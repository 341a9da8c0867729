//! What was measured, by name.

use std::collections::BTreeMap;

use landfall_tests::process::Usage;
use landfall_tests::report::median;
use serde::Serialize;

use crate::rows::{ROWS, Row};

const GIB: f64 = (1u64 << 30) as f64;

/// All measurements of one run.
#[derive(Debug, Default)]
pub(crate) struct Board {
    wanted: Vec<String>,
    series: BTreeMap<&'static str, Vec<f64>>,
    costs: BTreeMap<&'static str, Cost>,
    absent: BTreeMap<&'static str, String>,
}

/// What the processes of one measurement cost, worst turn.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Cost {
    /// Processor seconds per GiB of disk at the sending end.
    pub(crate) sender_cpu_seconds_per_gib: f64,
    /// The same at the receiving end.
    pub(crate) receiver_cpu_seconds_per_gib: f64,
    /// The most memory the sender held, in bytes.
    pub(crate) sender_memory_bytes: u64,
    /// The most memory the receiver held, in bytes.
    pub(crate) receiver_memory_bytes: u64,
}

impl Board {
    /// Starts an empty board. With names of rows, only what they need is to be measured.
    pub(crate) fn new(only: &[String]) -> Self {
        Self { wanted: only.to_vec(), ..Self::default() }
    }

    /// Tells whether a row is wanted.
    pub(crate) fn wants_row(&self, row: &Row) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|name| name == row.name)
    }

    /// Tells whether a measurement is used by a row that is wanted.
    pub(crate) fn wants(&self, series: &str) -> bool {
        ROWS.iter().any(|row| self.wants_row(row) && (row.ours == series || row.against.contains(&series)))
    }

    /// Adds one turn's figure.
    pub(crate) fn note(&mut self, series: &'static str, value: f64) {
        self.series.entry(series).or_default().push(value);
    }

    /// Adds one turn's cost of moving `len` bytes of disk.
    pub(crate) fn note_cost(&mut self, series: &'static str, len: u64, sender: Usage, receiver: Usage) {
        let per_gib = |usage: Usage| usage.cpu.as_secs_f64() / (len as f64 / GIB);
        let cost = self.costs.entry(series).or_default();
        cost.sender_cpu_seconds_per_gib = cost.sender_cpu_seconds_per_gib.max(per_gib(sender));
        cost.receiver_cpu_seconds_per_gib = cost.receiver_cpu_seconds_per_gib.max(per_gib(receiver));
        cost.sender_memory_bytes = cost.sender_memory_bytes.max(sender.memory_peak.0);
        cost.receiver_memory_bytes = cost.receiver_memory_bytes.max(receiver.memory_peak.0);
    }

    /// Notes why something was not measured.
    pub(crate) fn skip(&mut self, series: &'static str, why: &str) {
        self.absent.insert(series, why.to_owned());
    }

    /// Returns the median of a measurement, if there is one.
    pub(crate) fn median(&self, series: &str) -> Option<f64> {
        self.series.get(series).map(|values| median(values))
    }

    /// Returns the turns of every measurement, by name.
    pub(crate) fn series(&self) -> &BTreeMap<&'static str, Vec<f64>> {
        &self.series
    }

    /// Returns the costs, by name.
    pub(crate) fn costs(&self) -> &BTreeMap<&'static str, Cost> {
        &self.costs
    }

    /// Returns what was not measured, and why.
    pub(crate) fn absent(&self) -> &BTreeMap<&'static str, String> {
        &self.absent
    }
}
