//! Why bytes are not what they should be, and why a plan can't be made.

use units::{ByteOffset, DiskIndex, EpochNumber, Sequence};

/// Why bytes from a volume were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the form needs.
    #[error("{found} bytes where at least {needed} are needed")]
    Short {
        /// Bytes there are.
        found: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// Nothing was ever written here.
    #[error("nothing was written here: the block is all zero")]
    Blank,
    /// The first bytes belong to something else.
    #[error("found magic {found:02x?}, expected {expected:02x?}")]
    Magic {
        /// Found.
        found: [u8; 4],
        /// Expected.
        expected: [u8; 4],
    },
    /// Reserved bytes are not zero.
    #[error("reserved bytes are not zero")]
    Reserved,
    /// A version this build does not know.
    #[error("version {found}; this build reads versions up to {known}")]
    Version {
        /// Found.
        found: u16,
        /// The newest this build reads.
        known: u16,
    },
    /// The bytes are not those that were written.
    #[error("the checksum of the {part} does not match its bytes")]
    Checksum {
        /// Which part.
        part: &'static str,
    },
    /// A length or kind outside its limits.
    #[error("{field} is {found}, allowed is {allowed}")]
    Bounds {
        /// Which field.
        field: &'static str,
        /// Found.
        found: u64,
        /// Allowed, in words.
        allowed: &'static str,
    },
    /// Whole, but written for another place.
    #[error("written for another {what}: found {found}, expected {expected}")]
    Misplaced {
        /// Which of the record's coordinates.
        what: &'static str,
        /// Found, in words.
        found: String,
        /// Expected, in words.
        expected: String,
    },
    /// The body does not follow its form.
    #[error("the body is malformed")]
    Body(#[source] postcard::Error),
    /// A payload does not decode to its extent.
    #[error("the payload of {disk} at {start} does not decode to its {len} bytes")]
    Payload {
        /// The disk.
        disk: DiskIndex,
        /// Where the extent starts.
        start: ByteOffset,
        /// How long it is.
        len: u64,
    },
}

/// Why a rewind can't be planned. Nothing was touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The history does not reach there.
    #[error("sequence {wanted} is outside the history, which reaches from {oldest} to {newest}")]
    OutOfWindow {
        /// What was asked for.
        wanted: Sequence,
        /// The oldest that can be had.
        oldest: Sequence,
        /// The newest.
        newest: Sequence,
    },
    /// The point lies inside an epoch that has lost its redo.
    #[error(
        "sequence {wanted} lies in epoch {epoch}, of which only the start and the end are kept: sequences {start} and {end}"
    )]
    Thinned {
        /// What was asked for.
        wanted: Sequence,
        /// The epoch.
        epoch: EpochNumber,
        /// The state it began with.
        start: Sequence,
        /// Its last sequence.
        end: Sequence,
    },
    /// A granule was touched, but no epoch holds its earlier content: the journal is damaged.
    #[error("no content of {disk} at {start} for sequence {wanted} is in epochs {from} and later")]
    Unresolved {
        /// The disk.
        disk: DiskIndex,
        /// The granule's position.
        start: ByteOffset,
        /// The point.
        wanted: Sequence,
        /// The first epoch searched.
        from: EpochNumber,
    },
}
