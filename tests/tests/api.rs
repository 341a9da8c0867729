//! The API on 443 with real programs and clients nobody here wrote: the command line from elsewhere, curl, schemathesis, Chromium.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use control::api::{Points, Status};
use landfall_tests::command::{command, is_installed, output, run};
use landfall_tests::disk::Kind;
use landfall_tests::rig::Rig;

const LEN: u64 = 1 << 20;

/// An appliance with a machine that has a few points, and an operator who has logged in.
struct Scene {
    rig: Rig,
    /// Where the operator's certificate is.
    place: PathBuf,
}

impl Scene {
    fn set() -> Result<Self> {
        let rig = Rig::start(&[])?;
        let member = rig.member("web-01", &[LEN], Kind::File)?;
        member.once()?;
        member.once()?;
        rig.appliance.wait_applied("web-01")?;
        let place = rig.authority.issue("operator", "ann")?;
        Ok(Self { rig, place })
    }

    /// Runs the command line as from elsewhere.
    fn landfall(&self, words: &[&str]) -> Result<std::process::Output> {
        let home = self.place.parent().context("the place has a parent")?;
        let mut landfall = command(&self.rig.appliance.binaries().landfall);
        landfall.env("LANDFALL_CONFIG", home).args([
            "--at",
            &self.rig.appliance.door(),
            "--socket",
            "/nowhere",
        ]);
        output(landfall.args(words))
    }

    /// Asks with `curl`; whom it talks to is not looked at here, that is the command line's affair.
    fn curl(&self, path: &str, certificate: Option<&Path>) -> Result<std::process::Output> {
        let mut curl = command("curl");
        curl.args(["--silent", "--show-error", "--insecure", "--max-time", "30"]);
        if let Some(place) = certificate {
            curl.arg("--cert").arg(place.join("cert.pem")).arg("--key").arg(place.join("key.pem"));
        }
        output(curl.arg(format!("https://{}{path}", self.rig.appliance.door())))
    }
}

#[test]
fn the_command_line_works_from_elsewhere_as_on_the_appliance() -> Result<()> {
    let scene = Scene::set()?;
    let there = scene.landfall(&["status", "--output", "json"])?;
    ensure!(there.status.success(), "{}", String::from_utf8_lossy(&there.stderr));
    let status: Status = serde_json::from_slice(&there.stdout)?;
    ensure!(status.machines.len() == 1 && status.machines[0].newest.is_some(), "{status:?}");
    let points: Points =
        serde_json::from_slice(&scene.landfall(&["point", "list", "web-01", "--output", "json"])?.stdout)?;
    let first = points.points.first().context("there is a point")?.sequence.to_string();
    let failback = scene.landfall(&["failback", "web-01", "--to", &first, "--yes"])?;
    ensure!(failback.status.success(), "{}", String::from_utf8_lossy(&failback.stderr));
    let shown = String::from_utf8(failback.stdout)?;
    ensure!(
        shown.contains("identical") && shown.contains("stands at"),
        "it was followed to its end: {shown}"
    );
    ensure!(scene.landfall(&["cancel", "web-01"])?.status.success(), "and back");
    ensure!(
        scene.landfall(&["machine", "show", "nobody"])?.status.code() == Some(3),
        "refusals keep their exit code"
    );
    Ok(())
}

#[test]
fn only_an_operator_is_let_in_and_only_until_he_is_revoked() -> Result<()> {
    let scene = Scene::set()?;
    let seen = scene.curl("/api/v1/machines", Some(&scene.place))?;
    ensure!(String::from_utf8_lossy(&seen.stdout).contains("web-01"), "{seen:?}");
    let metrics = String::from_utf8(scene.curl("/metrics", Some(&scene.place))?.stdout)?;
    ensure!(metrics.contains(r#"landfall_machine_phase{machine="web-01",phase="protected"} 1"#), "{metrics}");
    ensure!(!scene.curl("/api/v1/machines", None)?.status.success(), "without a certificate");
    let source = scene.rig.authority.issue("source", "db-01")?;
    ensure!(!scene.curl("/api/v1/machines", Some(&source))?.status.success(), "a source");
    let revoked = scene.rig.appliance.landfall::<serde_json::Value>(["server", "revoke", "ann", "--yes"])?;
    ensure!(!revoked["revoked"].is_null(), "{revoked}");
    let refused = scene.landfall(&["status"])?;
    ensure!(refused.status.code() == Some(5), "{}", String::from_utf8_lossy(&refused.stderr));
    Ok(())
}

/// Asks for something with a key, and returns the status, whether it was done before, and the body.
fn with_key(scene: &Scene, machine: &str, key: &str, body: &str) -> Result<(String, bool, String)> {
    let mut curl = command("curl");
    curl.args(["--silent", "--show-error", "--insecure", "--include", "--max-time", "30"]);
    curl.arg("--cert").arg(scene.place.join("cert.pem")).arg("--key").arg(scene.place.join("key.pem"));
    curl.args(["-H", "content-type: application/json", "-H", &format!("Idempotency-Key: {key}"), "-d", body]);
    curl.arg(format!("https://{}/api/v1/machines/{machine}/points/pin", scene.rig.appliance.door()));
    let said = run(&mut curl)?;
    let (head, body) = said.split_once("\r\n\r\n").context("a response")?;
    let status = head.split(' ').nth(1).context("a status")?.to_owned();
    Ok((status, head.contains("idempotency-replayed: true"), body.to_owned()))
}

#[test]
fn what_was_asked_for_with_a_key_happens_once_though_landfalld_is_killed() -> Result<()> {
    let mut scene = Scene::set()?;
    let body = r#"{"point":"latest","note":"first"}"#;
    let first = with_key(&scene, "web-01", "k-1", body)?;
    ensure!(first.0 == "200" && !first.1, "{first:?}");
    let unknown = with_key(&scene, "nobody", "k-2", body)?;
    ensure!(unknown.0 == "404" && !unknown.1, "{unknown:?}");
    scene.rig.appliance.landfall::<serde_json::Value>(["point", "unpin", "web-01@latest"])?;
    scene.rig.appliance.kill()?;
    scene.rig.appliance.start()?;
    let again = with_key(&scene, "web-01", "k-1", body)?;
    ensure!(again == (first.0, true, first.2), "it is answered as before: {again:?}");
    let pins = scene.rig.appliance.points("web-01")?.pins;
    ensure!(pins.is_empty(), "and not done again: {pins:?}");
    let again = with_key(&scene, "nobody", "k-2", body)?;
    ensure!(again == (unknown.0, true, unknown.2), "refusals, too: {again:?}");
    let other = with_key(&scene, "web-01", "k-1", r#"{"point":"latest","note":"second"}"#)?;
    ensure!(other.0 == "422" && other.2.contains("LF-1023"), "{other:?}");
    let fresh = with_key(&scene, "web-01", "k-3", body)?;
    ensure!(fresh.0 == "200" && !fresh.1, "another key is another request: {fresh:?}");
    ensure!(scene.rig.appliance.points("web-01")?.pins.len() == 1, "it was done");
    Ok(())
}

#[test]
fn the_api_is_what_its_document_says() -> Result<()> {
    let scene = Scene::set()?;
    ensure!(is_installed("schemathesis"), "scripts/setup installs schemathesis");
    let mut schemathesis = command("schemathesis");
    schemathesis.arg("run").arg(format!("https://{}/openapi.json", scene.rig.appliance.door()));
    schemathesis.arg("--request-cert").arg(scene.place.join("cert.pem"));
    schemathesis.arg("--request-cert-key").arg(scene.place.join("key.pem"));
    schemathesis.args(["--tls-verify", "false", "--max-time", "60", "--seed", "1", "--no-color"]);
    schemathesis.args(["--checks", "all", "--exclude-checks", "ignored_auth,positive_data_acceptance"]);
    schemathesis.current_dir(scene.rig.lab.path());
    let said = run(&mut schemathesis)?;
    ensure!(scene.curl("/api/v1/status", Some(&scene.place))?.status.success(), "it serves on: {said}");
    Ok(())
}
