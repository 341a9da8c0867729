//! A blake3 hash and what it stands for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A blake3 hash, 32 bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Why a text is not a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hexadecimal digits")]
pub struct ParseHashError;

impl std::str::FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| ParseHashError)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut hash = Self::default();
        for (byte, pair) in hash.0.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (digit(pair[0]), digit(pair[1]));
            *byte = high.ok_or(ParseHashError)? << 4 | low.ok_or(ParseHashError)?;
        }
        Ok(hash)
    }
}

impl From<blake3::Hash> for Hash {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

/// Makes the root of a disk from its leaves, one after the other: see [`disk_root`].
#[derive(Clone, Debug)]
pub struct RootHasher {
    hasher: blake3::Hasher,
    left: u64,
}

impl RootHasher {
    /// Begins the root of a disk of this length.
    pub fn new(disk_len: crate::ByteLen) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("landfall 2026 disk root");
        hasher.update(&disk_len.0.to_le_bytes());
        Self { hasher, left: disk_len.leaves() }
    }

    /// Adds the hash of the next leaf.
    pub fn leaf(&mut self, leaf: &Hash) {
        self.left = self.left.checked_sub(1).expect("a root covers the leaves of its disk, and no more");
        self.hasher.update(&leaf.0);
    }

    /// Returns the root, once every leaf was added.
    pub fn finish(self) -> Hash {
        assert_eq!(self.left, 0, "a root covers every leaf of the disk");
        self.hasher.finalize().into()
    }
}

/// Returns the root of a disk: the hash, under its own context, of the disk's length and of the blake3 hashes
/// of its 64 KiB leaves in order. Two disks have one root exactly if they have the same bytes (FORMAT.md).
pub fn disk_root(disk_len: crate::ByteLen, leaves: &[Hash]) -> Hash {
    let mut root = RootHasher::new(disk_len);
    leaves.iter().for_each(|leaf| root.leaf(leaf));
    root.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ByteLen;

    #[test]
    fn a_root_depends_on_length_content_and_order() {
        let (a, b) = (Hash([1; 32]), Hash([2; 32]));
        let root = disk_root(ByteLen(65537), &[a, b]);
        assert_ne!(root, disk_root(ByteLen(65538), &[a, b]));
        assert_ne!(root, disk_root(ByteLen(65537), &[b, a]));
        assert_eq!(root, disk_root(ByteLen(65537), &[a, b]));
    }
}
