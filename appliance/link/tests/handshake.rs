//! Who gets in, who does not, and whether both ends are told why.

mod parties;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use link::{Connector, Credentials, HandshakeCause, Limits, LinkError, Received, Role};
use parties::{Authority, accept_one, acceptor, brisk, connector};
use rustls::AlertDescription;
use units::Timestamp;

/// What the target has against the source that connects, and what the source hears of it.
fn refused_source(target: &Authority, source: &Connector) -> (HandshakeCause, HandshakeCause) {
    let (address, accepted) = accept_one(target.target(), Limits::default());
    let connected = source.connect(&address.to_string(), &Limits::default());
    let told = connected.and_then(|mut link| link.receive(&mut Vec::new(), Duration::from_secs(5)));
    let cause = |error: LinkError| match error {
        LinkError::Handshake { cause } => cause,
        other => panic!("not a refusal: {other:?}"),
    };
    let found = accepted.join().expect("no panic").expect_err("the source is refused");
    (cause(found), cause(told.expect_err("the source is told")))
}

/// A validity from `start` to `end`, in days from now.
fn days(start: i64, end: i64) -> pki::Validity {
    let now = Timestamp::from_system(std::time::SystemTime::now()).0;
    let moment = |days: i64| Timestamp(now.saturating_add_signed(days * 86_400_000_000));
    pki::Validity { not_before: moment(start), not_after: moment(end) }
}

fn refused_by_peer(alert: AlertDescription) -> HandshakeCause {
    HandshakeCause::RefusedByPeer { alert }
}

#[test]
fn good_certificates_of_the_right_roles_get_in_and_know_each_other() {
    let (mut target, mut source) = parties::pair(Limits::default());
    assert_eq!(target.peer().to_string(), "landfall:source:web-01");
    assert_eq!(source.peer().to_string(), "landfall:master-target:home");
    source.send(&wire::Message::Ping, &[]).expect("sent");
    source.flush().expect("flushed");
    let received = target.receive(&mut Vec::new(), Duration::from_secs(5)).expect("received");
    assert_eq!(received, Received::Message(wire::Message::Ping));
}

#[test]
fn a_source_of_another_authority_is_refused_on_both_ends() {
    let (target, other) = (Authority::new(), Authority::new());
    let (address, accepted) = accept_one(target.target(), Limits::default());
    let error =
        other.source().connect(&address.to_string(), &Limits::default()).expect_err("an unknown target");
    assert!(matches!(error, LinkError::Handshake { cause: HandshakeCause::UnknownAuthority }), "{error:?}");
    let error = accepted.join().expect("no panic").expect_err("the source has left");
    let told = refused_by_peer(AlertDescription::UnknownCA);
    assert!(matches!(&error, LinkError::Handshake { cause } if *cause == told), "{error:?}");
}

#[test]
fn a_source_that_trusts_us_but_is_of_another_authority_is_refused() {
    let (target, other) = (Authority::new(), Authority::new());
    let directory = other.issue(Role::Source, "web-01");
    std::fs::copy(target.path().join("ca.pem"), directory.join("ca.pem")).expect("copied");
    let (found, told) = refused_source(&target, &connector(&directory));
    assert_eq!(found, HandshakeCause::UnknownAuthority);
    assert_eq!(told, refused_by_peer(AlertDescription::UnknownCA));
}

#[test]
fn an_expired_source_and_one_from_the_future_are_refused() {
    let authority = Authority::new();
    for (start, end, expected) in [(-9, -2, HandshakeCause::Expired), (2, 9, HandshakeCause::NotYetValid)] {
        let directory = authority.issue_for(Role::Source, &format!("web{start}"), days(start, end));
        let home = authority.issue(Role::MasterTarget, &format!("home{start}"));
        let (address, accepted) = accept_one(acceptor(&home), Limits::default());
        let connected = connector(&directory).connect(&address.to_string(), &Limits::default());
        let told = connected.and_then(|mut link| link.receive(&mut Vec::new(), Duration::from_secs(5)));
        let found = accepted.join().expect("no panic").expect_err("refused");
        assert!(matches!(&found, LinkError::Handshake { cause } if *cause == expected), "{found:?}");
        let alert = refused_by_peer(AlertDescription::CertificateExpired);
        assert!(matches!(&told, Err(LinkError::Handshake { cause }) if *cause == alert), "{told:?}");
    }
}

#[test]
fn an_expired_target_is_refused() {
    let authority = Authority::new();
    let home = authority.issue_for(Role::MasterTarget, "home", days(-9, -2));
    let (address, accepted) = accept_one(acceptor(&home), Limits::default());
    let error = authority.source().connect(&address.to_string(), &Limits::default()).expect_err("refused");
    assert!(matches!(error, LinkError::Handshake { cause: HandshakeCause::Expired }), "{error:?}");
    let told = accepted.join().expect("no panic").expect_err("the source has left");
    assert_eq!(
        told.to_string(),
        "the TLS handshake failed: the peer refused us: our certificate has expired or is not valid yet"
    );
}

#[test]
fn only_sources_may_connect_and_only_to_master_targets() {
    let authority = Authority::new();
    for role in [Role::MasterTarget, Role::ProcessServer, Role::ConfigurationServer, Role::Operator] {
        let target = Authority::new();
        let directory = target.issue(role, "other");
        let (found, told) = refused_source(&target, &connector(&directory));
        assert_eq!(found, HandshakeCause::WrongRole { found: role, expected: vec![Role::Source] });
        assert_eq!(told, refused_by_peer(AlertDescription::CertificateUnknown));
    }
    let (address, accepted) = accept_one(acceptor(&authority.issue(Role::Source, "db")), Limits::default());
    let error = authority.source().connect(&address.to_string(), &Limits::default()).expect_err("refused");
    let expected = HandshakeCause::WrongRole { found: Role::Source, expected: vec![Role::MasterTarget] };
    assert!(matches!(&error, LinkError::Handshake { cause } if *cause == expected), "{error:?}");
    assert!(accepted.join().expect("no panic").is_err());
}

/// Runs `openssl s_client` against a fresh acceptor; returns what the acceptor says.
fn openssl(authority: &Authority, arguments: &[&str]) -> LinkError {
    let source = authority.issue(Role::Source, "openssl");
    let (address, accepted) = accept_one(authority.target(), Limits::default());
    let file = |name: &str| source.join(name).display().to_string();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address.to_string(), "-CAfile", &file("ca.pem")]);
    for argument in arguments {
        command.arg(argument.replace("CERT", &file("cert.pem")).replace("KEY", &file("key.pem")));
    }
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("openssl is installed");
    let error = accepted.join().expect("no panic").expect_err("openssl is refused");
    child.wait().expect("openssl ends");
    error
}

#[test]
fn openssl_is_refused_for_what_it_lacks() {
    let certificate = ["-cert", "CERT", "-key", "KEY"];
    let cases: [(&[&str], HandshakeCause); 4] = [
        (&["-tls1_2", "-alpn", "landfall-repl/1"], HandshakeCause::OldTls),
        (&["-tls1_3", "-alpn", "landfall-repl/1"], HandshakeCause::NoCertificate),
        (&["-tls1_3"], HandshakeCause::WrongProtocol),
        (&["-tls1_3", "-alpn", "http/1.1"], HandshakeCause::WrongProtocol),
    ];
    for (arguments, expected) in cases {
        let with_certificate = expected != HandshakeCause::NoCertificate;
        let arguments = [arguments, if with_certificate { &certificate } else { &[] }].concat();
        let error = openssl(&Authority::new(), &arguments);
        assert!(
            matches!(&error, LinkError::Handshake { cause } if *cause == expected),
            "{arguments:?}: {error:?}"
        );
    }
}

#[test]
fn what_is_not_tls_is_refused_at_once() {
    let authority = Authority::new();
    let acceptor = authority.target();
    let mut noise = vec![0_u8; 40_000];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    noise.fill_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    let zeroes = vec![0; 40_000];
    let record_too_long = [&[22, 3, 1, 0xff, 0xff][..], &zeroes].concat();
    let cases: [&[u8]; 5] =
        [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &noise, &zeroes, &record_too_long, b"SSH-2.0-x\r\n"];
    for bytes in cases {
        let (address, accepted) = accept_one(acceptor.clone(), Limits::default());
        let (start, mut socket) = (Instant::now(), TcpStream::connect(address).expect("connected"));
        // The other end may have hung up already.
        drop(socket.write_all(bytes));
        drop(socket.read_to_end(&mut Vec::new()));
        drop(socket);
        let error = accepted.join().expect("no panic").expect_err("refused");
        assert!(matches!(error, LinkError::Handshake { cause: HandshakeCause::NotTls { .. } }), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    }
}

#[test]
fn a_handshake_that_trickles_or_never_starts_ends_in_time() {
    let authority = Authority::new();
    let acceptor = authority.target();
    for trickle in [false, true] {
        let (address, accepted) = accept_one(acceptor.clone(), brisk());
        let (start, mut socket) = (Instant::now(), TcpStream::connect(address).expect("connected"));
        let hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
        let mut bytes = hello.iter().chain(std::iter::repeat(&0));
        while !accepted.is_finished() {
            if trickle {
                drop(socket.write_all(&[*bytes.next().expect("endless")]));
            }
            std::thread::sleep(Duration::from_millis(50));
            assert!(start.elapsed() < Duration::from_secs(4), "the budget is 1.5 s");
        }
        let error = accepted.join().expect("no panic").expect_err("refused");
        assert!(
            matches!(&error, LinkError::HandshakeTimeout { after, .. } if *after == brisk().handshake),
            "{error:?}"
        );
        assert!(start.elapsed() >= brisk().handshake);
    }
}

#[test]
fn a_peer_that_leaves_during_the_handshake_is_no_panic() {
    let authority = Authority::new();
    let (address, accepted) = accept_one(authority.target(), Limits::default());
    drop(TcpStream::connect(address).expect("connected"));
    let error = accepted.join().expect("no panic").expect_err("nobody is there");
    assert!(matches!(error, LinkError::Handshake { cause: HandshakeCause::Closed }), "{error:?}");
}

#[test]
fn nobody_at_the_address_and_no_such_address_are_told_apart() {
    let source = Authority::new().source();
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let error = source.connect(&free.to_string(), &brisk()).expect_err("nobody listens");
    assert!(
        matches!(&error, LinkError::Connect { source, .. }
        if source.kind() == std::io::ErrorKind::ConnectionRefused),
        "{error:?}"
    );
    for address in ["no-port", "nobody.invalid:9443", "127.0.0.1:99999"] {
        let error = source.connect(address, &brisk()).expect_err("no such address");
        assert!(matches!(error, LinkError::Address { .. }), "{error:?}");
    }
}

#[test]
fn credentials_are_refused_by_file_and_never_shown() {
    use std::os::unix::fs::PermissionsExt;
    let (authority, other) = (Authority::new(), Authority::new());
    let directory = authority.issue(Role::Source, "web-01");
    let shown = format!("{:?}", Credentials::read(&directory).expect("good credentials"));
    assert_eq!(shown, "Credentials { identity: Identity { role: Source, name: web-01 }, .. }");
    let key = directory.join("key.pem");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("changed");
    assert!(matches!(Credentials::read(&directory), Err(LinkError::KeyExposed { mode: 0o644, .. })));
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("changed");
    std::fs::copy(other.issue(Role::Source, "a").join("key.pem"), &key).expect("copied");
    assert!(matches!(Credentials::read(&directory), Err(LinkError::Credentials { .. })));
    std::fs::write(&key, "no key").expect("written");
    assert!(matches!(Credentials::read(&directory), Err(LinkError::CredentialsContent { .. })));
    std::fs::remove_file(&key).expect("removed");
    assert!(matches!(Credentials::read(&directory), Err(LinkError::CredentialsRead { .. })));
    std::fs::copy(authority.path().join("ca.pem"), directory.join("cert.pem")).expect("copied");
    let error = Credentials::read(&directory).expect_err("an authority has no identity");
    assert!(matches!(
        error,
        LinkError::OwnIdentity { source: HandshakeCause::IdentityCount { found: 0 }, .. }
    ));
}
