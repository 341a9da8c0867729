//! The superblock: its bytes, and what is refused.

use retention::{DecodeError, MakingMark, SmallFile as _, Superblock};
use units::{ByteLen, VolumeId};

use crate::specimen::{TIME, assert_golden, each_bit_flip, policy};

fn superblock() -> Superblock {
    let owner = "home-01".parse().ok();
    Superblock { revision: 5, volume: VolumeId([0xb2; 16]), created: TIME, defaults: policy(), owner }
}

#[test]
fn a_superblock_has_the_bytes_of_the_format_and_survives_being_written() {
    let bytes = superblock().encode();
    assert_golden("superblock", &bytes, include_str!("golden/superblock.hex"));
    let mut padded = bytes;
    padded.resize(Superblock::LEN_MAX, 0xee);
    assert_eq!(Superblock::decode(&padded), Ok(superblock()));
}

#[test]
fn every_flipped_bit_and_every_truncation_of_a_superblock_is_refused() {
    let bytes = superblock().encode();
    each_bit_flip(&bytes, 0..bytes.len(), |at, flipped| {
        assert!(Superblock::decode(flipped).is_err(), "byte {at}");
    });
    for len in 0..bytes.len() {
        assert_eq!(
            Superblock::decode(&bytes[..len]),
            Err(DecodeError::Short { found: len, needed: if len < 48 { 48 } else { bytes.len() } })
        );
    }
}

fn mark() -> MakingMark {
    MakingMark { volume: VolumeId([0xb2; 16]), device_len: ByteLen::gib(2) }
}

#[test]
fn a_mark_has_the_bytes_of_the_format_and_survives_being_written() {
    let bytes = mark().encode();
    assert_golden("mark", &bytes, include_str!("golden/mark.hex"));
    let mut padded = bytes;
    padded.resize(MakingMark::LEN_MAX, 0xee);
    assert_eq!(MakingMark::decode(&padded), Ok(mark()));
}

#[test]
fn every_flipped_bit_and_every_truncation_of_a_mark_is_refused() {
    let bytes = mark().encode();
    each_bit_flip(&bytes, 0..bytes.len(), |at, flipped| {
        assert!(MakingMark::decode(flipped).is_err(), "byte {at}");
    });
    for len in 0..bytes.len() {
        assert!(matches!(MakingMark::decode(&bytes[..len]), Err(DecodeError::Short { .. })), "{len} bytes");
    }
    assert_eq!(MakingMark::decode(&[0; 4096]), Err(DecodeError::Blank));
}
