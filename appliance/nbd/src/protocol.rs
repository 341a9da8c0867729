//! The bytes of the protocol, without sockets or threads: options and their answers, requests and their replies.
//!
//! All numbers are big-endian. Source: the NBD project's `doc/proto.md`; fixed newstyle, structured replies.

/// Every decoder by name.
pub(crate) mod decoders;
/// What a client may ask before it reads.
pub(crate) mod option;
#[cfg(test)]
mod tests;

/// Answers and replies.
pub(crate) mod reply;
/// What a client may ask of an image.
pub(crate) mod request;

/// What every server says first.
pub(crate) const SERVER_MAGIC: &[u8; 8] = b"NBDMAGIC";
/// What marks an option, and the server's newstyle greeting.
pub(crate) const OPTION_MAGIC: &[u8; 8] = b"IHAVEOPT";
/// Handshake flags of both ends: fixed newstyle, and no zeroes behind the answer to an export's name.
pub(crate) const FIXED_NEWSTYLE: u16 = 1;
/// See [`FIXED_NEWSTYLE`].
pub(crate) const NO_ZEROES: u16 = 2;

/// The smallest, the best and the largest request, as told to clients.
pub(crate) const BLOCK_LENS: [u32; 3] = [1, 64 << 10, REQUEST_LEN_MAX];
/// Bytes one request may read or write.
pub(crate) const REQUEST_LEN_MAX: u32 = 32 << 20;
/// The one kind of block status there is here.
pub(crate) const ALLOCATION_CONTEXT: &[u8] = b"base:allocation";
/// The number that [`ALLOCATION_CONTEXT`] goes by in replies.
pub(crate) const ALLOCATION_CONTEXT_ID: u32 = 1;

/// Why a connection can't go on: there is no telling where the next message of the client begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtocolError {
    /// Unknown flags in the client's first word.
    #[error("the client's flags are {found:#x}, and only fixed newstyle and no-zeroes are known")]
    ClientFlags {
        /// The flags.
        found: u32,
    },
    /// An option or a request that does not begin as one.
    #[error("{found:#x} is not the magic of {expected}")]
    Magic {
        /// What was expected.
        expected: &'static str,
        /// What came.
        found: u64,
    },
    /// An option too long even to skip.
    #[error("an option of {found} bytes is longer than any that is skipped")]
    OptionLen {
        /// Its length.
        found: u32,
    },
}

/// Reads big-endian numbers and strings off the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    /// Takes `len` bytes, if there are as many.
    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// Takes a number.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes a number.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a number.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Takes a string that is led by its length.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u32()?).ok()?;
        self.bytes(len)
    }

    /// Returns `()` if nothing is left.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    fn array<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }
}
