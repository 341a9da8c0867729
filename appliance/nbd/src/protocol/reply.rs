//! Answers to options and replies to requests, as bytes.

use units::{ByteLen, ByteOffset};

use super::request::{Errno, Terms};
use super::{ALLOCATION_CONTEXT_ID, BLOCK_LENS, FIXED_NEWSTYLE, NO_ZEROES, OPTION_MAGIC, SERVER_MAGIC};
use crate::{Allocation, Span};

const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const SIMPLE_MAGIC: u32 = 0x6744_6698;
const CHUNK_MAGIC: u32 = 0x668e_33ef;
/// Zeroes behind the answer to [`super::option::EXPORT_NAME`], for clients that did not decline them.
const EXPORT_NAME_ZEROES: usize = 124;

const INFO_EXPORT: u16 = 0;
const INFO_BLOCK_SIZE: u16 = 3;

const CHUNK_DONE: u16 = 1;
const CHUNK_NONE: u16 = 0;
const CHUNK_DATA: u16 = 1;
const CHUNK_HOLE: u16 = 2;
const CHUNK_STATUS: u16 = 5;
const CHUNK_ERROR: u16 = (1 << 15) + 1;

/// What kind of answer to an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Answer {
    /// Done.
    Ack = 1,
    /// The name of an image.
    Server = 2,
    /// A fact about an image.
    Info = 3,
    /// A kind of block status.
    MetaContext = 4,
    /// Not known here.
    Unsupported = (1 << 31) + 1,
    /// Not allowed here.
    Policy = (1 << 31) + 2,
    /// Makes no sense.
    Invalid = (1 << 31) + 3,
    /// Not before TLS.
    TlsRequired = (1 << 31) + 5,
    /// No such image.
    UnknownExport = (1 << 31) + 6,
    /// Longer than is read.
    TooBig = (1 << 31) + 9,
}

/// Whether more chunks of a reply follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// More follow.
    Within,
    /// The last one.
    Last,
}

/// Returns what a server says first.
pub(crate) fn greeting() -> [u8; 18] {
    let mut bytes = [0; 18];
    bytes[..8].copy_from_slice(SERVER_MAGIC);
    bytes[8..16].copy_from_slice(OPTION_MAGIC);
    bytes[16..].copy_from_slice(&(FIXED_NEWSTYLE | NO_ZEROES).to_be_bytes());
    bytes
}

/// Appends an answer to an option.
pub(crate) fn put_answer(out: &mut Vec<u8>, option: u32, answer: Answer, data: &[u8]) {
    let len = u32::try_from(data.len()).expect("answers are short");
    out.extend_from_slice(&OPTION_REPLY_MAGIC.to_be_bytes());
    for number in [option, answer as u32, len] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(data);
}

/// Appends the two facts about an image: what it is, and how long requests may be.
pub(crate) fn put_infos(out: &mut Vec<u8>, option: u32, terms: &Terms) {
    let mut data = INFO_EXPORT.to_be_bytes().to_vec();
    put_image(&mut data, terms);
    put_answer(out, option, Answer::Info, &data);
    let mut data = INFO_BLOCK_SIZE.to_be_bytes().to_vec();
    BLOCK_LENS.iter().for_each(|len| data.extend_from_slice(&len.to_be_bytes()));
    put_answer(out, option, Answer::Info, &data);
}

/// Appends the answer to [`super::option::EXPORT_NAME`].
pub(crate) fn put_export_name(out: &mut Vec<u8>, terms: &Terms, no_zeroes: bool) {
    put_image(out, terms);
    if !no_zeroes {
        out.extend_from_slice(&[0; EXPORT_NAME_ZEROES]);
    }
}

/// Appends the length of an image and what can be done with it.
fn put_image(out: &mut Vec<u8>, terms: &Terms) {
    const HAS_FLAGS: u16 = 1;
    const READ_ONLY: u16 = 1 << 1;
    const FLUSH_FUA_TRIM_ZEROES: u16 = 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6;
    const DF: u16 = 1 << 7;
    const MULTI_CONN_AND_CACHE: u16 = 1 << 8 | 1 << 10;
    let mut flags = HAS_FLAGS | MULTI_CONN_AND_CACHE;
    flags |= if terms.writable { FLUSH_FUA_TRIM_ZEROES } else { READ_ONLY };
    flags |= if terms.structured { DF } else { 0 };
    out.extend_from_slice(&terms.len.0.to_be_bytes());
    out.extend_from_slice(&flags.to_be_bytes());
}

/// Returns a reply that is no chunk; `None`: done. The bytes that were read follow it.
pub(crate) fn simple_reply(cookie: u64, error: Option<Errno>) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&SIMPLE_MAGIC.to_be_bytes());
    bytes[4..8].copy_from_slice(&error.map_or(0, |error| error as u32).to_be_bytes());
    bytes[8..].copy_from_slice(&cookie.to_be_bytes());
    bytes
}

/// Returns the head of a chunk of data; its bytes follow.
pub(crate) fn data_chunk(cookie: u64, place: Place, at: ByteOffset, len: usize) -> [u8; 28] {
    let mut bytes = [0; 28];
    bytes[..20].copy_from_slice(&chunk_head(cookie, place, CHUNK_DATA, len + 8));
    bytes[20..].copy_from_slice(&at.0.to_be_bytes());
    bytes
}

/// Returns a chunk that says that a stretch is all zero.
pub(crate) fn hole_chunk(cookie: u64, place: Place, at: ByteOffset, len: usize) -> [u8; 32] {
    let mut bytes = [0; 32];
    let hole = u32::try_from(len).expect("requests are shorter than 4 GiB");
    bytes[..20].copy_from_slice(&chunk_head(cookie, place, CHUNK_HOLE, 12));
    bytes[20..28].copy_from_slice(&at.0.to_be_bytes());
    bytes[28..].copy_from_slice(&hole.to_be_bytes());
    bytes
}

/// Returns a chunk that ends a reply with an error.
pub(crate) fn error_chunk(cookie: u64, error: Errno) -> [u8; 26] {
    let mut bytes = [0; 26];
    bytes[..20].copy_from_slice(&chunk_head(cookie, Place::Last, CHUNK_ERROR, 6));
    bytes[20..24].copy_from_slice(&(error as u32).to_be_bytes());
    bytes
}

/// Returns a chunk that ends a reply with nothing more.
pub(crate) fn none_chunk(cookie: u64) -> [u8; 20] {
    chunk_head(cookie, Place::Last, CHUNK_NONE, 0)
}

/// Returns the one chunk of a reply to a request for block status.
pub(crate) fn status_chunk(cookie: u64, spans: &[Span]) -> Vec<u8> {
    assert!(!spans.is_empty(), "block status tells of something");
    let mut bytes = chunk_head(cookie, Place::Last, CHUNK_STATUS, 4 + 8 * spans.len()).to_vec();
    bytes.extend_from_slice(&ALLOCATION_CONTEXT_ID.to_be_bytes());
    for Span { len, allocation } in spans {
        let flags: u32 = match allocation {
            Allocation::Data => 0,
            // A hole that reads as zeroes.
            Allocation::Zero => 3,
        };
        bytes.extend_from_slice(&len32(*len).to_be_bytes());
        bytes.extend_from_slice(&flags.to_be_bytes());
    }
    bytes
}

fn len32(len: ByteLen) -> u32 {
    u32::try_from(len.0).expect("a request is shorter than 4 GiB, and so is what is told of it")
}

fn chunk_head(cookie: u64, place: Place, kind: u16, len: usize) -> [u8; 20] {
    let mut bytes = [0; 20];
    let len = u32::try_from(len).expect("chunks are bounded by requests");
    let flags = if place == Place::Last { CHUNK_DONE } else { 0 };
    bytes[..4].copy_from_slice(&CHUNK_MAGIC.to_be_bytes());
    bytes[4..6].copy_from_slice(&flags.to_be_bytes());
    bytes[6..8].copy_from_slice(&kind.to_be_bytes());
    bytes[8..16].copy_from_slice(&cookie.to_be_bytes());
    bytes[16..].copy_from_slice(&len.to_be_bytes());
    bytes
}
