//! Devices that may not be used, vanish or fail: refused or put out by name, and nobody else is touched.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control::api::{Machine, Phase};
use landfall_tests::cleanup::{Action, Undo};
use landfall_tests::command::{command, run};
use landfall_tests::disk::{Disk, Kind};
use landfall_tests::material::Noise;
use landfall_tests::rig::{Rig, is_root};
use units::ByteLen;

const MIB: u64 = 1 << 20;

#[test]
fn a_mounted_or_taken_device_is_no_target_disk_and_is_left_as_it_is() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let rig = Rig::start(&[])?;
    let mut other = rig.bystander()?;
    let member = rig.member("web-01", &[4 * MIB], Kind::Loop)?;
    let mounted = Disk::create(&rig.lab.file("mounted"), ByteLen(32 * MIB), Kind::Loop)?;
    run(command("mkfs.ext4").arg("-q").arg(mounted.path()))?;
    let at = rig.lab.directory("mount")?;
    run(command("mount").arg(mounted.path()).arg(&at))?;
    let _unmount = Undo::new(Action::Unmount(at.clone()));
    fs::write(at.join("file"), "content")?;

    let add = |name: &str, paths: &[&Disk]| {
        let disks = paths.iter().flat_map(|disk| ["--disk".to_owned(), disk.path().display().to_string()]);
        let words = ["machine", "add", name].map(str::to_owned).into_iter().chain(disks);
        rig.appliance.landfall_refused(words.collect::<Vec<_>>())
    };
    let (exit, told) = add("web-02", &[&mounted])?;
    ensure!(exit == 3 && told.contains("LF-1231") && told.contains("mount"), "exit {exit}: {told}");
    let (exit, told) = add("web-03", &[&member.targets[0]])?;
    ensure!(exit == 3 && told.contains("LF-1203") && told.contains("web-01"), "exit {exit}: {told}");
    let link = rig.lab.file("other-name");
    std::os::unix::fs::symlink(member.targets[0].path(), &link)?;
    let (exit, told) = rig.appliance.landfall_refused([
        "machine",
        "add",
        "web-04",
        "--disk",
        &link.display().to_string(),
    ])?;
    ensure!(exit == 3, "under another name: exit {exit}: {told}");
    let free = Disk::create(&rig.lab.file("free"), ByteLen(MIB), Kind::Loop)?;
    let (exit, told) = add("web-05", &[&free, &free])?;
    ensure!(exit == 3 && told.contains("LF-1105"), "twice: exit {exit}: {told}");
    let (exit, told) = add("web-01", &[&free, &mounted])?;
    ensure!(
        exit == 3 && told.contains("LF-1102") && told.contains("LF-1231"),
        "all is told: exit {exit}: {told}"
    );
    let mount = command("mount").arg(member.targets[0].path()).arg(&at).output()?;
    ensure!(!mount.status.success(), "nobody mounts a target disk");
    ensure!(fs::read_to_string(at.join("file"))? == "content", "the mounted device is as it was");
    other.is_unaffected(&rig)
}

#[test]
fn a_target_disk_that_is_too_small_is_named_with_both_sizes() -> Result<()> {
    let rig = Rig::start(&[])?;
    let mut other = rig.bystander()?;
    let member = rig.stranger("large", &[2 * MIB], Kind::File)?;
    let small = Disk::create(&rig.lab.file("small"), ByteLen(MIB), Kind::File)?;
    rig.appliance.add_machine("large", &[&small])?;
    let (exit, told) = member.once_refused()?;
    ensure!(exit == 3 && told.contains("2097152") && told.contains("1048576"), "exit {exit}: {told}");
    ensure!(rig.appliance.machine("large")?.durable.0 == 0, "nothing was taken");
    other.is_unaffected(&rig)
}

#[test]
fn a_target_disk_that_is_gone_or_another_after_a_restart_puts_its_machine_out_until_it_is_back() -> Result<()>
{
    let mut rig = Rig::start(&[])?;
    let member = rig.member("web-01", &[MIB], Kind::File)?;
    member.once()?;
    let mut other = rig.bystander()?;
    let (path, away) = (member.targets[0].path().to_owned(), rig.lab.file("away"));
    rig.appliance.kill()?;
    fs::rename(&path, &away)?;
    for replacement in [None, Some(MIB), Some(MIB / 2)] {
        if let Some(len) = replacement {
            fs::File::create(&path)?.set_len(len)?;
        }
        rig.appliance.start()?;
        let machine = rig.appliance.machine("web-01")?;
        let problem = machine.problem.clone().unwrap_or_default();
        let named = problem.contains(&path.display().to_string());
        ensure!(machine.phase == Phase::Failed && named, "{replacement:?}: {machine:?}");
        let (exit, told) = member.once_refused()?;
        ensure!(exit == 3 && told.contains("DeviceFailed"), "exit {exit}: {told}");
        let (exit, told) =
            rig.appliance.landfall_refused(["failback", "web-01", "--to", "latest", "--yes"])?;
        ensure!(exit == 3 && told.contains("LF-1108"), "exit {exit}: {told}");
        other = other.again(&rig)?;
        rig.appliance.kill()?;
        if replacement.is_some() {
            ensure!(fs::read(&path)?.iter().all(|byte| *byte == 0), "another disk was written to");
            fs::remove_file(&path)?;
        }
    }
    fs::rename(&away, &path)?;
    rig.appliance.start()?;
    member.change(0, &mut Noise::new(4), 10)?;
    member.once().context("it is back")?;
    rig.appliance.wait_applied("web-01")?;
    member.is_same()
}

#[test]
fn a_target_disk_that_fails_a_write_stops_its_machine_and_no_other() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let mut rig = Rig::start(&[])?;
    let mut other = rig.bystander()?;
    let member = rig.stranger("failing", &[16 * MIB], Kind::File)?;
    // A loop device over a sparse file that its file system has no room for.
    let tiny = rig.lab.directory("tiny")?;
    run(command("mount").args(["-t", "tmpfs", "-o", "size=8m", "none"]).arg(&tiny))?;
    let unmount = Undo::new(Action::Unmount(tiny.clone()));
    let disk = Disk::create(&tiny.join("disk"), ByteLen(16 * MIB), Kind::Loop)?;
    let _: Machine = rig.appliance.add_machine("failing", &[&disk])?;
    // More and more of the disk is written, at the latest in a round that rewrites most of it.
    for turn in 0..3 {
        let process = member.source.clone().with(&["--timeout", "3s"]).start_once(&member.each())?;
        process.wait(Duration::from_secs(30))?;
        member.change(0, &mut Noise::new(turn), 600)?;
    }
    let limit = Duration::from_secs(30);
    let machine = rig.appliance.wait_until("failing", limit, |machine| machine.phase == Phase::Failed)?;
    let problem = machine.problem.unwrap_or_default();
    ensure!(problem.contains(&disk.path().display().to_string()), "the device is named: {problem}");
    let (exit, told) = member.once_refused()?;
    ensure!(exit == 3 && told.contains("DeviceFailed"), "exit {exit}: {told}");
    other.is_unaffected(&rig)?;

    run(command("mount").args(["-o", "remount,size=64m"]).arg(&tiny))?;
    let (exit, _) = member.once_refused()?;
    ensure!(exit == 3, "it stays out until somebody says otherwise");
    rig.appliance.kill()?;
    rig.appliance.start()?;
    let after = rig.appliance.machine("failing")?;
    ensure!(after.durable >= machine.durable && after.problem.is_none(), "nothing acked is lost: {after:?}");
    member.once()?;
    rig.appliance.wait_applied("failing")?;
    landfall_tests::rig::same(disk.path(), member.disks[0].path())?;
    rig.appliance.stop()?;
    drop(disk);
    drop(unmount);
    Ok(())
}
