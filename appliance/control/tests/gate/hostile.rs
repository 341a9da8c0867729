//! Those who should not be let in, and those who want to keep others out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use landfall_control::GateLimits;
use link::Role;
use pki::Validity;
use units::Timestamp;

use crate::town::{Town, brisk, read_to_end};

#[test]
fn wrong_certificates_are_told_why() {
    let town = Town::new(brisk());
    let long_ago = Validity { not_before: Timestamp(0), not_after: Timestamp(1_000_000) };
    let cases = [
        (town.issue(Role::MasterTarget, "home"), "CertificateUnknown"),
        (town.issue(Role::Source, "stranger"), "CertificateUnknown"),
        (town.issue_for(Role::Source, "old", long_ago), "CertificateExpired"),
        (town.forge(Role::Source, "forged"), "UnknownCA"),
    ];
    for (identity, alert) in cases {
        let error = town.enter(&identity).expect_err("refused").to_string();
        assert!(error.contains(alert), "{}: {error}", identity.display());
    }
}

#[test]
fn old_tls_other_protocols_and_none_get_nothing() {
    let town = Town::new(brisk());
    let said = town.openssl(&["-tls1_2", "-alpn", "landfall-open/1"]);
    assert!(said.contains("protocol version") && !said.contains("a guest"), "{said}");
    for arguments in [&["-alpn", "h2"][..], &["-alpn", "landfall-repl/1"], &[]] {
        let said = town.openssl(arguments);
        assert!(said.contains("no peer certificate available") && !said.contains("a guest"), "{said}");
    }
}

#[test]
fn what_is_no_tls_is_closed_at_once() {
    let town = Town::new(brisk());
    for bytes in [&b"GET / HTTP/1.1\r\nHost: home\r\n\r\n"[..], &[0; 4096], &[0xff; 70_000]] {
        let mut socket = TcpStream::connect(town.address).expect("connected");
        // The gate may be faster to close than we to write.
        let _ = socket.write_all(bytes);
        let said = read_to_end(&mut socket);
        assert!(said.len() < 16, "an alert at most: {said:?}");
    }
    town.enter(&town.issue(Role::Source, "web-01")).expect("others are served");
}

#[test]
fn a_handshake_that_trickles_is_cut() {
    let town = Town::new(brisk());
    let mut socket = TcpStream::connect(town.address).expect("connected");
    let begun = Instant::now();
    let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[7; 500]].concat();
    let written = hello.iter().all(|byte| {
        std::thread::sleep(Duration::from_millis(20));
        socket.write_all(&[*byte]).is_ok()
    });
    assert!(!written || socket.read(&mut [0]).map_or(0, |len| len) == 0, "cut after {:?}", begun.elapsed());
}

#[test]
fn whoever_opens_connections_and_says_nothing_keeps_no_one_out() {
    let limits = GateLimits { handshakes: 8, handshakes_per_address: 4, ..brisk() };
    let town = Town::new(limits);
    let silent: Vec<_> = (0..32).map(|_| TcpStream::connect(town.address).expect("connected")).collect();
    let own = town.issue(Role::Source, "web-01");
    let begun = Instant::now();
    let entered = loop {
        match town.enter(&own) {
            Ok((_, greeting)) => break greeting,
            Err(_) if begun.elapsed() < Duration::from_secs(20) => {
                std::thread::sleep(Duration::from_millis(100))
            }
            Err(error) => panic!("kept out: {error}"),
        }
    };
    assert!(entered.starts_with("landfall:source:web-01"), "{entered}");
    for mut socket in silent {
        assert_eq!(read_to_end(&mut socket), b"", "closed without a word");
    }
}
