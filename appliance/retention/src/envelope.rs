//! A magic, a version, a length and a checksum around one postcard body: the form of every small file.

use zerocopy::byteorder::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::DecodeError;

const CHECKSUM_CONTEXT: &str = "landfall 2026 journal envelope";
const HEADER_LEN: usize = size_of::<EnvelopeHeader>();

const _: () = assert!(HEADER_LEN == 48);

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct EnvelopeHeader {
    magic: [u8; 4],
    version: U16,
    reserved: [u8; 2],
    body_len: U64,
    checksum: [u8; 32],
}

/// Returns the header and body as one run of bytes.
pub(crate) fn seal(magic: [u8; 4], version: u16, body: &[u8]) -> Vec<u8> {
    let body_len = U64::new(body.len() as u64);
    let mut header =
        EnvelopeHeader { magic, version: version.into(), reserved: [0; 2], body_len, checksum: [0; 32] };
    header.checksum = checksum(&header, body);
    [header.as_bytes(), body].concat()
}

/// Returns the version, at most `newest`, and the body inside `bytes`, which may go on behind it (files are padded).
pub(crate) fn open(magic: [u8; 4], newest: u16, bytes: &[u8]) -> Result<(u16, &[u8]), DecodeError> {
    let short = |needed| DecodeError::Short { found: bytes.len(), needed };
    let (header, rest) = bytes.split_at_checked(HEADER_LEN).ok_or(short(HEADER_LEN))?;
    let header = EnvelopeHeader::read_from_bytes(header).expect("the length was just checked");
    if header.magic != magic {
        let blank = header.as_bytes().iter().all(|&byte| byte == 0);
        return Err(if blank {
            DecodeError::Blank
        } else {
            DecodeError::Magic { found: header.magic, expected: magic }
        });
    }
    if header.reserved != [0; 2] {
        return Err(DecodeError::Reserved);
    }
    let version = header.version.get();
    if !(1..=newest).contains(&version) {
        return Err(DecodeError::Version { found: version, known: newest });
    }
    let body_len = usize::try_from(header.body_len.get()).unwrap_or(usize::MAX);
    let body = rest.get(..body_len).ok_or(short(HEADER_LEN.saturating_add(body_len)))?;
    if header.checksum != checksum(&header, body) {
        return Err(DecodeError::Checksum { part: "file" });
    }
    Ok((version, body))
}

fn checksum(header: &EnvelopeHeader, body: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(CHECKSUM_CONTEXT);
    hasher.update(&header.as_bytes()[..HEADER_LEN - 32]).update(body).finalize().into()
}

/// Decodes a body that must be used up to its last byte.
pub(crate) fn whole<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, DecodeError> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(DecodeError::Body(postcard::Error::DeserializeBadEncoding)),
        Err(error) => Err(DecodeError::Body(error)),
    }
}
