//! A blank appliance with another name and another address takes over machines from their volume and target disks alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use landfall_tests::appliance::Appliance;
use landfall_tests::cleanup::{Action, Undo};
use landfall_tests::command::{command, output, run};
use landfall_tests::disk::{Disk, Kind};
use landfall_tests::lab::Lab;
use landfall_tests::material::Noise;
use landfall_tests::rig::{Member, Rig, is_root, newest};
use units::ByteLen;

const MIB: u64 = 1 << 20;

fn landfall(rig: &Rig, arguments: &[&str]) -> Result<String> {
    run(command(&rig.binaries.landfall).args(arguments))
}

fn refused(rig: &Rig, arguments: &[&str], code: &str) -> Result<()> {
    let ended = output(command(&rig.binaries.landfall).args(arguments))?;
    let told = String::from_utf8_lossy(&ended.stderr);
    ensure!(
        ended.status.code() == Some(3) && told.contains(code),
        "{arguments:?}: {:?} {told}",
        ended.status
    );
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a plain path")
}

/// Attaches the target disks of a machine elsewhere: copies of their images, under other numbers.
fn move_targets(member: &mut Member, to: &Lab, others: &mut Vec<Disk>) -> Result<()> {
    let images: Vec<PathBuf> = member.targets.iter().map(|disk| disk.image().to_owned()).collect();
    member.targets.clear();
    for image in images {
        let name = image.file_name().context("a name")?.to_string_lossy().into_owned();
        let copy = to.file(&format!("moved-{name}"));
        run(command("cp").args(["--archive", "--sparse=always"]).arg(&image).arg(&copy))?;
        fs::remove_file(&image)?;
        // Takes the number the disk had.
        others.push(Disk::create(&to.file(&format!("other-{name}")), ByteLen(MIB), Kind::Loop)?);
        member.targets.push(Disk::open(&copy, Kind::Loop)?);
    }
    Ok(())
}

#[test]
fn a_blank_appliance_takes_over_from_the_disks_alone() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let store = Lab::new(None)?;
    let device = Disk::create(&store.file("volume"), ByteLen(400 * MIB), Kind::Loop)?;
    let mut unmount = None;
    let mut rig = Rig::start_on(&[], |lab| {
        let at = lab.file("retention");
        let program = landfall_tests::binaries::Binaries::find()?.landfall;
        let place = text(device.path())?;
        let made = run(command(&program).args(["retention", "init", place, "--yes", "--mount"]).arg(&at))?;
        ensure!(made.contains("--retention"), "it says what to do next: {made}");
        unmount = Some(Undo::new(Action::Unmount(at)));
        Ok(())
    })?;
    let mut one = rig.member("web-01", &[16 * MIB, 5 * MIB], Kind::Loop)?;
    let mut two = rig.member("db-01", &[8 * MIB], Kind::Loop)?;
    let (mut noise, mut olds) = (Noise::new(3), Vec::new());
    for member in [&one, &two] {
        member.once()?;
        member.change(0, &mut noise, 30)?;
        member.once()?;
        member.keep("old")?;
        olds.push(newest(&rig.appliance.machine(member.name())?)?);
        member.change(0, &mut noise, 30)?;
        member.once()?;
        member.keep("new")?;
    }
    let points = [rig.appliance.points("web-01")?.points, rig.appliance.points("db-01")?.points];
    let state = rig.authority.issue("master-target", "home-2")?;
    rig.appliance.kill()?;

    // Everything else of the first appliance is left behind.
    drop(unmount);
    let (home, mut others) = (Lab::new(None)?, Vec::new());
    move_targets(&mut one, &home, &mut others)?;
    move_targets(&mut two, &home, &mut others)?;
    let mut second = Appliance::joined(&home, &rig.binaries, state.parent().context("a state directory")?)?;
    let at = second.retention().to_owned();
    refused(&rig, &["retention", "init", text(device.path())?, "--yes", "--mount", text(&at)?], "LF-1246")?;
    let _unmount = Undo::new(Action::Unmount(at.clone()));
    let complaint = second.start().err().context("a volume of another is not served")?.to_string();
    ensure!(complaint.contains("LF-1244") && complaint.contains("home"), "{complaint}");

    let told = landfall(&rig, &["retention", "adopt", text(&at)?, "--yes"])?;
    for disk in one.targets.iter().chain(&two.targets) {
        ensure!(told.contains(text(disk.path())?), "{} is listed: {told}", disk.path().display());
    }
    ensure!(told.contains("web-01") && told.contains("db-01") && !told.contains("missing"), "{told}");
    second.start()?;
    ensure!(second.points("web-01")?.points == points[0], "the points of web-01 are the same");
    ensure!(second.points("db-01")?.points == points[1], "the points of db-01 are the same");
    for (member, old) in [&one, &two].into_iter().zip(&olds) {
        second.wait_applied(member.name())?;
        member.is_as_kept("new")?;
        second.job(["failback", member.name(), "--to", &old.sequence.to_string(), "--yes"])?;
        member.is_as_kept("old").context("an older point")?;
        second.job(["cancel", member.name()])?;
        member.is_as_kept("new").context("the latest again")?;
    }
    for member in [&mut one, &mut two] {
        member.source.retarget(&second.address());
        member.change(0, &mut noise, 10)?;
        member.once().context("replication goes on")?;
        second.wait_applied(member.name())?;
        member.is_same()?;
        let machine = second.machine(member.name())?;
        let (received, whole) =
            (machine.session.received_bytes, member.lens()?.iter().map(|len| len.0).sum::<u64>());
        ensure!(received < whole / 4, "{received} of {whole} bytes: nothing is seeded anew");
    }
    second.stop()?;
    Ok(())
}

#[test]
fn a_device_with_data_and_a_shared_directory_are_no_retention_volume() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let rig = Rig::start(&[])?;
    let disk = Disk::create(&rig.lab.file("used"), ByteLen(320 * MIB), Kind::Loop)?;
    run(command("mkfs.ext4").arg("-q").arg(disk.path()))?;
    let at = rig.lab.file("mount-used");
    let place = text(disk.path())?;
    refused(&rig, &["retention", "init", place, "--yes", "--mount", text(&at)?], "LF-1241")?;
    let what = run(command("blkid").args(["-p", "-o", "value", "-s", "TYPE"]).arg(disk.path()))?;
    ensure!(what.trim() == "ext4" && !at.exists(), "nothing was changed: {what}");
    let empty = Disk::create(&rig.lab.file("empty"), ByteLen(320 * MIB), Kind::Loop)?;
    refused(&rig, &["retention", "init", text(empty.path())?, "--mount", text(&at)?], "LF-1012")?;
    let shared = rig.lab.directory("shared")?;
    refused(&rig, &["retention", "init", text(&shared)?], "LF-1248")?;
    landfall(&rig, &["retention", "init", text(&shared)?, "--shared"])?;
    refused(&rig, &["retention", "init", text(rig.appliance.retention())?, "--shared"], "LF-1247")?;
    refused(&rig, &["retention", "adopt", text(rig.appliance.retention())?, "--yes"], "LF-1247")?;
    fs::write(rig.lab.directory("photos")?.join("photo.jpg"), "x")?;
    refused(&rig, &["retention", "init", text(&rig.lab.file("photos"))?, "--shared"], "LF-1246")
}
