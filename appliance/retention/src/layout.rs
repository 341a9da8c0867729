//! The fixed header of a record, drawn in FORMAT.md.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes every write to a log is a multiple of, and where every group of records starts.
pub const BLOCK_LEN: usize = 4096;
/// Bytes every record is padded to a multiple of.
pub const RECORD_ALIGN: usize = 64;
/// Bytes of the header.
pub const RECORD_HEADER_LEN: usize = 192;
/// Bytes of the longest record.
pub const RECORD_LEN_MAX: usize = RECORD_HEADER_LEN + BODY_LEN_MAX + wire::PAYLOAD_LEN_MAX + BLOCK_LEN;
/// Bytes of the longest body.
pub(crate) const BODY_LEN_MAX: usize = 64 << 10;

pub(crate) const MAGIC: [u8; 4] = *b"LFJR";
/// 2: a marker ends with the group point it is. 1: the first; its markers are read as points of no group.
pub(crate) const VERSION: u16 = 2;

/// Kinds of record.
pub(crate) const KIND_BATCH: u8 = 1;
pub(crate) const KIND_MARKER: u8 = 2;
pub(crate) const KIND_BEFORE: u8 = 3;

const _: () = {
    assert!(size_of::<RecordHeader>() == RECORD_HEADER_LEN);
    assert!(RECORD_HEADER_LEN.is_multiple_of(RECORD_ALIGN));
    assert!(BLOCK_LEN.is_multiple_of(RECORD_ALIGN));
    assert!(BLOCK_LEN as u64 == units::GRANULE_LEN);
};

/// The header of a record, little-endian.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RecordHeader {
    pub(crate) magic: [u8; 4],
    pub(crate) version: U16,
    pub(crate) kind: u8,
    pub(crate) reserved_a: u8,
    pub(crate) record_len: U32,
    pub(crate) body_len: U32,
    pub(crate) payload_len: U32,
    pub(crate) reserved_b: [u8; 4],
    pub(crate) machine: [u8; 16],
    pub(crate) generation: U64,
    pub(crate) epoch: U64,
    pub(crate) sequence: U64,
    pub(crate) position: U64,
    pub(crate) durable_len: U64,
    pub(crate) received: U64,
    pub(crate) reserved_c: [u8; 8],
    pub(crate) previous: [u8; 32],
    pub(crate) body_hash: [u8; 32],
    pub(crate) checksum: [u8; 32],
}
