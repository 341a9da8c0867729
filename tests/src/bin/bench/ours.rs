//! Landfall itself, as its users run it: the real programs over TLS on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use control::api::{JobOutcome, Point};
use landfall_tests::appliance::Appliance;
use landfall_tests::binaries::Binaries;
use landfall_tests::disk::{Disk, Kind};
use landfall_tests::process::{Ended, Usage};
use landfall_tests::report::megabytes_per_second;
use landfall_tests::source::Source;

use crate::board::Board;
use crate::cost;
use crate::load;
use crate::material::Material;
use crate::peers::same;
use crate::view;

const MACHINE: &str = "bench-01";
/// What the journey below measures.
const JOURNEY: &[&str] = &[
    "seed",
    "ingest",
    "ingest applied",
    "round of 2 %",
    "resync of 2 %",
    view::VIEWS[0],
    view::VIEWS[1],
    "rewind of 2 %",
    "rewind of all",
    "seed CPU",
    "written",
    "recovery",
];

/// Landfall.
#[derive(Debug)]
pub(crate) struct Ours<'material> {
    material: &'material Material,
    binaries: Binaries,
}

/// One turn: a blank target disk, a new history.
struct Turn<'material> {
    material: &'material Material,
    appliance: Appliance,
    source: Source,
    target: Disk,
    /// What the source is told its disk is; each step puts other content there.
    disk: PathBuf,
}

impl<'material> Ours<'material> {
    /// Finds the programs and makes the certificates.
    pub(crate) fn prepare(material: &'material Material) -> Result<Self> {
        let binaries = Binaries::find()?;
        Ok(Self { material, binaries })
    }

    /// Takes one turn of every measurement that is wanted.
    pub(crate) fn measure(&self, board: &mut Board) -> Result<()> {
        if JOURNEY.iter().any(|name| board.wants(name)) {
            let mut turn = self.turn()?;
            turn.seed(board)?;
            turn.ingest(board)?;
            turn.resync(board)?;
            turn.view(board)?;
            turn.rewind(board)?;
            turn.recover(board)?;
            turn.appliance.stop()?;
        }
        load::measure(board, &mut || self.fresh_appliance(), self.material)?;
        cost::measure(board, &mut || self.fresh_appliance(), self.material)
    }

    fn turn(&self) -> Result<Turn<'material>> {
        let appliance = self.fresh_appliance()?;
        let target = Disk::open(&self.material.blank("target.img")?, Kind::File)?;
        appliance.add_machine(MACHINE, &[&target])?;
        let lab = &self.material.lab;
        drop(fs::remove_dir_all(lab.file(&format!("state-{MACHINE}"))));
        let identity = load::issued(&appliance, self.material, MACHINE)?;
        let source = Source::new(lab, &self.binaries, MACHINE, &identity, &appliance.address())?;
        Ok(Turn { material: self.material, appliance, source, target, disk: lab.file("source.img") })
    }

    /// Starts `landfalld` on an empty retention directory.
    fn fresh_appliance(&self) -> Result<Appliance> {
        let lab = &self.material.lab;
        drop(fs::remove_dir_all(lab.file("retention")));
        let mut appliance = Appliance::new(lab, &self.binaries)?;
        appliance.start()?;
        Ok(appliance)
    }
}

impl Turn<'_> {
    /// Puts other content where the source looks, and runs a round.
    fn round(&mut self, content: &Path) -> Result<Ended> {
        drop(fs::remove_file(&self.disk));
        fs::hard_link(content, &self.disk).with_context(|| format!("linking {}", self.disk.display()))?;
        let disk = Disk::open(&self.disk, Kind::File)?;
        self.source.once(&[&disk])
    }

    /// Fills the blank disk.
    fn seed(&mut self, board: &mut Board) -> Result<()> {
        let len = self.material.len.0;
        let first = self.material.first.clone();
        let (ended, landfalld) = self.costed_round(&first)?;
        board.note("seed", megabytes_per_second(len, ended.time));
        board.note_cost("seed", len, ended.usage, landfalld);
        board.note("seed CPU", landfalld.cpu.as_secs_f64() / (len as f64 / f64::from(1 << 30)));
        same(&first, self.target.path()).context("after the seed")
    }

    /// Overwrites the whole disk, keeping every write.
    fn ingest(&mut self, board: &mut Board) -> Result<()> {
        let len = self.material.len.0;
        let begin = Instant::now();
        let written = self.appliance.process()?.usage().written.0;
        let moved = self.material.moved.clone();
        let (ended, landfalld) = self.costed_round(&moved)?;
        board.note("ingest", megabytes_per_second(len, ended.time));
        board.note_cost("ingest", len, ended.usage, landfalld);
        self.appliance.wait_applied(MACHINE)?;
        board.note("ingest applied", megabytes_per_second(len, begin.elapsed()));
        let written = self.appliance.process()?.usage().written.0 - written;
        let taken =
            fs::metadata(&moved).map(|metadata| std::os::unix::fs::MetadataExt::blocks(&metadata) * 512)?;
        board.note("written", written as f64 / taken as f64);
        same(&moved, self.target.path()).context("after the ingest")
    }

    /// Replicates a change of 2 %, once with the leaf table and once without.
    fn resync(&mut self, board: &mut Board) -> Result<()> {
        let (moved, touched) = (self.material.moved.clone(), self.material.touched.clone());
        let ended = self.round(&touched)?;
        self.appliance.wait_applied(MACHINE)?;
        board.note("round of 2 %", ended.time.as_secs_f64());
        same(&touched, self.target.path()).context("after the round of 2 %")?;
        if board.wants("resync of 2 %") {
            self.round(&moved)?;
            self.appliance.wait_applied(MACHINE)?;
            let plain = self.source.clone();
            self.source = plain.clone().with(&["--resync"]);
            let ended = self.round(&touched)?;
            self.source = plain;
            self.appliance.wait_applied(MACHINE)?;
            board.note("resync of 2 %", ended.time.as_secs_f64());
            same(&touched, self.target.path()).context("after the resync of 2 %")?;
        }
        Ok(())
    }

    /// Reads the points from before the 2 %, and from before everything.
    fn view(&mut self, board: &mut Board) -> Result<()> {
        let points = self.appliance.points(MACHINE)?.points;
        let at = |index: usize| points.get(index).context("a point of each round");
        let points = [at(1)?, at(0)?];
        view::measure(board, &self.appliance, MACHINE, points, &self.material.lab, self.target.path())
    }

    /// Goes back over the 2 %, then over everything, then forward again.
    fn rewind(&mut self, board: &mut Board) -> Result<()> {
        if !board.wants("rewind of 2 %") && !board.wants("rewind of all") {
            return Ok(());
        }
        let points = self.appliance.points(MACHINE)?.points;
        let at = |index: usize| points.get(index).context("a point of each round");
        let value = self.failback(at(1)?)?;
        board.note("rewind of 2 %", value);
        same(&self.material.moved, self.target.path()).context("after the rewind of 2 %")?;
        let value = self.failback(at(0)?)?;
        board.note("rewind of all", value);
        same(&self.material.first, self.target.path()).context("after the rewind of everything")?;
        self.appliance.job(["cancel", MACHINE]).map(drop)
    }

    /// Returns megabytes per second of what had to be written.
    fn failback(&self, point: &Point) -> Result<f64> {
        let to = point.sequence.to_string();
        let begin = Instant::now();
        let job = self
            .appliance
            .job(["failback", MACHINE, "--to", &to, "--yes", "--no-proof"])?
            .context("something had to be done")?;
        let Some(JobOutcome::Failback { written_bytes, .. }) = job.outcome else {
            anyhow::bail!("the failback did not end well: {job:?}");
        };
        let time = job.ended.map_or(begin.elapsed(), |ended| ended.0.since(job.started.0));
        Ok(megabytes_per_second(written_bytes, time))
    }

    /// Kills `landfalld` with as much as possible not yet applied, and starts it again.
    fn recover(&mut self, board: &mut Board) -> Result<()> {
        if !board.wants("recovery") {
            return Ok(());
        }
        let first = self.material.first.clone();
        self.round(&first)?;
        self.appliance.kill()?;
        let time = self.appliance.start()?;
        board.note("recovery", time.as_secs_f64());
        self.appliance.wait_applied(MACHINE)?;
        same(&first, self.target.path()).context("after the kill")
    }

    /// Runs a round and returns what it cost at both ends.
    fn costed_round(&mut self, content: &Path) -> Result<(Ended, Usage)> {
        let before = self.appliance.process()?.usage();
        let ended = self.round(content)?;
        let mut after = self.appliance.process()?.usage();
        ensure!(after.cpu >= before.cpu, "time on a processor only rises");
        after.cpu -= before.cpu;
        Ok((ended, after))
    }
}
