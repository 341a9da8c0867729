//! Application-consistent points: the policy asks for them, a hook holds the writes, and the point is exactly what was held.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control::api::{Consistency, Point};
use landfall_tests::disk::Kind;
use landfall_tests::material::Noise;
use landfall_tests::rig::{Member, Rig, same, within};

const WAIT_MAX: Duration = Duration::from_secs(120);
const DISK_LEN: u64 = 4 << 20;

/// A hook that stops the writer of [`Guest`], copies the disk, and, if the copy is to be a snapshot, names it.
const HOOK: &str = r#"#!/bin/sh
echo "$1" >> log
case "$1" in
freeze) touch hold; while [ -e writing ]; do sleep 0.01; done; cp "$DISK" copy ;;
snapshot) [ ! -e take-snapshots ] || echo "0 $PWD/copy" ;;
thaw) rm -f hold ;;
esac
"#;

/// Something that writes to its disk all the time, unless it is asked to hold.
struct Guest {
    directory: PathBuf,
    stop: Arc<AtomicBool>,
    writer: Option<JoinHandle<Result<()>>>,
}

impl Guest {
    fn start(rig: &Rig, member: Arc<Member>) -> Result<Self> {
        let directory = rig.lab.directory("guest")?;
        let hook = directory.join("hook");
        let script = HOOK.replace("$DISK", &member.disks[0].path().display().to_string());
        fs::write(
            &hook,
            script.replacen("echo", &format!("cd '{}' || exit 1\necho", directory.display()), 1),
        )?;
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o700))?;
        let (stop, at) = (Arc::new(AtomicBool::new(false)), directory.clone());
        let stopped = stop.clone();
        let writer = std::thread::spawn(move || {
            let mut noise = Noise::new(7);
            while !stopped.load(Ordering::Relaxed) {
                fs::write(at.join("writing"), "")?;
                if !at.join("hold").exists() {
                    member.change(0, &mut noise, 2)?;
                }
                fs::remove_file(at.join("writing"))?;
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(())
        });
        Ok(Self { directory, stop, writer: Some(writer) })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn words(&self) -> Result<Vec<String>> {
        let log = fs::read_to_string(self.path("log")).context("the hook was never run")?;
        Ok(log.lines().map(str::to_owned).collect())
    }

    fn stop(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.writer.take().expect("it is stopped once").join().expect("the writer does not panic")
    }
}

fn application_point(rig: &Rig) -> Result<Point> {
    let points = rig.appliance.points("web-01")?.points;
    let found = points.into_iter().find(|point| point.consistency == Consistency::Application);
    found.context("no application-consistent point yet")
}

/// Goes to the application-consistent point, and compares the target disk with what the guest held.
fn is_what_was_held(rig: &Rig, member: &Member, copy: &Path) -> Result<()> {
    let point = application_point(rig)?;
    let proof = rig.appliance.job(["point", "verify", &format!("web-01@{}", point.sequence)])?;
    ensure!(proof.is_some(), "the roots are compared");
    rig.appliance.job(["failback", "web-01", "--to", &point.sequence.to_string(), "--yes"])?;
    same(member.targets[0].path(), copy)
}

fn the_policy_gets_its_point(snapshots: bool, expected: &[&str]) -> Result<()> {
    let rig = Rig::start(&[])?;
    let member = Arc::new(rig.member("web-01", &[DISK_LEN], Kind::File)?);
    let guest = Guest::start(&rig, member.clone())?;
    if snapshots {
        fs::write(guest.path("take-snapshots"), "")?;
    }
    let hook = guest.path("hook").display().to_string();
    let source = member.source.clone().with(&["--hook", &hook]);
    let agent = source.start_every(&member.each(), "200ms")?;
    within(WAIT_MAX, || application_point(&rig).map(drop))?;
    agent.stop(WAIT_MAX)?;
    ensure!(!guest.path("hold").exists(), "writes go on");
    ensure!(guest.words()? == expected, "the hook was told {:?}", guest.words()?);
    let copy = guest.path("copy");
    guest.stop()?;
    is_what_was_held(&rig, &member, &copy)
}

#[test]
fn a_point_the_policy_wants_is_what_the_hook_held() -> Result<()> {
    the_policy_gets_its_point(false, &["freeze", "snapshot", "thaw"])
}

#[test]
fn a_snapshot_is_read_while_writes_go_on() -> Result<()> {
    the_policy_gets_its_point(true, &["freeze", "snapshot", "thaw", "release"])
}

#[test]
fn an_agent_that_was_killed_while_writes_were_held_lets_them_go_when_it_starts() -> Result<()> {
    let rig = Rig::start(&[])?;
    let member = Arc::new(rig.member("web-01", &[DISK_LEN], Kind::File)?);
    let guest = Guest::start(&rig, member.clone())?;
    // Copying never ends while this is there: the agent is killed in the middle of freezing.
    let hang = "cp \"$DISK\" copy".replace("$DISK", &member.disks[0].path().display().to_string());
    let script = fs::read_to_string(guest.path("hook"))?;
    fs::write(guest.path("hook"), script.replace(&hang, "while [ -e hang ]; do sleep 0.01; done"))?;
    fs::write(guest.path("hang"), "")?;
    let hook = guest.path("hook").display().to_string();
    let source = member.source.clone().with(&["--hook", &hook]);
    let agent = source.start_every(&member.each(), "200ms")?;
    within(WAIT_MAX, || guest.path("hold").exists().then_some(()).context("writes are not held yet"))?;
    agent.kill()?;
    fs::remove_file(guest.path("hang"))?;
    ensure!(guest.path("hold").exists(), "nobody has let go");
    let agent = source.start_every(&member.each(), "200ms")?;
    within(WAIT_MAX, || guest.words()?.contains(&"thaw".to_owned()).then_some(()).context("not thawed yet"))?;
    within(WAIT_MAX, || application_point(&rig).map(drop))?;
    ensure!(agent.complaints()?.is_empty() || !guest.path("hold").exists(), "writes go on");
    agent.stop(WAIT_MAX)?;
    guest.stop()
}
