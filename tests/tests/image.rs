//! The image: built twice to the same bytes, read by others, booted, and used as an appliance: a power cut and all.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use landfall_tests::binaries::Binaries;
use landfall_tests::command::{command, output, run, run_with_input};
use landfall_tests::lab::Lab;
use landfall_tests::rig::is_root;
use landfall_tests::vm::{Hardware, Vm};
use serde_json::Value;

/// How long a boot may take: all of it is emulated, and others may be at work.
const BOOT_MAX: Duration = Duration::from_secs(600);
const MIB: u64 = 1 << 20;
/// How long one thing at the console may take: a disk is formatted, keys are made, a network is tried.
const STEP_MAX: Duration = Duration::from_secs(240);
/// What the operator types as password.
const PASSWORD: &str = "swordfish";
/// Its hash, as `argon2` makes it.
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=4096,t=3,p=4$c2FsdHNhbHRzYWx0$Do1MJFx/yTW/PFxUSEDH5kxMYpgUM7N8EYCJJMHHTCY";
/// What the kernel says first.
const RUNS: &str = "EFI stub: Loaded initrd";

/// Builds an image and returns what the builder tells of it. Where the mirror no longer has the locked packages, those of today are taken.
fn build(lab: &Lab, name: &str, more: &[&str]) -> Result<Value> {
    let programs = Binaries::find()?.landfall.parent().context("a directory")?.to_owned();
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("a repository")?.join("image");
    let out = lab.file(name);
    let image = |step: &[&str]| {
        let mut image = command(programs.join("image"));
        image.arg("--home").arg(&home).args(step);
        image
    };
    let wanted = |lock: &[&str]| {
        let mut build = image(&[lock, &["build", "--level", "1", "--output", "json"]].concat());
        build.arg("--programs").arg(&programs).arg("--out").arg(&out).args(more);
        output(&mut build)
    };
    let mut built = wanted(&[])?;
    let complaint = String::from_utf8_lossy(&built.stderr).into_owned();
    if !built.status.success() && complaint.contains("mmdebstrap") {
        println!("the locked packages can't be had, so those of today are taken: {complaint}");
        let lock = lab.file("packages.lock");
        let lock = lock.to_str().context("ASCII")?;
        if !Path::new(lock).exists() {
            run(&mut image(&["--lock", lock, "lock"]))?;
        }
        built = wanted(&["--lock", lock])?;
    }
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    serde_json::from_slice(&built.stdout).context("what the builder tells")
}

fn path_of(built: &Value, name: &str) -> Result<PathBuf> {
    Ok(PathBuf::from(built[name].as_str().with_context(|| format!("{name} of {built}"))?))
}

/// Makes a key and a certificate of its own, for signing.
fn signer(lab: &Lab, name: &str) -> Result<[String; 2]> {
    let at = |end: &str| lab.file(&format!("{name}.{end}")).display().to_string();
    let (key, certificate) = (at("key"), at("pem"));
    let subject = format!("/CN={name}");
    let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", &subject];
    run(command("openssl").args(request).args(["-keyout", &key, "-out", &certificate]))?;
    Ok([key, certificate])
}

#[test]
fn two_builds_give_the_same_bytes_and_others_can_read_and_verify_them() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let lab = Lab::new(None)?;
    let (firmware, archive) = (signer(&lab, "firmware")?, signer(&lab, "archive")?);
    let signed = [
        ["--firmware-key", &firmware[0], "--firmware-certificate", &firmware[1]],
        ["--ova-key", &archive[0], "--ova-certificate", &archive[1]],
    ]
    .concat();
    let built = [build(&lab, "one", &signed)?, build(&lab, "two", &signed)?];
    for part in ["ova", "image", "disk", "sbom"] {
        let [one, two] = [path_of(&built[0], part)?, path_of(&built[1], part)?];
        run(command("cmp").arg(&one).arg(&two))
            .with_context(|| format!("the two builds differ in {part}"))?;
    }
    let (ova, disk) = (path_of(&built[0], "ova")?, path_of(&built[0], "disk")?);
    let unpacked = lab.directory("unpacked")?;
    let listed = run(command("tar").arg("-xvf").arg(&ova).arg("-C").arg(&unpacked))?;
    let names: Vec<_> = listed.lines().map(|name| name.rsplit('.').next().unwrap_or_default()).collect();
    ensure!(names == ["ovf", "mf", "cert", "vmdk"], "the order that vCenter wants: {listed}");
    let vmdk = unpacked.join(listed.lines().last().context("a disk")?);
    run(command("qemu-img").arg("check").arg(&vmdk))?;
    run(command("qemu-img").args(["compare", "-f", "vmdk", "-F", "raw"]).arg(&vmdk).arg(&disk))?;
    let told = run(command("vmdkinfo").arg(&vmdk))?;
    ensure!(told.contains("Stream optimized") && told.contains("8.0 GiB"), "{told}");
    run(command("xmllint").arg("--noout").arg(unpacked.join(listed.lines().next().context("an ovf")?)))?;
    run(command("sfdisk").arg("--verify").arg(&disk))?;
    run(command("sbverify").arg("--cert").arg(&firmware[1]).arg(path_of(&built[0], "image")?))?;
    ensure!(
        output(command("sbverify").arg("--cert").arg(&archive[1]).arg(path_of(&built[0], "image")?))
            .is_ok_and(|said| !said.status.success()),
        "somebody else's certificate verifies nothing"
    );
    let manifest = fs::read_to_string(unpacked.join(listed.lines().nth(1).context("a manifest")?))?;
    ensure!(manifest.lines().count() == 2, "{manifest}");
    for line in manifest.lines() {
        let (name, hash) =
            line.strip_prefix("SHA256(").and_then(|line| line.split_once(")= ")).context("its form")?;
        ensure!(run(command("sha256sum").arg(unpacked.join(name)))?.starts_with(hash), "{line}");
    }
    let content = &built[0]["content"];
    for nothing in ["setuid", "shells", "credentials"] {
        ensure!(content[nothing].as_array().is_some_and(Vec::is_empty), "{nothing}: {}", content[nothing]);
    }
    println!("{}", serde_json::to_string_pretty(&built[0])?);
    Ok(())
}

fn empty_disk(lab: &Lab, name: &str, size: &str) -> Result<PathBuf> {
    let image = lab.file(&format!("{name}.raw"));
    run(command("qemu-img").args(["create", "-q", "-f", "raw"]).arg(&image).arg(size))?;
    Ok(image)
}

/// Returns the key that Debian's firmware for tests trusts, and its certificate.
fn trusted(lab: &Lab) -> Result<[String; 2]> {
    let key = lab.file("trusted.key").display().to_string();
    let known = ["-in", "/usr/share/ovmf/PkKek-1-snakeoil.key", "-passin", "pass:snakeoil", "-out", &key];
    run(command("openssl").arg("pkey").args(known))?;
    Ok([key, "/usr/share/ovmf/PkKek-1-snakeoil.pem".to_owned()])
}

#[test]
fn secure_boot_runs_the_signed_image_and_refuses_one_with_another_command_line() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let lab = Lab::new(None)?;
    let [key, certificate] = trusted(&lab)?;
    let signed = build(&lab, "image", &["--firmware-key", &key, "--firmware-certificate", &certificate])?;
    let disk = path_of(&signed, "disk")?;
    let boot = |place: &str| {
        let lab = Lab::new(Some(&lab.directory(place)?))?;
        let mut hardware = Hardware::new(&lab, &disk)?;
        hardware.secure = true;
        fs::copy("/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd", &hardware.variables)?;
        Ok::<_, anyhow::Error>((hardware.start()?, lab))
    };
    let (mut vm, _lab) = boot("signed")?;
    vm.wait_said(RUNS, BOOT_MAX).context("the signed image runs")?;
    vm.cut()?;
    let file = fs::OpenOptions::new().read(true).write(true).open(&disk)?;
    let mut front = vec![0; (256 * MIB) as usize];
    file.read_exact_at(&mut front, 0)?;
    let wanted = b"lockdown=integrity";
    let at = front.windows(wanted.len()).position(|bytes| bytes == wanted).context("the command line")?;
    file.write_all_at(b"L", at as u64)?;
    let (mut vm, _lab) = boot("changed")?;
    let said = vm.wait_said("ccess", BOOT_MAX).context("the changed image is refused")?;
    ensure!(!said.contains(RUNS), "{said}");
    vm.cut()
}

/// A booted appliance, and somebody who operates it from outside.
struct Scene {
    lab: Lab,
    binaries: Binaries,
    hardware: Hardware,
    vm: Vm,
}

impl Scene {
    /// Switches an image on for the first time, told this.
    fn set(told: &[(&str, &str)]) -> Result<Self> {
        let lab = Lab::new(None)?;
        let built = build(&lab, "image", &[])?;
        let mut hardware = Hardware::new(&lab, &path_of(&built, "disk")?)?;
        hardware.tell(told)?;
        // Kinds of disks that ESXi has, beside the paravirtual one: each must be seen.
        for (name, controller, disk, wwn) in [
            ("sas", "mptsas1068,id=sas", "scsi-hd,bus=sas.0", "5000c29f0a1b2c40"),
            ("sata", "ich9-ahci,id=sata", "ide-hd,bus=sata.0", "5000c29f0a1b2c41"),
        ] {
            let image = empty_disk(&lab, name, "64M")?;
            let drive = format!("if=none,id={name}-disk,format=raw,file={}", image.display());
            let device = format!("{disk},drive={name}-disk,wwn=0x{wwn},serial={name}");
            let devices = ["-device", controller, "-drive", &drive, "-device", &device];
            hardware.devices.extend(devices.map(str::to_owned));
        }
        let vm = hardware.start()?;
        Ok(Self { lab, binaries: Binaries::find()?, hardware, vm })
    }

    /// Waits until 443 answers.
    fn wait_answer(&mut self) -> Result<()> {
        let took = self.vm.wait_answer(BOOT_MAX)?;
        println!("power-on to 443 answers: {took:?}");
        Ok(())
    }

    /// Joins with the token that the console shows.
    fn log_in(&mut self) -> Result<()> {
        let screen = self.vm.wait_screen("landfall1-", STEP_MAX)?;
        let mut lines = screen.lines().map(str::trim).skip_while(|line| !line.starts_with("landfall1-"));
        let token: String = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let mut login = self.landfall(&["login", "--token-file", "-"]);
        run_with_input(&mut login, &token).map(drop)
    }

    /// Goes through the first boot as a person does: reads the screen, then types.
    fn answer_the_console(&mut self) -> Result<()> {
        let vm = &mut self.vm;
        vm.wait_screen("first boot, 1 of 6: Host name", BOOT_MAX)?;
        vm.types(&"\x7f".repeat("landfall".len()))?;
        vm.types("home")?;
        vm.wait_screen(" home_", STEP_MAX)?;
        vm.types("\r")?;
        // A network at which nobody reaches the appliance: tried, not kept, and gone by itself.
        vm.wait_screen("first boot, 2 of 6", STEP_MAX)?;
        vm.types("\x1b[C\t192.0.2.10/24\r")?;
        vm.wait_screen("The network is tried", STEP_MAX)?;
        vm.wait_screen("192.0.2.10/24", STEP_MAX).context("the plan that is tried is in force")?;
        let begun = Instant::now();
        vm.wait_screen("was not kept within 30 seconds", STEP_MAX)?;
        ensure!(begun.elapsed() < Duration::from_secs(60), "rolled back after {:?}", begun.elapsed());
        vm.types("\r")?;
        let screen = vm.wait_screen("(o) DHCP", STEP_MAX)?;
        ensure!(screen.contains("first boot, 2 of 6"), "it is asked again: {screen}");
        vm.types("\r")?;
        vm.wait_screen("The network is tried", STEP_MAX)?;
        vm.wait_screen("10.0.2.15/24", STEP_MAX).context("an address by DHCP")?;
        vm.types("\r")?;
        vm.wait_screen("first boot, 3 of 6", STEP_MAX)?;
        vm.types("\t\tntp.example.com\r")?;
        vm.wait_screen("first boot, 4 of 6", STEP_MAX)?;
        vm.types(&format!("{PASSWORD}\t{PASSWORD}\r"))?;
        // Every kind of disk is listed; the one that is chosen is made the retention volume.
        let screen = vm.wait_screen("first boot, 5 of 6", STEP_MAX)?;
        let disks: Vec<_> = screen.lines().filter(|line| line.contains("/dev/")).collect();
        ensure!(disks.len() == 4, "the disks: {screen}");
        let place = disks.iter().position(|line| line.contains(" 2 GiB") && line.contains("yes"));
        vm.types(&"\x1b[B".repeat(place.with_context(|| format!("the retention disk: {screen}"))?))?;
        vm.types("\r")?;
        vm.wait_screen("first boot, 6 of 6", STEP_MAX)?;
        self.log_in()?;
        self.vm.types("\r")?;
        self.vm.wait_screen("<F12> Shut Down/Restart", STEP_MAX)?;
        ensure!(!self.vm.screen().contains("landfall1-"), "the token is shown once");
        Ok(())
    }

    fn landfall(&self, arguments: &[&str]) -> std::process::Command {
        let mut landfall = command(&self.binaries.landfall);
        landfall
            .args(["--at", &self.vm.manage()])
            .args(arguments)
            .env("LANDFALL_CONFIG", self.lab.file("operator"));
        landfall
    }

    /// Asks, and returns the last line of the answer.
    fn ask(&self, arguments: &[&str]) -> Result<Value> {
        let text = run(self.landfall(arguments).arg("--output=json"))?;
        match serde_json::from_str(&text) {
            Ok(value) => Ok(value),
            Err(_) => serde_json::from_str(text.lines().last().unwrap_or_default()).context(text),
        }
    }

    fn disks(&self) -> Result<Vec<Value>> {
        Ok(self.ask(&["disk", "list"])?["disks"].as_array().context("disks")?.clone())
    }

    /// Waits until a disk of this identity is listed, or no longer.
    fn wait_disk(&self, identity: &str, there: bool) -> Result<Option<Value>> {
        for _ in 0..300 {
            let found = self.disks()?.into_iter().find(|disk| disk.to_string().contains(identity));
            if found.is_some() == there {
                return Ok(found);
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        anyhow::bail!("{identity} is {}listed", if there { "not " } else { "still " })
    }

    /// Returns the arguments with which the source sends one round.
    fn source(&self, disk: &Path) -> std::process::Command {
        let mut source = command(&self.binaries.landfall_source);
        source.args(["protect", "--machine", "web-01", "--allow-file", "--once", "--disk"]).arg(disk);
        source.args(["--to", &self.vm.replicate(), "--identity"]).arg(self.lab.file("source"));
        source.arg("--state").arg(self.lab.file("source-state"));
        source
    }

    /// Cuts the power and boots again.
    fn cut(mut self) -> Result<Self> {
        self.vm.cut()?;
        self.vm = self.hardware.start()?;
        self.wait_answer()?;
        Ok(self)
    }
}

fn change(disk: &Path, seed: u8, places: u64) -> Result<()> {
    let file = fs::OpenOptions::new().write(true).open(disk)?;
    for place in 0..places {
        let mut content = vec![seed; 256 << 10];
        content[..8].copy_from_slice(&(place * 31 + u64::from(seed)).to_le_bytes());
        file.write_all_at(&content, (place * 7919 % 62) * MIB)?;
    }
    Ok(())
}

#[test]
fn a_person_sets_an_appliance_up_it_takes_a_machine_in_loses_nothing_in_a_power_cut_and_brings_it_home()
-> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let mut scene = Scene::set(&[])?;
    scene.answer_the_console()?;
    scene.wait_answer()?;
    // Strangers get nothing: TLS 1.3 alone, and no word without a certificate.
    let mut old = command("timeout");
    old.args(["20", "openssl", "s_client", "-tls1_2", "-alpn", "http/1.1", "-connect", &scene.vm.manage()]);
    ensure!(
        !String::from_utf8_lossy(&output(&mut old)?.stdout).contains("BEGIN CERTIFICATE"),
        "TLS 1.2 is refused"
    );
    let mut nobody = command("timeout");
    nobody.args([
        "20",
        "openssl",
        "s_client",
        "-tls1_3",
        "-alpn",
        "http/1.1",
        "-quiet",
        "-connect",
        &scene.vm.manage(),
    ]);
    let got = run_with_input(&mut nobody, "GET /openapi.json HTTP/1.1\r\nHost: home\r\n\r\n");
    ensure!(!got.is_ok_and(|got| got.contains("HTTP/1.1 200")), "without a certificate there is nothing");
    // Every kind of disk is seen; the retention disk is in use, the system disk too.
    for (name, identity) in
        [("paravirtual", "5000c29f0a1b2c3d"), ("SAS", "5000c29f0a1b2c40"), ("SATA", "5000c29f0a1b2c41")]
    {
        scene.wait_disk(identity, true).with_context(|| format!("{name} disks"))?;
    }
    let listed = scene.disks()?;
    ensure!(
        listed.iter().any(|disk| disk.to_string().contains("nvme")),
        "the system disk is NVMe: {listed:?}"
    );
    println!("memory in use at rest: {} MiB", scene.vm.memory_used()? / MIB);

    // Disks are attached to the running appliance, and taken out again.
    let target = empty_disk(&scene.lab, "target", "64M")?;
    scene.vm.attach("visitor", &empty_disk(&scene.lab, "visitor", "32M")?, "5000c29f0a1b2c3f")?;
    scene.wait_disk("5000c29f0a1b2c3f", true).context("a disk that was attached")?;
    scene.vm.detach("visitor")?;
    scene.wait_disk("5000c29f0a1b2c3f", false).context("a disk that was taken out")?;
    scene.vm.attach("target", &target, "5000c29f0a1b2c3e")?;
    let disk = scene.wait_disk("5000c29f0a1b2c3e", true)?.context("it was attached")?;
    let path = disk["path"].as_str().context("a path")?.to_owned();

    let origin = scene.lab.file("origin.raw");
    fs::File::create(&origin)?.set_len(64 * MIB)?;
    change(&origin, 1, 40)?;
    let token = scene.ask(&["server", "token", "--role", "source", "--name", "web-01"])?;
    let mut join = command(&scene.binaries.landfall_source);
    join.args(["join", "--at", &scene.vm.manage(), "--token-file", "-", "--identity"])
        .arg(scene.lab.file("source"));
    run_with_input(&mut join, token["token"].as_str().context("a token")?)?;
    scene.ask(&["machine", "add", "web-01", "--disk", &path])?;
    run(&mut scene.source(&origin))?;
    let acked = scene.ask(&["machine", "show", "web-01"])?["durable"].as_u64().context("a sequence")?;
    let first = scene.lab.file("first.raw");
    fs::copy(&origin, &first)?;

    // The power goes while a round is under way.
    change(&origin, 2, 60)?;
    let mut source = scene.source(&origin).spawn()?;
    let mut acked = acked;
    // As soon as the appliance tells that more is durable, that has been acked, and the rest is on its way.
    let begun = acked;
    while acked == begun && source.try_wait()?.is_none() {
        acked = scene.ask(&["machine", "show", "web-01"])?["durable"].as_u64().context("a sequence")?;
    }
    println!("the power goes at {acked}, the round began at {begun}");
    let mut hardware_of_later = scene.hardware.devices.clone();
    let drive = format!("if=none,id=target,format=raw,file={}", target.display());
    let device = "scsi-hd,bus=scsi.0,drive=target,wwn=0x5000c29f0a1b2c3e,serial=target".to_owned();
    hardware_of_later.extend(["-drive".to_owned(), drive, "-device".to_owned(), device]);
    let mut scene = scene;
    scene.hardware.devices = hardware_of_later;
    let mut scene = scene.cut()?;
    let _ = source.kill();
    source.wait()?;
    let after = scene.ask(&["machine", "show", "web-01"])?["durable"].as_u64().context("a sequence")?;
    ensure!(after >= acked, "acked was {acked}, and there is {after}");
    // What was answered at the console is there again, too, and not asked again.
    let network = scene.ask(&["network", "show"])?["kept"].to_string();
    ensure!(network.contains("automatic") && network.contains("ntp.example.com"), "{network}");
    let screen = scene.vm.wait_screen("<F12> Shut Down/Restart", STEP_MAX)?;
    ensure!(screen.contains("home") && screen.contains("https://10.0.2.15/"), "{screen}");

    run(&mut scene.source(&origin))?;
    let points = scene.ask(&["point", "list", "web-01"])?;
    println!("points after the power cut: {}", points["points"].as_array().map_or(0, Vec::len));
    scene.ask(&["failback", "web-01", "--to", "latest", "--yes"])?;
    scene.ask(&["commit", "web-01", "--yes"])?;
    scene.vm.ask("quit", Value::Object(serde_json::Map::new()))?;
    std::thread::sleep(Duration::from_secs(1));
    run(command("cmp").arg(&origin).arg(&target)).context("the disk that came home, compared outside")?;
    ensure!(
        output(command("cmp").arg(&first).arg(&target))?.status.code() == Some(1),
        "and it is the newer state"
    );
    Ok(())
}

#[test]
fn an_appliance_that_was_told_everything_comes_up_alone_and_its_console_lets_in_who_knows_the_password()
-> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let mut scene = Scene::set(&[
        ("hostname", "home"),
        ("retention", "disk:naa.5000c29f0a1b2c3d"),
        ("ip0", "10.0.2.15/24"),
        ("gateway0", "10.0.2.2"),
        ("dns", "10.0.2.3"),
        ("passwordhash", PASSWORD_HASH),
    ])?;
    scene.wait_answer()?;
    let vm = &mut scene.vm;
    let screen = vm.wait_screen("<F2> Customize", STEP_MAX)?;
    ensure!(screen.contains("home") && screen.contains("https://10.0.2.15/"), "{screen}");
    // Nothing but looking without the password; with it a token, with which somebody gets in from outside.
    vm.types("\x1b[12~")?;
    vm.wait_screen("Authentication Required", STEP_MAX)?;
    vm.types("swordfisk\r")?;
    vm.wait_screen("the password is wrong", STEP_MAX)?;
    vm.types(&format!("{PASSWORD}\r"))?;
    vm.wait_screen("System Customization", STEP_MAX)?;
    vm.types("\x1b[B\x1b[B\x1b[B\r")?;
    scene.log_in()?;
    let network = scene.ask(&["network", "show"])?["kept"].to_string();
    ensure!(network.contains("10.0.2.15/24") && network.contains("10.0.2.3"), "{network}");
    ensure!(scene.ask(&["status"])?["health"].is_string(), "status is told from outside");
    let vm = &mut scene.vm;
    vm.types("\r\x1b")?;
    vm.wait_screen("<F2> Customize", STEP_MAX)?;
    vm.types("\x1b[24~")?;
    vm.wait_screen("Authentication Required", STEP_MAX)?;
    vm.types(&format!("{PASSWORD}\r"))?;
    vm.wait_screen("Sources keep what they can't send", STEP_MAX)?;
    vm.types("\r")?;
    vm.wait_screen("Shut Down?", STEP_MAX)?;
    vm.types("y")?;
    scene.vm.wait_off(STEP_MAX)
}
