//! Enrolment, renewal and revocation with real programs: the first start, tokens, live sessions, and what is open to strangers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use control::api::{ServerEntry, Servers};
use landfall_tests::command::{command, output};
use landfall_tests::disk::Kind;
use landfall_tests::rig::{Member, Rig};

const LEN: u64 = 1 << 20;
const MINUTE: Duration = Duration::from_secs(60);

fn servers(rig: &Rig) -> Result<Vec<ServerEntry>> {
    Ok(rig.appliance.landfall::<Servers>(["server", "list"])?.servers)
}

fn revoke(rig: &Rig, name: &str) -> Result<ServerEntry> {
    rig.appliance.landfall(["server", "revoke", name, "--reason", "lost", "--yes"])
}

fn serial(member: &Member) -> Result<String> {
    let certificate = member.identity.join("cert.pem");
    landfall_tests::command::run(
        command("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(certificate),
    )
}

#[test]
fn the_first_start_makes_all_keys_and_later_ones_keep_them() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let state = rig.appliance.state().to_owned();
    let mode =
        |path: &str| Ok::<_, anyhow::Error>(fs::metadata(state.join(path))?.permissions().mode() & 0o777);
    for (path, expected) in [
        ("", 0o700),
        ("ca", 0o700),
        ("ca/ca.key", 0o600),
        ("identity/key.pem", 0o600),
        ("server/key.pem", 0o600),
        ("server/cert.pem", 0o644),
    ] {
        ensure!(mode(path)? == expected, "{path} has mode {:o}", mode(path)?);
    }
    let keys = || [fs::read(state.join("ca/ca.key")), fs::read(state.join("identity/cert.pem"))];
    let before = keys().map(Result::ok);
    rig.appliance.stop()?;
    rig.appliance.start()?;
    ensure!(keys().map(Result::ok) == before, "nothing was made anew");
    // An authority that is gone is a loss, not a first start.
    rig.appliance.stop()?;
    fs::remove_dir_all(state.join("ca"))?;
    let complaint = rig.appliance.start().err().context("no other authority is made")?.to_string();
    ensure!(complaint.contains("backup"), "{complaint}");
    Ok(())
}

#[test]
fn a_token_lets_one_source_in_once() -> Result<()> {
    let rig = Rig::start(&[])?;
    let token = rig.authority.token("source", "web-01")?;
    rig.authority.join(&token, "source", &rig.lab.file("first"))?;
    let again = rig.authority.join(&token, "source", &rig.lab.file("second")).err().context("used")?;
    ensure!(format!("{again:#}").contains("token"), "{again:#}");
    ensure!(!rig.lab.file("second").exists(), "nothing was made");
    let wrong = rig.authority.join("landfall1-nonsense", "source", &rig.lab.file("third")).err();
    ensure!(wrong.is_some_and(|error| format!("{error:#}").contains("damaged")), "it is told");
    let of_another_role = rig.authority.token("operator", "ann")?;
    ensure!(
        rig.authority.join(&of_another_role, "source", &rig.lab.file("third")).is_err(),
        "a role of its own"
    );
    let names: Vec<_> =
        servers(&rig)?.iter().map(|server| format!("{}/{}", server.role, server.name)).collect();
    ensure!(names == ["configuration-server/home", "master-target/home", "source/web-01"], "{names:?}");
    Ok(())
}

#[test]
fn certificates_are_renewed_at_half_life_while_replication_goes_on() -> Result<()> {
    // Certificates begin five minutes before they are made, and end 30 s after.
    let rig = Rig::start(&["--certificate-life", "30s"])?;
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    let (first, own) = (serial(&member)?, fs::read(rig.appliance.state().join("identity/cert.pem"))?);
    let process = member.rounds("1s")?;
    let connected = |machine: &control::api::Machine| machine.newest.is_some();
    let since = rig.appliance.wait_until("web-01", MINUTE, connected)?.session.since;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(45) {
        sleep(Duration::from_secs(1));
    }
    let machine = rig.appliance.machine("web-01")?;
    ensure!(machine.session.connected && machine.session.since == since, "one session: {machine:?}");
    ensure!(serial(&member)? != first, "the source has another certificate");
    ensure!(fs::read(rig.appliance.state().join("identity/cert.pem"))? != own, "and so has the appliance");
    // A connection that begins now is made with the new ones on both ends.
    drop(process);
    member.once()?;
    rig.appliance.wait_applied("web-01")?;
    member.is_same()
}

#[test]
fn an_operators_certificate_is_renewed_by_the_command_line_that_uses_it() -> Result<()> {
    let rig = Rig::start(&["--certificate-life", "30s"])?;
    let place = rig.authority.issue("operator", "ann")?;
    let issued = Instant::now();
    let serial = || -> Result<String> {
        let certificate = place.join("cert.pem");
        let mut openssl = command("openssl");
        landfall_tests::command::run(openssl.args(["x509", "-noout", "-serial", "-in"]).arg(certificate))
    };
    let status = || -> Result<(Option<i32>, String)> {
        let mut landfall = command(&rig.binaries.landfall);
        landfall.env("LANDFALL_CONFIG", place.parent().context("a parent")?);
        let done = output(landfall.args(["--at", &rig.appliance.door(), "status"]))?;
        Ok((done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned()))
    };
    let first = serial()?;
    ensure!(status()? == (Some(0), String::new()) && serial()? == first, "it is young");
    // Past half of its life; then past the end of the first one.
    for (seconds, what) in [(16, "renewed"), (32, "renewed again, and the first is over")] {
        sleep(Duration::from_secs(seconds).saturating_sub(issued.elapsed()));
        let before = serial()?;
        ensure!(status()? == (Some(0), String::new()), "{what}: it is let in, and nothing is told");
        ensure!(serial()? != before, "{what}");
    }
    let entry =
        servers(&rig)?.into_iter().find(|server| server.name.as_str() == "ann").context("she is listed")?;
    let serial = serial()?.trim().trim_start_matches("serial=").to_ascii_lowercase();
    let listed = entry.certificate.context("one counts")?.to_ascii_lowercase();
    ensure!(
        listed.trim_start_matches('0') == serial.trim_start_matches('0'),
        "the one she has: {listed}, {serial}"
    );
    // What was revoked is not renewed, however far its life is.
    revoke(&rig, "ann")?;
    sleep(Duration::from_secs(50).saturating_sub(issued.elapsed()));
    let (exit, told) = status()?;
    ensure!(exit == Some(5), "{exit:?}: {told}");
    Ok(())
}

#[test]
fn a_revoked_source_is_cut_off_within_a_minute_and_can_join_again() -> Result<()> {
    let rig = Rig::start(&[])?;
    let mut other = rig.bystander()?;
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    let process = member.rounds("1s")?;
    rig.appliance.wait_until("web-01", MINUTE, |machine| machine.newest.is_some())?;
    let begin = Instant::now();
    let entry = revoke(&rig, "web-01")?;
    ensure!(entry.revoked.is_some() && entry.certificate.is_none(), "{entry:?}");
    rig.appliance.wait_until("web-01", MINUTE, |machine| !machine.session.connected)?;
    ensure!(begin.elapsed() < MINUTE, "it took {:?}", begin.elapsed());
    drop(process);
    let (exit, told) = member.once_refused()?;
    ensure!(exit == 5 && told.contains("revoked"), "exit {exit}: {told}");
    let (exit, told) =
        rig.appliance.landfall_refused(["server", "revoke", "home", "--role", "master-target", "--yes"])?;
    ensure!(exit == 3 && told.contains("LF-1504"), "exit {exit}: {told}");
    rig.authority.issue("source", "web-01").context("it joins again")?;
    member.once().context("it is let in again")?;
    other.is_unaffected(&rig)
}

/// Runs `openssl s_client` at 443; returns what it printed.
fn openssl(rig: &Rig, arguments: &[&str]) -> Result<String> {
    let mut client = command("timeout");
    client.args(["10", "openssl", "s_client", "-connect", &rig.appliance.door()]).args(arguments);
    let output = output(&mut client)?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn strangers_find_tls_1_3_and_nothing_but_enrolment() -> Result<()> {
    let rig = Rig::start(&[])?;
    let told = openssl(&rig, &["-alpn", "landfall-enrol/1"])?;
    ensure!(told.contains("TLSv1.3") && told.contains("ALPN protocol: landfall-enrol/1"), "{told}");
    let told = openssl(&rig, &["-tls1_2", "-alpn", "landfall-enrol/1"])?;
    ensure!(told.contains("protocol version"), "{told}");
    for alpn in ["h2", "landfall-repl/1", "ssh"] {
        let told = openssl(&rig, &["-alpn", alpn])?;
        ensure!(told.contains("no peer certificate available"), "{alpn}: {told}");
    }
    let told = openssl(&rig, &["-alpn", "landfall-renew/1", "-ign_eof"])?;
    ensure!(told.contains("certificate required"), "{told}");
    let own = rig.authority.issue("operator", "ann")?;
    let file = |name: &str| own.join(name).display().to_string();
    let (certificate, key) = (file("cert.pem"), file("key.pem"));
    let told = openssl(&rig, &["-alpn", "landfall-renew/1", "-cert", &certificate, "-key", &key])?;
    ensure!(told.contains("ALPN protocol: landfall-renew/1") && !told.contains("alert"), "{told}");
    Ok(())
}

#[test]
fn exactly_two_ports_are_open() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let mut expected = [rig.appliance.address(), rig.appliance.door()];
    expected.sort();
    let pid = rig.appliance.process()?.id();
    let mut open = listening(&format!("/proc/{pid}"))?;
    open.sort();
    ensure!(open == expected, "{open:?} are open, {expected:?} should be");
    let udp = Command::new("ss").args(["-Hulnp"]).output()?;
    let udp = String::from_utf8_lossy(&udp.stdout).into_owned();
    ensure!(!udp.contains(&format!("pid={pid},")), "{udp}");
    Ok(())
}

/// Returns the addresses at which a process listens on TCP, from the kernel's own tables.
fn listening(process: &str) -> Result<Vec<String>> {
    let mut sockets = Vec::new();
    for entry in fs::read_dir(format!("{process}/fd"))?.flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default().display().to_string();
        let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        sockets.extend(inode.map(str::to_owned));
    }
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        for line in fs::read_to_string(format!("{process}/net/{table}"))?.lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            if fields[3] == "0A" && sockets.iter().any(|inode| inode == fields[9]) {
                let (host, port) = fields[1].split_once(':').context("an address")?;
                ensure!(host == "0100007F", "{line}");
                found.push(format!("127.0.0.1:{}", u16::from_str_radix(port, 16)?));
            }
        }
    }
    Ok(found)
}
