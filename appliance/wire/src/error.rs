//! Why bytes are refused.

use units::{ByteLen, ByteOffset, DiskIndex, Hash, Sequence};

use crate::RefusalCode;

/// Why bytes are not a frame of this protocol. Nothing was done with them; the connection can't go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer or more bytes than the part has.
    #[error("{part} has {found} bytes, expected {expected}")]
    Length {
        /// Header or body.
        part: &'static str,
        /// Bytes given.
        found: usize,
        /// Bytes wanted.
        expected: usize,
    },
    /// Not this protocol at all.
    #[error(
        "the header starts with {found:02x?}, expected {:?}: not a frame of this protocol",
        String::from_utf8_lossy(expected)
    )]
    Magic {
        /// The first four bytes.
        found: [u8; 4],
        /// What they are in this protocol.
        expected: [u8; 4],
    },
    /// Bytes that must be zero are not.
    #[error("the reserved bytes of the header are {found:02x?}, expected zeroes")]
    Reserved {
        /// The bytes.
        found: [u8; 8],
    },
    /// Another version of the protocol.
    #[error("frame version {found}, this program speaks {expected}")]
    Version {
        /// Version given.
        found: u16,
        /// Version wanted.
        expected: u16,
    },
    /// The header or body was damaged on its way.
    #[error("the checksum of the {part} is {found:08x}, expected {expected:08x}")]
    Checksum {
        /// Header or body.
        part: &'static str,
        /// crc32c of the bytes.
        found: u32,
        /// crc32c the header states.
        expected: u32,
    },
    /// A kind of message this version does not have.
    #[error("message kind {found} is not known")]
    Kind {
        /// The kind given.
        found: u16,
    },
    /// A part is larger than any frame may have it.
    #[error("a {part} of {found} bytes, at most {max} are allowed for message kind {kind}")]
    TooLong {
        /// Body or payload.
        part: &'static str,
        /// Kind of message.
        kind: u16,
        /// Bytes stated.
        found: u32,
        /// Bytes allowed.
        max: usize,
    },
    /// The body is not a message.
    #[error("the body is not a message: {0}")]
    Body(postcard::Error),
    /// The message ends before the body does.
    #[error("{count} bytes follow the message in its body")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// The header speaks of another kind than the body.
    #[error("the body holds message kind {found}, its header says {expected}")]
    KindMismatch {
        /// Kind in the body.
        found: u16,
        /// Kind in the header.
        expected: u16,
    },
}

impl FrameError {
    /// Returns the code to refuse the frame with.
    pub fn refusal_code(&self) -> RefusalCode {
        RefusalCode::Malformed
    }
}

/// Which rule a well-formed message breaks. `extent` counts from 0 in the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A batch or seed without extents.
    #[error("the message has no extents, expected at least one")]
    NoExtents,
    /// A disk the machine does not have.
    #[error("{disk} in item {item}, the machine has {disks} disks")]
    UnknownDisk {
        /// Which extent, span or list entry.
        item: usize,
        /// The disk named.
        disk: DiskIndex,
        /// How many there are.
        disks: usize,
    },
    /// An extent of no bytes.
    #[error("extent {extent} is empty")]
    EmptyExtent {
        /// Which extent.
        extent: usize,
    },
    /// An extent starts or ends inside a granule.
    #[error(
        "extent {extent} has {len} from {start}, expected multiples of 4096, the end of the disk excepted"
    )]
    Unaligned {
        /// Which extent.
        extent: usize,
        /// Where it starts.
        start: ByteOffset,
        /// How long it is.
        len: ByteLen,
    },
    /// Bytes past the end of the disk.
    #[error("item {item} has {len} from {start}, past the end of a disk of {disk_len}")]
    PastEnd {
        /// Which extent, span or list entry.
        item: usize,
        /// Where it starts.
        start: ByteOffset,
        /// How long it is.
        len: ByteLen,
        /// How long the disk is.
        disk_len: ByteLen,
    },
    /// An extent with data covers parts of two leaves.
    #[error("extent {extent} has {len} of data from {start}, across a multiple of 65536")]
    CrossesLeaf {
        /// Which extent.
        extent: usize,
        /// Where it starts.
        start: ByteOffset,
        /// How long it is.
        len: ByteLen,
    },
    /// Extents overlap or are not sorted by disk and position.
    #[error("extent {extent} starts before the one ahead of it ends")]
    Disorder {
        /// The later extent.
        extent: usize,
    },
    /// An encoded extent that saves nothing, or is empty.
    #[error("extent {extent} of {len} travels in {encoded_len} bytes, expected 1 to fewer than its length")]
    EncodedLen {
        /// Which extent.
        extent: usize,
        /// Bytes of payload stated.
        encoded_len: u32,
        /// How long the extent is.
        len: ByteLen,
    },
    /// The payload is not as long as the message makes it.
    #[error("the payload has {found} bytes, the message needs {expected}")]
    PayloadLen {
        /// Bytes behind the frame.
        found: u64,
        /// Bytes the message accounts for.
        expected: u64,
    },
    /// The payload of an extent is not what was sent.
    #[error("the payload of extent {extent} hashes to {found}, expected {expected}")]
    WrongHash {
        /// Which extent.
        extent: usize,
        /// blake3 of the bytes that came.
        found: Hash,
        /// blake3 the message states.
        expected: Hash,
    },
    /// A list that must have one entry for each disk has not.
    #[error("{found} {what}, the machine has {disks} disks")]
    PerDisk {
        /// What is listed.
        what: &'static str,
        /// Entries.
        found: usize,
        /// Disks.
        disks: usize,
    },
    /// A disk size that can't be.
    #[error("disk {disk} has {len}, expected a positive multiple of 512 bytes below 2^63")]
    DiskLen {
        /// Which disk.
        disk: usize,
        /// The size stated.
        len: ByteLen,
    },
    /// A connection number outside the session.
    #[error("connection {connection} of {connections}, expected 1 to 8 connections, counted from 0")]
    Connections {
        /// Which connection.
        connection: u8,
        /// Of how many.
        connections: u8,
    },
    /// A position in the stream that can't be.
    #[error("{what} is {found}, expected {expected}")]
    Sequence {
        /// Which position.
        what: &'static str,
        /// The sequence stated.
        found: Sequence,
        /// What is allowed.
        expected: &'static str,
    },
    /// A query for no hashes or too many.
    #[error("{count} leaves in one query, expected 1 to {max}", max = crate::HASHES_MAX)]
    HashCount {
        /// Leaves stated.
        count: u32,
    },
    /// A recovery point is asked for, or belongs to a group, where a resync begins.
    #[error("where a resync begins there is no recovery point")]
    NoPoint,
}

impl CheckError {
    /// Returns the code to refuse the message with.
    pub fn refusal_code(&self) -> RefusalCode {
        match self {
            Self::NoExtents
            | Self::UnknownDisk { .. }
            | Self::EmptyExtent { .. }
            | Self::Unaligned { .. }
            | Self::PastEnd { .. }
            | Self::CrossesLeaf { .. }
            | Self::Disorder { .. }
            | Self::HashCount { .. } => RefusalCode::BadExtent,
            Self::EncodedLen { .. } | Self::PayloadLen { .. } => RefusalCode::BadPayload,
            Self::WrongHash { .. } => RefusalCode::WrongHash,
            Self::PerDisk { .. } | Self::DiskLen { .. } => RefusalCode::DiskMismatch,
            Self::Connections { .. } | Self::NoPoint => RefusalCode::Malformed,
            Self::Sequence { .. } => RefusalCode::Gap,
        }
    }
}
