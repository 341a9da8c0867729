//! The main job, small: seed, rounds, back, forward, commit, with every kind of disk and connection.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control::api::{FailbackPlan, Job, JobOutcome, Machine, Phase, Point, Verdict};
use landfall_tests::command::{command, run};
use landfall_tests::disk::Kind;
use landfall_tests::material::Noise;
use landfall_tests::rig::{Member, Rig, is_root, newest, same};

const MIB: u64 = 1 << 20;

fn round(rig: &Rig, member: &Member, noise: &mut Noise, name: &str) -> Result<Point> {
    for disk in 0..member.disks.len() {
        member.change(disk, noise, 40)?;
    }
    member.once()?;
    member.keep(name)?;
    // A point is chosen by its time below.
    std::thread::sleep(Duration::from_millis(20));
    newest(&rig.appliance.machine(member.name())?)
}

fn failback(rig: &Rig, member: &Member, to: &str) -> Result<Job> {
    let name = member.name();
    let plan: FailbackPlan = rig.appliance.landfall(["failback", name, "--to", to, "--plan"])?;
    let job = rig.appliance.job(["failback", name, "--to", to, "--yes"])?.context("a job")?;
    let Some(JobOutcome::Failback { written_bytes, disks, manifest, .. }) = &job.outcome else {
        anyhow::bail!("no outcome: {job:?}")
    };
    ensure!(*written_bytes == plan.write_bytes, "exactly the plan is written: {plan:?} {job:?}");
    let proved = disks.iter().all(|disk| disk.verdict == Verdict::Identical);
    ensure!(proved && disks.len() == member.disks.len() && manifest.is_some(), "a proof: {job:?}");
    Ok(job)
}

fn verify(rig: &Rig, member: &Member, point: &Point) -> Result<()> {
    let at = format!("{}@{}", member.name(), point.sequence);
    let job = rig.appliance.job(["point", "verify", &at])?.context("a job")?;
    let Some(JobOutcome::Verify { disks }) = job.outcome else { anyhow::bail!("no proof: {job:?}") };
    ensure!(disks.len() == member.disks.len(), "each disk is proved");
    ensure!(disks.iter().all(|disk| disk.verdict == Verdict::Identical), "{disks:?}");
    Ok(())
}

/// Seed, three rounds, back by sequence and by time, cancel, a round, back and forward, commit.
fn journey(rig: &Rig, member: &Member) -> Result<()> {
    let mut noise = Noise::new(7);
    member.once()?;
    let first = round(rig, member, &mut noise, "first")?;
    let second = round(rig, member, &mut noise, "second")?;
    let third = round(rig, member, &mut noise, "third")?;
    rig.appliance.wait_applied(member.name())?;
    member.is_same().context("the target is the source")?;

    verify(rig, member, &first)?;
    let plan: FailbackPlan =
        rig.appliance.landfall(["failback", member.name(), "--to", "latest", "--plan"])?;
    ensure!(plan.to == third && plan.write_bytes == 0, "nothing is to be done for the latest: {plan:?}");
    ensure!(rig.appliance.machine(member.name())?.phase == Phase::Protected, "a plan touches nothing");

    failback(rig, member, &first.sequence.to_string())?;
    member.is_as_kept("first").context("back by sequence")?;
    failback(rig, member, &second.time.to_string())?;
    member.is_as_kept("second").context("back by time")?;
    verify(rig, member, &second)?;
    verify(rig, member, &third)?;

    let (code, words) = member.once_refused()?;
    ensure!(
        code == 3 && words.contains("landfall commit"),
        "a rewound machine takes nothing: {code} {words}"
    );
    rig.appliance.job(["cancel", member.name()])?;
    member.is_as_kept("third").context("cancelled")?;

    let fourth = round(rig, member, &mut noise, "fourth")?;
    failback(rig, member, &third.sequence.to_string())?;
    member.is_as_kept("third").context("back once more")?;
    failback(rig, member, "latest")?;
    member.is_as_kept("fourth").context("forward again")?;
    verify(rig, member, &fourth)?;
    let machine: Machine = rig.appliance.landfall(["commit", member.name(), "--yes"])?;
    ensure!(machine.phase == Phase::Committed, "{machine:?}");
    let (code, words) = member.once_refused()?;
    ensure!(code == 3 && words.contains("Fenced"), "a committed generation is over: {code} {words}");
    member.is_as_kept("fourth").context("committed")
}

#[test]
fn two_disks_of_odd_sizes_come_home_over_four_connections() -> Result<()> {
    let mut rig = Rig::start(&["--epoch-size", "2MiB"])?;
    let mut member = rig.member("web-01", &[64 * MIB, 9 * MIB + 512 * 3], Kind::best())?;
    member.source = member.source.with(&["--connections", "4", "--compression", "zstd1"]);
    journey(&rig, &member)?;
    rig.appliance.stop()?;
    Ok(())
}

#[test]
fn image_files_come_home_uncompressed() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let mut member = rig.member("files", &[20 * MIB, 512], Kind::File)?;
    member.source = member.source.with(&["--compression", "none"]);
    journey(&rig, &member)?;
    rig.appliance.stop()?;
    Ok(())
}

#[test]
fn a_disk_with_sectors_of_4096_bytes_comes_home() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let mut rig = Rig::start(&[])?;
    let member = rig.stranger("sectors", &[16 * MIB], Kind::File)?;
    let (source, target) = (Large::attach(member.disks[0].path())?, Large::attach(member.targets[0].path())?);
    let _: Machine = rig.appliance.landfall(["machine", "add", "sectors", "--disk", &target.text()])?;
    let agent = || -> Result<()> {
        let mut command = command(&rig.binaries.landfall_source);
        command.args(["protect", "--machine", "sectors", "--disk", &source.text(), "--once"]);
        command.args(["--to", &rig.appliance.address(), "--identity"]).arg(&member.identity);
        run(command.arg("--state").arg(member.source.state())).map(drop)
    };
    agent()?;
    let first = rig.lab.file("first");
    run(command("cp").arg(&source.0).arg(&first))?;
    let point = newest(&rig.appliance.machine("sectors")?)?;
    // Through the device, so that its sectors are what is written.
    run(command("dd").arg("if=/dev/urandom").arg(format!("of={}", source.text())).args([
        "bs=4096",
        "count=99",
        "seek=7",
        "oflag=direct",
    ]))?;
    agent()?;
    rig.appliance.wait_applied("sectors")?;
    same(&target.0, &source.0)?;
    failback(&rig, &member, &point.sequence.to_string())?;
    same(&target.0, &first)?;
    rig.appliance.stop()?;
    Ok(())
}

/// A loop device with sectors of 4096 bytes; detached with its last user.
struct Large(PathBuf, #[expect(dead_code, reason = "held open")] File);

impl Large {
    fn attach(image: &std::path::Path) -> Result<Self> {
        let mut attach = command("losetup");
        let shown =
            run(attach.args(["--find", "--show", "--direct-io=on", "--sector-size=4096"]).arg(image))?;
        let path = PathBuf::from(shown.trim());
        let open = File::open(&path)?;
        run(command("losetup").arg("--detach").arg(&path))?;
        Ok(Self(path, open))
    }

    fn text(&self) -> String {
        self.0.display().to_string()
    }
}
