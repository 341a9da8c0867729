//! Two configuration servers on one catalog in a real etcd cluster: what one learns the other knows, either can be killed, and so can the
//! cluster.

#[path = "../../appliance/catalog/tests/catalog/cluster.rs"]
mod cluster;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use control::api::{CatalogMode, CatalogReport, Health, HeartbeatState, Machine, Servers};
use landfall_tests::appliance::Appliance;
use landfall_tests::command::{command, output};
use landfall_tests::disk::Kind;
use landfall_tests::identity::Authority;
use landfall_tests::rig::{Rig, within};

use crate::cluster::Cluster;

const LEN: u64 = 1 << 20;
const MINUTE: Duration = Duration::from_secs(60);

/// Returns the words with which landfalld is told of a cluster.
fn catalog_words(cluster: &Cluster) -> Vec<String> {
    let files = cluster.files();
    let word = |path: &Path| path.display().to_string();
    let catalog = format!("etcd:{}", cluster.endpoints());
    let (ca, certificate, key) = (word(&files.ca), word(&files.certificate), word(&files.key));
    ["--catalog", &catalog, "--catalog-ca", &ca, "--catalog-cert", &certificate, "--catalog-key", &key]
        .map(str::to_owned)
        .to_vec()
}

fn start(cluster: &Cluster) -> Result<Rig> {
    let words = catalog_words(cluster);
    Rig::start(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Prepares a second configuration server beside the one of the rig, with the same authority.
fn second(rig: &Rig, cluster: &Cluster, name: &str) -> Result<Appliance> {
    let words = catalog_words(cluster);
    let away = Appliance::apart(&rig.lab, &rig.binaries, name)?;
    let away = away.with(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let (file, secret) = (rig.lab.file("home.backup"), rig.lab.file("passphrase"));
    fs::write(&secret, "correct horse battery\n")?;
    let words = ["backup", &file.display().to_string(), "--passphrase-file", &secret.display().to_string()];
    rig.appliance.landfall::<serde_json::Value>(words)?;
    let mut restore = command(&rig.binaries.landfall);
    restore.arg("restore").arg(&file).arg("--state").arg(away.state());
    restore.arg("--passphrase-file").arg(&secret).args(["--authority-only", "--yes"]);
    let ended = output(&mut restore)?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    Ok(away)
}

fn enrolled(appliance: &Appliance) -> Result<Vec<String>> {
    let servers: Servers = appliance.landfall(["server", "list"])?;
    Ok(servers.servers.iter().map(|server| format!("{}/{}", server.role, server.name)).collect())
}

fn knows(appliance: &Appliance, who: &str) -> Result<()> {
    within(MINUTE, || {
        let known = enrolled(appliance)?;
        ensure!(known.iter().any(|name| name == who), "{known:?}");
        Ok(())
    })
}

#[test]
fn what_one_configuration_server_learns_the_other_knows_and_either_can_be_killed() -> Result<()> {
    let cluster = Cluster::start(1);
    let mut rig = start(&cluster)?;
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    let rounds = member.rounds("200ms")?;
    rig.appliance.wait_until("web-01", MINUTE, |machine| machine.newest.is_some())?;
    let mut away = second(&rig, &cluster, "away")?;
    away.start()?;
    let doors = [Authority::of(&rig.appliance, &rig.lab)?, Authority::of(&away, &rig.lab)?];

    // Enrolled at one, known at the other; a token of one counts at the other.
    knows(&away, "source/web-01")?;
    let token = doors[1].token("source", "web-02")?;
    doors[0].join(&token, "source", &rig.lab.file("web-02"))?;
    knows(&away, "source/web-02")?;

    // Who is heard at one is lost at neither, and each knows that the other lives.
    within(MINUTE, || {
        let servers: Servers = away.landfall(["server", "list"])?;
        for (role, name) in [("source", "web-01"), ("configuration-server", "home")] {
            let found = servers
                .servers
                .iter()
                .find(|server| server.role.as_str() == role && server.name.as_str() == name);
            let heard = found.and_then(|server| server.heartbeat.as_ref()).context("it is expected")?;
            ensure!(heard.state == HeartbeatState::Alive && heard.silent_seconds < 10, "{role}: {heard:?}");
        }
        let keys = cluster.etcdctl(&["get", "--prefix", "landfall/heard/", "--keys-only"]);
        ensure!(keys.contains("landfall/heard/source/web-01/home"), "{keys}");
        Ok(())
    })?;

    // What lies on an appliance is its own.
    let own: Vec<Machine> = vec![rig.appliance.machine("web-01")?];
    ensure!(own[0].name.as_str() == "web-01" && away.machine("web-01").is_err(), "{own:?}");
    within(MINUTE, || {
        let keys = cluster.etcdctl(&["get", "--prefix", "landfall/", "--keys-only"]);
        let has = |key: &str| keys.lines().any(|line| line == key);
        ensure!(has("landfall/certificate/source/web-01") && has("landfall/machine/home/web-01"), "{keys}");
        Ok(())
    })?;
    let report: CatalogReport = away.landfall(["catalog", "show"])?;
    ensure!(report.mode == CatalogMode::Current && report.missing.is_empty(), "{report:?}");

    // Either is killed, the other goes on; and the one that was killed comes back.
    rig.appliance.kill()?;
    doors[1].issue("source", "web-03")?;
    rig.appliance.start()?;
    knows(&rig.appliance, "source/web-03")?;
    away.kill()?;
    doors[0].issue("operator", "ann")?;
    away.start()?;
    knows(&away, "operator/ann")?;

    // What is revoked at one is cut off at the other.
    rig.appliance.wait_until("web-01", MINUTE, |machine| machine.session.connected)?;
    away.landfall::<serde_json::Value>(["server", "revoke", "web-01", "--reason", "lost", "--yes"])?;
    rig.appliance.wait_until("web-01", MINUTE, |machine| !machine.session.connected)?;
    drop(rounds);
    Ok(())
}

#[test]
fn a_token_that_two_use_at_two_servers_at_once_lets_one_in() -> Result<()> {
    let cluster = Cluster::start(1);
    let rig = start(&cluster)?;
    let mut away = second(&rig, &cluster, "away")?;
    away.start()?;
    let doors = [Authority::of(&rig.appliance, &rig.lab)?, Authority::of(&away, &rig.lab)?];
    for number in 0..5 {
        let token = doors[number % 2].token("source", &format!("web-{number:02}"))?;
        let joined: Vec<bool> = std::thread::scope(|scope| {
            let join = |at: usize| {
                let (door, token, lab) = (&doors[at], &token, &rig.lab);
                scope.spawn(move || door.join(token, "source", &lab.file(&format!("{number}-{at}"))).is_ok())
            };
            let racing = [join(0), join(1)];
            racing.into_iter().map(|each| each.join().unwrap_or(false)).collect()
        });
        let count = joined.iter().filter(|joined| **joined).count();
        ensure!(count == 1, "of two that used token {number}, {count} were let in");
    }
    Ok(())
}

#[test]
fn replication_goes_on_while_the_cluster_is_away_and_so_does_everything_when_it_is_back() -> Result<()> {
    let mut cluster = Cluster::start(1);
    let mut rig = start(&cluster)?;
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    let rounds = member.rounds("200ms")?;
    rig.appliance.wait_until("web-01", MINUTE, |machine| machine.newest.is_some())?;
    // A copy of the catalog is written a moment after each change.
    within(MINUTE, || {
        let report: CatalogReport = rig.appliance.landfall(["catalog", "show"])?;
        ensure!(report.copy.records.iter().any(|kind| kind.kind == "machine"), "{report:?}");
        Ok(())
    })?;
    cluster.kill(0);
    let before = rig.appliance.machine("web-01")?.durable;
    rig.appliance.wait_until("web-01", MINUTE, |machine| machine.durable > before)?;
    let begun = Instant::now();
    let (exit, told) =
        rig.appliance.landfall_refused(["server", "token", "--role", "source", "--name", "web-02"])?;
    ensure!(exit == 1 && told.contains("LF-1544") && told.contains("etcdctl"), "{exit}: {told}");
    ensure!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
    let status = rig.appliance.status()?;
    ensure!(status.concerns.iter().any(|concern| concern.what.contains("etcd")), "{:?}", status.concerns);

    // Also a landfalld that begins without the cluster takes what is sent.
    rig.appliance.kill()?;
    rig.appliance.start()?;
    let status = rig.appliance.status()?;
    ensure!(status.concerns.iter().any(|concern| concern.health == Health::Failed), "{:?}", status.concerns);
    let before = rig.appliance.machine("web-01")?.durable;
    rig.appliance.wait_until("web-01", MINUTE, |machine| machine.durable > before)?;
    let (exit, told) = rig.appliance.landfall_refused(["machine", "remove", "web-01", "--yes"])?;
    ensure!(told.contains("LF-1544"), "{exit}: {told}");

    let report: CatalogReport = rig.appliance.landfall(["catalog", "show"])?;
    ensure!(report.mode == CatalogMode::Away, "{report:?}");

    // It goes on by itself when the cluster is back.
    cluster.restart(0);
    within(2 * MINUTE, || {
        let report: CatalogReport = rig.appliance.landfall(["catalog", "show"])?;
        ensure!(report.mode == CatalogMode::Current, "{report:?}");
        Ok(())
    })?;
    rig.authority.issue("source", "web-02")?;
    let before = rig.appliance.machine("web-01")?.durable;
    rig.appliance.wait_until("web-01", MINUTE, |machine| machine.durable > before)?;
    drop(rounds);
    Ok(())
}

#[test]
fn a_server_that_was_alone_takes_its_catalog_into_a_cluster() -> Result<()> {
    let (cluster, mut rig) = (Cluster::start(1), Rig::start(&[])?);
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    member.once()?;
    rig.appliance.wait_applied("web-01")?;
    let (known, report): (_, CatalogReport) =
        (enrolled(&rig.appliance)?, rig.appliance.landfall(["catalog", "show"])?);
    rig.appliance.stop()?;
    let words = catalog_words(&cluster);
    rig.appliance = rig.appliance.with(&words.iter().map(String::as_str).collect::<Vec<_>>());
    for start in ["the first", "a later one"] {
        rig.appliance.start()?;
        let now: CatalogReport = rig.appliance.landfall(["catalog", "show"])?;
        ensure!(
            now.mode == CatalogMode::Current && now.installation == report.installation,
            "{start}: {now:?}"
        );
        ensure!(now.revision > report.revision && now.missing.is_empty(), "{start}: {now:?}");
        ensure!(enrolled(&rig.appliance)? == known, "{start}");
        member.once()?;
        rig.appliance.stop()?;
    }
    ensure!(rig.appliance.state().join("catalog.db.moved").exists(), "the file is kept aside");
    member.is_same()
}

#[test]
fn a_server_without_the_authority_of_the_installation_makes_none() -> Result<()> {
    // With this very machine a cluster may be spoken to in the clear.
    let cluster = Cluster::start(1);
    let catalog = format!("etcd:http://127.0.0.1:{}", cluster.plain_port());
    let words = ["--catalog", catalog.as_str()];
    let rig = Rig::start(&words)?;
    let mut stranger = Appliance::apart(&rig.lab, &rig.binaries, "away")?.with(&words);
    let complaint = stranger.start().err().context("it has no authority")?.to_string();
    ensure!(complaint.contains("--authority-only"), "{complaint}");
    ensure!(!stranger.state().join("ca").exists(), "none was made");
    // One that has made another before is refused, too.
    let mut other = Appliance::apart(&rig.lab, &rig.binaries, "other")?;
    other.start()?;
    other.stop()?;
    fs::remove_file(other.state().join("catalog.db"))?;
    let complaint = other.with(&words).start().err().context("another authority")?.to_string();
    ensure!(complaint.contains("sign with the authority"), "{complaint}");
    Ok(())
}
