//! Small files that must never be lost: four copies of one record.
//!
//! Each revision is written to two slots, by turns, so that the one before stays whole until the next is durable, and
//! one flipped bit in either loses nothing.

use serde::Serialize;
use serde::de::DeserializeOwned;
use units::ByteOffset;

use crate::{DecodeError, envelope};

/// Copies in a small file.
pub const COPIES: u64 = 4;

/// A record that is kept in four copies.
pub trait SmallFile: Clone + PartialEq + Serialize + DeserializeOwned {
    /// The first four bytes of each copy.
    const MAGIC: [u8; 4];
    /// The version that is written.
    const VERSION: u16;
    /// Bytes of the longest copy; the distance between copies.
    const LEN_MAX: usize;

    /// Returns the number of this revision; it rises with every write.
    fn revision(&self) -> u64;

    /// Gives it the number of another revision.
    fn set_revision(&mut self, revision: u64);

    /// Reads the body of a version before the present one.
    fn decode_older(version: u16, body: &[u8]) -> Result<Self, DecodeError>;

    /// Returns the bytes of one copy, not padded.
    fn encode(&self) -> Vec<u8> {
        let body = postcard::to_stdvec(self).expect("a small file always encodes");
        let bytes = envelope::seal(Self::MAGIC, Self::VERSION, &body);
        assert!(bytes.len() <= Self::LEN_MAX, "a small file fits its slot");
        bytes
    }

    /// Decodes one copy; bytes may follow it.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (version, body) = envelope::open(Self::MAGIC, Self::VERSION, bytes)?;
        if version == Self::VERSION { envelope::whole(body) } else { Self::decode_older(version, body) }
    }

    /// Returns the two positions a revision is written to.
    fn slots(revision: u64) -> [ByteOffset; 2] {
        let first = revision % 2 * 2;
        [first, first + 1].map(|slot| ByteOffset(slot * Self::LEN_MAX as u64))
    }

    /// Chooses the newest of the copies that could be read. Errors: none could; what is wrong with the first that is
    /// damaged, so that a damaged file never looks like one that was never written.
    fn choose(copies: Vec<Result<Self, DecodeError>>) -> Result<Self, DecodeError> {
        let mut cause = None;
        let mut newest: Option<Self> = None;
        for copy in copies {
            match copy {
                Ok(copy) if newest.as_ref().is_none_or(|newest| newest.revision() < copy.revision()) => {
                    newest = Some(copy)
                }
                Ok(_) => {}
                Err(error) if matches!(cause, None | Some(DecodeError::Blank)) => cause = Some(error),
                Err(_) => {}
            }
        }
        newest.ok_or(cause.unwrap_or(DecodeError::Short { found: 0, needed: 1 }))
    }
}
