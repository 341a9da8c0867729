//! Golden bytes of every question and answer of enrolment; every bit flip and every truncation.

use std::path::PathBuf;

use units::CertificateId;
use wire::{
    ENROL_BODY_LEN_MAX, EnrolAnswer, EnrolAsk, EnrolError, EnrolRefusal, EnrolRefused, Granted, Identity,
    Join, REVOCATIONS_MAX, Renew, Revoked, RevokedAsk, RevokedPage, TokenId, decode_answer, decode_ask,
    encode_answer, encode_ask, enrol_body_len,
};

fn holder(text: &str) -> Identity {
    text.parse().expect("an identity")
}

fn number(byte: u8) -> CertificateId {
    CertificateId::new(units::Timestamp(1_796_000_000_000_000), [byte; 8])
}

fn bytes<const N: usize>(byte: u8, len: usize) -> heapless::Vec<u8, N> {
    heapless::Vec::from_slice(&vec![byte; len]).expect("it fits")
}

fn asks() -> Vec<(&'static str, EnrolAsk)> {
    let join = Join {
        token: TokenId([1; 16]),
        request: bytes(0x30, 40),
        proof: [2; 32],
        software: "landfall-source 0.1.0".try_into().expect("it fits"),
    };
    vec![
        ("enrol-0-join", EnrolAsk::Join(Box::new(join))),
        ("enrol-1-renew", EnrolAsk::Renew(Box::new(Renew { request: bytes(0x30, 40) }))),
        ("enrol-2-revoked", EnrolAsk::Revoked(RevokedAsk { after: Some(holder("landfall:source:web-01")) })),
    ]
}

fn answers() -> Vec<(&'static str, EnrolAnswer)> {
    let granted = Granted { certificate: bytes(0x31, 50), authority: bytes(0x32, 50) };
    let revoked = Revoked { holder: holder("landfall:operator:ann"), upto: number(0xff) };
    let page = RevokedPage { revoked: heapless::Vec::from_slice(&[revoked]).expect("it fits"), more: true };
    let refused = EnrolRefused::new(EnrolRefusal::Token, "the token does not count");
    vec![
        ("enrol-0-granted", EnrolAnswer::Granted(Box::new(granted))),
        ("enrol-1-revocations", EnrolAnswer::Revoked(Box::new(page))),
        ("enrol-2-refused", EnrolAnswer::Refused(Box::new(refused))),
    ]
}

/// Set LANDFALL_GOLDEN=write to write the files anew; a change of an existing one breaks the protocol.
fn golden(name: &str, frame: &[u8]) {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    let found: String = frame.chunks(32).map(line).collect();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.hex"));
    if std::env::var_os("LANDFALL_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, &found).expect("the golden file can be written");
    }
    let expected =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(found, expected, "{name}");
}

#[test]
fn every_question_and_answer_has_its_golden_bytes_and_comes_back() {
    for (name, ask) in asks() {
        let frame = encode_ask(&ask);
        golden(name, &frame);
        assert_eq!(enrol_body_len([frame[0], frame[1]]), Ok(frame.len() - 2));
        assert_eq!(decode_ask(&frame[2..]), Ok(ask));
    }
    for (name, answer) in answers() {
        let frame = encode_answer(&answer);
        golden(name, &frame);
        assert_eq!(decode_answer(&frame[2..]), Ok(answer));
    }
}

#[test]
fn every_truncation_is_refused_and_so_is_anything_behind() {
    for (name, ask) in asks() {
        let frame = encode_ask(&ask);
        for end in 2..frame.len() {
            assert!(decode_ask(&frame[2..end]).is_err(), "{name} cut at {end}");
        }
        assert_eq!(decode_ask(&[&frame[2..], &[0]].concat()), Err(EnrolError::Rest { found: 1 }), "{name}");
    }
    for (name, answer) in answers() {
        let frame = encode_answer(&answer);
        for end in 2..frame.len() {
            assert!(decode_answer(&frame[2..end]).is_err(), "{name} cut at {end}");
        }
    }
}

#[test]
fn no_flipped_bit_reads_as_what_was_written() {
    for (name, ask) in asks() {
        let frame = encode_ask(&ask);
        for bit in 16..frame.len() * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(decode_ask(&bad[2..]), Ok(ask.clone()), "{name}, bit {bit}");
        }
    }
    for (name, answer) in answers() {
        let frame = encode_answer(&answer);
        for bit in 16..frame.len() * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(decode_answer(&bad[2..]), Ok(answer.clone()), "{name}, bit {bit}");
        }
    }
}

#[test]
fn what_is_longer_than_a_frame_is_refused_before_it_is_read() {
    assert_eq!(enrol_body_len(0xffff_u16.to_le_bytes()), Err(EnrolError::TooLong { found: 0xffff }));
    let longest = vec![0; ENROL_BODY_LEN_MAX + 1];
    assert!(matches!(decode_ask(&longest), Err(EnrolError::TooLong { .. })));
    // A full page of the longest names fits a frame: otherwise this panics.
    let long = Revoked {
        holder: holder(&format!("landfall:configuration-server:{}", "a".repeat(63))),
        upto: number(1),
    };
    let revoked = std::iter::repeat_n(long, REVOCATIONS_MAX).collect();
    encode_answer(&EnrolAnswer::Revoked(Box::new(RevokedPage { revoked, more: true })));
}
