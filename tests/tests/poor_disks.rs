//! Target disks that are slow, or can't be read: served by nbdkit through FUSE, so that they are as poor as they are told to be.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use control::api::{Machine, Phase, ScrubState, Scrubs};
use landfall_tests::cleanup::{Action, Undo};
use landfall_tests::command::is_installed;
use landfall_tests::disk::{Disk, Kind};
use landfall_tests::material::Noise;
use landfall_tests::process::Process;
use landfall_tests::rig::{Member, Rig, is_root};

const MIB: u64 = 1 << 20;
const NAME: &str = "web-01";
const WAIT: Duration = Duration::from_secs(60);

/// A disk in a file that a program serves. Fields in the order in which they must go.
struct Poor {
    _unmount: Undo,
    _server: Process,
    path: PathBuf,
}

impl Poor {
    /// Serves a new disk of `len` bytes; `how` are parameters of nbdkit's filters.
    fn serve(rig: &Rig, name: &str, len: u64, filters: &[&str], how: &[String]) -> Result<Self> {
        let (image, mount) =
            (rig.lab.file(&format!("{name}-image")), rig.lab.directory(&format!("{name}-mount"))?);
        File::create(&image)?.set_len(len)?;
        let path = mount.join("disk");
        let mut arguments = vec![path.clone().into_os_string(), "[".into(), "nbdkit".into()];
        arguments.extend(["--exit-with-parent", "--threads", "16"].map(Into::into));
        arguments.extend(filters.iter().map(|filter| format!("--filter={filter}").into()));
        arguments.extend(["file".into(), image.into_os_string()]);
        arguments.extend(how.iter().map(Into::into));
        arguments.push("]".into());
        let server = Process::start(name, Path::new("nbdfuse"), arguments, rig.lab.path())?;
        let unmount = Undo::new(Action::Unmount(mount));
        let begin = Instant::now();
        while !path.exists() {
            ensure!(begin.elapsed() < WAIT, "it is not served: {}", server.last_words());
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { _unmount: unmount, _server: server, path })
    }
}

/// Registers a machine with a disk of its own and target disks at these paths.
fn member(rig: &Rig, paths: &[&Path], len: u64) -> Result<Member> {
    let mut member = rig.stranger(NAME, &vec![len; paths.len()], Kind::File)?;
    member.targets = paths.iter().map(|path| Disk::open(path, Kind::File)).collect::<Result<_>>()?;
    rig.appliance.add_machine(NAME, &member.targets.iter().collect::<Vec<_>>())?;
    Ok(member)
}

fn can_serve() -> bool {
    is_root() && is_installed("nbdfuse") && is_installed("nbdkit")
}

#[test]
fn a_slow_target_disk_delays_no_ack_and_no_other_machine() -> Result<()> {
    if !can_serve() {
        return Ok(());
    }
    let rig = Rig::start(&[])?;
    let slow = Poor::serve(&rig, "slow", 8 * MIB, &["delay"], &["wdelay=400ms".to_owned()])?;
    let good = rig.lab.file("good-disk");
    File::create(&good)?.set_len(8 * MIB)?;
    let member = member(&rig, &[&slow.path, &good], 8 * MIB)?;
    let mut other = rig.bystander()?;
    member.once()?;
    rig.appliance.wait_applied(NAME)?;
    // Scattered pieces: each is a write of its own, and waits on the slow disk.
    let (mut longest, mut lagged) = (Duration::ZERO, 0);
    for turn in 0..4 {
        (0..2).try_for_each(|disk| member.change(disk, &mut Noise::new(turn), 60))?;
        let begin = Instant::now();
        member.once()?;
        longest = longest.max(begin.elapsed());
        let machine = rig.appliance.machine(NAME)?;
        ensure!(machine.phase == Phase::Protected && machine.problem.is_none(), "{machine:?}");
        lagged += u64::from(machine.applied < machine.durable);
    }
    ensure!(lagged >= 3, "the disk was slow: {lagged} rounds were durable before they were applied");
    let begin = Instant::now();
    other.is_unaffected(&rig).context("another machine")?;
    let unaffected = begin.elapsed();
    let begin = Instant::now();
    rig.appliance.wait_applied(NAME)?;
    println!(
        "rounds acked within {longest:?}, another machine {unaffected:?}, applied {:?} later",
        begin.elapsed()
    );
    member.is_same().context("slow, and exact")?;
    Ok(())
}

#[test]
fn a_target_disk_that_cannot_be_read_is_damaged_where_it_cannot_and_the_pass_comes_to_its_end() -> Result<()>
{
    if !can_serve() {
        return Ok(());
    }
    let rig = Rig::start(&["--scrub-rate", "0"])?;
    let flag = rig.lab.file("unreadable");
    let how = ["error-pread=EIO", "error-pread-rate=100%"].map(str::to_owned);
    let how = [&how[..], &[format!("error-pread-file={}", flag.display())]].concat();
    let poor = Poor::serve(&rig, "unread", 4 * MIB, &["error"], &how)?;
    let good = rig.lab.file("good-disk");
    File::create(&good)?.set_len(4 * MIB)?;
    let member = member(&rig, &[&poor.path, &good], 4 * MIB)?;
    let mut other = rig.bystander()?;
    member.once()?;
    rig.appliance.wait_applied(NAME)?;
    let scrub = |was: Option<&Machine>| -> Result<Machine> {
        let last = |machine: &Machine| machine.scrub.as_ref().and_then(|scrub| scrub.last.clone());
        let before = was.and_then(last);
        let _: Scrubs = rig.appliance.landfall(["retention", "scrub", NAME, "--now"])?;
        rig.appliance.wait_until(NAME, WAIT, |machine| {
            let waits = machine.scrub.as_ref().is_some_and(|scrub| scrub.state == ScrubState::Waiting);
            waits && last(machine) != before
        })
    };
    let clean = scrub(None)?;
    ensure!(clean.damage.is_empty(), "{:?}", clean.damage);
    File::create(&flag)?;
    let found = scrub(Some(&clean))?;
    println!("{:#?}", found.damage);
    let of = |disk: u16| found.damage.iter().filter(move |damage| damage.disk.0 == disk);
    let lost: u64 = of(0).map(|damage| damage.len_bytes).sum();
    ensure!(lost == 4 * MIB && of(0).all(|damage| damage.last.is_none()), "all of it: {:?}", found.damage);
    ensure!(of(1).next().is_none(), "the other disk is whole: {:?}", found.damage);
    ensure!(found.phase == Phase::Protected, "it stays in service: {found:?}");
    let problem = found.scrub.as_ref().and_then(|scrub| scrub.problem.clone());
    ensure!(problem.is_none(), "the pass came to its end: {problem:?}");
    other.is_unaffected(&rig)?;
    // It can be read again: the source sends what was in doubt, and that ends it.
    fs::remove_file(&flag)?;
    let begin = Instant::now();
    while rig.appliance.machine(NAME)?.damage.iter().any(|damage| damage.last.is_none()) {
        ensure!(begin.elapsed() < WAIT, "not repaired: {:?}", rig.appliance.machine(NAME)?.damage);
        member.once()?;
        thread::sleep(Duration::from_millis(400));
    }
    rig.appliance.wait_applied(NAME)?;
    member.is_same()?;
    Ok(())
}
