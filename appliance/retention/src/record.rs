//! Records: what a log is made of.
//!
//! A record is a header, a postcard body and a payload, padded. The header's checksum binds the bytes to the
//! machine, generation, epoch, log position and predecessor they were written for; the body's hash is in the
//! header; each payload's hash is in the body. So any byte of it, anywhere else, is refused.

use serde::{Deserialize, Serialize};
use units::{ByteOffset, EpochNumber, Generation, Hash, MachineId, Sequence, Timestamp};
use wire::{Extent, GroupMark, Marker};
use zerocopy::{FromBytes, IntoBytes};

use crate::DecodeError;
use crate::envelope::whole;
use crate::extent::check_extent;
use crate::layout::{
    BODY_LEN_MAX, KIND_BATCH, KIND_BEFORE, KIND_MARKER, MAGIC, RECORD_ALIGN, RECORD_HEADER_LEN,
    RECORD_LEN_MAX, RecordHeader, VERSION,
};

const CHECKSUM_CONTEXT: &str = "landfall 2026 journal record header";
/// What a marker of version 1 lacks at its end.
const NO_GROUP: [u8; 1] = [0];
const CHECKSUM_AT: usize = RECORD_HEADER_LEN - 32;

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Changes, as they came over the wire.
    Batch(BatchBody),
    /// A recovery point.
    Marker(Box<Marker>),
    /// What granules held before the epoch first wrote them.
    Before(BeforeBody),
}

/// The body of a batch; the same bytes as [`wire::Batch`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchBody {
    /// Position in the machine's stream.
    pub sequence: Sequence,
    /// When the source captured it.
    pub time: Timestamp,
    /// What changed.
    pub extents: Vec<Extent>,
}

/// The body of before-images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeforeBody {
    /// What the granules held.
    pub extents: Vec<Extent>,
}

/// Where and after what a record is written. All of it is under the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Whose journal.
    pub machine: MachineId,
    /// The generation that wrote it.
    pub generation: Generation,
    /// The epoch.
    pub epoch: EpochNumber,
    /// Where in the log the record starts.
    pub position: ByteOffset,
    /// The checksum of the record before it in this log; zero for the first of a journal.
    pub previous: Hash,
}

/// A record's header, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Where it was written.
    pub placement: Placement,
    /// Position in the stream: its own, or for before-images that of the last batch of their round.
    pub sequence: Sequence,
    /// Bytes of this log known to be durable when the record was written.
    pub durable_len: ByteOffset,
    /// When the target received it, by the target's clock.
    pub received: Timestamp,
    /// Bytes of the record with padding.
    pub record_len: usize,
    /// Bytes of the body.
    pub body_len: usize,
    /// Bytes of the payload.
    pub payload_len: usize,
    /// The header's own checksum: what the next record calls `previous`.
    pub checksum: Hash,
    version: u16,
    kind: u8,
    body_hash: Hash,
}

/// A record to be written.
#[derive(Debug)]
pub struct Record<'a> {
    /// Where.
    pub placement: Placement,
    /// See [`RecordHead::sequence`].
    pub sequence: Sequence,
    /// See [`RecordHead::durable_len`].
    pub durable_len: ByteOffset,
    /// See [`RecordHead::received`].
    pub received: Timestamp,
    /// What it says.
    pub body: &'a Body,
    /// The extents' payloads, one after the other.
    pub payload: &'a [u8],
}

/// What is kept of a record in memory, beside its body: enough for an index, and to find it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// See [`RecordHead::sequence`].
    pub sequence: Sequence,
    /// See [`RecordHead::received`].
    pub received: Timestamp,
    /// Where in the log it starts.
    pub at: ByteOffset,
    /// Where in the log its payload starts.
    pub payload_at: ByteOffset,
    /// Where in the log the next record starts.
    pub end: ByteOffset,
    /// See [`RecordHead::checksum`].
    pub checksum: Hash,
}

impl RecordHead {
    /// Returns what is kept of the record.
    pub fn place(&self) -> RecordPlace {
        let (at, payload_at, end) = (self.placement.position, self.payload_at(), self.end());
        RecordPlace {
            sequence: self.sequence,
            received: self.received,
            at,
            payload_at,
            end,
            checksum: self.checksum,
        }
    }

    /// Returns where in the log the payload starts.
    pub fn payload_at(&self) -> ByteOffset {
        ByteOffset(self.placement.position.0 + (RECORD_HEADER_LEN + self.body_len) as u64)
    }

    /// Returns where in the log the next record starts.
    pub fn end(&self) -> ByteOffset {
        ByteOffset(self.placement.position.0 + self.record_len as u64)
    }
}

impl Body {
    fn kind(&self) -> u8 {
        match self {
            Self::Batch(_) => KIND_BATCH,
            Self::Marker(_) => KIND_MARKER,
            Self::Before(_) => KIND_BEFORE,
        }
    }

    /// Returns a length no record with this body and payload is longer than, padded to [`RECORD_ALIGN`].
    pub fn record_len_bound(&self, payload_len: usize) -> usize {
        const EXTENT_BOUND: usize = 64;
        let body = match self {
            Self::Batch(batch) => 32 + batch.extents.len() * EXTENT_BOUND,
            Self::Before(before) => 32 + before.extents.len() * EXTENT_BOUND,
            Self::Marker(marker) => {
                let group = size_of::<GroupMark>();
                32 + 2 * marker.label.capacity() + (marker.roots.len() + 1) * size_of::<Hash>() + group
            }
        };
        record_len(body, payload_len, RECORD_ALIGN)
    }

    /// Returns the extents the body is about; a marker has none.
    pub fn extents(&self) -> &[Extent] {
        match self {
            Self::Batch(batch) => &batch.extents,
            Self::Before(before) => &before.extents,
            Self::Marker(_) => &[],
        }
    }

    /// Returns how many bytes the body has in its record.
    pub fn encoded_len(&self) -> usize {
        self.bytes().len()
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Batch(body) => postcard::to_stdvec(body),
            Self::Marker(body) => postcard::to_stdvec(body),
            Self::Before(body) => postcard::to_stdvec(body),
        }
        .expect("a body of bounded parts always encodes")
    }
}

/// Returns the length of a record that is padded to `align`.
pub fn record_len(body_len: usize, payload_len: usize, align: usize) -> usize {
    (RECORD_HEADER_LEN + body_len + payload_len).next_multiple_of(align)
}

/// Gives the record, padded so that it ends at a multiple of `align` in its log, to `put` piece by piece and returns
/// its head.
pub fn encode(record: &Record<'_>, align: usize, mut put: impl FnMut(&[u8])) -> RecordHead {
    assert!((RECORD_ALIGN..=crate::BLOCK_LEN).contains(&align), "a record ends at a unit or at a block");
    assert!(align.is_multiple_of(RECORD_ALIGN), "records start at multiples of {RECORD_ALIGN}");
    let start = record.placement.position;
    assert!(start.is_multiple_of(RECORD_ALIGN as u64), "records start at multiples of {RECORD_ALIGN}");
    let body = record.body.bytes();
    assert!(body.len() <= BODY_LEN_MAX, "a body is bounded by its parts");
    assert!(record.payload.len() <= wire::PAYLOAD_LEN_MAX, "a payload is bounded by the protocol");
    let in_block = usize::try_from(start.0 % crate::BLOCK_LEN as u64).expect("a block is small");
    let unpadded = RECORD_HEADER_LEN + body.len() + record.payload.len();
    let len = (in_block + unpadded).next_multiple_of(align) - in_block;
    assert!(len <= RECORD_LEN_MAX, "a record is bounded by its parts");
    assert!(len < record.body.record_len_bound(record.payload.len()) + align, "the bound of a record holds");
    let mut header = header_of(record, &body, len);
    header.checksum = checksum_of(header.as_bytes()).0;
    put(header.as_bytes());
    put(&body);
    put(record.payload);
    let padding = len - RECORD_HEADER_LEN - body.len() - record.payload.len();
    put(&[0; crate::BLOCK_LEN][..padding]);
    head_of(&header)
}

fn header_of(record: &Record<'_>, body: &[u8], len: usize) -> RecordHeader {
    let length = |len: usize| u32::try_from(len).expect("lengths were bounded above").into();
    RecordHeader {
        magic: MAGIC,
        version: VERSION.into(),
        kind: record.body.kind(),
        reserved_a: 0,
        record_len: length(len),
        body_len: length(body.len()),
        payload_len: length(record.payload.len()),
        reserved_b: [0; 4],
        machine: record.placement.machine.0,
        generation: record.placement.generation.0.into(),
        epoch: record.placement.epoch.0.into(),
        sequence: record.sequence.0.into(),
        position: record.placement.position.0.into(),
        durable_len: record.durable_len.0.into(),
        received: record.received.0.into(),
        reserved_c: [0; 8],
        previous: record.placement.previous.0,
        body_hash: blake3::hash(body).into(),
        checksum: [0; 32],
    }
}

fn checksum_of(header: &[u8]) -> Hash {
    assert_eq!(header.len(), RECORD_HEADER_LEN, "a checksum covers one header");
    let mut hasher = blake3::Hasher::new_derive_key(CHECKSUM_CONTEXT);
    hasher.update(&header[..CHECKSUM_AT]).finalize().into()
}

/// Decodes a header: length, magic, reserved, version, checksum, meaning. The caller compares the placement.
pub fn decode_head(bytes: &[u8]) -> Result<RecordHead, DecodeError> {
    let short = DecodeError::Short { found: bytes.len(), needed: RECORD_HEADER_LEN };
    let bytes = bytes.get(..RECORD_HEADER_LEN).ok_or(short)?;
    let header = RecordHeader::read_from_bytes(bytes).expect("the length was just checked");
    if header.magic != MAGIC {
        let blank = bytes.iter().all(|&byte| byte == 0);
        return Err(if blank {
            DecodeError::Blank
        } else {
            DecodeError::Magic { found: header.magic, expected: MAGIC }
        });
    }
    if header.reserved_a != 0 || header.reserved_b != [0; 4] || header.reserved_c != [0; 8] {
        return Err(DecodeError::Reserved);
    }
    if !(1..=VERSION).contains(&header.version.get()) {
        return Err(DecodeError::Version { found: header.version.get(), known: VERSION });
    }
    if header.checksum != checksum_of(bytes).0 {
        return Err(DecodeError::Checksum { part: "header" });
    }
    check_bounds(&header)?;
    Ok(head_of(&header))
}

fn check_bounds(header: &RecordHeader) -> Result<(), DecodeError> {
    let (body, payload) = (header.body_len.get() as usize, header.payload_len.get() as usize);
    let bound = |field, found: usize, allowed| DecodeError::Bounds { field, found: found as u64, allowed };
    if !(KIND_BATCH..=KIND_BEFORE).contains(&header.kind) {
        return Err(bound("kind", header.kind as usize, "1 to 3"));
    }
    if body > BODY_LEN_MAX {
        return Err(bound("body length", body, "at most 64 KiB"));
    }
    if payload > wire::PAYLOAD_LEN_MAX {
        return Err(bound("payload length", payload, "at most 1 MiB"));
    }
    let len = header.record_len.get() as usize;
    if len < record_len(body, payload, RECORD_ALIGN)
        || len > RECORD_LEN_MAX
        || !len.is_multiple_of(RECORD_ALIGN)
    {
        return Err(bound("record length", len, "header, body, payload and padding to a multiple of 64"));
    }
    Ok(())
}

fn head_of(header: &RecordHeader) -> RecordHead {
    let placement = Placement {
        machine: MachineId(header.machine),
        generation: Generation(header.generation.get()),
        epoch: EpochNumber(header.epoch.get()),
        position: ByteOffset(header.position.get()),
        previous: Hash(header.previous),
    };
    RecordHead {
        placement,
        sequence: Sequence(header.sequence.get()),
        durable_len: ByteOffset(header.durable_len.get()),
        received: Timestamp(header.received.get()),
        record_len: header.record_len.get() as usize,
        body_len: header.body_len.get() as usize,
        payload_len: header.payload_len.get() as usize,
        checksum: Hash(header.checksum),
        version: header.version.get(),
        kind: header.kind,
        body_hash: Hash(header.body_hash),
    }
}

/// Decodes the body that follows a header; `bytes` starts where the body does.
pub fn decode_body(head: &RecordHead, bytes: &[u8]) -> Result<Body, DecodeError> {
    let short = DecodeError::Short { found: bytes.len(), needed: head.body_len };
    let bytes = bytes.get(..head.body_len).ok_or(short)?;
    if head.body_hash != blake3::hash(bytes).into() {
        return Err(DecodeError::Checksum { part: "body" });
    }
    let body = body_of(head.version, head.kind, bytes)?;
    let payload: usize = body.extents().iter().map(crate::encoded_len).fold(0, usize::saturating_add);
    if payload != head.payload_len {
        return Err(DecodeError::Bounds {
            field: "payload of all extents",
            found: payload as u64,
            allowed: "the record's payload length",
        });
    }
    Ok(body)
}

fn body_of(version: u16, kind: u8, bytes: &[u8]) -> Result<Body, DecodeError> {
    let body = match kind {
        KIND_BATCH => whole(bytes).map(Body::Batch),
        KIND_MARKER if version == 1 => whole(&[bytes, &NO_GROUP].concat()).map(Box::new).map(Body::Marker),
        KIND_MARKER => whole(bytes).map(Box::new).map(Body::Marker),
        _ => whole(bytes).map(Body::Before),
    }?;
    body.extents().iter().try_for_each(check_extent)?;
    Ok(body)
}

/// Tries `bytes` as each kind of body, for fuzzing: the first byte chooses.
pub(crate) fn decode_any_body(bytes: &[u8]) -> Result<Body, DecodeError> {
    let (kind, rest) = bytes.split_first().ok_or(DecodeError::Short { found: 0, needed: 1 })?;
    body_of(1 + u16::from(kind / KIND_BEFORE) % VERSION, KIND_BATCH + kind % KIND_BEFORE, rest)
}
