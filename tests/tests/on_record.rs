//! The catalog of a real appliance: its machines, its copy, and safe mode where it can't be relied on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use catalog::read_copy;
use control::api::{CatalogMode, CatalogReport, Health, MachineRemoved, Servers};
use inventory::Machine;
use landfall_tests::command::{command, run};
use landfall_tests::disk::Kind;
use landfall_tests::rig::{Member, Rig, within};

const LEN: u64 = 1 << 20;
const MINUTE: Duration = Duration::from_secs(60);

fn report(rig: &Rig) -> Result<CatalogReport> {
    rig.appliance.landfall(["catalog", "show"])
}

/// Returns the records of machines in the copy on the retention volume, once it is as the catalog is.
fn copied(rig: &Rig) -> Result<Vec<Machine>> {
    let mut machines = Vec::new();
    within(MINUTE, || {
        let (report, copy) = (report(rig)?, read_copy(rig.appliance.retention())?.context("a copy")?);
        ensure!(report.revision == Some(copy.revision().0), "{report:?}");
        machines = copy.table::<Machine>()?;
        Ok(())
    })?;
    Ok(machines)
}

/// An appliance with a machine that has a point, and its source.
fn scene() -> Result<(Rig, Member)> {
    let rig = Rig::start(&[])?;
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    member.once()?;
    rig.appliance.wait_applied("web-01")?;
    copied(&rig)?;
    Ok((rig, member))
}

/// Checks that nothing but looking is possible, and that what is on the disks is seen as ever.
fn is_safe(rig: &Rig, what: &str) -> Result<()> {
    let report = report(rig)?;
    ensure!(report.mode == CatalogMode::Safe, "{report:?}");
    ensure!(report.trouble.as_ref().is_some_and(|trouble| trouble.contains(what)), "{report:?}");
    let status = rig.appliance.status()?;
    ensure!(status.health == Health::Failed, "{status:?}");
    ensure!(status.concerns.iter().any(|concern| concern.what.contains("safe mode")), "{status:?}");
    ensure!(status.machines.len() == 1, "{status:?}");
    ensure!(!rig.appliance.points("web-01")?.points.is_empty(), "its points are there");
    let view: control::api::View = rig.appliance.landfall(["point", "view", "web-01@latest", "--no-wait"])?;
    let size = run(command("nbdinfo").arg("--size").arg(&view.disks[0].uri))?;
    ensure!(size.trim() == LEN.to_string(), "a view is served: {size}");
    rig.appliance.landfall::<control::api::View>(["point", "close", &view.id.to_string()])?;
    for refused in [
        &["machine", "remove", "web-01", "--yes"][..],
        &["failback", "web-01", "--to", "latest", "--yes"],
        &["server", "token", "--role", "source", "--name", "db-01"],
        &["policy", "set", "web-01", "--window", "1h", "--yes"],
    ] {
        let (exit, told) = rig.appliance.landfall_refused(refused)?;
        ensure!(exit == 3 && told.contains("LF-1540"), "{refused:?}: exit {exit}: {told}");
    }
    Ok(())
}

/// Has the catalog made anew, and waits until landfalld has begun again with it.
fn rebuild(rig: &Rig, from: &str) -> Result<()> {
    let (exit, told) = rig.appliance.landfall_refused(["catalog", "rebuild", "--from", from])?;
    ensure!(exit == 3 && told.contains("--yes"), "not unasked: {told}");
    rig.appliance.landfall::<serde_json::Value>(["catalog", "rebuild", "--from", from, "--yes"])?;
    within(MINUTE, || {
        let report = report(rig)?;
        ensure!(report.mode == CatalogMode::Current && report.missing.is_empty(), "{report:?}");
        Ok(())
    })?;
    let (exit, told) = rig.appliance.landfall_refused(["catalog", "rebuild", "--from", from, "--yes"])?;
    ensure!(exit == 3 && told.contains("LF-1542"), "one that is well is left alone: {told}");
    Ok(())
}

fn database(rig: &Rig) -> PathBuf {
    rig.appliance.state().join("catalog.db")
}

/// The files of a catalog that nobody has open.
struct Files(Vec<(&'static str, Vec<u8>)>);

impl Files {
    fn read(rig: &Rig) -> Result<Self> {
        let read = |end| (end, fs::read(database(rig).with_extension(end)).unwrap_or_default());
        Ok(Self(["db", "db-wal", "mark"].map(read).to_vec()))
    }

    fn of(&self, end: &str) -> &[u8] {
        self.0.iter().find(|(one, _)| *one == end).map_or(&[], |(_, bytes)| bytes)
    }

    /// Puts all of them back, one with a bit of some bytes flipped.
    fn flip(&self, rig: &Rig, end: &str, bytes: std::ops::Range<usize>) -> Result<()> {
        let _ = fs::remove_file(database(rig).with_extension("db-shm"));
        for (one, whole) in &self.0 {
            let mut whole = whole.clone();
            if *one == end {
                whole[bytes.clone()].iter_mut().for_each(|byte| *byte ^= 4);
            }
            fs::write(database(rig).with_extension(one), whole)?;
        }
        Ok(())
    }
}

/// Copies every file of a directory, but not what lies below.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[test]
fn machines_are_on_record_and_copied_to_the_retention_volume() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    ensure!(copied(&rig)?.is_empty(), "none yet");
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    let registered = copied(&rig)?;
    let [machine] = registered.as_slice() else { anyhow::bail!("{registered:?}") };
    let path = member.targets[0].path().display().to_string();
    ensure!(machine.name.as_str() == "web-01" && machine.disks[0].path == path, "{machine:?}");
    rig.appliance.landfall::<serde_json::Value>(["policy", "set", "web-01", "--window", "7d"])?;
    let policy = copied(&rig)?.remove(0).policy.context("a policy of its own")?;
    ensure!(policy.window_seconds == 7 * 86_400, "{policy:?}");
    rig.appliance.kill()?;
    rig.appliance.start()?;
    let again = copied(&rig)?;
    ensure!(again[0].registered == machine.registered && again[0].policy == Some(policy), "{again:?}");
    rig.appliance.landfall::<MachineRemoved>(["machine", "remove", "web-01", "--yes"])?;
    ensure!(copied(&rig)?.is_empty(), "it went with the machine");
    Ok(())
}

#[test]
fn a_machine_that_should_be_on_the_volume_is_missed_until_it_is_forgotten() -> Result<()> {
    let (mut rig, _member) = scene()?;
    rig.appliance.stop()?;
    fs::remove_dir_all(rig.appliance.retention().join("machines"))?;
    rig.appliance.start()?;
    let missing = report(&rig)?.missing;
    ensure!(missing.iter().any(|name| name.as_str() == "web-01"), "{missing:?}");
    let status = rig.appliance.status()?;
    ensure!(status.health == Health::Failed && status.machines.is_empty(), "{status:?}");
    rig.appliance.landfall::<MachineRemoved>(["machine", "remove", "web-01", "--yes"])?;
    ensure!(report(&rig)?.missing.is_empty(), "forgotten");
    ensure!(rig.appliance.status()?.health == Health::Healthy, "all is well");
    Ok(())
}

#[test]
fn flipped_pages_bring_safe_mode_and_the_copy_brings_everything_back() -> Result<()> {
    let (mut rig, member) = scene()?;
    let before: Servers = rig.appliance.landfall(["server", "list"])?;
    rig.appliance.stop()?;
    let whole = Files::read(&rig)?;
    let mut noticed = 0;
    for end in ["db", "db-wal"] {
        let len = whole.of(end).len();
        // One bit, near the end of a page or a frame of the log: that is where content lies.
        for at in (4000..len).step_by((len / 6).next_multiple_of(4096).max(4096)) {
            whole.flip(&rig, end, at..at + 1)?;
            rig.appliance.start()?;
            match report(&rig)?.mode {
                CatalogMode::Safe => noticed += 1,
                CatalogMode::Away => bail!("{end}, byte {at}: a file is never away"),
                // What nothing refers to is no damage; then everything is as it was.
                CatalogMode::Current => {
                    let now: Servers = rig.appliance.landfall(["server", "list"])?;
                    ensure!(now.servers.len() == before.servers.len(), "{end}, byte {at}: {now:?}");
                }
            }
            ensure!(rig.appliance.status()?.machines.len() == 1, "{end}, byte {at}");
            rig.appliance.kill()?;
        }
    }
    ensure!(noticed >= 1, "some of the flipped bits were of records");
    whole.flip(&rig, "db-wal", 2000..whole.of("db-wal").len())?;
    rig.appliance.start()?;
    is_safe(&rig, "catalog.db")?;
    ensure!(member.once_refused()?.0 != 0, "nobody is let in");
    rebuild(&rig, "copy")?;
    let after: Servers = rig.appliance.landfall(["server", "list"])?;
    ensure!(after.servers.len() == before.servers.len(), "{after:?}");
    member.once().context("the source goes on with the certificate it has")?;
    rig.appliance.wait_applied("web-01")?;
    let kept = fs::read_dir(rig.appliance.state())?.flatten();
    let kept = kept.filter(|entry| entry.file_name().to_string_lossy().starts_with("catalog.db.aside-"));
    ensure!(kept.count() == 1, "the damaged one is kept");
    Ok(())
}

#[test]
fn a_missing_catalog_is_made_of_what_the_disks_tell_and_everybody_joins_again() -> Result<()> {
    let (mut rig, member) = scene()?;
    rig.appliance.stop()?;
    for end in ["db", "db-wal", "db-shm", "mark"] {
        let _ = fs::remove_file(database(&rig).with_extension(end));
    }
    fs::write(rig.appliance.retention().join("catalog.copy"), "rot")?;
    rig.appliance.start()?;
    is_safe(&rig, "missing")?;
    let (exit, told) = rig.appliance.landfall_refused(["catalog", "rebuild", "--from", "copy", "--yes"])?;
    ensure!(exit == 3 && told.contains("LF-1543"), "{told}");
    rebuild(&rig, "disks")?;
    ensure!(copied(&rig)?.len() == 1, "the machine is on record");
    ensure!(rig.appliance.retention().join("catalog.copy.damaged").exists(), "put aside");
    let (exit, told) = member.once_refused()?;
    ensure!(exit == 5, "its source is not known any more: exit {exit}: {told}");
    rig.authority.issue("source", "web-01").context("it joins again")?;
    member.once()?;
    rig.appliance.wait_applied("web-01")?;
    member.is_same()
}

#[test]
fn a_system_volume_that_was_brought_back_is_noticed() -> Result<()> {
    let (mut rig, member) = scene()?;
    rig.appliance.stop()?;
    let (state, aside) = (rig.appliance.state().to_owned(), rig.lab.file("snapshot"));
    copy_files(&state, &aside)?;
    rig.appliance.start()?;
    let revoked = rig.authority.issue("operator", "eve")?;
    rig.appliance.landfall::<serde_json::Value>(["server", "revoke", "eve", "--yes"])?;
    copied(&rig)?;
    rig.appliance.stop()?;
    // The snapshot of a virtual machine: the system disk as it was, the retention volume as it is.
    for end in ["db", "db-wal", "db-shm", "mark"] {
        let _ = fs::remove_file(database(&rig).with_extension(end));
    }
    copy_files(&aside, &state)?;
    rig.appliance.start()?;
    is_safe(&rig, "brought back")?;
    rebuild(&rig, "copy")?;
    let servers: Servers = rig.appliance.landfall(["server", "list"])?;
    let eve = servers.servers.iter().find(|server| server.name.as_str() == "eve").context("she is known")?;
    ensure!(eve.revoked.is_some() && revoked.exists(), "and what was revoked stays revoked: {eve:?}");
    member.once()
}

#[test]
fn a_kill_between_a_change_and_its_copy_loses_nothing() -> Result<()> {
    let (mut rig, _member) = scene()?;
    for round in 0..5 {
        let name = format!("db-{round:02}");
        rig.member(&name, &[LEN], Kind::File)?;
        rig.appliance.kill()?;
        rig.appliance.start()?;
        let report = report(&rig)?;
        ensure!(report.mode == CatalogMode::Current && report.missing.is_empty(), "{report:?}");
        ensure!(report.found.iter().any(|found| found.as_str() == name), "{report:?}");
    }
    ensure!(copied(&rig)?.len() == 6, "all are on record");
    Ok(())
}
