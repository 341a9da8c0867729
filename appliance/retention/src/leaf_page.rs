//! What the leaves of a target disk held at a scrub: one page of hashes.
//!
//! A target disk has no checksums of its own: these are kept for it.

use serde::{Deserialize, Serialize};
use units::{DiskIndex, Generation, Hash, LeafIndex, MachineId, Sequence};

use crate::{DecodeError, envelope};

/// Leaves one page tells of.
pub const PAGE_LEAVES: u64 = 1024;
/// Bytes from one page to the next.
pub const PAGE_LEN: usize = 36 << 10;

const MAGIC: [u8; 4] = *b"LFLP";
/// 1: the first.
const VERSION: u16 = 1;

/// The hashes of some leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafPage {
    /// Whose.
    pub machine: MachineId,
    /// The generation.
    pub generation: Generation,
    /// The point at which the leaves had these hashes.
    pub sequence: Sequence,
    /// The disk.
    pub disk: DiskIndex,
    /// The first leaf.
    pub first: LeafIndex,
    /// The plain blake3 of each leaf from there on; at most [`PAGE_LEAVES`].
    pub hashes: Vec<Hash>,
}

impl LeafPage {
    /// Returns the page's bytes, not padded.
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.hashes.len() as u64 <= PAGE_LEAVES, "a page has its limit");
        let body = postcard::to_stdvec(self).expect("a page always encodes");
        let bytes = envelope::seal(MAGIC, VERSION, &body);
        assert!(bytes.len() <= PAGE_LEN, "a page fits its place");
        bytes
    }

    /// Decodes a page; bytes may follow it. The caller compares what it is of.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let page: Self = envelope::whole(envelope::open(MAGIC, VERSION, bytes)?.1)?;
        let found = page.hashes.len() as u64;
        if found == 0 || found > PAGE_LEAVES {
            return Err(DecodeError::Bounds { field: "hashes of a page", found, allowed: "1 to 1024" });
        }
        Ok(page)
    }
}
