//! What operators want kept, on a volume without room: each policy does as it says, pins hold, and the replica stays exact.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control::api::{GapKind, Machine, Points, Policies, Retention};
use landfall_tests::cleanup::Undo;
use landfall_tests::command::{command, run};
use landfall_tests::disk::Kind;
use landfall_tests::material::Noise;
use landfall_tests::rig::{Member, Rig, is_root, newest};

const MIB: u64 = 1 << 20;
const WAIT_MAX: Duration = Duration::from_secs(40);

fn start(len_mib: u64) -> Result<(Rig, Member, Undo)> {
    let (rig, unmount) = Rig::start_on_volume(&["--epoch-size", "4MiB"], len_mib)?;
    let member = rig.member("web-01", &[6 * MIB], Kind::File)?;
    Ok((rig, member, unmount))
}

/// Rewrites the whole disk, and keeps a copy under the number of the turn.
fn rewrite(member: &Member, turn: u64) -> Result<()> {
    let (mut noise, len) = (Noise::new(turn), member.disks[0].len()?.0);
    let mut content = vec![0; usize::try_from(len)?];
    noise.fill(&mut content);
    let path: &Path = member.disks[0].path();
    fs::write(path, content).context("rewriting the whole disk")?;
    member.keep(&format!("round-{turn}"))
}

/// Runs rounds, each over the whole disk; returns the sequence of each one's point.
fn rounds(rig: &Rig, member: &Member, turns: std::ops::Range<u64>) -> Result<Vec<u64>> {
    let mut points = Vec::new();
    for turn in turns {
        rewrite(member, turn)?;
        member
            .source
            .start_once(&member.each())?
            .succeed(WAIT_MAX)
            .with_context(|| format!("round {turn}"))?;
        points.push(newest(&rig.appliance.machine("web-01")?)?.sequence.0);
    }
    rig.appliance.wait_applied("web-01")?;
    Ok(points)
}

/// Goes to a point and back, and compares every byte on both ends.
fn there_and_back(rig: &Rig, member: &Member, sequence: u64, turn: u64, latest: u64) -> Result<()> {
    rig.appliance.job(["failback", "web-01", "--to", &sequence.to_string(), "--yes"])?;
    member.is_as_kept(&format!("round-{turn}")).with_context(|| format!("point {sequence}"))?;
    rig.appliance.job(["cancel", "web-01"])?;
    member.is_as_kept(&format!("round-{latest}")).with_context(|| format!("the latest, after {sequence}"))
}

/// Returns what a person is shown.
fn shown(rig: &Rig, arguments: &[&str]) -> Result<String> {
    let mut landfall = command(&rig.binaries.landfall);
    landfall.args(arguments).arg("--socket").arg(rig.appliance.socket());
    run(&mut landfall)
}

/// Compares what the published formula says of 6 MiB of noise, written once, with what each whole epoch of it takes: within 2 %.
fn formula_holds(rig: &Rig, kept: &Retention) -> Result<()> {
    // The formula adds the age of an epoch to the window: 1000 s in all.
    let size = ["retention", "size", "--churn", "6MiB/s", "--window", "100s"];
    let told: serde_json::Value = rig.appliance.landfall(size)?;
    let predicted = |part: &str| told[part].as_u64().map(|bytes| bytes / 1000).context("a part of the size");
    let (redo, undo) = (predicted("redo_bytes")?, predicted("undo_bytes")?);
    let near = |measured: u64, predicted: u64| measured.abs_diff(predicted) * 50 <= predicted;
    let whole: Vec<_> =
        kept.machines[0].epochs.iter().filter(|epoch| epoch.sealed && !epoch.thinned).collect();
    ensure!(!whole.is_empty(), "an epoch is whole");
    for epoch in whole {
        let measured = (epoch.redo_bytes, epoch.undo_bytes);
        println!("redo {} of {redo} predicted, undo {} of {undo}", measured.0, measured.1);
        ensure!(
            near(measured.0, redo) && near(measured.1, undo),
            "{measured:?}, predicted {redo} and {undo}"
        );
    }
    Ok(())
}

fn sequences(points: &Points) -> Vec<u64> {
    points.points.iter().map(|point| point.sequence.0).collect()
}

#[test]
fn thinning_keeps_the_ends_of_epochs_and_every_way_leads_back() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let (mut rig, member, unmount) = start(330)?;
    rig.appliance.landfall::<serde_json::Value>(["policy", "set", "web-01", "--when-full", "thin"])?;
    let marked = rounds(&rig, &member, 0..8)?;
    let kept: Retention = rig.appliance.landfall(["retention", "show", "web-01"])?;
    let thinned = kept.machines[0].epochs.iter().filter(|epoch| epoch.thinned).count();
    ensure!(thinned >= 2, "the volume was too small for all of it: {:?}", kept.machines[0].epochs);
    formula_holds(&rig, &kept)?;
    let points = rig.appliance.points("web-01")?;
    ensure!(
        points.gaps.iter().any(|gap| gap.kind == GapKind::Thinned),
        "the timeline tells: {:?}",
        points.gaps
    );
    println!("{}", shown(&rig, &["point", "list", "web-01"])?);
    println!("{}", shown(&rig, &["retention", "show", "web-01"])?);
    println!("{}", shown(&rig, &["status"])?);
    // What lies inside a thinned epoch is refused, and said to be given up.
    let epoch = kept.machines[0].epochs.iter().find(|epoch| epoch.thinned).context("a thinned epoch")?;
    let inside = epoch.first.0.to_string();
    let (exit, told) =
        rig.appliance.landfall_refused(["failback", "web-01", "--to", &inside, "--inconsistent", "--yes"])?;
    ensure!(exit == 3 && told.contains("LF-1312"), "exit {exit}: {told}");
    // All of it survives a kill.
    rig.appliance.kill()?;
    rig.appliance.start()?;
    ensure!(
        sequences(&rig.appliance.points("web-01")?) == sequences(&points),
        "the same points after a kill"
    );
    for (turn, sequence) in
        marked.iter().enumerate().filter(|(_, sequence)| sequences(&points).contains(sequence))
    {
        there_and_back(&rig, &member, *sequence, turn as u64, 7)?;
    }
    rounds(&rig, &member, 8..9)?;
    member.is_same()?;
    rig.appliance.stop()?;
    drop(unmount);
    Ok(())
}

#[test]
fn a_paused_source_waits_for_room_and_nothing_is_lost() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let (mut rig, member, unmount) = start(330)?;
    rig.appliance.landfall::<serde_json::Value>(["policy", "set", "web-01", "--when-full", "pause"])?;
    let first = rounds(&rig, &member, 0..1)?[0];
    let paused = |machine: &Machine| machine.keeping.paused.is_some();
    let mut turn = 0;
    let source = loop {
        turn += 1;
        ensure!(turn < 20, "the volume is never full");
        rewrite(&member, turn)?;
        let mut source = member.source.start_once(&member.each())?;
        let begin = std::time::Instant::now();
        while source.is_running()? && !paused(&rig.appliance.machine("web-01")?) {
            ensure!(begin.elapsed() < WAIT_MAX, "round {turn} neither ends nor waits");
            std::thread::sleep(Duration::from_millis(50));
        }
        if source.is_running()? {
            break source;
        }
    };
    println!("{}", shown(&rig, &["status"])?);
    ensure!(sequences(&rig.appliance.points("web-01")?).contains(&first), "nothing went");
    // Another policy makes room, and the source goes on by itself.
    rig.appliance.landfall::<serde_json::Value>([
        "policy",
        "set",
        "web-01",
        "--when-full",
        "shrink",
        "--yes",
    ])?;
    source.succeed(WAIT_MAX).context("the source goes on")?;
    rig.appliance.wait_applied("web-01")?;
    member.is_as_kept(&format!("round-{turn}"))?;
    ensure!(!paused(&rig.appliance.machine("web-01")?), "it is said no longer");
    rig.appliance.stop()?;
    drop(unmount);
    Ok(())
}

#[test]
fn a_pinned_point_is_not_given_up_for_room_and_policies_survive_a_kill() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let (mut rig, member, unmount) = start(330)?;
    let first = rounds(&rig, &member, 0..1)?[0];
    let name = format!("web-01@{first}");
    rig.appliance.landfall::<serde_json::Value>([
        "point",
        "pin",
        &name,
        "--for",
        "7d",
        "--note",
        "the first",
    ])?;
    rig.appliance.landfall::<serde_json::Value>(["policy", "set", "web-01", "--rpo", "5m"])?;
    rig.appliance.landfall::<serde_json::Value>(["policy", "set", "--default", "--window", "2h", "--yes"])?;
    rig.appliance.kill()?;
    rig.appliance.start()?;
    let policies: Policies = rig.appliance.landfall(["policy", "show"])?;
    ensure!(policies.default.window_seconds == 7200 && policies.machines[0].policy.rpo_seconds == 300);
    ensure!(policies.machines[0].own && policies.machines[0].policy.window_seconds == 86_400, "{policies:?}");
    let points = rig.appliance.points("web-01")?;
    ensure!(points.pins.len() == 1 && points.pins[0].note == "the first", "{:?}", points.pins);
    let mut turn = 0;
    let mut source = loop {
        turn += 1;
        ensure!(turn < 20, "the volume is never full");
        rewrite(&member, turn)?;
        let mut source = member.source.start_once(&member.each())?;
        let begin = std::time::Instant::now();
        while source.is_running()? && rig.appliance.machine("web-01")?.keeping.paused.is_none() {
            ensure!(begin.elapsed() < WAIT_MAX, "round {turn} neither ends nor waits");
            std::thread::sleep(Duration::from_millis(50));
        }
        if source.is_running()? {
            break source;
        }
    };
    let machine = rig.appliance.machine("web-01")?;
    let why = machine.keeping.paused.context("it waits")?;
    ensure!(why.contains("pinned"), "{why}");
    println!("{}", shown(&rig, &["status"])?);
    println!("{}", shown(&rig, &["point", "list", "web-01"])?);
    ensure!(source.is_running()?, "the source waits");
    rig.appliance.landfall::<serde_json::Value>(["point", "unpin", &name])?;
    source.succeed(WAIT_MAX).context("the pin is gone, the source goes on")?;
    rig.appliance.wait_applied("web-01")?;
    member.is_as_kept(&format!("round-{turn}"))?;
    rig.appliance.stop()?;
    drop(unmount);
    Ok(())
}
