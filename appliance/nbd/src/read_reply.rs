//! The reply to a read: in chunks that leave out zeroes, in one chunk, or as it was before there were chunks.

use std::io;
use std::sync::Mutex;

use blockdev::PageBuf;
use units::{ByteOffset, is_zero};

use crate::image::{Image, pieces};
use crate::protocol::reply::{Place, data_chunk, error_chunk, hole_chunk, simple_reply};
use crate::protocol::request::{Stretch, Terms};
use crate::stream::Output;
use crate::transmission::{lock, told};

/// Zeroes of fewer bytes are sent like data.
const HOLE_LEN: usize = 64 << 10;

/// How the bytes of a read are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Chunks of data and of zeroes.
    Chunks,
    /// One chunk of data.
    OneChunk,
    /// A reply with the bytes behind it.
    Simple,
}

impl Shape {
    /// Returns the shape the client has agreed to, or asks for.
    pub(crate) fn of(terms: &Terms, whole: bool) -> Self {
        match (terms.structured, whole) {
            (true, false) => Self::Chunks,
            (true, true) => Self::OneChunk,
            (false, _) => Self::Simple,
        }
    }
}

/// Reads a stretch and sends it. Errors: the connection; a failed read is told to the client.
pub(crate) fn send(
    image: &Image,
    output: &Mutex<Output>,
    cookie: u64,
    stretch: Stretch,
    shape: Shape,
    buffer: &mut PageBuf,
) -> io::Result<()> {
    match shape {
        Shape::Chunks => send_chunks(image, output, cookie, stretch, buffer),
        Shape::OneChunk | Shape::Simple => send_whole(image, output, cookie, stretch, shape, buffer),
    }
}

fn send_chunks(
    image: &Image,
    output: &Mutex<Output>,
    cookie: u64,
    stretch: Stretch,
    buffer: &mut PageBuf,
) -> io::Result<()> {
    let end = stretch.at.0 + stretch.len.0;
    for piece in pieces(stretch) {
        let bytes = match image.read(piece, buffer) {
            Ok(bytes) => bytes,
            Err(error) => return lock(output).send(&[&error_chunk(cookie, told(error))]),
        };
        let mut at = piece.at;
        for (run, zero) in runs(bytes) {
            let place = if at.0 + run.len() as u64 == end { Place::Last } else { Place::Within };
            if zero {
                lock(output).send(&[&hole_chunk(cookie, place, at, run.len())])?;
            } else {
                lock(output).send(&[&data_chunk(cookie, place, at, run.len()), run])?;
            }
            at = ByteOffset(at.0 + run.len() as u64);
        }
    }
    Ok(())
}

/// Nothing is sent before all of it was read: behind the first byte there is no way to tell of a failure.
fn send_whole(
    image: &Image,
    output: &Mutex<Output>,
    cookie: u64,
    stretch: Stretch,
    shape: Shape,
    buffer: &mut PageBuf,
) -> io::Result<()> {
    let mut pieces = pieces(stretch).peekable();
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next() {
        let bytes = match image.read(piece, buffer) {
            Ok(bytes) => bytes,
            Err(error) if shape == Shape::Simple => {
                return lock(output).send(&[&simple_reply(cookie, Some(told(error)))]);
            }
            Err(error) => return lock(output).send(&[&error_chunk(cookie, told(error))]),
        };
        if pieces.peek().is_none() {
            let mut output = lock(output);
            return match shape {
                Shape::Simple => output.send(&[&simple_reply(cookie, None), &whole, bytes]),
                _ => {
                    let head = data_chunk(cookie, Place::Last, stretch.at, stretch.len.as_usize());
                    output.send(&[&head, &whole, bytes])
                }
            };
        }
        whole.extend_from_slice(bytes);
    }
    unreachable!("a stretch is not empty");
}

/// Cuts bytes into runs of zeroes and runs of anything else, each as long as can be.
fn runs(bytes: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let zero = is_zero(rest.chunks(HOLE_LEN).next()?);
        let parts = rest.chunks(HOLE_LEN).take_while(|part| is_zero(part) == zero);
        let len = parts.map(<[u8]>::len).sum();
        let (run, left) = rest.split_at(len);
        rest = left;
        Some((run, zero))
    })
}
