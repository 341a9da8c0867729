//! What a client may ask of an image, and whether it may.

use units::{ByteLen, ByteOffset};

use super::{Fields, ProtocolError, REQUEST_LEN_MAX};
use crate::PIECE_LEN_MAX;

/// Bytes in a request; the bytes to write follow.
pub(crate) const REQUEST_LEN: usize = 28;
const MAGIC: u32 = 0x2560_9513;

const READ: u16 = 0;
const WRITE: u16 = 1;
const DISCONNECT: u16 = 2;
const FLUSH: u16 = 3;
const TRIM: u16 = 4;
const CACHE: u16 = 5;
const WRITE_ZEROES: u16 = 6;
const BLOCK_STATUS: u16 = 7;

const FLAG_FUA: u16 = 1;
const FLAG_NO_HOLE: u16 = 1 << 1;
const FLAG_DF: u16 = 1 << 2;
const FLAG_REQ_ONE: u16 = 1 << 3;

/// A request as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    flags: u16,
    command: u16,
    /// The client's mark; comes back in the reply.
    pub(crate) cookie: u64,
    at: u64,
    len: u32,
}

/// A stretch of an image: never empty, and wholly on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Where it starts.
    pub(crate) at: ByteOffset,
    /// Its length.
    pub(crate) len: ByteLen,
}

/// A request that may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Read it; `whole`: in one chunk.
    Read { stretch: Stretch, whole: bool },
    /// Write it; `durable`: and flush before the reply.
    Write { stretch: Stretch, durable: bool },
    /// Make it zero, exactly.
    Zero { stretch: Stretch, durable: bool },
    /// Its content is of no more use.
    Trim { stretch: Stretch, durable: bool },
    /// Make durable what was written.
    Flush,
    /// Read it soon.
    Cache { stretch: Stretch },
    /// Tell what it holds; `one`: of its first part only.
    Status { stretch: Stretch, one: bool },
    /// The client leaves.
    Disconnect,
}

/// What was agreed on with a client, as far as it decides what it may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The length of the image.
    pub(crate) len: ByteLen,
    /// It takes writes.
    pub(crate) writable: bool,
    /// Replies go in chunks.
    pub(crate) structured: bool,
    /// Block status was chosen.
    pub(crate) status: bool,
}

/// What a client is told of a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Errno {
    /// The image can't be written.
    NotPermitted = 1,
    /// What is beneath failed.
    Io = 5,
    /// The request makes no sense.
    Invalid = 22,
    /// No room for what is written.
    NoSpace = 28,
    /// Too long for one chunk.
    Overflow = 75,
}

/// Reads a request. Errors: it does not begin as one.
pub(crate) fn decode_request(bytes: [u8; REQUEST_LEN]) -> Result<Request, ProtocolError> {
    let mut fields = Fields(&bytes);
    let request = (|| {
        let magic = fields.u32()?;
        let (flags, command) = (fields.u16()?, fields.u16()?);
        let (cookie, at, len) = (fields.u64()?, fields.u64()?, fields.u32()?);
        Some((magic, Request { flags, command, cookie, at, len }))
    })();
    match request.expect("the array is as long as a request") {
        (MAGIC, request) => Ok(request),
        (found, _) => Err(ProtocolError::Magic { expected: "a request", found: found.into() }),
    }
}

impl Request {
    /// Tells how many bytes to write follow, whether they may be written or not.
    pub(crate) fn payload_len(&self) -> u32 {
        if self.command == WRITE { self.len } else { 0 }
    }

    /// Checks the request against what was agreed on.
    pub(crate) fn check(&self, terms: &Terms) -> Result<Action, Errno> {
        let durable = self.flags & FLAG_FUA != 0;
        let (lawful, changes) = match self.command {
            READ => (FLAG_DF, false),
            WRITE | TRIM => (0, true),
            WRITE_ZEROES => (FLAG_NO_HOLE, true),
            FLUSH | CACHE | DISCONNECT => (0, false),
            BLOCK_STATUS => (FLAG_REQ_ONE, false),
            _ => return Err(Errno::Invalid),
        };
        if changes && !terms.writable {
            return Err(Errno::NotPermitted);
        }
        if self.flags & !(lawful | FLAG_FUA) != 0 {
            return Err(Errno::Invalid);
        }
        match self.command {
            DISCONNECT => return Ok(Action::Disconnect),
            FLUSH => return Ok(Action::Flush),
            _ => {}
        }
        let stretch = self.stretch(terms, if changes { Errno::NoSpace } else { Errno::Invalid })?;
        let bounded = || if self.len <= REQUEST_LEN_MAX { Ok(()) } else { Err(Errno::Invalid) };
        match self.command {
            READ => bounded().and_then(|()| self.check_read(stretch, terms)),
            WRITE => bounded().map(|()| Action::Write { stretch, durable }),
            WRITE_ZEROES => Ok(Action::Zero { stretch, durable }),
            TRIM => Ok(Action::Trim { stretch, durable }),
            CACHE => Ok(Action::Cache { stretch }),
            _ if !terms.status => Err(Errno::Invalid),
            _ => Ok(Action::Status { stretch, one: self.flags & FLAG_REQ_ONE != 0 }),
        }
    }

    fn check_read(&self, stretch: Stretch, terms: &Terms) -> Result<Action, Errno> {
        let whole = self.flags & FLAG_DF != 0;
        match (whole, terms.structured) {
            (true, false) => Err(Errno::Invalid),
            (true, true) if stretch.len.as_usize() > WHOLE_LEN_MAX => Err(Errno::Overflow),
            _ => Ok(Action::Read { stretch, whole }),
        }
    }

    /// Returns the stretch it is about. Errors: it is empty, or not wholly on the image.
    fn stretch(&self, terms: &Terms, beyond: Errno) -> Result<Stretch, Errno> {
        let (at, len) = (ByteOffset(self.at), ByteLen(self.len.into()));
        match at.checked_add(len) {
            _ if self.len == 0 => Err(Errno::Invalid),
            Some(end) if end.0 <= terms.len.0 => Ok(Stretch { at, len }),
            _ => Err(beyond),
        }
    }
}

/// Bytes that can be asked for in one chunk. The protocol demands at least 64 KiB.
const WHOLE_LEN_MAX: usize = PIECE_LEN_MAX;

const _: () = assert!(WHOLE_LEN_MAX >= 64 << 10 && WHOLE_LEN_MAX <= REQUEST_LEN_MAX as usize);
