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
