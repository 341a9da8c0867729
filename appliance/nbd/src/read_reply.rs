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

/// A read that is to be answered.
pub(crate) struct ReadReply<'a> {
    pub(crate) image: &'a Image,
    pub(crate) output: &'a Mutex<Output>,
    /// Where what has to be whole is put together: 32 MiB at most for a connection, however many requests it has.
    pub(crate) memory: &'a Mutex<Vec<u8>>,
    pub(crate) cookie: u64,
    pub(crate) stretch: Stretch,
}

impl ReadReply<'_> {
    /// Reads and sends. Errors: the connection; a failed read is told to the client.
    pub(crate) fn send(&self, shape: Shape, buffer: &mut PageBuf) -> io::Result<()> {
        match shape {
            Shape::Chunks => self.send_chunks(buffer),
            Shape::OneChunk | Shape::Simple => self.send_whole(shape, buffer),
        }
    }

    fn send_chunks(&self, buffer: &mut PageBuf) -> io::Result<()> {
        let Self { image, output, cookie, stretch, .. } = *self;
        let end = stretch.at.0 + stretch.len.0;
        for piece in pieces(stretch) {
            let bytes = match image.read(piece, buffer) {
                Ok(bytes) => bytes,
                Err(error) => return lock(output).send(&[&error_chunk(cookie, told(error))]),
            };
            let mut at = piece.at;
            for (run, zero) in runs(bytes) {
                let next = ByteOffset(at.0 + run.len() as u64);
                let place = if next.0 == end { Place::Last } else { Place::Within };
                if zero {
                    lock(output).send(&[&hole_chunk(cookie, place, at, run.len())])?;
                } else {
                    lock(output).send(&[&data_chunk(cookie, place, at, run.len()), run])?;
                }
                at = next;
            }
        }
        Ok(())
    }

    /// Nothing is sent before all of it was read: behind the first byte there is no way to tell of a failure.
    fn send_whole(&self, shape: Shape, buffer: &mut PageBuf) -> io::Result<()> {
        let Self { image, output, cookie, stretch, .. } = *self;
        let mut whole = lock(self.memory);
        whole.clear();
        let read = pieces(stretch).try_for_each(|piece| {
            whole.extend_from_slice(image.read(piece, buffer)?);
            Ok(())
        });
        match (read.map_err(told), shape) {
            (Ok(()), Shape::Simple) => lock(output).send(&[&simple_reply(cookie, None), &whole]),
            (Err(error), Shape::Simple) => lock(output).send(&[&simple_reply(cookie, Some(error))]),
            (Ok(()), _) => {
                let head = data_chunk(cookie, Place::Last, stretch.at, whole.len());
                lock(output).send(&[&head, &whole])
            }
            (Err(error), _) => lock(output).send(&[&error_chunk(cookie, error)]),
        }
    }
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
