//! Golden bytes of every message, every bit flip, every truncation.

mod samples;

use std::path::PathBuf;

use samples::{disks, samples};
use wire::{
    BODY_LEN_MAX, FrameError, HEADER_LEN, Header, Message, PAYLOAD_LEN_MAX, RefusalCode, check_message,
    decode_body, decode_header, decode_message, encode,
};

fn frame(message: &Message, payload_len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, payload_len, &mut bytes);
    bytes
}

fn decode(bytes: &[u8]) -> Result<(Header, Message), FrameError> {
    let (header, body) = bytes.split_at_checked(HEADER_LEN).unwrap_or((bytes, &[]));
    let header = decode_header::<Message>(header)?;
    Ok((header, decode_body(&header, body)?))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

/// Set LANDFALL_GOLDEN=write to write the files anew; a change of an existing one breaks the protocol.
#[test]
fn every_message_has_its_golden_bytes() {
    for (name, message, payload_len) in samples() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.hex"));
        let found = hexadecimal(&frame(&message, payload_len));
        if std::env::var_os("LANDFALL_GOLDEN").is_some_and(|value| value == "write") {
            std::fs::write(&path, &found).expect("the golden file can be written");
        }
        let expected =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn every_kind_has_a_sample_that_is_lawful_and_comes_back() {
    let mut kinds = std::collections::BTreeSet::new();
    for (name, message, payload_len) in samples() {
        let (header, decoded) = decode(&frame(&message, payload_len)).expect(name);
        assert_eq!((decoded, header.payload_len), (message.clone(), payload_len), "{name}");
        assert_eq!(check_message(&message, &disks(), payload_len), Ok(()), "{name}");
        assert!(name.starts_with(&format!("{:02}-", header.kind)), "{name} is kind {}", header.kind);
        kinds.insert(header.kind);
    }
    assert!(kinds.into_iter().eq(0..23));
}

#[test]
fn every_flipped_bit_is_refused() {
    for (name, message, payload_len) in samples() {
        let good = frame(&message, payload_len);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let error = decode(&bad).expect_err(name);
            assert_eq!(error.refusal_code(), RefusalCode::Malformed, "{name}, bit {bit}");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    for (name, message, payload_len) in samples() {
        let good = frame(&message, payload_len);
        for len in 0..good.len() {
            assert!(matches!(decode(&good[..len]), Err(FrameError::Length { .. })), "{name}, {len} bytes");
            if len > HEADER_LEN {
                assert!(
                    decode_message::<Message>(&good[HEADER_LEN..len]).is_err(),
                    "{name}, body cut at {len}"
                );
            }
        }
    }
}

#[test]
fn bytes_behind_the_message_are_refused() {
    for (name, message, payload_len) in samples() {
        let mut body = frame(&message, payload_len).split_off(HEADER_LEN);
        body.push(0);
        assert_eq!(decode_message::<Message>(&body), Err(FrameError::Trailing { count: 1 }), "{name}");
    }
}

#[test]
fn the_numbers_of_refusals_never_change() {
    use RefusalCode as C;
    let codes = [
        C::Malformed,
        C::Unexpected,
        C::NotAuthorised,
        C::UnknownMachine,
        C::Fenced,
        C::Busy,
        C::DiskMismatch,
        C::Gap,
        C::BadExtent,
        C::WrongHash,
        C::BadPayload,
        C::OverCredit,
        C::LostHistory,
        C::Rewound,
        C::DeviceFailed,
        C::Damaged,
        C::Full,
        C::Silent,
        C::Stopping,
    ];
    for (number, code) in codes.into_iter().enumerate() {
        let refused = wire::Refused { code, detail: heapless::String::new() };
        let body = frame(&Message::Refused(Box::new(refused)), 0).split_off(HEADER_LEN);
        assert_eq!(body, [17, number as u8, 0], "{code:?}");
    }
    assert!(decode_message::<Message>(&[17, 19, 0]).is_err(), "there are no others");
}

/// Changes a header and makes its checksum right again.
fn reheaded(change: impl FnOnce(&mut [u8])) -> Result<Header, FrameError> {
    let mut header = frame(&Message::Ping, 0)[..HEADER_LEN].to_vec();
    change(&mut header);
    let checksum = crc32c::crc32c(&header[..28]);
    header[28..].copy_from_slice(&checksum.to_le_bytes());
    decode_header::<Message>(&header)
}

#[test]
fn a_header_is_refused_for_its_meaning_even_if_its_checksum_is_right() {
    assert!(matches!(reheaded(|header| header[0] = b'H'), Err(FrameError::Magic { .. })));
    assert!(matches!(reheaded(|header| header[15] = 1), Err(FrameError::Reserved { .. })));
    assert_eq!(reheaded(|header| header[4] = 1), Err(FrameError::Version { found: 1, expected: 2 }));
    assert_eq!(reheaded(|header| header[6] = 23), Err(FrameError::Kind { found: 23 }));
    let max = BODY_LEN_MAX as u32;
    let body = |len: u32| reheaded(|header| header[16..20].copy_from_slice(&len.to_le_bytes()));
    assert!(body(max).is_ok());
    assert!(matches!(body(max + 1), Err(FrameError::TooLong { part: "body", .. })));
    assert!(matches!(body(u32::MAX), Err(FrameError::TooLong { part: "body", .. })));
}

#[test]
fn only_kinds_with_a_payload_may_have_one_and_never_more_than_a_mebibyte() {
    for kind in 0..22_u8 {
        let payload = |len: u32| {
            reheaded(|header| {
                header[6] = kind;
                header[20..24].copy_from_slice(&len.to_le_bytes());
            })
        };
        assert_eq!(payload(1).is_ok(), [2, 4, 11, 21].contains(&kind), "kind {kind}");
        assert_eq!(payload(PAYLOAD_LEN_MAX as u32).is_ok(), [2, 4, 11, 21].contains(&kind), "kind {kind}");
        assert!(
            matches!(payload(PAYLOAD_LEN_MAX as u32 + 1), Err(FrameError::TooLong { .. })),
            "kind {kind}"
        );
    }
}

#[test]
fn a_body_of_another_kind_than_its_header_is_refused() {
    let header = reheaded(|header| {
        header[6] = 15;
    });
    let header = header.expect("kind 15 has no payload either");
    let body = &frame(&Message::Ping, 0)[HEADER_LEN..];
    assert_eq!(
        decode_body::<Message>(&header, body),
        Err(FrameError::KindMismatch { found: 14, expected: 15 })
    );
}

#[test]
fn frames_are_appended_to_what_is_in_the_buffer() {
    let mut bytes = frame(&Message::Ping, 0);
    encode(&Message::Pong, 0, &mut bytes);
    let (first, second) = bytes.split_at(HEADER_LEN + 1);
    assert_eq!(decode(first).map(|(_, message)| message), Ok(Message::Ping));
    assert_eq!(decode(second).map(|(_, message)| message), Ok(Message::Pong));
}
