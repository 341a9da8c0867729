//! The frame: header, body, payload. Drawn in FORMAT.md, chapter 1; the same for every protocol of ours.

use serde::Serialize;
use serde::de::DeserializeOwned;
use units::DISKS_MAX;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{EXTENTS_MAX, FrameError, GRANULE_LEAVES_MAX, Message, PAYLOAD_LEN_MAX, SPANS_MAX};

/// The messages of one protocol, as frames carry them. The number of a message's variant is its kind.
pub trait Framed: Serialize + DeserializeOwned {
    /// The protocol's name in the TLS handshake; a connection without it is refused.
    const ALPN: &'static [u8];
    /// The first four bytes of every frame.
    const MAGIC: [u8; 4];
    /// The version of the protocol this program speaks.
    const VERSION: u16;
    /// Kinds of message in this version.
    const KINDS: u16;
    /// The kinds that may have a payload.
    const KINDS_WITH_PAYLOAD: &'static [u16];
    /// Bytes of payload behind one frame.
    const PAYLOAD_LEN_MAX: usize;
}

/// Replication.
///
/// - 2: a marker ends with the group point it is, and `PointWanted` exists. A reader of version 1 refuses the frame by its version.
/// - 1: the first.
impl Framed for Message {
    const ALPN: &'static [u8] = b"landfall-repl/1";
    const MAGIC: [u8; 4] = *b"LFRP";
    const VERSION: u16 = 2;
    const KINDS: u16 = 23;
    /// `Batch`, `Seed`, `Hashes`, `Granules`.
    const KINDS_WITH_PAYLOAD: &'static [u16] = &[2, 4, 11, 21];
    const PAYLOAD_LEN_MAX: usize = PAYLOAD_LEN_MAX;
}

/// Bytes in a header.
pub const HEADER_LEN: usize = 32;
/// Bytes a body may have. The largest message, a full `Resend`, needs 23,565; the rest is room to grow.
pub const BODY_LEN_MAX: usize = 64 << 10;

/// The longest postcard numbers of 16, 32 and 64 bits.
const VARINT_LEN_MAX: [usize; 3] = [3, 5, 10];
const POSITION_LEN_MAX: usize = VARINT_LEN_MAX[0] + 2 * VARINT_LEN_MAX[2];
const EXTENT_BODY_LEN_MAX: usize = POSITION_LEN_MAX + 1 + VARINT_LEN_MAX[1] + 32;

const _: () = {
    assert!(size_of::<RawHeader>() == HEADER_LEN);
    let batch = 1 + 2 * VARINT_LEN_MAX[2] + 2 + EXTENTS_MAX * EXTENT_BODY_LEN_MAX;
    let changed = 1 + 1 + 2 + SPANS_MAX * POSITION_LEN_MAX + 1;
    let resend = 1 + VARINT_LEN_MAX[2] + 2 + SPANS_MAX * POSITION_LEN_MAX;
    let marker = 1 + 2 * VARINT_LEN_MAX[2] + 1 + 65 + 2 + DISKS_MAX * 32 + 1 + 64 + VARINT_LEN_MAX[2];
    let hello = 1 + 64 + 3 * VARINT_LEN_MAX[2] + 18 + 2 + DISKS_MAX * VARINT_LEN_MAX[2] + 33;
    assert!(
        batch <= BODY_LEN_MAX && changed <= BODY_LEN_MAX && marker <= BODY_LEN_MAX && hello <= BODY_LEN_MAX
    );
    let granules = 1 + VARINT_LEN_MAX[2] + VARINT_LEN_MAX[0] + 2 + GRANULE_LEAVES_MAX * VARINT_LEN_MAX[2];
    assert!(resend <= BODY_LEN_MAX && granules <= BODY_LEN_MAX);
    assert!(GRANULE_LEAVES_MAX * 16 * 32 <= PAYLOAD_LEN_MAX);
    assert!(BODY_LEN_MAX <= PAYLOAD_LEN_MAX && PAYLOAD_LEN_MAX <= u32::MAX as usize);
};

#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct RawHeader {
    magic: [u8; 4],
    version: U16,
    kind: U16,
    reserved: [u8; 8],
    body_len: U32,
    payload_len: U32,
    body_checksum: U32,
    header_checksum: U32,
}

/// A header that was checked: its lengths are within the limits of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The number of the message's variant.
    pub kind: u16,
    /// Bytes of body that follow, 1 to [`BODY_LEN_MAX`].
    pub body_len: usize,
    /// Bytes of payload behind the body, at most [`Framed::PAYLOAD_LEN_MAX`]; 0 for kinds that have none.
    pub payload_len: usize,
    /// crc32c of the body.
    body_checksum: u32,
}

/// Appends the header and body of a message to `buffer`; the caller sends `payload_len` bytes of payload after them.
/// Panics if the payload is longer than [`Framed::PAYLOAD_LEN_MAX`] or the message has none: a bug of ours.
pub fn encode<M: Framed>(message: &M, payload_len: usize, buffer: &mut Vec<u8>) {
    let start = buffer.len();
    let mut bytes = std::mem::take(buffer);
    bytes.resize(start + HEADER_LEN, 0);
    let mut bytes = postcard::to_extend(message, bytes).expect("every message can be written");
    let (header, body) = bytes[start..].split_at_mut(HEADER_LEN);
    let kind = u16::from(body[0]);
    assert!(body.len() <= BODY_LEN_MAX, "the largest message fits the body");
    assert!(kind < M::KINDS, "a new variant of a message needs its line in KINDS");
    assert!(
        payload_len <= payload_len_max::<M>(kind),
        "{payload_len} bytes of payload behind message kind {kind}"
    );
    let mut raw = RawHeader {
        magic: M::MAGIC,
        version: U16::new(M::VERSION),
        kind: U16::new(kind),
        reserved: [0; 8],
        body_len: U32::new(length_u32(body.len())),
        payload_len: U32::new(length_u32(payload_len)),
        body_checksum: U32::new(crc32c::crc32c(body)),
        header_checksum: U32::ZERO,
    };
    raw.header_checksum = U32::new(crc32c::crc32c(checksummed(raw.as_bytes())));
    header.copy_from_slice(raw.as_bytes());
    *buffer = bytes;
}

/// Reads a header from exactly [`HEADER_LEN`] bytes.
///
/// # Errors
/// Whatever is wrong first, in the order length, magic, reserved, version, checksum, meaning.
pub fn decode_header<M: Framed>(bytes: &[u8]) -> Result<Header, FrameError> {
    let raw = RawHeader::read_from_bytes(bytes).map_err(|_| FrameError::Length {
        part: "header",
        found: bytes.len(),
        expected: HEADER_LEN,
    })?;
    if raw.magic != M::MAGIC {
        return Err(FrameError::Magic { found: raw.magic, expected: M::MAGIC });
    }
    if raw.reserved != [0; 8] {
        return Err(FrameError::Reserved { found: raw.reserved });
    }
    if raw.version.get() != M::VERSION {
        return Err(FrameError::Version { found: raw.version.get(), expected: M::VERSION });
    }
    check_checksum("header", checksummed(bytes), raw.header_checksum.get())?;
    let kind = raw.kind.get();
    if kind >= M::KINDS {
        return Err(FrameError::Kind { found: kind });
    }
    Ok(Header {
        kind,
        body_len: bounded("body", kind, raw.body_len.get(), BODY_LEN_MAX)?,
        payload_len: bounded("payload", kind, raw.payload_len.get(), payload_len_max::<M>(kind))?,
        body_checksum: raw.body_checksum.get(),
    })
}

/// Reads the message of a frame from its body, which has exactly the length its header says.
///
/// # Errors
/// Whatever is wrong first: length, checksum, a body that is not one message, another kind than the header's.
pub fn decode_body<M: Framed>(header: &Header, body: &[u8]) -> Result<M, FrameError> {
    if body.len() != header.body_len {
        return Err(FrameError::Length { part: "body", found: body.len(), expected: header.body_len });
    }
    check_checksum("body", body, header.body_checksum)?;
    let message = decode_message(body)?;
    let found = u16::from(body[0]);
    if found != header.kind {
        return Err(FrameError::KindMismatch { found, expected: header.kind });
    }
    Ok(message)
}

/// Reads a message from a body whose checksum was seen to.
///
/// # Errors
/// The bytes are not a message, or more than one.
pub fn decode_message<M: Framed>(body: &[u8]) -> Result<M, FrameError> {
    let (message, rest) = postcard::take_from_bytes::<M>(body).map_err(FrameError::Body)?;
    if !rest.is_empty() {
        return Err(FrameError::Trailing { count: rest.len() });
    }
    Ok(message)
}

/// The part of a header its own checksum covers.
fn checksummed(header: &[u8]) -> &[u8] {
    &header[..HEADER_LEN - size_of::<U32>()]
}

fn payload_len_max<M: Framed>(kind: u16) -> usize {
    if M::KINDS_WITH_PAYLOAD.contains(&kind) { M::PAYLOAD_LEN_MAX } else { 0 }
}

fn length_u32(len: usize) -> u32 {
    u32::try_from(len).expect("the parts of a frame are shorter than 2^32")
}

fn check_checksum(part: &'static str, bytes: &[u8], expected: u32) -> Result<(), FrameError> {
    let found = crc32c::crc32c(bytes);
    if found == expected { Ok(()) } else { Err(FrameError::Checksum { part, found, expected }) }
}

fn bounded(part: &'static str, kind: u16, found: u32, max: usize) -> Result<usize, FrameError> {
    match usize::try_from(found) {
        Ok(len) if len <= max => Ok(len),
        _ => Err(FrameError::TooLong { part, kind, found, max }),
    }
}
