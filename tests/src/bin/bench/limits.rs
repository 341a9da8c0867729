//! What the disk itself can do, as `fio` finds it.

use std::path::Path;

use anyhow::{Context as _, Result};
use landfall_tests::command::{command, is_installed, run};
use serde_json::Value;

use crate::board::Board;
use crate::material::Material;

/// Measures with `fio`.
#[derive(Debug)]
pub(crate) struct Limits<'material> {
    material: &'material Material,
}

/// Seconds to read two disks, one after the other, as a comparison of both has to.
const READ_BOTH: &str = "fio reading both disks";

/// Measurements by their options; each file is as large as the disk.
const JOBS: &[(&str, &[&str])] = &[
    ("fio sequential write", &["--rw=write", "--bs=1M", "--iodepth=8", "--end_fsync=1"]),
    (READ_BOTH, &["--rw=read", "--bs=1M", "--iodepth=8"]),
    (
        "fio random 64 KiB write",
        &["--rw=randwrite", "--bs=64k", "--iodepth=32", "--end_fsync=1", "--runtime=3"],
    ),
    (
        "fio random 4 KiB write",
        &[
            "--rw=randwrite",
            "--bs=4k",
            "--iodepth=64",
            "--end_fsync=1",
            "--runtime=3",
            "--random_distribution=zoned:80/20:20/80",
        ],
    ),
];

const SYNCED: &str = "fio write+fdatasync p50";

impl<'material> Limits<'material> {
    pub(crate) fn new(material: &'material Material) -> Self {
        Self { material }
    }

    /// Takes one turn of every measurement that is wanted.
    pub(crate) fn measure(&self, board: &mut Board) -> Result<()> {
        let wanted: Vec<_> = JOBS.iter().filter(|(name, _)| board.wants(name)).collect();
        if !is_installed("fio") {
            wanted.iter().for_each(|(name, _)| board.skip(name, "fio is not installed"));
            return Ok(());
        }
        if wanted.is_empty() && !board.wants(SYNCED) {
            return Ok(());
        }
        // Written once in full first, so that every job finds the same blocks allocated, as a disk has them.
        let file = self.material.blank("fio.img")?;
        self.fio(&file, &["--rw=write", "--bs=1M", "--iodepth=8", "--ioengine=io_uring"])?;
        for (name, options) in wanted {
            let options: Vec<_> = options.iter().copied().chain(["--ioengine=io_uring"]).collect();
            let job = self.fio(&file, &options)?;
            let half =
                if job["write"]["io_bytes"].as_u64() == Some(0) { &job["read"] } else { &job["write"] };
            let (bytes, milliseconds) = (number(&half["io_bytes"])?, number(&job["job_runtime"])?);
            let value = match *name {
                READ_BOTH => 2.0 * milliseconds / 1e3 * self.material.len.0 as f64 / bytes,
                _ => bytes / 1e3 / milliseconds,
            };
            board.note(name, value);
        }
        if board.wants(SYNCED) {
            let job = self
                .fio(&file, &["--rw=write", "--bs=4k", "--ioengine=psync", "--fdatasync=1", "--runtime=2"])?;
            let median = |half: &Value| number(&half["percentile"]["50.000000"]);
            let nanoseconds = median(&job["write"]["clat_ns"])? + median(&job["sync"]["lat_ns"])?;
            board.note(SYNCED, nanoseconds / 1e3);
        }
        std::fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))
    }

    /// Runs one job and returns its part of the report.
    fn fio(&self, file: &Path, options: &[&str]) -> Result<Value> {
        let mut fio = command("fio");
        fio.args(["--name=limit", "--direct=1", "--output-format=json", "--percentile_list=50:99"]);
        fio.arg(format!("--size={}", self.material.len.0)).arg(format!("--filename={}", file.display()));
        let text = run(fio.args(options))?;
        let report: Value =
            serde_json::from_str(&text).with_context(|| format!("reading fio's report: {text}"))?;
        Ok(report["jobs"][0].clone())
    }
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().with_context(|| format!("a number in fio's report, found {value}"))
}
