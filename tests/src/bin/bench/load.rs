//! Landfall under a chosen load: single small writes, many machines, random writes.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use landfall_tests::appliance::Appliance;
use landfall_tests::disk::{Disk, Kind};
use landfall_tests::identity::Authority;
use landfall_tests::material::Noise;
use landfall_tests::pusher::{Piece, Pusher};
use landfall_tests::report::megabytes_per_second;
use units::{ByteLen, ByteOffset, DiskIndex};

use crate::board::Board;
use crate::material::Material;

/// Size of a loaded machine's disk.
const DISK: ByteLen = ByteLen(256 << 20);
const GRANULE: u64 = 4096;
/// Single writes timed.
const ACKS: usize = 3000;
/// Machines that are busy at the same time, and for how long.
const MACHINES: usize = 16;
const BUSY: Duration = Duration::from_secs(4);
/// Random writes, and how many go into one batch.
const RANDOM: usize = 96 << 10;
const BATCH: usize = 128;

/// Takes one turn of every measurement that is wanted, each on an appliance of its own.
pub(crate) fn measure(
    board: &mut Board,
    appliance: &mut dyn FnMut() -> Result<Appliance>,
    material: &Material,
) -> Result<()> {
    if board.wants("ack p50") || board.wants("ack p99") {
        let mut appliance = appliance()?;
        acks(board, &mut machine(&appliance, material, "ack-01", DISK)?)?;
        appliance.stop()?;
    }
    if board.wants("random acked") || board.wants("random applied") {
        let mut appliance = appliance()?;
        random(board, &mut machine(&appliance, material, "random-01", DISK)?)?;
        appliance.stop()?;
    }
    if board.wants("memory of 16") {
        let mut appliance = appliance()?;
        many(&appliance, material)?;
        board.note("memory of 16", appliance.stop()?.memory_peak.0 as f64 / f64::from(1 << 20));
    }
    Ok(())
}

/// Registers a machine with a blank disk and opens its session, past the seed.
pub(crate) fn machine(
    appliance: &Appliance,
    material: &Material,
    name: &str,
    len: ByteLen,
) -> Result<Pusher> {
    let image = material.lab.file(&format!("{name}.img"));
    drop(std::fs::remove_file(&image));
    appliance.add_machine(name, &[&Disk::create(&image, len, Kind::File)?])?;
    let identity = issued(appliance, material, name)?;
    let mut pusher = Pusher::connect(&appliance.address(), &identity, name, &[len])?;
    let first = pusher.mark()?;
    pusher.wait_durable(first)?;
    Ok(pusher)
}

/// Returns the directory of a source's certificate, made at first.
pub(crate) fn issued(appliance: &Appliance, material: &Material, name: &str) -> Result<PathBuf> {
    let issued = material.lab.file("issued").join(format!("source-{name}"));
    if issued.exists() { Ok(issued) } else { Authority::of(appliance, &material.lab)?.issue("source", name) }
}

/// Times 4 KiB writes, each acked before the next is sent.
fn acks(board: &mut Board, pusher: &mut Pusher) -> Result<()> {
    let (mut noise, mut data) = (Noise::new(4), vec![0; GRANULE as usize]);
    let mut times = Vec::with_capacity(ACKS);
    for _ in 0..ACKS {
        let start = ByteOffset(noise.below(DISK.0 / GRANULE) * GRANULE);
        noise.fill(&mut data);
        let begin = Instant::now();
        let sequence = pusher.send(&[Piece { disk: DiskIndex(0), start, data: &data }])?;
        pusher.wait_durable(sequence)?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    board.note("ack p50", times[ACKS / 2].as_secs_f64() * 1e6);
    board.note("ack p99", times[ACKS / 100 * 99].as_secs_f64() * 1e6);
    Ok(())
}

/// Writes 4 KiB at random places, four fifths of them in one fifth of the disk.
fn random(board: &mut Board, pusher: &mut Pusher) -> Result<()> {
    let mut noise = Noise::new(80);
    let mut data = vec![0; GRANULE as usize * BATCH];
    noise.fill(&mut data);
    let begin = Instant::now();
    let mut last = pusher.sequence();
    for number in 0..RANDOM / BATCH {
        data[..8].copy_from_slice(&number.to_le_bytes());
        let mut places: Vec<_> = (0..BATCH).map(|_| skewed(&mut noise)).collect();
        places.sort_unstable();
        places.dedup();
        let pieces: Vec<_> = places
            .iter()
            .zip(data.chunks_exact(GRANULE as usize))
            .map(|(place, data)| Piece { disk: DiskIndex(0), start: ByteOffset(place * GRANULE), data })
            .collect();
        last = pusher.send(&pieces)?;
    }
    pusher.wait_durable(last)?;
    let len = RANDOM as u64 * GRANULE;
    board.note("random acked", megabytes_per_second(len, begin.elapsed()));
    pusher.wait_applied(last)?;
    board.note("random applied", megabytes_per_second(len, begin.elapsed()));
    Ok(())
}

fn skewed(noise: &mut Noise) -> u64 {
    let granules = DISK.0 / GRANULE;
    if noise.below(5) < 4 {
        noise.below(granules / 5)
    } else {
        granules / 5 + noise.below(granules - granules / 5)
    }
}

/// Keeps sixteen machines busy for some seconds, as fast as the target takes it.
fn many(appliance: &Appliance, material: &Material) -> Result<()> {
    let names: Vec<_> = (0..MACHINES).map(|number| format!("busy-{number:02}")).collect();
    let mut pushers = Vec::new();
    for name in &names {
        pushers.push(machine(appliance, material, name, DISK)?);
    }
    let end = Instant::now() + BUSY;
    thread::scope(|scope| {
        let busy: Vec<_> = pushers.iter_mut().map(|pusher| scope.spawn(move || fill(pusher, end))).collect();
        busy.into_iter().try_for_each(|thread| thread.join().expect("a pusher does not panic"))
    })
    .context("with sixteen machines")
}

fn fill(pusher: &mut Pusher, end: Instant) -> Result<()> {
    let mut data = vec![0; 1 << 20];
    Noise::new(16).fill(&mut data);
    let mut at = 0;
    while Instant::now() < end {
        let pieces: Vec<_> = data
            .chunks_exact(64 << 10)
            .enumerate()
            .map(|(number, data)| Piece {
                disk: DiskIndex(0),
                start: ByteOffset(at + ((number as u64) << 16)),
                data,
            })
            .collect();
        pusher.send(&pieces)?;
        at = (at + (1 << 20)) % DISK.0;
    }
    pusher.wait_durable(pusher.sequence())
}
