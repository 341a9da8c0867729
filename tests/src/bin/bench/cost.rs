//! What keeping history costs: bytes written, time to go back, memory held.

use std::fs;

use anyhow::{Context as _, Result};
use control::api::{JobOutcome, Retention};
use landfall_tests::appliance::Appliance;
use landfall_tests::binaries::Binaries;
use landfall_tests::disk::{Disk, Kind};
use landfall_tests::material::Noise;
use landfall_tests::pusher::{Piece, Pusher};
use landfall_tests::source::Source;
use units::{ByteLen, ByteOffset, DiskIndex, Sequence};

use crate::board::Board;
use crate::load::{issued, machine};
use crate::material::Material;

const MIB: u64 = 1 << 20;
const LEAF: u64 = 64 << 10;
/// The disk of the measurements of one machine, and one that is much larger.
const DISK: ByteLen = ByteLen(256 * MIB);
const LARGE: ByteLen = ByteLen(1 << 40);
/// What is overwritten to measure amplification: less than an epoch takes, so that the second time is not a first.
const AMPLIFIED: ByteLen = ByteLen(192 * MIB);
/// A day of history, as a source makes it that ends a round every ten seconds.
const HOURS: u64 = 24;
const ROUNDS_AN_HOUR: u64 = 360;

const AMPLIFICATION: &[&str] = &["retention again", "retention first touch", "target written"];
const REWINDS: &[&str] = &["rewind 16 MiB", "rewind 64 MiB", "rewind 64 MiB of 1 TiB", "rewind 256 MiB"];
const MEMORY: &[&str] = &["memory per TiB", "memory per hour"];

/// Takes one turn of every measurement that is wanted.
pub(crate) fn measure(
    board: &mut Board,
    appliance: &mut dyn FnMut() -> Result<Appliance>,
    material: &Material,
) -> Result<()> {
    let wants = |names: &[&str]| names.iter().any(|name| board.wants(name));
    let (amplification, rewinds, memory) = (wants(AMPLIFICATION), wants(REWINDS), wants(MEMORY));
    if amplification {
        let mut appliance = appliance()?;
        amplify(board, &mut appliance, material).context("measuring amplification")?;
        appliance.stop()?;
    }
    if rewinds {
        let sizes = [("rewind 16 MiB", 16), ("rewind 64 MiB", 64), ("rewind 256 MiB", 256)];
        for (series, changed) in sizes {
            board.note(series, rewind(appliance()?, material, DISK, changed)?);
        }
        board.note("rewind 64 MiB of 1 TiB", rewind(appliance()?, material, LARGE, 64)?);
    }
    if memory {
        let small = memory_of(appliance()?, material, DISK)?;
        let large = memory_of(appliance()?, material, LARGE)?;
        let tebibytes = LARGE.0 as f64 / (1_u64 << 40) as f64;
        board.note("memory per TiB", (large - small).max(0.0) / tebibytes);
        board.note("memory per hour", memory_of_history(appliance()?, material)?);
    }
    Ok(())
}

/// Overwrites a disk of real, compressible content twice within one epoch, and counts what reaches each place.
fn amplify(board: &mut Board, appliance: &mut Appliance, material: &Material) -> Result<()> {
    const NAME: &str = "amplified-01";
    let (disk, target) = (material.lab.file("amplified.img"), material.lab.file("amplified-target.img"));
    drop(fs::remove_file(&target));
    let target = Disk::create(&target, AMPLIFIED, Kind::File)?;
    appliance.add_machine(NAME, &[&target])?;
    drop(fs::remove_dir_all(material.lab.file(&format!("state-{NAME}"))));
    let source = Source::new(
        &material.lab,
        &Binaries::find()?,
        NAME,
        &issued(appliance, material, NAME)?,
        &appliance.address(),
    )?;
    let source = source.with(&["--compression", "zstd1"]);
    let mut round = |content: &std::path::Path| -> Result<(f64, f64)> {
        let changed = material.cut(content, &disk, AMPLIFIED)?;
        let before = (appliance.process()?.usage().written.0, journal(appliance)?);
        source.once(&[&Disk::open(&disk, Kind::File)?])?;
        appliance.wait_applied(NAME)?;
        let (written, journal) =
            (appliance.process()?.usage().written.0 - before.0, journal(appliance)? - before.1);
        Ok((journal as f64 / changed as f64, (written - journal) as f64 / changed as f64))
    };
    round(&material.first)?;
    let (first_touch, _) = round(&material.moved)?;
    let (again, target_written) = round(&material.first)?;
    board.note("retention again", again);
    board.note("retention first touch", first_touch - again);
    board.note("target written", target_written);
    Ok(())
}

/// Returns the bytes of redo and undo on the volume.
fn journal(appliance: &Appliance) -> Result<u64> {
    let retention: Retention = appliance.landfall(["retention", "show"])?;
    Ok(retention.machines.iter().map(|history| history.bytes).sum())
}

/// Writes `changed` MiB of leaves all over a disk, twice, and returns the seconds it takes to go back over the second time.
fn rewind(mut appliance: Appliance, material: &Material, disk: ByteLen, changed: u64) -> Result<f64> {
    const NAME: &str = "rewound-01";
    let mut pusher = machine(&appliance, material, NAME, disk)?;
    scatter(&mut pusher, disk, changed * MIB, 1)?;
    let point = pusher.mark()?;
    scatter(&mut pusher, disk, changed * MIB, 2)?;
    let last = pusher.mark()?;
    pusher.wait_applied(last)?;
    pusher.goodbye()?;
    let seconds = failback(&appliance, NAME, point, changed * MIB)?;
    appliance.stop()?;
    Ok(seconds)
}

fn failback(appliance: &Appliance, name: &str, point: Sequence, expected: u64) -> Result<f64> {
    let job = appliance.job(["failback", name, "--to", &point.to_string(), "--yes", "--no-proof"])?;
    let job = job.context("something had to be done")?;
    let Some(JobOutcome::Failback { written_bytes, .. }) = job.outcome else {
        anyhow::bail!("the failback did not end well: {job:?}");
    };
    anyhow::ensure!(written_bytes == expected, "{written_bytes} bytes went back, {expected} were changed");
    let ended = job.ended.context("a job that has ended has a time")?;
    Ok(ended.0.since(job.started.0).as_secs_f64())
}

/// Overwrites `len` bytes of a disk, in leaves spread evenly over it.
fn scatter(pusher: &mut Pusher, disk: ByteLen, len: u64, turn: u64) -> Result<()> {
    let mut data = vec![0; LEAF as usize];
    let (mut noise, leaves) = (Noise::new(turn), len / LEAF);
    let stride = disk.0 / LEAF / leaves * LEAF;
    for leaf in 0..leaves {
        noise.fill(&mut data);
        pusher.send(&[Piece { disk: DiskIndex(0), start: ByteOffset(leaf * stride), data: &data }])?;
    }
    Ok(())
}

/// Returns the MiB a target holds at most while a disk of this size is written all over and gone back over.
fn memory_of(mut appliance: Appliance, material: &Material, disk: ByteLen) -> Result<f64> {
    const NAME: &str = "held-01";
    let mut pusher = machine(&appliance, material, NAME, disk)?;
    let point = pusher.mark()?;
    scatter(&mut pusher, disk, DISK.0 / 2, 1)?;
    let last = pusher.mark()?;
    pusher.wait_applied(last)?;
    pusher.goodbye()?;
    failback(&appliance, NAME, point, DISK.0 / 2)?;
    Ok(appliance.stop()?.memory_peak.0 as f64 / MIB as f64)
}

/// Returns the KiB that an hour of history adds to what a target holds. Both times it has just been started: what it holds is
/// what it needs, and nothing that it was given once and keeps.
fn memory_of_history(mut appliance: Appliance, material: &Material) -> Result<f64> {
    const NAME: &str = "day-01";
    let mut pusher = machine(&appliance, material, NAME, DISK)?;
    let before = restarted(&mut appliance, pusher)?;
    pusher = Pusher::connect(&appliance.address(), &issued(&appliance, material, NAME)?, NAME, &[DISK])?;
    let data = vec![0x5a; 4096];
    for round in 0..HOURS * ROUNDS_AN_HOUR {
        let start = ByteOffset(round * 4096 % DISK.0);
        pusher.send(&[Piece { disk: DiskIndex(0), start, data: &data }])?;
        pusher.mark()?;
    }
    let after = restarted(&mut appliance, pusher)?;
    appliance.stop()?;
    Ok((after.0 as f64 - before.0 as f64) / 1024.0 / HOURS as f64)
}

/// Ends the session once everything is applied, starts the target again, and returns the memory it then holds.
fn restarted(appliance: &mut Appliance, mut pusher: Pusher) -> Result<ByteLen> {
    pusher.wait_applied(pusher.sequence())?;
    pusher.goodbye()?;
    appliance.stop()?;
    appliance.start()?;
    appliance.process()?.resident()
}
