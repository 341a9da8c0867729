//! Disks come and go under a running appliance: listed at once, judged by every rule, and missed by the machine they belong to.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use control::api::{DiskEvent, DiskEventKind, DiskVerdict, DiskVerdicts, Disks, Phase};
use landfall_tests::cleanup::{Action, Undo};
use landfall_tests::command::{command, run};
use landfall_tests::disk::{Disk, Kind};
use landfall_tests::process::Process;
use landfall_tests::rig::{Rig, is_root, within};
use units::ByteLen;

const MIB: u64 = 1 << 20;
/// What is promised.
const LISTED_WITHIN: Duration = Duration::from_secs(5);

/// A `landfall disk watch` that runs.
struct Follower(Process);

impl Follower {
    fn start(rig: &Rig) -> Result<Self> {
        let mut arguments = vec!["--socket".into(), rig.appliance.socket().as_os_str().to_owned()];
        arguments.extend(["disk", "watch", "--output", "json"].map(Into::into));
        Ok(Self(Process::start("watch", &rig.binaries.landfall, arguments, rig.lab.path())?))
    }

    /// Waits until an event of this kind about this path was told.
    fn told(&self, path: &Path, kind: DiskEventKind) -> Result<()> {
        within(LISTED_WITHIN, || {
            let text = self.0.output()?;
            let whole = text.lines().filter_map(|line| serde_json::from_str::<DiskEvent>(line).ok());
            let mut wanted = whole.filter(|event| Path::new(&event.disk.path) == path && event.kind == kind);
            ensure!(wanted.next().is_some(), "{kind:?} of {} was not told: {text}", path.display());
            Ok(())
        })
    }
}

fn is_listed(rig: &Rig, path: &Path) -> Result<bool> {
    let disks: Disks = rig.appliance.landfall(["disk", "list"])?;
    Ok(disks.disks.iter().any(|disk| Path::new(&disk.path) == path))
}

fn verdict(rig: &Rig, path: &Path) -> Result<DiskVerdict> {
    let path = path.to_str().context("a plain path")?;
    let mut verdicts: DiskVerdicts = rig.appliance.landfall(["disk", "eligible", path])?;
    verdicts.disks.pop().context("a verdict")
}

fn codes(reasons: &[control::api::Reason]) -> Vec<&str> {
    assert!(reasons.iter().all(|reason| !reason.what.is_empty() && !reason.fix.is_empty()));
    reasons.iter().map(|reason| reason.code.as_str()).collect()
}

#[test]
fn a_disk_is_listed_within_seconds_and_followed() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let rig = Rig::start(&[])?;
    let follower = Follower::start(&rig)?;
    // The follower hears what happens from its first answer on.
    std::thread::sleep(Duration::from_millis(1200));
    let disk = Disk::create(&rig.lab.file("disk"), ByteLen(8 * MIB), Kind::Loop)?;
    let begun = Instant::now();
    ensure!(is_listed(&rig, disk.path())?, "it is listed at once");
    let path = disk.path().to_owned();
    follower.told(&path, DiskEventKind::Added)?;
    println!("listed and told {:?} after it was attached", begun.elapsed());
    drop(disk);
    within(LISTED_WITHIN, || {
        ensure!(!is_listed(&rig, &path)?, "it is still listed");
        Ok(())
    })?;
    follower.told(&path, DiskEventKind::Removed)
}

#[test]
fn every_rule_refuses_with_its_code_its_evidence_and_what_to_do() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let rig = Rig::start(&[])?;
    let member = rig.member("web-01", &[4 * MIB], Kind::Loop)?;
    let disk = |name: &str| Disk::create(&rig.lab.file(name), ByteLen(320 * MIB), Kind::Loop);

    let empty = disk("empty")?;
    let judged = verdict(&rig, empty.path())?;
    ensure!(judged.target_disk.is_empty() && judged.retention_volume.is_empty(), "{judged:?}");

    let taken = verdict(&rig, member.targets[0].path())?;
    ensure!(codes(&taken.target_disk) == ["LF-1203"], "{taken:?}");
    ensure!(taken.target_disk[0].what.contains("web-01 disk 0"), "{taken:?}");

    let fat = disk("fat")?;
    run(command("mkfs.vfat").arg(fat.path()))?;
    let judged = verdict(&rig, fat.path())?;
    ensure!(judged.target_disk.is_empty(), "{judged:?}");
    ensure!(codes(&judged.retention_volume) == ["LF-1204", "LF-1241"], "{judged:?}");

    let swap = disk("swap")?;
    run(command("mkswap").arg(swap.path()))?;
    run(command("swapon").arg(swap.path()))?;
    let judged = verdict(&rig, swap.path());
    run(command("swapoff").arg(swap.path()))?;
    let judged = judged?;
    ensure!(codes(&judged.target_disk) == ["LF-1232"], "{judged:?}");

    let mounted = disk("mounted")?;
    run(command("mkfs.ext4").arg("-q").arg(mounted.path()))?;
    let at = rig.lab.directory("mount")?;
    run(command("mount").arg(mounted.path()).arg(&at))?;
    let _unmount = Undo::new(Action::Unmount(at.clone()));
    let judged = verdict(&rig, mounted.path())?;
    ensure!(codes(&judged.target_disk) == ["LF-1231"], "{judged:?}");
    ensure!(judged.target_disk[0].what.contains(at.to_str().context("a plain path")?), "{judged:?}");

    let data = disk("data")?;
    run(command("dd")
        .args(["if=/etc/hostname", "bs=512", "seek=327680"])
        .arg(format!("of={}", data.path().display())))?;
    let judged = verdict(&rig, data.path())?;
    ensure!(codes(&judged.retention_volume) == ["LF-1241"], "data in the middle: {judged:?}");

    let held = fs::File::open(empty.path())?;
    let claimed = rustix::fs::open(
        empty.path(),
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::EXCL | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    let judged = verdict(&rig, empty.path())?;
    ensure!(codes(&judged.target_disk) == ["LF-1235"], "{judged:?}");
    drop((held, claimed));

    let (exit, told) = rig.appliance.landfall_refused(["disk", "eligible", "/dev/landfall-none"])?;
    ensure!(exit == 3 && told.contains("LF-1201"), "exit {exit}: {told}");
    Ok(())
}

#[test]
fn a_mounted_partition_and_a_read_only_disk_are_refused() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let rig = Rig::start(&[])?;
    let image = rig.lab.file("parted");
    fs::File::create_new(&image)?.set_len(64 * MIB)?;
    let mut sfdisk = command("sh");
    run(sfdisk.args(["-c", "printf 'label: gpt\\n,32M\\n,\\n' | sfdisk -q \"$0\""]).arg(&image))?;
    let shown = run(command("losetup").args(["--find", "--show"]).arg(&image))?;
    let device = PathBuf::from(shown.trim());
    let _detach = Undo::new(Action::Detach(device.clone()));
    // Not every kernel reads partition tables; every one is told of a partition.
    run(command("addpart").arg(&device).args(["1", "2048", "65536"]))?;
    let part = PathBuf::from(format!("{}p1", device.display()));
    within(LISTED_WITHIN, || {
        ensure!(part.exists(), "{} has no node", part.display());
        Ok(())
    })?;
    run(command("mkfs.ext4").arg("-q").arg(&part))?;
    let at = rig.lab.directory("mount")?;
    run(command("mount").arg(&part).arg(&at))?;
    let unmount = Undo::new(Action::Unmount(at));
    for path in [&device, &part] {
        let judged = verdict(&rig, path)?;
        ensure!(codes(&judged.target_disk) == ["LF-1231"], "{judged:?}");
    }
    drop(unmount);
    let judged = verdict(&rig, &device)?;
    run(command("delpart").arg(&device).arg("1"))?;
    ensure!(judged.holds.iter().filter(|what| what.contains("GPT")).count() == 2, "{judged:?}");

    let image = rig.lab.file("read-only");
    fs::File::create_new(&image)?.set_len(8 * MIB)?;
    let shown = run(command("losetup").args(["--find", "--show", "--read-only"]).arg(&image))?;
    let fixed = PathBuf::from(shown.trim());
    let _detach = Undo::new(Action::Detach(fixed.clone()));
    let judged = verdict(&rig, &fixed)?;
    ensure!(codes(&judged.target_disk) == ["LF-1234"], "{judged:?}");
    Ok(())
}

#[test]
fn a_target_disk_whose_node_vanishes_is_missed_at_once_and_nobody_else_is_touched() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let rig = Rig::start(&[])?;
    let mut other = rig.bystander()?;
    let member = rig.member("web-01", &[4 * MIB], Kind::Loop)?;
    member.once()?;
    let node = member.targets[0].path().to_owned();
    let aside =
        node.with_file_name(format!("{}-aside", node.file_name().context("a name")?.to_string_lossy()));
    fs::rename(&node, &aside)?;
    let begun = Instant::now();
    // No event tells of a node: another disk's makes landfalld look.
    let nudge = Disk::create(&rig.lab.file("nudge"), ByteLen(MIB), Kind::Loop);
    let missed =
        rig.appliance.wait_until("web-01", LISTED_WITHIN, |machine| machine.disks[0].problem.is_some());
    let missed_after = begun.elapsed();
    let kept = member.once();
    fs::rename(&aside, &node)?;
    let machine = missed?;
    println!("missed after {missed_after:?}");
    let problem = machine.disks[0].problem.clone().unwrap_or_default();
    ensure!(
        problem.contains("node") && problem.contains(node.to_str().context("a plain path")?),
        "{problem}"
    );
    ensure!(machine.phase == Phase::Protected, "what is open goes on: {machine:?}");
    kept.context("a round without the node")?;
    drop(nudge);
    rig.appliance.wait_until("web-01", LISTED_WITHIN, |machine| machine.disks[0].problem.is_none())?;
    other.is_unaffected(&rig)
}
