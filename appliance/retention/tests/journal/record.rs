//! The bytes of records, and what is refused.

use retention::{Body, DecodeError, ExtentDecoder, RECORD_HEADER_LEN, decode_body, decode_head, encoded_len};
use units::{ByteOffset, Hash};

use crate::specimen::{
    assert_golden, each_bit_flip, golden_records, older_marker, parts, payload, placement, record, unhex,
};

const GOLDEN: [&str; 3] =
    [include_str!("golden/batch.hex"), include_str!("golden/marker.hex"), include_str!("golden/before.hex")];

/// Puts the checksum over a header whose bytes were changed; written from FORMAT.md, not from the crate.
fn reseal(record: &mut [u8]) {
    let mut hasher = blake3::Hasher::new_derive_key("landfall 2026 journal record header");
    let checksum = hasher.update(&record[..160]).finalize();
    record[160..192].copy_from_slice(checksum.as_bytes());
}

fn kind_of(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::Short { .. } => "short",
        DecodeError::Blank => "blank",
        DecodeError::Magic { .. } => "magic",
        DecodeError::Reserved => "reserved",
        DecodeError::Version { .. } => "version",
        DecodeError::Checksum { part: "header" } => "header checksum",
        DecodeError::Checksum { part: "body" } => "body checksum",
        DecodeError::Checksum { .. } => "other checksum",
        DecodeError::Bounds { .. } => "bounds",
        DecodeError::Misplaced { .. } => "misplaced",
        DecodeError::Body(_) => "body",
        DecodeError::Payload { .. } => "payload",
    }
}

#[test]
fn records_have_the_bytes_of_the_format() {
    for ((name, _, bytes), golden) in golden_records().into_iter().zip(GOLDEN) {
        assert_golden(name, &bytes, golden);
    }
}

#[test]
fn records_say_what_was_written() {
    for (name, body, bytes) in golden_records() {
        let (head, found) = parts(&bytes);
        assert_eq!(found, body, "{name}");
        assert_eq!(head.placement, placement(8192, Hash([0x5c; 32])));
        assert_eq!((head.record_len, head.end()), (bytes.len(), ByteOffset(8192 + bytes.len() as u64)));
        let payload_at = (head.payload_at().0 - 8192) as usize;
        assert_eq!(head.payload_len, if name == "marker" { 0 } else { payload().len() });
        assert!(payload().starts_with(&bytes[payload_at..][..head.payload_len]));
        assert_eq!(head.durable_len, ByteOffset(4096));
    }
}

#[test]
fn every_flipped_bit_of_a_header_is_refused_for_what_it_hits() {
    for (name, _, bytes) in golden_records() {
        each_bit_flip(&bytes, 0..RECORD_HEADER_LEN, |at, flipped| {
            let expected = match at {
                0..=3 => "magic",
                4..=5 => "version",
                7 | 20..=23 | 88..=95 => "reserved",
                _ => "header checksum",
            };
            let refused = decode_head(flipped).expect_err("a flipped bit is refused");
            assert_eq!(kind_of(&refused), expected, "{name}, byte {at}");
        });
    }
}

#[test]
fn every_flipped_bit_of_a_body_or_payload_is_refused() {
    for (name, body, bytes) in golden_records() {
        let head = decode_head(&bytes).unwrap();
        let body_end = RECORD_HEADER_LEN + head.body_len;
        each_bit_flip(&bytes, RECORD_HEADER_LEN..body_end, |at, flipped| {
            let refused = decode_body(&head, &flipped[RECORD_HEADER_LEN..]);
            assert_eq!(refused, Err(DecodeError::Checksum { part: "body" }), "{name}, byte {at}");
        });
        let (Body::Batch(retention::BatchBody { extents, .. })
        | Body::Before(retention::BeforeBody { extents })) = body
        else {
            continue;
        };
        each_bit_flip(&bytes, body_end..body_end + head.payload_len, |at, flipped| {
            let mut rest = &flipped[body_end..];
            let refused = extents.iter().any(|extent| {
                let part = rest.split_off(..encoded_len(extent)).expect("the record holds its payload");
                ExtentDecoder::verify(extent, part).is_err()
            });
            assert!(refused, "{name}, byte {at}");
        });
    }
}

#[test]
fn every_truncation_is_refused() {
    for (name, _, bytes) in golden_records() {
        for len in 0..RECORD_HEADER_LEN {
            let expected = DecodeError::Short { found: len, needed: RECORD_HEADER_LEN };
            assert_eq!(decode_head(&bytes[..len]), Err(expected), "{name}, {len} bytes");
        }
        let head = decode_head(&bytes[..RECORD_HEADER_LEN]).expect("a header needs no more than itself");
        for len in 0..head.body_len {
            let expected = DecodeError::Short { found: len, needed: head.body_len };
            assert_eq!(decode_body(&head, &bytes[RECORD_HEADER_LEN..][..len]), Err(expected), "{name}");
        }
    }
}

#[test]
fn what_was_never_written_is_told_from_what_belongs_to_something_else() {
    assert_eq!(decode_head(&[0; 4096]), Err(DecodeError::Blank));
    let text = [b'x'; 4096];
    let magic = DecodeError::Magic { found: *b"xxxx", expected: *b"LFJR" };
    assert_eq!(decode_head(&text), Err(magic));
}

#[test]
fn lengths_and_kinds_outside_their_limits_are_refused_even_under_a_right_checksum() {
    let (_, _, good) = &golden_records()[0];
    let with = |at: usize, value: u32| {
        let mut bytes = good.clone();
        let width = if at == 6 { 1 } else { 4 };
        bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        reseal(&mut bytes);
        decode_head(&bytes)
    };
    let whole = good.len() as u32;
    assert!(with(8, whole).is_ok(), "the checksum of the test is that of the crate");
    assert!(with(8, whole + 64).is_ok(), "padding may be longer");
    let refusals = [
        (6, 0, "kind"),
        (6, 4, "kind"),
        (6, 255, "kind"),
        (8, whole + 32, "record length"),
        (8, whole - 64, "record length"),
        (8, 0, "record length"),
        (8, 4 << 20, "record length"),
        (8, u32::MAX, "record length"),
        (12, 65537, "body length"),
        (12, u32::MAX, "body length"),
        (12, 60000, "record length"),
        (16, (1 << 20) + 1, "payload length"),
        (16, u32::MAX, "payload length"),
    ];
    for (at, value, field) in refusals {
        match with(at, value) {
            Err(DecodeError::Bounds { field: found, .. }) => assert_eq!(found, field, "{value} at {at}"),
            other => panic!("{value} at {at}: {other:?}"),
        }
    }
}

#[test]
fn a_newer_version_is_named() {
    let (_, _, mut bytes) = golden_records()[1].clone();
    bytes[4..6].copy_from_slice(&3u16.to_le_bytes());
    reseal(&mut bytes);
    assert_eq!(decode_head(&bytes), Err(DecodeError::Version { found: 3, known: 2 }));
}

#[test]
fn a_marker_of_the_first_version_is_of_no_group() {
    let (head, body) = parts(&unhex(include_str!("golden/marker-1.hex")));
    assert_eq!((head.sequence.0, body), (42, older_marker()));
}

#[test]
fn a_body_of_another_kind_is_refused_even_under_a_right_checksum() {
    for (name, _, good) in golden_records() {
        for kind in (1..=3).filter(|&kind| kind != good[6]) {
            let mut bytes = good.clone();
            bytes[6] = kind;
            reseal(&mut bytes);
            let head = decode_head(&bytes).unwrap();
            let refused = decode_body(&head, &bytes[RECORD_HEADER_LEN..]);
            assert!(refused.is_err(), "{name} read as kind {kind}: {refused:?}");
        }
    }
}

#[test]
fn a_body_whose_extents_need_another_payload_is_refused() {
    let (_, _, mut bytes) = golden_records()[0].clone();
    bytes[16..20].copy_from_slice(&600u32.to_le_bytes());
    reseal(&mut bytes);
    let head = decode_head(&bytes).unwrap();
    match decode_body(&head, &bytes[RECORD_HEADER_LEN..]) {
        Err(DecodeError::Bounds { field: "payload of all extents", found: 612, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_body_with_bytes_behind_it_is_refused() {
    let (_, _, mut bytes) = golden_records()[1].clone();
    let len = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) + 1;
    bytes[12..16].copy_from_slice(&len.to_le_bytes());
    let hash = blake3::hash(&bytes[RECORD_HEADER_LEN..][..len as usize]);
    bytes[128..160].copy_from_slice(hash.as_bytes());
    reseal(&mut bytes);
    let head = decode_head(&bytes).unwrap();
    assert!(matches!(decode_body(&head, &bytes[RECORD_HEADER_LEN..]), Err(DecodeError::Body(_))));
}

#[test]
fn a_record_ends_where_its_alignment_asks_wherever_it_starts() {
    let (_, body, _) = golden_records()[0].clone();
    for (align, at) in [(64, 0), (64, 64), (512, 448), (4096, 0), (4096, 64), (4096, 3200), (4096, 8128)] {
        let bytes = record(placement(at, Hash::default()), 0, 41, &body, align);
        assert!((at + bytes.len() as u64).is_multiple_of(align as u64), "it ends where the next may start");
        let head = decode_head(&bytes).unwrap();
        let used = RECORD_HEADER_LEN + head.body_len + head.payload_len;
        assert!(bytes.len() - used < align);
        assert!(bytes[used..].iter().all(|&byte| byte == 0), "padding is zero");
        assert!(bytes.len() < body.record_len_bound(head.payload_len) + align);
    }
}
