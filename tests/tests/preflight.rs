//! Preflight with real programs: what is wrong is found with its evidence, what would do harm is refused, and a cut-over is foretold.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control::api::{CatalogReport, FailbackPlan, Jobs, Preflight};
use landfall_tests::command::{command, output};
use landfall_tests::disk::{Disk, Kind};
use landfall_tests::material::Noise;
use landfall_tests::rig::{Rig, within};

const WAIT_MAX: Duration = Duration::from_secs(120);
const LEN: u64 = 4 << 20;

/// Returns the exit code of a preflight, and the codes that it found for a machine.
fn preflight(rig: &Rig, machine: &str) -> Result<(Option<i32>, Vec<String>)> {
    let mut landfall = command(&rig.binaries.landfall);
    landfall.arg("--socket").arg(rig.appliance.socket()).args(["preflight", "--output", "json"]);
    let output = output(&mut landfall)?;
    let found: Preflight = serde_json::from_slice(&output.stdout).context("the findings")?;
    let codes = found.findings.iter().filter(|finding| finding.machine.as_str() == machine);
    Ok((output.status.code(), codes.map(|finding| finding.code.clone()).collect()))
}

#[test]
fn what_is_wrong_with_a_source_is_found_and_what_is_right_again_is_not() -> Result<()> {
    let rig = Rig::start(&[])?;
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    rig.authority.issue("source", "stray-01")?;
    let (exit, stray) = preflight(&rig, "stray-01")?;
    ensure!(
        stray == ["LF-1801"] && exit == Some(3),
        "it has joined and is no machine: {stray:?}, exit {exit:?}"
    );
    let (_, silent) = preflight(&rig, "web-01")?;
    ensure!(silent == ["LF-1803"], "it was never heard: {silent:?}");
    let source = member.rounds("300ms")?;
    within(WAIT_MAX, || {
        let (_, found) = preflight(&rig, "web-01")?;
        ensure!(found.is_empty(), "it is heard and well: {found:?}");
        Ok(())
    })?;
    rig.appliance.wait_until("web-01", WAIT_MAX, |machine| machine.newest.is_some())?;
    drop(source);
    rig.appliance.landfall::<serde_json::Value>(["server", "revoke", "web-01", "--yes"])?;
    let (_, revoked) = preflight(&rig, "web-01")?;
    ensure!(revoked.contains(&"LF-1802".to_owned()), "it was revoked: {revoked:?}");
    let (exit, told) = rig.appliance.landfall_refused(["job", "start", "resync", "web-01"])?;
    ensure!(exit == 3 && told.contains("LF-1802"), "{exit}: {told}");
    ensure!(rig.appliance.landfall::<Jobs>(["job", "list"])?.jobs.is_empty(), "no job was begun");
    // What brings the machine home does not need its source.
    rig.appliance.job(["failback", "web-01", "--to", "latest", "--yes"])?.context("a job")?;
    Ok(())
}

#[test]
fn a_registration_that_can_t_be_is_refused_before_anything_is_touched() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    let revision = |rig: &Rig| -> Result<_> {
        let report: CatalogReport = rig.appliance.landfall(["catalog", "show"])?;
        Ok((
            report.found,
            report.records.into_iter().filter(|count| count.kind != "audit").collect::<Vec<_>>(),
        ))
    };
    within(WAIT_MAX, || {
        let alarms = rig.appliance.status()?.alarms;
        ensure!(!alarms.is_empty(), "what is not well with the machine that is there is on record");
        Ok(())
    })?;
    let before = revision(&rig)?;
    let path = |disk: &Disk| disk.path().display().to_string();
    let (taken, free) = (path(&member.targets[0]), path(&member.disks[0]));
    let content = std::fs::read(&free)?;
    let refused = |rig: &Rig, words: &[&str], told: &[&str]| -> Result<()> {
        let (exit, error) = rig.appliance.landfall_refused([&["machine", "add"], words].concat())?;
        let fixed = error.contains("cause:") && error.contains("fix:");
        ensure!(
            exit == 3 && fixed && told.iter().all(|told| error.contains(told)),
            "{words:?}: {exit}: {error}"
        );
        Ok(())
    };
    refused(&rig, &["web-01", "--disk", &free, "--allow-file"], &["LF-1102", "is here"])?;
    refused(&rig, &["web-02", "--disk", &free], &["LF-1205"])?;
    refused(&rig, &["web-02", "--disk", &free, "--disk", &free, "--allow-file"], &["LF-1105", "twice"])?;
    refused(&rig, &["web-02", "--disk", "/dev/landfall-none"], &["LF-1201"])?;
    refused(&rig, &["web-02", "--disk", &taken, "--allow-file"], &["LF-1203"])?;
    refused(&rig, &["web-01", "--disk", "/dev/landfall-none"], &["LF-1102", "also", "LF-1201"])?;
    ensure!(revision(&rig)? == before, "nothing was changed");
    ensure!(std::fs::read(&free)? == content, "nor on the disk that was offered");
    // One that should be here and is not keeps its name until it is forgotten.
    rig.appliance.stop()?;
    std::fs::remove_dir_all(rig.appliance.retention().join("machines"))?;
    rig.appliance.start()?;
    refused(&rig, &["web-01", "--disk", &taken, "--allow-file"], &["LF-1102", "on record"])?;
    rig.appliance.landfall::<serde_json::Value>(["machine", "remove", "web-01", "--yes"])?;
    rig.appliance.landfall::<serde_json::Value>([
        "machine",
        "add",
        "web-01",
        "--disk",
        &taken,
        "--allow-file",
    ])?;
    Ok(())
}

#[test]
fn a_member_of_a_group_that_goes_alone_is_warned_of() -> Result<()> {
    let rig = Rig::start(&[])?;
    for name in ["web-01", "db-01"] {
        rig.member(name, &[LEN], Kind::File)?;
    }
    rig.appliance.landfall::<serde_json::Value>(["group", "create", "shop", "web-01", "db-01"])?;
    let (exit, found) = preflight(&rig, "web-01")?;
    ensure!(found.contains(&"LF-1811".to_owned()), "{found:?}");
    ensure!(exit == Some(0), "a warning refuses nothing: {exit:?}");
    Ok(())
}

#[test]
fn a_cut_over_is_foretold_once_enough_was_received() -> Result<()> {
    let rig = Rig::start(&[])?;
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    let _source = member.rounds("500ms")?;
    rig.appliance.wait_until("web-01", WAIT_MAX, |machine| machine.newest.is_some())?;
    let mut noise = Noise::new(9);
    within(WAIT_MAX, || {
        member.change(0, &mut noise, 20)?;
        let plan: FailbackPlan =
            rig.appliance.landfall(["failback", "web-01", "--to", "latest", "--plan"])?;
        let cutover = plan.cutover.context("nothing is foretold yet")?;
        ensure!(cutover.rate > 0 && cutover.dirty_rate > 0, "{cutover:?}");
        ensure!(cutover.downtime_least_ms <= cutover.downtime_ms, "{cutover:?}");
        ensure!(cutover.downtime_ms <= cutover.downtime_most_ms, "{cutover:?}");
        Ok(())
    })
}
