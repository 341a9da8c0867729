//! Backups with real programs: made on demand and by the clock, restored onto another address, refused where they must be.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control::api::{CatalogMode, CatalogReport, Servers};
use landfall_tests::command::{command, output, run};
use landfall_tests::disk::Kind;
use landfall_tests::rig::{Rig, within};

const LEN: u64 = 1 << 20;
const MINUTE: Duration = Duration::from_secs(60);

fn passphrase(rig: &Rig) -> Result<PathBuf> {
    let path = rig.lab.file("passphrase");
    fs::write(&path, "correct horse battery\n")?;
    Ok(path)
}

fn back_up(rig: &Rig, to: &Path, passphrase: &Path) -> Result<()> {
    let words = ["backup", &to.display().to_string(), "--passphrase-file", &passphrase.display().to_string()];
    rig.appliance.landfall::<serde_json::Value>(words).map(drop)
}

/// Runs `landfall restore`; returns its exit code and what it complained of.
fn restore(rig: &Rig, file: &Path, passphrase: &Path, more: &[&str]) -> Result<(Option<i32>, String)> {
    let mut landfall = command(&rig.appliance.binaries().landfall);
    landfall.arg("restore").arg(file).arg("--state").arg(rig.appliance.state());
    landfall.arg("--passphrase-file").arg(passphrase).args(more);
    let ended = output(&mut landfall)?;
    Ok((ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned()))
}

#[test]
fn a_lost_appliance_comes_back_from_its_backup_at_another_address() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let mut member = rig.member("web-01", &[LEN], Kind::File)?;
    member.once()?;
    rig.appliance.wait_applied("web-01")?;
    let (file, secret) = (rig.lab.file("home.backup"), passphrase(&rig)?);
    back_up(&rig, &file, &secret)?;
    ensure!(back_up(&rig, &file, &secret).is_err(), "no file is written over");
    // What happens after the backup is in the copy on the retention volume.
    rig.authority.issue("operator", "eve")?;
    rig.appliance.landfall::<serde_json::Value>(["server", "revoke", "eve", "--yes"])?;
    let before: Servers = rig.appliance.landfall(["server", "list"])?;
    let authority = fs::read(rig.appliance.state().join("ca/ca.pem"))?;
    let (exit, told) = restore(&rig, &file, &secret, &["--replace", "--yes"])?;
    ensure!(exit == Some(3) && told.contains("LF-1555"), "not while it runs: {told}");
    rig.appliance.stop()?;
    let (exit, told) = restore(&rig, &file, &secret, &["--yes"])?;
    ensure!(exit == Some(3) && told.contains("LF-1554"), "not over an appliance, unasked: {told}");
    // The system volume is lost, and another machine has another address.
    fs::remove_dir_all(rig.appliance.state())?;
    rig.appliance.moved()?;
    let (exit, told) = restore(&rig, &file, &secret, &["--yes"])?;
    ensure!(exit == Some(0), "{told}");
    ensure!(fs::read(rig.appliance.state().join("ca/ca.pem"))? == authority, "the same authority");
    rig.appliance.start()?;
    let report: CatalogReport = rig.appliance.landfall(["catalog", "show"])?;
    ensure!(report.mode == CatalogMode::Current && report.missing.is_empty(), "{report:?}");
    let after: Servers = rig.appliance.landfall(["server", "list"])?;
    let revoked =
        |servers: &Servers| servers.servers.iter().filter(|server| server.revoked.is_some()).count();
    ensure!(after.servers.len() == before.servers.len() && revoked(&after) == 1, "{after:?}");
    // The source needs nothing but the new address.
    member.source.retarget(&rig.appliance.address());
    member.once()?;
    rig.appliance.wait_applied("web-01")?;
    member.is_same()
}

#[test]
fn a_backup_is_opened_by_its_passphrase_alone_and_not_once_changed() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let (file, secret) = (rig.lab.file("home.backup"), passphrase(&rig)?);
    back_up(&rig, &file, &secret)?;
    let key = fs::read_to_string(rig.appliance.state().join("ca/ca.key"))?;
    let sealed = fs::read(&file)?;
    let secret_line = key.lines().nth(1).context("a key has a line")?.as_bytes();
    ensure!(!sealed.windows(secret_line.len()).any(|part| part == secret_line), "nothing can be read of it");
    rig.appliance.stop()?;
    let other = rig.lab.file("other");
    fs::write(&other, "incorrect horse\n")?;
    let (exit, told) = restore(&rig, &file, &other, &["--replace", "--yes"])?;
    ensure!(exit == Some(3) && told.contains("LF-1552"), "{told}");
    for at in [5, 20, 70, sealed.len() / 2, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        let path = rig.lab.file("changed.backup");
        fs::write(&path, changed)?;
        let (exit, told) = restore(&rig, &path, &secret, &["--replace", "--yes"])?;
        ensure!(exit == Some(3) && told.contains("LF-1552"), "byte {at}: {told}");
    }
    ensure!(fs::read_to_string(rig.appliance.state().join("ca/ca.key"))? == key, "nothing was changed");
    let (exit, told) = restore(&rig, &file, &secret, &["--replace", "--yes"])?;
    ensure!(exit == Some(0), "{told}");
    let aside = fs::read_dir(rig.appliance.state())?.flatten();
    let aside = aside.filter(|entry| entry.file_name().to_string_lossy().starts_with("aside-"));
    ensure!(aside.count() == 1, "what was there is kept");
    rig.appliance.start()?;
    Ok(())
}

#[test]
fn backups_are_made_by_the_clock_and_so_many_are_kept() -> Result<()> {
    let secret = std::env::temp_dir().join(format!("landfall-passphrase-{}", std::process::id()));
    fs::write(&secret, "correct horse battery\n")?;
    let place = std::env::temp_dir().join(format!("landfall-backups-{}", std::process::id()));
    fs::create_dir_all(&place)?;
    let words = ["--backup-dir", &place.display().to_string(), "--backup-every", "1s", "--backup-keep", "2"];
    let words: Vec<_> = words.iter().map(ToString::to_string).collect();
    let more = ["--backup-passphrase-file".to_owned(), secret.display().to_string()];
    let all: Vec<_> = words.iter().chain(&more).map(String::as_str).collect();
    let rig = Rig::start(&all)?;
    let names = || -> Result<Vec<String>> {
        let mut names: Vec<_> = fs::read_dir(&place)?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names)
    };
    let mut first = String::new();
    within(MINUTE, || {
        first = names()?.first().context("a backup")?.clone();
        Ok(())
    })?;
    within(MINUTE, || {
        let names = names()?;
        ensure!(names.len() == 2 && names[0] > first, "{names:?}");
        Ok(())
    })?;
    fs::write(&secret, "short")?;
    within(MINUTE, || {
        let status = rig.appliance.status()?;
        ensure!(status.alarms.iter().any(|alarm| alarm.kind.as_str() == "backup"), "{status:?}");
        Ok(())
    })?;
    run(command("rm").arg("-r").arg(&place).arg(&secret)).map(drop)
}
