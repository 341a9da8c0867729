//! Payloads: every content survives, no payload panics, none writes past its extent.

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::prelude::*;
use retention::{DecodeError, Effort, ExtentDecoder, ExtentEncoder, encoded_len};
use units::{ByteLen, ByteOffset, DiskIndex};
use wire::{Encoding, Extent};

fn zstd_extent(payload: &[u8], len: usize) -> Extent {
    let encoding = Encoding::Zstd { encoded_len: payload.len() as u32, hash: blake3::hash(payload).into() };
    Extent { disk: DiskIndex(0), start: ByteOffset(4096), len: ByteLen(len as u64), encoding }
}

fn refusal(len: usize) -> DecodeError {
    DecodeError::Payload { disk: DiskIndex(0), start: ByteOffset(4096), len: len as u64 }
}

/// Content of every kind: noise, one byte, zeroes with a few bytes in them, repeated words.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![Just(4096usize), Just(65536), (1usize..128).prop_map(|sectors| sectors * 512)];
    let word = vec(any::<u8>(), 1..200);
    (len, word, any::<u64>(), 0..4).prop_map(|(len, word, seed, kind)| match kind {
        0 => {
            let mut bytes = vec![0; len];
            blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
            bytes
        }
        1 => vec![seed as u8; len],
        2 => {
            let mut bytes = vec![0; len];
            bytes[seed as usize % len] = 1;
            bytes
        }
        _ => word.iter().copied().cycle().take(len).collect(),
    })
}

thread_local! {
    static DECODER: RefCell<ExtentDecoder> = RefCell::new(ExtentDecoder::new().unwrap());
}

fn decode(extent: &Extent, payload: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut out = vec![0xee; extent.len.as_usize()];
    DECODER.with_borrow_mut(|decoder| decoder.decode(extent, payload, &mut out)).map(|()| out)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_content_survives_every_level_and_never_grows(
        contents in vec(content(), 1..4),
        level in prop_oneof![Just(-5), Just(1), Just(3)],
    ) {
        let mut encoder = ExtentEncoder::new(level).unwrap();
        let mut payload = b"what was there before".to_vec();
        for content in &contents {
            let from = payload.len();
            let extent = encoder.encode(Effort::Compress, DiskIndex(2), ByteOffset(8192), content, &mut payload);
            let part = &payload[from..];
            prop_assert_eq!(part.len(), encoded_len(&extent));
            prop_assert!(part.len() <= content.len());
            match extent.encoding {
                Encoding::Zero => prop_assert!(content.iter().all(|&byte| byte == 0)),
                Encoding::Raw { .. } => prop_assert_eq!(part, content.as_slice()),
                Encoding::Zstd { .. } => prop_assert!(part.len() <= content.len() - content.len() / 8),
            }
            prop_assert_eq!(ExtentDecoder::verify(&extent, part), Ok(()));
            let expected = Ok(content.clone());
            prop_assert_eq!(decode(&extent, part), expected);
        }
        prop_assert!(payload.starts_with(b"what was there before"));
    }

    #[test]
    fn garbage_is_refused_or_fills_the_extent(payload in vec(any::<u8>(), 1..600), framed in any::<bool>()) {
        let mut payload = payload;
        if framed {
            payload.splice(0..0, [0x28, 0xb5, 0x2f, 0xfd]);
        }
        let extent = zstd_extent(&payload, 4096);
        if let Ok(out) = decode(&extent, &payload) {
            prop_assert_eq!(out.len(), 4096);
        }
    }

    #[test]
    fn a_damaged_frame_never_panics_nor_writes_past_its_extent(
        content in content(), at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut payload = zstd::bulk::compress(&content, 1).unwrap();
        let at = at.index(payload.len());
        payload[at] ^= with;
        payload.truncate(cut.index(payload.len()) + 1);
        let extent = zstd_extent(&payload, content.len());
        let mut out = vec![0xee; content.len() + 64];
        let (inside, behind) = out.split_at_mut(content.len());
        drop(DECODER.with_borrow_mut(|decoder| decoder.decode(&extent, &payload, inside)));
        prop_assert!(behind.iter().all(|&byte| byte == 0xee));
    }
}

#[test]
fn a_frame_that_decodes_to_more_or_less_than_the_extent_is_refused() {
    for len in [0, 1, 4095, 4097, 65536, 1 << 24] {
        let payload = zstd::bulk::compress(&vec![7; len], 1).unwrap();
        assert_eq!(decode(&zstd_extent(&payload, 4096), &payload), Err(refusal(4096)), "{len} bytes");
    }
    let payload = zstd::bulk::compress(&vec![7; 4096], 1).unwrap();
    assert_eq!(decode(&zstd_extent(&payload, 4096), &payload), Ok(vec![7; 4096]));
}

#[test]
fn a_frame_without_its_length_bombs_nothing() {
    // Streamed frames do not say how long their content is.
    let payload = zstd::stream::encode_all(&vec![0; 64 << 20][..], 1).unwrap();
    assert_eq!(decode(&zstd_extent(&payload, 65536), &payload), Err(refusal(65536)));
    let honest = zstd::stream::encode_all(&vec![5; 65536][..], 1).unwrap();
    assert_eq!(decode(&zstd_extent(&honest, 65536), &honest), Ok(vec![5; 65536]));
}

#[test]
fn a_decoder_works_on_after_a_refusal() {
    let good = zstd::bulk::compress(&vec![9; 4096], 1).unwrap();
    for _ in 0..3 {
        assert!(decode(&zstd_extent(b"no frame at all", 4096), b"no frame at all").is_err());
        assert_eq!(decode(&zstd_extent(&good, 4096), &good), Ok(vec![9; 4096]));
    }
}

#[test]
fn a_payload_that_is_not_what_its_hash_says_is_refused() {
    let content = vec![3; 4096];
    let mut payload = Vec::new();
    let extent = ExtentEncoder::new(1).unwrap().encode(
        Effort::Compress,
        DiskIndex(0),
        ByteOffset(0),
        &content,
        &mut payload,
    );
    assert_eq!(ExtentDecoder::verify(&extent, &payload), Ok(()));
    assert_eq!(extent.payload_hash(), Some(blake3::hash(&payload).into()));
    payload[0] ^= 1;
    assert_eq!(ExtentDecoder::verify(&extent, &payload), Err(DecodeError::Checksum { part: "payload" }));
    let zero = Extent { encoding: Encoding::Zero, ..extent };
    assert_eq!((zero.payload_hash(), encoded_len(&zero)), (None, 0));
    assert_eq!(decode(&zero, &[]), Ok(vec![0; 4096]));
}
