//! Protecting a machine again on disks that hold an earlier state of it: only what differs is sent, what was there can be gone back
//! to, and cutting it anywhere costs time only.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control::api::{Consistency, Machine, Phase, ReprotectPlan, Reprotected};
use landfall_tests::disk::Kind;
use landfall_tests::material::Noise;
use landfall_tests::rig::{Member, Rig, newest, within};

const MIB: u64 = 1 << 20;
const GRANULE_LEN: u64 = 4096;
/// Payload bytes sent for each byte that changed, at most.
const SENT_MAX: u64 = 2;
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Rewrites granules scattered over the machine's first disk with noise; returns how many bytes that are at most.
fn scatter(member: &Member, noise: &mut Noise, granules: u64) -> Result<u64> {
    let disk = &member.disks[0];
    let file = OpenOptions::new().write(true).open(disk.path())?;
    let (len, mut granule) = (disk.len()?.0, vec![0; GRANULE_LEN as usize]);
    for _ in 0..granules {
        noise.fill(&mut granule);
        file.write_all_at(&granule, noise.below(len / GRANULE_LEN) * GRANULE_LEN)?;
    }
    file.sync_all()?;
    Ok(granules * GRANULE_LEN)
}

/// Brings a machine's target disks to the newest point no worse than crash-consistent.
fn back(rig: &Rig, member: &Member) -> Result<Machine> {
    rig.appliance.job(["failback", member.name(), "--to", "latest", "--yes"])?.context("a job")?;
    rig.appliance.machine(member.name())
}

fn forward(rig: &Rig, member: &Member) -> Result<()> {
    rig.appliance.job(["cancel", member.name()])?;
    Ok(())
}

/// A machine that is not registered, whose target disk holds what its disk held before `granules` of it were written.
fn original(rig: &Rig, name: &str, len: u64, granules: u64) -> Result<(Member, u64)> {
    let member = rig.stranger(name, &[len], Kind::File)?;
    let mut noise = Noise::new(41);
    scatter(&member, &mut noise, len / GRANULE_LEN / 2)?;
    member.disks[0].copy_to(member.targets[0].path())?;
    member.keep("found")?;
    let changed = scatter(&member, &mut noise, granules)?;
    let target = member.targets[0].path().display().to_string();
    let reprotect = ["reprotect", name, "--disk", &target, "--allow-file", "--yes"];
    let done: Reprotected = rig.appliance.landfall(reprotect)?;
    let machine = done.machine.context("the machine")?;
    ensure!(machine.phase == Phase::Resyncing && done.plan.generation.is_none(), "{machine:?}");
    Ok((member, changed))
}

#[test]
fn a_committed_machine_is_protected_again_on_its_own_disks() -> Result<()> {
    let mut rig = Rig::start(&["--epoch-size", "4MiB"])?;
    let mut member = rig.member("web-01", &[24 * MIB, 5 * MIB + 512], Kind::best())?;
    let mut noise = Noise::new(3);
    for name in ["first", "second"] {
        member.change(0, &mut noise, 30)?;
        member.change(1, &mut noise, 5)?;
        member.once()?;
        member.keep(name)?;
    }
    let (code, refused) = rig.appliance.landfall_refused(["reprotect", "web-01", "--yes"])?;
    ensure!(code == 3 && refused.contains("LF-1104"), "{refused}");
    let committed = back(&rig, &member)?;
    let _: Machine = rig.appliance.landfall(["commit", "web-01", "--yes"])?;

    let planned: ReprotectPlan = rig.appliance.landfall(["reprotect", "web-01", "--plan"])?;
    ensure!(planned.points == 2 && planned.generation == Some(committed.generation), "{planned:?}");
    ensure!(rig.appliance.machine("web-01")?.phase == Phase::Committed, "a plan changes nothing");
    let done: Reprotected = rig.appliance.landfall(["reprotect", "web-01", "--yes"])?;
    ensure!(done.machine.context("the machine")?.generation > committed.generation);
    let points = rig.appliance.points("web-01")?.points;
    ensure!(points.is_empty(), "the history of the older generation is gone: {points:?}");

    let (code, words) = member.once_refused()?;
    ensure!(code == 3 && words.contains("Fenced"), "the older generation is over for ever: {code} {words}");
    member.change(0, &mut noise, 9)?;
    member.source = member.source.with(&["--resync"]);
    // A restart between the two: the machine waits for its source as before.
    rig.appliance.kill()?;
    rig.appliance.start()?;
    member.once()?;
    rig.appliance.wait_applied("web-01")?;
    member.is_same().context("after the resync")?;
    let machine = rig.appliance.machine("web-01")?;
    ensure!(machine.phase == Phase::Protected && machine.resync.is_none(), "{machine:?}");
    let points = rig.appliance.points("web-01")?.points;
    ensure!(points.len() == 2 && points[0].label == "as found", "{points:?}");
    member.keep("third")?;
    rig.appliance.job(["failback", "web-01", "--to", "1", "--yes"])?;
    member.is_as_kept("second").context("the disks as they were found")?;
    rig.appliance.job(["failback", "web-01", "--to", "latest", "--yes"])?;
    member.is_as_kept("third")?;
    let _: Machine = rig.appliance.landfall(["commit", "web-01", "--yes"])?;
    let _: Reprotected = rig.appliance.landfall(["reprotect", "web-01", "--yes"])?;
    member.once()?;
    member.is_same().context("protected for the third time")?;
    rig.appliance.stop()?;
    Ok(())
}

#[test]
fn only_what_differs_is_sent_to_an_original_disk() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let (member, changed) = original(&rig, "web-01", 64 * MIB, 64 * MIB / GRANULE_LEN / 50)?;
    member.once()?;
    rig.appliance.wait_applied("web-01")?;
    member.is_same()?;
    let received = rig.appliance.machine("web-01")?.session.received_bytes;
    ensure!(received <= SENT_MAX * changed, "{received} bytes were sent for {changed} that changed");
    println!("{received} bytes were sent for {changed} that changed");
    member.keep("after")?;
    rig.appliance.job(["failback", "web-01", "--to", "1", "--yes"])?;
    member.is_as_kept("found")?;
    forward(&rig, &member)?;
    member.is_as_kept("after")?;
    rig.appliance.stop()?;
    Ok(())
}

/// Cuts a resync again and again; after each cut the last good point can be gone back to, and forward again.
fn cut(seed: u64, cuts: usize) -> Result<()> {
    println!("seed {seed}");
    let mut rig = Rig::start(&["--epoch-size", "2MiB", "--keep", "1s"])?;
    let (mut member, changed) = original(&rig, "web-01", 48 * MIB, 3000)?;
    member.source = member.source.with(&["--compression", "none"]);
    let mut noise = Noise::new(seed);
    let mut sent = 0;
    for turn in 0..cuts {
        let agent = member.source.start_once(&member.each())?;
        let upto = noise.below(changed / cuts as u64 * 2);
        within(WAIT_MAX, || {
            let machine = rig.appliance.machine("web-01")?;
            let enough = machine.session.received_bytes >= upto && machine.session.connected;
            ensure!(enough || machine.phase == Phase::Protected, "not yet");
            Ok(())
        })?;
        let machine = rig.appliance.machine("web-01")?;
        sent += machine.session.received_bytes;
        if noise.below(2) == 0 {
            drop(agent);
        } else {
            rig.appliance.kill()?;
            drop(agent);
            rig.appliance.start()?;
        }
        let machine = rig.appliance.wait_until("web-01", WAIT_MAX, |machine| !machine.session.connected)?;
        if machine.phase == Phase::Protected {
            println!("turn {turn}: it was done");
            break;
        }
        println!("turn {turn}: cut after {} bytes, {:?}", machine.session.received_bytes, machine.resync);
        let stands = back(&rig, &member)?.at.context("a point")?;
        ensure!(stands.consistency == Consistency::Crash, "{stands:?}");
        member.is_as_kept("found").with_context(|| format!("after cut {turn}"))?;
        forward(&rig, &member)?;
        // Behind the place it was cut at, too.
        scatter(&member, &mut noise, 4)?;
    }
    member.once()?;
    rig.appliance.wait_applied("web-01")?;
    member.is_same().context("after the last resync")?;
    let machine = rig.appliance.machine("web-01")?;
    ensure!(machine.phase == Phase::Protected, "{machine:?}");
    sent += machine.session.received_bytes;
    println!("{sent} bytes were sent for {changed} that changed");
    ensure!(sent <= 2 * SENT_MAX * changed, "{sent} bytes were sent for {changed} that changed");
    let point = newest(&machine)?;
    rig.appliance.job(["point", "verify", &format!("web-01@{}", point.sequence)])?;
    rig.appliance.stop()?;
    Ok(())
}

#[test]
fn a_resync_that_is_cut_anywhere_loses_nothing() -> Result<()> {
    cut(5, 8)
}
