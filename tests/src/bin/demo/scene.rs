//! The disks, the programs and the certificates of the story.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use control::api::Point;
use landfall_tests::appliance::Appliance;
use landfall_tests::binaries::Binaries;
use landfall_tests::database::{self, entries_after};
use landfall_tests::disk::{Disk, Kind};
use landfall_tests::filesystem::FileSystem;
use landfall_tests::identity::Authority;
use landfall_tests::lab::Lab;
use landfall_tests::material::{Choice, choose};
use landfall_tests::report::{size, time};
use landfall_tests::source::Source;
use units::ByteLen;

use crate::Arguments;
use crate::change::{self, DATABASE, Plan};
use crate::checks::line;

/// The protected machine's name.
pub(crate) const MACHINE: &str = "web-01";

/// Everything on the stage.
#[derive(Debug)]
pub(crate) struct Scene {
    // The order matters at the end: programs stop before their disks go, and the directory goes last.
    pub(crate) appliance: Appliance,
    pub(crate) source: Source,
    pub(crate) source_disk: Disk,
    pub(crate) target_disk: Disk,
    pub(crate) choice: Choice,
    pub(crate) lab: Lab,
    /// The source disk as it was after the third round.
    pub(crate) aside: PathBuf,
    /// The recovery point of the third round.
    pub(crate) third: Option<Point>,
}

impl Scene {
    /// Makes the disks and certificates, starts `landfalld` and registers the machine.
    pub(crate) fn set(arguments: &Arguments) -> Result<Self> {
        let binaries = Binaries::find()?;
        let mut lab = Lab::new(Some(&arguments.dir))?;
        if arguments.keep {
            lab.keep();
        }
        let kind = Kind::best();
        let how = if kind == Kind::Loop { "loop devices" } else { "files (loop devices need root)" };
        println!(
            "Landfall: a disk of {} comes home over TLS; {how} in {}\n",
            size(arguments.size.0),
            lab.path().display()
        );
        let (source_disk, choice) = make_disk(&lab, arguments.size, kind)?;
        let target_disk = Disk::create(&lab.file("target.img"), arguments.size, kind)?;
        let mut appliance = Appliance::new(&lab, &binaries)?;
        line("landfalld", &format!("answers after {}", time(appliance.start()?)));
        appliance.add_machine(MACHINE, &[&target_disk])?;
        let identity = Authority::of(&appliance, &lab)?.issue("source", MACHINE)?;
        line("landfall-source", &format!("{MACHINE} has joined with a token"));
        let source = Source::new(&lab, &binaries, MACHINE, &identity, &appliance.address())?;
        let aside = lab.file("third-round.img");
        Ok(Self { appliance, source, source_disk, target_disk, choice, lab, aside, third: None })
    }

    /// Changes the source disk as the round wants it.
    pub(crate) fn change(&self, round: u64, heavy: bool) -> Result<Plan> {
        let plan = change::plan(round, &self.choice, self.source_disk.len()?, heavy);
        let filesystem = FileSystem::reopen(&self.source_disk, &self.lab)?;
        change::make(&filesystem, &plan, round, &self.lab.file("scratch"))?;
        Ok(plan)
    }

    /// Returns the newest recovery point.
    pub(crate) fn newest(&self) -> Result<Point> {
        self.appliance.machine(MACHINE)?.newest.context("a recovery point")
    }

    /// Checks the database on the target disk: sound, and what the round had committed.
    pub(crate) fn check_database(&self, round: u64) -> Result<()> {
        let found = database::check(self.target_disk.path(), DATABASE, &self.lab.file("check"))?;
        let expected = entries_after(round);
        ensure!(found.entries == expected, "{} entries found, {expected} were committed", found.entries);
        ensure!(found.journal, "the interrupted transaction's journal is missing");
        Ok(())
    }

    /// Stops everything in order.
    pub(crate) fn close(mut self) -> Result<()> {
        let usage = self.appliance.stop()?;
        let figures = format!(
            "{} on a processor since its restart, {} at most",
            time(usage.cpu),
            size(usage.memory_peak.0)
        );
        line("landfalld", &figures);
        Ok(())
    }
}

/// Makes the source disk: an ext4 file system filled from `/usr` to about two thirds.
fn make_disk(lab: &Lab, len: ByteLen, kind: Kind) -> Result<(Disk, Choice)> {
    let begin = Instant::now();
    let choice = choose(Path::new("/usr"), len.0 / 100 * 65);
    let disk = Disk::create(&lab.file("source.img"), len, kind)?;
    FileSystem::make(&disk, lab, &choice)?;
    let taken =
        fs::metadata(disk.image()).map(|metadata| std::os::unix::fs::MetadataExt::blocks(&metadata) * 512)?;
    let figures = format!(
        "ext4 with {} files from /usr, {} in use, made in {}",
        choice.paths.len(),
        size(taken),
        time(begin.elapsed())
    );
    line("source disk", &figures);
    Ok((disk, choice))
}
