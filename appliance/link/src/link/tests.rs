//! What needs a look inside: bytes in TLS that are no frames, and keys that wear out.

use std::net::TcpListener;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls13CipherSuite};
use units::{DiskIndex, LeafIndex};
use wire::{FrameError, HashQuery, Identity, PAYLOAD_LEN_MAX};

use super::*;
use crate::{Acceptor, Connector, Credentials, Role};

const LONG: Duration = Duration::from_secs(10);

/// Both ends of a good link, with credentials changed before they are used: the target's, the source's.
fn pair(change: impl Fn(&mut Credentials)) -> (Link, Link) {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    pki::init(directory.path()).expect("the authority is made");
    let credentials = |role: Role| {
        let out = directory.path().join(role.as_str());
        let identity = Identity { role, name: "a".parse().expect("a lawful name") };
        let request = pki::IssueRequest::for_days(directory.path(), identity, 1, &out).expect("lawful");
        let mut credentials =
            Credentials::read(&pki::issue(&request).expect("issued").directory).expect("good");
        change(&mut credentials);
        credentials
    };
    let acceptor = Acceptor::new(&credentials(Role::MasterTarget)).expect("an acceptor");
    let connector = Connector::new(&credentials(Role::Source)).expect("a connector");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let accepted = std::thread::spawn(move || {
        acceptor.accept(listener.accept().expect("a socket").0, &Limits::default()).expect("a good source")
    });
    let source = connector.connect(&address, &Limits::default()).expect("a good target");
    (accepted.join().expect("no panic"), source)
}

#[test]
fn bytes_in_tls_that_are_no_frame_are_refused_and_stay_refused() {
    let mut oversized = Vec::new();
    wire::encode(&Message::Ping, 0, &mut oversized);
    oversized[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    let checksum = crc32c::crc32c(&oversized[..28]);
    oversized[28..32].copy_from_slice(&checksum.to_le_bytes());
    let cases: [&[u8]; 3] = [b"GET / HTTP/1.1\r\nHost: appliance\r\n\r\n", &[0; 70_000], &oversized];
    for bytes in cases {
        let (mut target, mut source) = pair(|_| {});
        source.channel.encrypt(bytes).expect("encrypted");
        source.flush().expect("flushed");
        for _ in 0..3 {
            let error = target.receive(&mut Vec::new(), LONG).expect_err("no frame");
            assert!(
                matches!(error, LinkError::Frame(FrameError::Magic { .. } | FrameError::TooLong { .. })),
                "{error:?}"
            );
        }
        target.send(&Message::Goodbye, &[]).expect("the source can still be told");
        target.flush().expect("the source can still be told");
        assert_eq!(source.receive(&mut Vec::new(), LONG).expect("told"), Received::Message(Message::Goodbye));
    }
}

#[test]
fn damaged_tls_ends_the_link_and_using_it_further_is_no_panic() {
    let (mut target, mut source) = pair(|_| {});
    source.channel.garble(b"\x17\x03\x03\x00\x20 thirty-two bytes that are no record");
    assert!(matches!(target.receive(&mut Vec::new(), LONG), Err(LinkError::Tls(_))));
    assert!(matches!(target.receive(&mut Vec::new(), LONG), Err(LinkError::Over)));
    target.send(&Message::Ping, &[]).expect("only queued");
    assert!(matches!(target.flush(), Err(LinkError::Over)));
    target.close(Duration::from_millis(50));
}

/// The suite we use, with keys that are worn out after this many records.
fn short_lived_keys(credentials: &mut Credentials) {
    const RECORDS: u64 = 100;
    let mut suites = credentials.provider.cipher_suites.iter().filter_map(SupportedCipherSuite::tls13);
    let suite = suites.next().expect("a suite of TLS 1.3");
    let CipherSuiteCommon { suite: name, hash_provider, .. } = suite.common;
    let common = CipherSuiteCommon { suite: name, hash_provider, confidentiality_limit: RECORDS };
    let Tls13CipherSuite { hkdf_provider, aead_alg, quic, .. } = *suite;
    let worn: &'static Tls13CipherSuite =
        Box::leak(Box::new(Tls13CipherSuite { common, hkdf_provider, aead_alg, quic }));
    let provider = CryptoProvider {
        cipher_suites: vec![SupportedCipherSuite::Tls13(worn)],
        ..CryptoProvider::clone(&credentials.provider)
    };
    credentials.provider = Arc::new(provider);
}

#[test]
fn keys_are_renewed_under_way_in_both_directions_at_once() {
    const FRAMES: usize = 64;
    let (target, source) = pair(short_lived_keys);
    let count = u32::try_from(PAYLOAD_LEN_MAX / 32).expect("fits");
    let message = Message::Hashes(HashQuery { disk: DiskIndex(0), first: LeafIndex(0), count });
    let exchange = |mut link: Link| {
        let message = message.clone();
        move || {
            let bytes = (0..PAYLOAD_LEN_MAX).map(|at| (at % 251) as u8).collect::<Vec<u8>>();
            let mut payload = Vec::new();
            for _ in 0..FRAMES {
                link.send(&message, &[&bytes]).expect("sent");
                link.flush().expect("flushed");
                let received = link.receive(&mut payload, LONG).expect("received");
                assert!(received == Received::Message(message.clone()) && payload == bytes);
            }
            link
        }
    };
    let other = std::thread::spawn(exchange(target));
    let source = exchange(source)();
    drop((other.join().expect("no panic"), source));
}
