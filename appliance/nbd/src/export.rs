//! What is served: a disk image that is read in granules, and perhaps written.

use std::error::Error;

use units::{ByteLen, ByteOffset};

/// Bytes an image is asked to read or write at once, at most; longer requests of clients are cut up.
pub const PIECE_LEN_MAX: usize = 1 << 20;

/// A disk image. Any number of threads ask it at once.
///
/// The server keeps to this, whatever its clients send: every request lies on the image and is not empty; its start is a
/// multiple of [`units::GRANULE_LEN`], and so is its end, unless it is the end of the image; the memory to read into and to
/// write from starts on a page (4 KiB).
pub trait Export: Send + Sync {
    /// Returns the length of the image; it never changes.
    fn len(&self) -> ByteLen;

    /// Reads all of `into`, which is at most [`PIECE_LEN_MAX`] long. The call may wait for its device: others go on meanwhile.
    ///
    /// # Errors
    /// [`ExportError::Failed`]; the client is told EIO, and the connection goes on.
    fn read(&self, at: ByteOffset, into: &mut [u8]) -> Result<(), ExportError>;

    /// Tells what `len` bytes from `at` on hold, in spans without a gap that start at `at`. It may say less than was asked
    /// for, but at least one span; [`Allocation::Data`] is always a lawful answer.
    ///
    /// # Errors
    /// [`ExportError::Failed`].
    fn status(&self, at: ByteOffset, len: ByteLen) -> Result<Vec<Span>, ExportError> {
        let _ = at;
        Ok(vec![Span { len, allocation: Allocation::Data }])
    }

    /// Tells whether the image takes writes.
    fn is_writable(&self) -> bool {
        false
    }

    /// Writes all of `bytes`, at most [`PIECE_LEN_MAX`]; later reads see them. They are durable after the next [`Export::flush`].
    ///
    /// # Errors
    /// [`ExportError::ReadOnly`], [`ExportError::Full`] (perhaps with some of it written) or [`ExportError::Failed`].
    fn write(&self, at: ByteOffset, bytes: &[u8]) -> Result<(), ExportError> {
        let _ = (at, bytes);
        Err(ExportError::ReadOnly)
    }

    /// Makes `len` bytes from `at` on read as zeroes.
    ///
    /// # Errors
    /// As [`Export::write`].
    fn zero(&self, at: ByteOffset, len: ByteLen) -> Result<(), ExportError> {
        let _ = (at, len);
        Err(ExportError::ReadOnly)
    }

    /// Makes every write that has returned as durable as the image ever is; for a scratch that is thrown away, nothing.
    ///
    /// # Errors
    /// [`ExportError::Failed`].
    fn flush(&self) -> Result<(), ExportError> {
        Ok(())
    }

    /// Tells whether the image holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == ByteLen::ZERO
    }
}

/// A part of an image that holds one kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its length; never zero.
    pub len: ByteLen,
    /// What it holds.
    pub allocation: Allocation,
}

/// What a part of an image holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// Any bytes.
    Data,
    /// Zeroes for certain: clients need not read them.
    Zero,
}

/// Why an image did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The image can't be written.
    #[error("the image is read-only")]
    ReadOnly,
    /// The scratch is full.
    #[error("the scratch has no room left of its {limit}")]
    Full {
        /// What it may hold.
        limit: ByteLen,
    },
    /// What is beneath failed, or the recovery point is gone.
    #[error("the image can't be {operation} at {at}")]
    Failed {
        /// What was tried: `read`, `written`, `flushed` and so on.
        operation: &'static str,
        /// Where.
        at: ByteOffset,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}
