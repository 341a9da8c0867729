//! A machine boots from a view: a real Debian disk, protected, changed, and started as it was at an earlier point.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use control::api::{JobOutcome, Point, Verdict, View, Views};
use landfall_tests::command::{command, run};
use landfall_tests::disk::Kind;
use landfall_tests::process::Process;
use landfall_tests::rig::{Member, Rig, is_root, newest};

/// What the machine shows above its login prompt.
const MARKER: &str = "A machine of Landfall's lab, build 1";
/// How long it may take to boot: all of it is emulated, and others may be at work.
const BOOT_MAX: Duration = Duration::from_secs(300);
const BUILD: &str = include_str!("../boot-disk");

/// Returns the disk the machine boots from; built once, and again when the way of building it has changed.
fn bootable() -> Result<PathBuf> {
    let key = blake3::hash([BUILD, MARKER].concat().as_bytes()).to_hex();
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("boot-disk-{}.raw", &key[..16]));
    if !disk.exists() {
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("boot-disk");
        run(command(build).arg(&disk).arg(MARKER))?;
    }
    Ok(disk)
}

/// Makes a machine whose disk is the bootable one, with one round sent.
fn protected(rig: &Rig, disk: &Path) -> Result<Member> {
    let len = disk.metadata().context("the bootable disk")?.len();
    let member = rig.member("debian", &[len], Kind::File)?;
    run(command("cp").args(["--sparse=always", "--reflink=auto"]).arg(disk).arg(member.disks[0].path()))?;
    member.once()?;
    Ok(member)
}

fn open_view(rig: &Rig, point: &Point, scratch: &[&str]) -> Result<View> {
    let name = format!("debian@{}", point.sequence);
    let arguments = ["point", "view", &name, "--no-wait"];
    rig.appliance.landfall(arguments.iter().chain(scratch))
}

fn close(rig: &Rig, view: &View) -> Result<View> {
    rig.appliance.landfall(["point", "close", &view.id.to_string()])
}

/// Starts a machine from a disk and waits for its login prompt. Returns how long that took.
fn boot(rig: &Rig, uri: &str) -> Result<Duration> {
    let serial = rig.lab.file("serial.log");
    let (drive, port) =
        (format!("file={uri},format=raw,if=virtio,cache=writeback"), format!("file:{}", serial.display()));
    // The largest processor has an instruction for random numbers: without it, all wait for the kernel to gather some.
    let arguments =
        ["-accel", "tcg", "-cpu", "max", "-m", "256", "-display", "none", "-nodefaults", "-no-reboot"];
    let arguments = arguments.into_iter().chain(["-drive", &drive, "-serial", &port]);
    let began = Instant::now();
    let program = Path::new("qemu-system-x86_64");
    let mut process = Process::start("qemu", program, arguments, rig.lab.path())?;
    loop {
        let said = std::fs::read(&serial).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        if said.contains(MARKER) && said.contains("login:") {
            process.kill()?;
            return Ok(began.elapsed());
        }
        if !process.is_running()? || began.elapsed() > BOOT_MAX {
            bail!("no login after {:?}: {said} {}", began.elapsed(), process.last_words());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn is_proved(rig: &Rig, point: &Point) -> Result<()> {
    let job =
        rig.appliance.job(["point", "verify", &format!("debian@{}", point.sequence)])?.context("a job")?;
    let Some(JobOutcome::Verify { disks }) = job.outcome else { bail!("no proof: {job:?}") };
    ensure!(disks.len() == 1 && disks[0].verdict == Verdict::Identical, "{disks:?}");
    Ok(())
}

#[test]
fn a_machine_boots_from_a_scratch_view_which_is_then_thrown_away() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let disk = bootable()?;
    let mut rig = Rig::start(&[])?;
    let member = protected(&rig, &disk)?;
    let point = newest(&rig.appliance.machine("debian")?)?;
    // What comes later would never boot: no boot loader, no kernel, no file system.
    let ruined = OpenOptions::new().write(true).open(member.disks[0].path())?;
    (0..64).try_for_each(|mib| ruined.write_all_at(&[0xee; 1 << 20], mib << 20))?;
    member.once()?;
    rig.appliance.wait_applied("debian")?;
    member.is_same().context("the ruin has come home")?;

    let view = open_view(&rig, &point, &["--scratch", "256MiB"])?;
    let took = boot(&rig, &view.disks[0].uri)?;
    println!("login after {took:?}");
    let Views { views, .. } = rig.appliance.landfall(["point", "views"])?;
    let used = views.iter().find(|other| other.id == view.id).context("the view is open")?.used_bytes;
    ensure!(used > 0, "a machine that boots writes");
    close(&rig, &view)?;

    let again = open_view(&rig, &point, &["--scratch", "256MiB"])?;
    let (uri, disk) = (&again.disks[0].uri, disk.to_str().context("ASCII")?);
    run(command("qemu-img").args(["compare", "-f", "raw", "-F", "raw", uri, disk]))?;
    close(&rig, &again)?;
    is_proved(&rig, &point)?;
    member.is_same().context("the target disk is as it was")?;
    rig.appliance.stop()?;
    Ok(())
}
