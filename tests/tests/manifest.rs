//! The manifest of a failback: signed, checked anywhere with public material alone, also by openssl, and never forged.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use control::api::{JobOutcome, ManifestEntry, Manifests};
use landfall_tests::command::{command, output, run};
use landfall_tests::disk::Kind;
use landfall_tests::material::Noise;
use landfall_tests::rig::{Member, Rig, newest};

const MIB: u64 = 1 << 20;

struct Scene {
    member: Member,
    rig: Rig,
    point: String,
}

impl Scene {
    /// A machine of two disks with two points, brought back to the first.
    fn set(more: &[&str]) -> Result<Self> {
        let rig = Rig::start(&[])?;
        let member = rig.member("web-01", &[3 * MIB, 5 * MIB + 4096], Kind::File)?;
        member.once()?;
        member.keep("first")?;
        let point = newest(&rig.appliance.machine("web-01")?)?.sequence.to_string();
        member.change(0, &mut Noise::new(3), 20)?;
        member.once()?;
        let failback = ["failback", "web-01", "--to", &point, "--yes"];
        let job = rig.appliance.job(failback.iter().chain(more))?.context("a job")?;
        let Some(JobOutcome::Failback { manifest: Some(1), .. }) = job.outcome else {
            anyhow::bail!("no manifest: {job:?}")
        };
        member.is_as_kept("first")?;
        Ok(Self { member, rig, point })
    }

    /// Fetches a manifest into a file, byte for byte.
    fn fetch(&self, number: u64) -> Result<PathBuf> {
        let file = self.rig.lab.file(&format!("{number}.manifest"));
        let mut show = command(&self.rig.binaries.landfall);
        show.arg("--socket").arg(self.rig.appliance.socket());
        show.args(["manifest", "show", "web-01", &number.to_string(), "--output=json"]);
        fs::write(&file, run(&mut show)?)?;
        Ok(file)
    }

    /// Checks a manifest without any landfalld; returns the exit code and what was said.
    fn check(&self, file: &Path, more: &[&str]) -> Result<(i32, String)> {
        let mut check = command(&self.rig.binaries.landfall);
        let done = output(check.args(["--socket", "/nowhere", "manifest", "check"]).arg(file).args(more))?;
        let told = [done.stdout, done.stderr].concat();
        Ok((done.status.code().context("a code")?, String::from_utf8_lossy(&told).into_owned()))
    }

    fn ca(&self) -> String {
        self.rig.authority.directory().join("ca.pem").display().to_string()
    }

    fn list(&self) -> Result<Vec<ManifestEntry>> {
        let manifests: Manifests = self.rig.appliance.landfall(["manifest", "list", "web-01"])?;
        Ok(manifests.manifests)
    }
}

#[test]
fn a_failback_is_proved_by_a_manifest_that_anybody_can_check() -> Result<()> {
    let scene = Scene::set(&[])?;
    let (file, ca) = (scene.fetch(1)?, scene.ca());
    let disks = scene.member.targets.iter().enumerate();
    let disks: Vec<_> = disks.map(|(at, disk)| format!("{at}={}", disk.path().display())).collect();
    let all = ["--ca", &ca, "--disk", &disks[0], "--disk", &disks[1]];
    let (exit, told) = scene.check(&file, &all)?;
    ensure!(exit == 0 && told.contains("authority") && told.contains("read again"), "exit {exit}: {told}");
    // The signature by a client nobody here wrote, as the README says.
    let script = format!(
        "set -e; cd {}; jq -r .signed.signer.certificates 1.manifest | openssl x509 -pubkey -noout > pub.pem
         {{ echo 'landfall 2026 failback manifest'; sed -n 2p 1.manifest; }} > signed
         jq -r .signature 1.manifest | base64 -d > signature
         openssl dgst -sha256 -verify pub.pem -signature signature signed
         test \"$(openssl pkey -pubin -in pub.pem -outform DER | sha256sum | cut -d' ' -f1)\" = \
              \"$(jq -r .signed.signer.key_id 1.manifest)\"",
        scene.rig.lab.path().display()
    );
    let verified = run(command("sh").args(["-c", &script]))?;
    ensure!(verified.contains("Verified OK"), "{verified}");
    let key = scene.rig.lab.file("pub.pem").display().to_string();
    let (exit, told) = scene.check(&file, &["--key", &key])?;
    ensure!(exit == 0, "exit {exit}: {told}");
    // Without anything to trust it says so.
    let (exit, told) = scene.check(&file, &[])?;
    ensure!(exit == 0 && told.contains("WHO signed was not checked"), "exit {exit}: {told}");
    let stranger = landfall_tests::identity::Authority::apart(&scene.rig.lab, &scene.rig.binaries, "other")?;
    let other = stranger.authority.directory().join("ca.pem").display().to_string();
    let (exit, told) = scene.check(&file, &["--ca", &other])?;
    ensure!(exit == 1 && told.contains("LF-1522"), "exit {exit}: {told}");
    Ok(())
}

#[test]
fn one_changed_byte_of_manifest_or_disk_is_caught() -> Result<()> {
    let scene = Scene::set(&[])?;
    let (file, ca) = (scene.fetch(1)?, scene.ca());
    let (bytes, forged) = (fs::read(&file)?, scene.rig.lab.file("forged.manifest"));
    let mut noise = Noise::new(9);
    for _ in 0..40 {
        let mut changed = bytes.clone();
        let at = usize::try_from(noise.below(bytes.len() as u64))?;
        changed[at] ^= 1 << noise.below(8);
        fs::write(&forged, &changed)?;
        let (exit, told) = scene.check(&forged, &["--ca", &ca])?;
        let code = ["LF-1521", "LF-1522"].iter().any(|code| told.contains(code));
        ensure!(exit == 1 && code, "byte {at}: exit {exit}: {told}");
    }
    let target = scene.member.targets[1].path();
    let disk = fs::OpenOptions::new().read(true).write(true).open(target)?;
    let mut byte = [0];
    disk.read_exact_at(&mut byte, 5 * MIB + 4095)?;
    disk.write_all_at(&[byte[0] ^ 1], 5 * MIB + 4095)?;
    let given = format!("1={}", target.display());
    let (exit, told) = scene.check(&file, &["--ca", &ca, "--disk", &given])?;
    ensure!(exit == 1 && told.contains("LF-1523") && told.contains("disk 1"), "exit {exit}: {told}");
    Ok(())
}

#[test]
fn a_manifest_never_pretends_and_a_commit_has_its_own() -> Result<()> {
    let mut scene = Scene::set(&["--no-proof"])?;
    let (file, ca) = (scene.fetch(1)?, scene.ca());
    let (exit, told) = scene.check(&file, &["--ca", &ca])?;
    ensure!(exit == 1 && told.contains("LF-1524") && told.contains("not computed"), "exit {exit}: {told}");
    // Reading the disks where the manifest is checked proves them all the same.
    let disks = scene.member.targets.iter().enumerate();
    let disks: Vec<_> = disks.map(|(at, disk)| format!("{at}={}", disk.path().display())).collect();
    let (exit, told) = scene.check(&file, &["--ca", &ca, "--disk", &disks[0], "--disk", &disks[1]])?;
    ensure!(exit == 0, "exit {exit}: {told}");
    // To the same point again: nothing is written, everything is proved.
    let job = scene.rig.appliance.job(["failback", "web-01", "--to", &scene.point, "--yes"])?;
    let outcome = job.and_then(|job| job.outcome);
    let Some(JobOutcome::Failback { written_bytes: 0, manifest: Some(2), .. }) = outcome else {
        anyhow::bail!("{outcome:?}")
    };
    let _: control::api::Machine = scene.rig.appliance.landfall(["commit", "web-01", "--yes"])?;
    scene.rig.appliance.kill()?;
    scene.rig.appliance.start()?;
    let list = scene.list()?;
    let events: Vec<_> =
        list.iter().filter_map(|entry| entry.says.as_ref()).map(|says| (says.event, says.verdict)).collect();
    use manifest::Event::{Commit, Failback};
    use manifest::Verdict::{Identical, NotComputed};
    ensure!(events == [(Failback, NotComputed), (Failback, Identical), (Commit, Identical)], "{list:?}");
    let (exit, told) = scene.check(&scene.fetch(3)?, &["--ca", &ca])?;
    ensure!(exit == 0 && told.contains("commit"), "exit {exit}: {told}");
    let (exit, told) = scene.rig.appliance.landfall_refused(["manifest", "show", "web-01", "4"])?;
    ensure!(exit == 3 && told.contains("LF-1520"), "exit {exit}: {told}");
    Ok(())
}
