//! The leaf table as bytes of a file.
//!
//! Version 1: a header of 104 bytes; the length of each disk (8 bytes each); then for each disk a bitmap of the leaves
//! that are known (least significant bit first, whole bytes, unused bits zero) and 32 bytes for every leaf (zero where it is
//! not known); then 32 bytes: the blake3 hash, under its own context, of everything before. All numbers little-endian.

use std::io::{self, Write};

use units::{ByteLen, ByteOffset, DISKS_MAX, Generation, Hash, LeafIndex, MachineName, Sequence};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::table::LeafTable;

const MAGIC: [u8; 8] = *b"LFLEAVES";
/// Versions, newest first. 1: the first.
const VERSION: u16 = 1;
const CONTEXT: &str = "landfall 2026 leaf table";
const HEADER_LEN: usize = 104;
const CHECKSUM_LEN: usize = 32;
const HASH_LEN: usize = 32;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: U16,
    disks: U16,
    reserved: U32,
    machine: [u8; 64],
    generation: U64,
    sequence: U64,
    body_len: U64,
}

const _: () = {
    assert!(size_of::<Header>() == HEADER_LEN);
    assert!(DISKS_MAX <= u16::MAX as usize);
};

/// A decoder, to be fed with anything.
pub type Decoder = fn(&[u8]);

/// Every decoder of bytes this crate did not make in this run, by name, for fuzzing.
pub const DECODERS: &[(&str, Decoder)] = &[("leaf-table", |bytes| drop(decode(bytes)))];

/// Why bytes are not a leaf table that can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The file is shorter than what it says, or longer.
    #[error("found {found} bytes, expected {expected}")]
    Length {
        /// Bytes that are there.
        found: u64,
        /// Bytes there should be.
        expected: u64,
    },
    /// The file does not begin as a leaf table does.
    #[error("found {found:02x?} where a leaf table begins with {MAGIC:02x?}")]
    Magic {
        /// The first bytes.
        found: [u8; 8],
    },
    /// Bytes that are to be zero are not.
    #[error("found {found:#x} in bytes that are reserved and zero")]
    Reserved {
        /// What they hold.
        found: u32,
    },
    /// Another version wrote it.
    #[error("found version {found}, expected {VERSION}")]
    Version {
        /// The version of the file.
        found: u16,
    },
    /// The bytes are not those that were written.
    #[error("found checksum {found}, expected {expected}")]
    Checksum {
        /// Of the bytes that are there.
        found: Hash,
        /// As the file says.
        expected: Hash,
    },
    /// The bytes are as written, but no table of ours holds this.
    #[error("found {found} in the {field}")]
    Meaning {
        /// The field.
        field: &'static str,
        /// What it holds.
        found: u64,
    },
}

/// Returns how many bytes the table takes as a file.
pub(crate) fn encoded_len(table: &LeafTable) -> u64 {
    let disks = table.disks().iter().map(|disk| 8 + leaves_len(disk.len()));
    HEADER_LEN as u64 + disks.sum::<u64>() + CHECKSUM_LEN as u64
}

fn leaves_len(len: ByteLen) -> u64 {
    len.leaves().div_ceil(8).saturating_add(len.leaves().saturating_mul(HASH_LEN as u64))
}

/// Writes the table as it is on the disks before `through` (by disk): leaves not wholly before it are written as unknown.
pub fn encode(table: &LeafTable, through: &[ByteOffset], out: &mut impl Write) -> io::Result<()> {
    assert_eq!(table.disks().len(), through.len(), "every disk has its watermark");
    let mut out = Hashing { out, hasher: blake3::Hasher::new_derive_key(CONTEXT) };
    let name = table.machine.as_str().as_bytes();
    let mut header = Header {
        magic: MAGIC,
        version: VERSION.into(),
        disks: u16::try_from(table.disks().len()).expect("a machine has at most 256 disks").into(),
        reserved: 0.into(),
        machine: [0; 64],
        generation: table.generation.0.into(),
        sequence: table.sequence.0.into(),
        body_len: (encoded_len(table) - (HEADER_LEN + CHECKSUM_LEN) as u64).into(),
    };
    header.machine[..name.len()].copy_from_slice(name);
    out.put(header.as_bytes())?;
    for disk in table.disks() {
        out.put(&disk.len().0.to_le_bytes())?;
    }
    for (disk, through) in table.disks().iter().zip(through) {
        let whole = if through.0 >= disk.len().0 { disk.len().leaves() } else { through.leaf().0 };
        let hash_of = |leaf: u64| (leaf < whole).then(|| disk.get(LeafIndex(leaf))).flatten();
        for byte in 0..disk.len().leaves().div_ceil(8) {
            let leaves = byte * 8..(byte * 8 + 8).min(disk.len().leaves());
            let bits = leaves.fold(0_u8, |bits, leaf| bits | u8::from(hash_of(leaf).is_some()) << (leaf % 8));
            out.put(&[bits])?;
        }
        for leaf in 0..disk.len().leaves() {
            out.put(&hash_of(leaf).unwrap_or_default().0)?;
        }
    }
    let checksum = out.hasher.finalize();
    out.out.write_all(checksum.as_bytes())
}

/// Reads a table. Errors: any byte is not as it was written. Nothing is allocated beyond what `bytes` can fill.
pub fn decode(bytes: &[u8]) -> Result<LeafTable, TableError> {
    let least = HEADER_LEN + CHECKSUM_LEN;
    let length = |expected: u64| TableError::Length { found: bytes.len() as u64, expected };
    let (header, rest) = Header::ref_from_prefix(bytes).map_err(|_| length(least as u64))?;
    let (body, checksum) = rest.split_last_chunk::<CHECKSUM_LEN>().ok_or_else(|| length(least as u64))?;
    if header.magic != MAGIC {
        return Err(TableError::Magic { found: header.magic });
    }
    if header.reserved.get() != 0 {
        return Err(TableError::Reserved { found: header.reserved.get() });
    }
    if header.version.get() != VERSION {
        return Err(TableError::Version { found: header.version.get() });
    }
    if body.len() as u64 != header.body_len.get() {
        return Err(length(header.body_len.get().saturating_add(least as u64)));
    }
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&bytes[..bytes.len() - CHECKSUM_LEN]);
    let (found, expected) = (Hash::from(hasher.finalize()), Hash(*checksum));
    if found != expected {
        return Err(TableError::Checksum { found, expected });
    }
    meaning(header, body)
}

fn meaning(header: &Header, body: &[u8]) -> Result<LeafTable, TableError> {
    let wrong = |field, found| TableError::Meaning { field, found };
    let count = usize::from(header.disks.get());
    let name_len = header.machine.iter().position(|byte| *byte == 0).unwrap_or(header.machine.len());
    let (name, padding) = header.machine.split_at(name_len);
    let machine = std::str::from_utf8(name).ok().and_then(|name| name.parse::<MachineName>().ok());
    let machine = machine.filter(|_| padding.iter().all(|byte| *byte == 0));
    let machine = machine.ok_or_else(|| wrong("machine's name", name_len as u64))?;
    if !(1..=DISKS_MAX).contains(&count) || body.len() < count * 8 {
        return Err(wrong("number of disks", count as u64));
    }
    let (lens, mut leaves) = body.split_at(count * 8);
    let lens = lens
        .chunks_exact(8)
        .map(|len| ByteLen(u64::from_le_bytes(len.try_into().expect("eight bytes are eight"))));
    let lens: Vec<ByteLen> = lens.collect();
    let total = lens.iter().fold(0_u64, |total, len| total.saturating_add(leaves_len(*len)));
    if total != leaves.len() as u64 {
        return Err(wrong("lengths of disks", total));
    }
    let mut table = LeafTable::unknown(machine, lens);
    table.generation = Generation(header.generation.get());
    table.sequence = Sequence(header.sequence.get());
    for disk in 0..count {
        let disk =
            table.disk_mut(units::DiskIndex(u16::try_from(disk).expect("a machine has at most 256 disks")));
        let (mine, others) =
            leaves.split_at(usize::try_from(leaves_len(disk.len())).expect("checked against the body"));
        let bitmap_len = usize::try_from(disk.len().leaves().div_ceil(8)).expect("checked against the body");
        let (bitmap, hashes) = mine.split_at(bitmap_len);
        for (at, hash) in hashes.chunks_exact(HASH_LEN).enumerate() {
            if bitmap[at / 8] >> (at % 8) & 1 == 1 {
                disk.learn(
                    LeafIndex(at as u64),
                    Hash(hash.try_into().expect("a chunk has the length asked for")),
                );
            }
        }
        leaves = others;
    }
    Ok(table)
}

/// A writer that hashes what passes.
struct Hashing<'a, W> {
    out: &'a mut W,
    hasher: blake3::Hasher,
}

impl<W: Write> Hashing<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use units::{DiskIndex, LEAF_LEN};

    use super::*;

    fn sample() -> LeafTable {
        let lens = [ByteLen(10 * LEAF_LEN), ByteLen(LEAF_LEN + 512)];
        let mut table = LeafTable::unknown("web-01".parse().unwrap(), lens);
        (table.generation, table.sequence) = (Generation(3), Sequence(99));
        for leaf in [0, 3, 9] {
            table.disk_mut(DiskIndex(0)).learn(LeafIndex(leaf), Hash([leaf as u8 + 1; 32]));
        }
        table.disk_mut(DiskIndex(1)).learn(LeafIndex(1), Hash([0xee; 32]));
        table
    }

    fn encoded(table: &LeafTable, through: &[ByteOffset]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(table, through, &mut bytes).unwrap();
        bytes
    }

    const ALL: [ByteOffset; 2] = [ByteOffset(u64::MAX); 2];

    #[test]
    fn a_table_survives_being_written() {
        let bytes = encoded(&sample(), &ALL);
        assert_eq!(bytes.len() as u64, encoded_len(&sample()));
        assert_eq!(decode(&bytes), Ok(sample()));
    }

    #[test]
    fn the_bytes_of_version_1_never_change() {
        let bytes = encoded(&sample(), &ALL);
        assert_eq!(&bytes[..16], b"LFLEAVES\x01\0\x02\0\0\0\0\0");
        assert_eq!(&bytes[16..24], b"web-01\0\0");
        let body = &bytes[104..];
        assert_eq!(&body[..8], (10 * LEAF_LEN).to_le_bytes());
        assert_eq!(&body[16..18], [0b0000_1001, 0b10]);
        assert_eq!(
            blake3::hash(&bytes).to_hex().as_str(),
            "0b9f3c5fe2cf3ad55dc268ca0025c87fdbb9bd01c8ac9aeab7447d27aaa81325"
        );
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = encoded(&sample(), &ALL);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_and_a_longer_file_are_noticed() {
        let mut good = encoded(&sample(), &ALL);
        for len in 0..good.len() {
            assert!(decode(&good[..len]).is_err(), "{len} bytes");
        }
        good.push(0);
        assert!(decode(&good).is_err());
    }

    #[test]
    fn leaves_past_the_watermark_are_written_as_unknown() {
        let bytes = encoded(&sample(), &[ByteOffset(9 * LEAF_LEN + 4096), ByteOffset(LEAF_LEN + 512)]);
        let read = decode(&bytes).unwrap();
        let known = |disk, leaf| read.disk(DiskIndex(disk)).get(LeafIndex(leaf)).is_some();
        assert!(known(0, 0) && known(0, 3) && !known(0, 9) && known(1, 1));
    }

    #[test]
    fn a_well_signed_lie_about_sizes_is_refused() {
        let mut bytes = encoded(&sample(), &ALL);
        bytes[104..112].copy_from_slice(&u64::MAX.to_le_bytes());
        let end = bytes.len() - CHECKSUM_LEN;
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&bytes[..end]);
        let checksum = *hasher.finalize().as_bytes();
        bytes[end..].copy_from_slice(&checksum);
        assert!(matches!(decode(&bytes), Err(TableError::Meaning { .. })));
    }
}
