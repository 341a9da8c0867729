//! core: the quantities and names every crate shares; no I/O.
//!
//! A position, a count and a size are different types, so that only lawful sums compile, and each sum is
//! checked. Nothing here reads a clock or a file.
//!
//! *Invariant:* a value that exists is valid: constructors refuse, arithmetic never wraps.

mod address;
mod certificate;
mod hash;
mod identity;
mod scalar;
mod stream;
mod text;
mod time;
mod zero;

/// Positions, lengths and indexes on a disk.
pub use address::{ByteLen, ByteOffset, GRANULE_LEN, GranuleIndex, LEAF_LEN, LeafIndex, SECTOR_LEN};
/// The number of a certificate.
pub use certificate::{CertificateId, ParseCertificateIdError};
/// A blake3 hash and the root of a disk.
pub use hash::{Hash, ParseHashError, RootHasher, disk_root};
/// Names and ids of machines and disks.
pub use identity::{DISKS_MAX, DiskIndex, MachineId, MachineName, NameError, VolumeId};
/// Times, hashes and other texts as JSON writes them.
pub use scalar::{HexHash, Rfc3339, as_text};
/// Positions in a machine's stream and in its history.
pub use stream::{EpochNumber, Generation, Sequence};
/// Sizes, spans of time and addresses as people write them.
pub use text::{
    ParseAddressError, ParseSizeError, ParseSpanError, parse_address, parse_controller, parse_span,
};
/// Times, as the microsecond since 1970-01-01T00:00:00Z.
pub use time::{ParseTimestampError, Timestamp};
/// Zeroes.
pub use zero::is_zero;
