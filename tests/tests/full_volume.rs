//! A retention volume without room: the oldest history goes first, then the source waits; what was acked stays.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use control::api::{GapKind, Phase, Retention};
use landfall_tests::command::{command, run};
use landfall_tests::disk::Kind;
use landfall_tests::material::Noise;
use landfall_tests::rig::{Member, Rig, is_root, newest};

const MIB: u64 = 1 << 20;
const WAIT_MAX: Duration = Duration::from_secs(40);

/// Takes what is left of the volume but `spare_mib`.
fn fill(rig: &Rig, spare_mib: u64) -> Result<std::path::PathBuf> {
    let ballast = rig.appliance.retention().join("ballast");
    let free = rig.appliance.status()?.volume.free_bytes;
    let len = free.saturating_sub(spare_mib * MIB).to_string();
    run(command("fallocate").args(["-l", &len]).arg(&ballast))?;
    Ok(ballast)
}

fn rewrite(member: &Member, turn: u64) -> Result<()> {
    let (mut noise, len) = (Noise::new(turn), member.disks[0].len()?.0);
    let mut content = vec![0; usize::try_from(len)?];
    noise.fill(&mut content);
    let path: &Path = member.disks[0].path();
    fs::write(path, content).context("rewriting the whole disk")
}

#[test]
fn the_oldest_epochs_go_when_the_volume_is_full_and_replication_goes_on() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let (mut rig, unmount) = Rig::start_on_volume(&["--epoch-size", "4MiB"], 330)?;
    let member = rig.member("web-01", &[6 * MIB], Kind::File)?;
    member.once()?;
    let first = newest(&rig.appliance.machine("web-01")?)?.sequence;
    for turn in 0..10 {
        rewrite(&member, turn)?;
        member
            .source
            .start_once(&member.each())?
            .succeed(WAIT_MAX)
            .with_context(|| format!("round {turn}"))?;
        member.keep(&format!("round-{turn}"))?;
    }
    let points = rig.appliance.points("web-01")?.points;
    let oldest = points.first().context("a point")?.sequence;
    ensure!(oldest > first, "nothing had to go: {} points", points.len());
    ensure!(points.len() >= 2, "more than the newest is left");
    rig.appliance.wait_applied("web-01")?;
    member.is_same()?;
    let (exit, told) =
        rig.appliance.landfall_refused(["failback", "web-01", "--to", &first.to_string(), "--yes"])?;
    ensure!(exit == 3 && told.contains("LF-1302"), "exit {exit}: {told}");
    let turn = 10 - points.len();
    rig.appliance.job(["failback", "web-01", "--to", &oldest.to_string(), "--yes"])?;
    member.is_as_kept(&format!("round-{turn}")).context("the oldest point that is left")?;
    rig.appliance.job(["cancel", "web-01"])?;
    member.is_as_kept("round-9")?;
    rig.appliance.stop()?;
    drop(unmount);
    Ok(())
}

/// Overwrites one half of the disk with each turn, in turns, and keeps a copy under its number.
fn rewrite_half(member: &Member, turn: u64) -> Result<()> {
    let (mut noise, len) = (Noise::new(turn), member.disks[0].len()?.0);
    let mut content = vec![0; usize::try_from(len / 2)?];
    noise.fill(&mut content);
    let path: &Path = member.disks[0].path();
    let file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all_at(&content, turn % 2 * (len / 2)).context("rewriting half of the disk")?;
    member.keep(&format!("round-{turn}"))
}

/// Seconds into the hour by the appliance's clock; epochs that end in two hours stay apart.
fn second_of_hour() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() % 3600)
}

#[test]
fn of_an_hour_that_was_thinned_one_point_stays_and_every_way_leads_back() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let (mut rig, unmount) = Rig::start_on_volume(&["--epoch-size", "4MiB"], 330)?;
    let member = rig.member("web-01", &[12 * MIB], Kind::File)?;
    rig.appliance.landfall::<serde_json::Value>(["policy", "set", "web-01", "--when-full", "thin"])?;
    let (begun, mut marked) = (second_of_hour()?, Vec::new());
    for turn in 0..20 {
        rewrite_half(&member, turn)?;
        let round = member.source.start_once(&member.each())?;
        round.succeed(WAIT_MAX).with_context(|| format!("round {turn}"))?;
        marked.push(newest(&rig.appliance.machine("web-01")?)?.sequence.0);
    }
    rig.appliance.wait_applied("web-01")?;
    let kept: Retention = rig.appliance.landfall(["retention", "show", "web-01"])?;
    let epochs = &kept.machines[0].epochs;
    println!("{epochs:#?}");
    let joined: Vec<_> = epochs.iter().filter(|epoch| epoch.joined.is_some()).collect();
    let hours = if second_of_hour()? < begun { 2 } else { 1 };
    ensure!(!joined.is_empty() && joined.len() <= hours, "one epoch of each hour: {epochs:?}");
    ensure!(joined.iter().all(|epoch| epoch.thinned && epoch.redo_bytes == 0), "{joined:?}");
    let most = joined.iter().map(|epoch| epoch.undo_bytes).max().unwrap_or_default();
    ensure!(most < 14 * MIB, "each granule has one before-image in it: {joined:?}");
    let points = rig.appliance.points("web-01")?;
    let inside =
        |sequence: u64| joined.iter().any(|epoch| epoch.first.0 <= sequence && sequence < epoch.last.0);
    ensure!(
        marked.iter().filter(|sequence| inside(**sequence)).count() >= 2,
        "points were between: {marked:?}"
    );
    ensure!(points.points.iter().all(|point| !inside(point.sequence.0)), "none is listed: {points:?}");
    ensure!(
        points.gaps.iter().any(|gap| gap.kind == GapKind::Thinned),
        "the timeline tells: {:?}",
        points.gaps
    );
    // All of it survives a kill.
    rig.appliance.kill()?;
    rig.appliance.start()?;
    let after = rig.appliance.points("web-01")?;
    ensure!(after.points == points.points, "the same points after a kill: {after:?}");
    let lost = marked.iter().find(|sequence| inside(**sequence)).context("a point between")?.to_string();
    let (exit, told) = rig.appliance.landfall_refused(["failback", "web-01", "--to", &lost, "--yes"])?;
    ensure!(exit == 3 && (told.contains("LF-1312") || told.contains("LF-1302")), "exit {exit}: {told}");
    for point in points.points.iter().map(|point| point.sequence.0) {
        let Some(turn) = marked.iter().position(|sequence| *sequence == point) else { continue };
        rig.appliance.job(["failback", "web-01", "--to", &point.to_string(), "--yes"])?;
        member.is_as_kept(&format!("round-{turn}")).with_context(|| format!("point {point}"))?;
        rig.appliance.job(["cancel", "web-01"])?;
        member.is_as_kept("round-19").with_context(|| format!("the latest, after {point}"))?;
    }
    rewrite_half(&member, 20)?;
    member.once()?;
    rig.appliance.wait_applied("web-01")?;
    member.is_same()?;
    rig.appliance.stop()?;
    drop(unmount);
    Ok(())
}

#[test]
fn with_nothing_to_drop_the_source_waits_and_goes_on_when_there_is_room() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let (mut rig, unmount) = Rig::start_on_volume(&[], 1200)?;
    let member = rig.member("web-01", &[80 * MIB], Kind::File)?;
    let mut other = rig.bystander()?;
    member.once()?;
    rewrite(&member, 1)?;
    member.once()?;
    member.keep("before")?;
    let before = newest(&rig.appliance.machine("web-01")?)?.sequence;
    rig.appliance.wait_applied("web-01")?;

    let ballast = fill(&rig, 1)?;
    rewrite(&member, 2)?;
    let source = member.source.start_once(&member.each())?;
    let told =
        |machine: &control::api::Machine| machine.problem.as_ref().is_some_and(|why| why.contains("no room"));
    let machine = rig.appliance.wait_until("web-01", WAIT_MAX, told)?;
    ensure!(machine.phase == Phase::Protected, "it is in service: {machine:?}");
    ensure!(newest(&machine)?.sequence == before, "the round is not complete");
    other.is_unaffected(&rig).context("another machine has room in its open epoch")?;
    // A source that comes anew is told, and nothing that was acked is lost by a kill.
    let held = rig.appliance.machine("web-01")?.durable;
    source.kill()?;
    rig.appliance.kill()?;
    rig.appliance.start()?;
    let after = rig.appliance.machine("web-01")?;
    ensure!(after.durable >= held && newest(&after)?.sequence == before, "{after:?}");
    let source = member.source.start_once(&member.each())?;
    rig.appliance.wait_until("web-01", WAIT_MAX, told).context("still full after the restart")?;

    let begin = Instant::now();
    fs::remove_file(&ballast)?;
    source.succeed(WAIT_MAX).context("there is room again")?;
    println!("went on {:?} after there was room", begin.elapsed());
    rig.appliance.wait_applied("web-01")?;
    member.is_same()?;
    let machine = rig.appliance.machine("web-01")?;
    ensure!(machine.problem.is_none(), "{machine:?}");
    rig.appliance.job(["failback", "web-01", "--to", &before.to_string(), "--yes"])?;
    member.is_as_kept("before").context("the history from before is exact")?;
    thread::sleep(Duration::from_millis(1));
    rig.appliance.stop()?;
    drop(unmount);
    Ok(())
}
