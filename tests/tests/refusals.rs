//! Who may not come in, and what may not be asked for: each refusal on the side that caused it, with its code.

use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use landfall_tests::appliance::Appliance;
use landfall_tests::client::{Client, dial_raw, hello};
use landfall_tests::disk::Kind;
use landfall_tests::identity::{Authority, copy};
use landfall_tests::process::Process;
use landfall_tests::rig::{Member, Rig, newest};
use pki::{IssueRequest, Validity};
use units::Timestamp;
use wire::{Message, RefusalCode, Role};

const LEN: u64 = 1 << 20;

fn stranger(rig: &Rig, name: &str) -> Result<Member> {
    rig.stranger(name, &[LEN], Kind::File)
}

#[test]
fn wrong_certificates_are_refused_at_the_door() -> Result<()> {
    let rig = Rig::start(&[])?;
    let mut other = rig.bystander()?;
    let mut member = stranger(&rig, "web-01")?;
    rig.appliance.add_machine("web-01", &member.targets.iter().collect::<Vec<_>>())?;
    let landfalld = || fs::read_to_string(rig.lab.file("landfalld.err"));

    let foreign = Authority::apart(&rig.lab, &rig.binaries, "elsewhere")?;
    let elsewhere = foreign.authority.issue("source", "web-01")?;
    let (mine, now) = (member.identity.clone(), Timestamp::from_system(SystemTime::now()));
    let validity = Validity {
        not_before: now.before(Duration::from_secs(86_400)),
        not_after: now.before(Duration::from_secs(3600)),
    };
    let expired = rig.lab.file("expired");
    let (ca_directory, name) = (rig.authority.directory(), "web-01".parse()?);
    pki::issue(&IssueRequest { ca_directory, role: Role::Source, name, validity, out_directory: &expired })?;
    // Issued elsewhere, but told to trust our target: only the target can refuse it.
    let forged = rig.lab.file("forged");
    copy(&elsewhere, &forged)?;
    fs::copy(mine.join("ca.pem"), forged.join("ca.pem"))?;
    let operator = rig.authority.issue("operator", "web-01")?;
    let cases = [
        ("another authority", &elsewhere, "was not issued by our certificate authority"),
        ("another authority, forged", &forged, ""),
        ("expired", &expired, "expired"),
        ("another role", &operator, ""),
    ];
    for (what, identity, words) in cases {
        member.source = landfall_tests::source::Source::new(
            &rig.lab,
            &rig.binaries,
            "web-01",
            identity,
            &rig.appliance.address(),
        )?;
        let (exit, told) = member.once_refused().context(what)?;
        ensure!(exit == 5 && told.contains(words), "{what}: exit {exit}: {told}");
        other.is_unaffected(&rig).context(what)?;
    }
    let log = landfalld()?;
    for words in ["was not issued by our certificate authority", "expired", "is of role operator"] {
        ensure!(log.contains(words), "landfalld does not say {words:?}: {log}");
    }
    // With another machine's certificate.
    let foreign = rig.authority.issue("source", "web-02")?;
    member.source = landfall_tests::source::Source::new(
        &rig.lab,
        &rig.binaries,
        "web-01",
        &foreign,
        &rig.appliance.address(),
    )?;
    let (exit, told) = member.once_refused()?;
    ensure!(exit == 5 && told.contains("web-02"), "exit {exit}: {told}");
    ensure!(rig.appliance.machine("web-01")?.durable.0 == 0, "nothing was taken");
    other.is_unaffected(&rig)
}

#[test]
fn an_unknown_machine_is_told_how_to_be_known() -> Result<()> {
    let rig = Rig::start(&[])?;
    let mut other = rig.bystander()?;
    let (exit, told) = stranger(&rig, "unknown")?.once_refused()?;
    ensure!(exit == 3 && told.contains("landfall machine add"), "exit {exit}: {told}");
    other.is_unaffected(&rig)
}

#[test]
fn operators_are_refused_with_a_code_and_nothing_is_touched() -> Result<()> {
    let rig = Rig::start(&[])?;
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    let refused = |arguments: &[&str], code: &str| -> Result<()> {
        let (exit, told) = rig.appliance.landfall_refused(arguments)?;
        ensure!(exit == 3 && told.contains(code), "{arguments:?}: exit {exit}: {told}");
        Ok(())
    };
    refused(&["failback", "web-01", "--to", "latest", "--yes"], "LF-1304")?;
    member.once()?;
    member.change(0, &mut landfall_tests::material::Noise::new(1), 9)?;
    member.once()?;
    let point = newest(&rig.appliance.machine("web-01")?)?;
    refused(&["failback", "nobody", "--to", "latest", "--yes"], "LF-1101")?;
    refused(&["failback", "web-01", "--to", "2001-01-01T00:00:00Z", "--yes"], "LF-1302")?;
    refused(&["failback", "web-01", "--to", "2101-01-01T00:00:00Z", "--yes"], "LF-1302")?;
    refused(&["failback", "web-01", "--to", "999999", "--yes"], "LF-1302")?;
    let between = (point.sequence.0 - 1).to_string();
    refused(&["failback", "web-01", "--to", &between, "--yes"], "LF-1303")?;
    refused(&["commit", "web-01", "--yes"], "LF-1104")?;
    refused(&["cancel", "web-01"], "LF-1104")?;
    refused(&["point", "verify", "nobody"], "LF-1101")?;
    let taken = member.targets[0].path().display().to_string();
    refused(&["machine", "add", "web-02", "--disk", &taken, "--allow-file"], "LF-1203")?;
    refused(&["machine", "add", "web-01", "--disk", &taken, "--allow-file"], "LF-1102")?;
    refused(&["machine", "add", "web-03", "--disk", "/dev/none"], "LF-1201")?;
    let image = member.disks[0].path().display().to_string();
    refused(&["machine", "add", "web-04", "--disk", &image], "LF-1205")?;
    refused(&["machine", "add", "web-05", "--disk", "/dev/null", "--allow-file"], "LF-1208")?;
    rig.appliance.wait_applied("web-01")?;
    member.is_same()
}

#[test]
fn a_second_landfalld_on_the_same_state_is_refused_and_the_first_goes_on() -> Result<()> {
    let rig = Rig::start(&[])?;
    let mut other = rig.bystander()?;
    let second = |arguments: Vec<std::ffi::OsString>| -> Result<String> {
        let process = Process::start("second", &rig.binaries.landfalld, arguments, rig.lab.path())?;
        let ended = process.wait(Duration::from_secs(20))?;
        ensure!(ended.status.code() == Some(1), "it ended with {}", ended.status);
        Ok(fs::read_to_string(rig.lab.file("second.err"))?)
    };
    let told = second(rig.appliance.arguments())?;
    ensure!(told.contains("control.sock"), "{told}");
    // With a socket and a port of its own it meets the volume's lock.
    let identity = rig.authority.issue("master-target", "second")?;
    let state = identity.parent().context("a state directory")?;
    let elsewhere = Appliance::joined(&rig.lab, &rig.binaries, state)?;
    let mut arguments = elsewhere.arguments();
    let at = arguments.iter().position(|argument| argument == "--socket").context("a socket")?;
    arguments[at + 1] = rig.lab.file("second.sock").into();
    let told = second(arguments)?;
    ensure!(told.contains("the retention volume can't be used") && told.contains("another"), "{told}");
    other.is_unaffected(&rig)
}

#[test]
fn a_second_source_waits_for_the_first_which_is_lost_after_fifteen_seconds() -> Result<()> {
    let rig = Rig::start(&[])?;
    let mut other = rig.bystander()?;
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    let (mut first, _) =
        Client::open(&rig.appliance.address(), &member.identity, hello("web-01", &member.lens()?)?)?;
    let begin = std::time::Instant::now();
    let (exit, told) = member.once_refused()?;
    ensure!(exit == 3 && told.contains("another session"), "exit {exit}: {told}");
    other.is_unaffected(&rig)?;
    // The first says nothing more. Its own end does not answer pings while nobody asks it to receive.
    member.source.start_once(&member.each())?.succeed(Duration::from_secs(40))?;
    let waited = begin.elapsed();
    ensure!(waited > Duration::from_secs(10) && waited < Duration::from_secs(25), "after {waited:?}");
    let mut told = None;
    while let Ok(Some(message)) = first.hear(Duration::from_secs(1)) {
        if let Message::Refused(refused) = message {
            told = Some(refused.code);
        }
    }
    ensure!(told == Some(RefusalCode::Silent), "the silent one is told: {told:?}");
    other.is_unaffected(&rig)?;
    // A source that is killed leaves no session behind.
    let process = member.rounds("50ms")?;
    rig.appliance.wait_until("web-01", Duration::from_secs(20), |machine| machine.session.connected)?;
    process.kill()?;
    member.once()?;
    rig.appliance.wait_applied("web-01")?;
    member.is_same()
}

#[test]
fn peers_that_trickle_or_say_nothing_hold_nobody_up() -> Result<()> {
    use std::io::{Read as _, Write as _};
    let rig = Rig::start(&[])?;
    let mut other = rig.bystander()?;
    let member = rig.member("web-01", &[LEN], Kind::File)?;
    let mut mute: Vec<_> =
        (0..20).map(|_| std::net::TcpStream::connect(rig.appliance.address())).collect::<Result<_, _>>()?;
    let mut slow = dial_raw(&rig.appliance.address(), &member.identity)?;
    let mut frame = Vec::new();
    wire::encode(&Message::Hello(Box::new(hello("web-01", &member.lens()?)?)), 0, &mut frame);
    let begin = std::time::Instant::now();
    // One byte of a hello each half second.
    let cut = frame.iter().position(|byte| {
        std::thread::sleep(Duration::from_millis(500));
        slow.write_all(&[*byte]).and_then(|()| slow.flush()).is_err()
            || begin.elapsed() > Duration::from_secs(14)
    });
    ensure!(cut.is_some() || frame.len() < 28, "it was cut");
    let mut heard = Vec::new();
    drop(slow.read_to_end(&mut heard));
    ensure!(begin.elapsed() < Duration::from_secs(16), "a trickled hello is refused: {:?}", begin.elapsed());
    for socket in &mut mute {
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut byte = [0; 64];
        let closed =
            matches!(socket.read(&mut byte), Ok(0)) || socket.read(&mut byte).is_ok_and(|len| len == 0);
        ensure!(closed, "a socket that says nothing is closed after 5 s");
    }
    other.is_unaffected(&rig)?;
    member.once()
}
