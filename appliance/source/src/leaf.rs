//! What a leaf holds: only zeroes, or data with a hash.

use units::{ByteLen, Hash, LEAF_LEN};

/// What was found in a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafContent {
    /// Nothing but zeroes.
    Zero,
    /// Something else, with this blake3 hash.
    Data(Hash),
}

/// Hashes of leaves of zeroes. A whole leaf's is computed once.
#[derive(Clone, Debug)]
pub struct ZeroHashes {
    whole: Hash,
}

impl ZeroHashes {
    /// Computes the hash of a whole leaf of zeroes.
    pub fn new() -> Self {
        Self { whole: zeroes_hash(LEAF_LEN) }
    }

    /// Returns the hash of a leaf of `len` zeroes. Panics if `len` is longer than a leaf: a bug of ours.
    pub fn of(&self, len: ByteLen) -> Hash {
        assert!(len.0 <= LEAF_LEN, "a leaf has at most {LEAF_LEN} bytes, not {}", len.0);
        if len.0 == LEAF_LEN { self.whole } else { zeroes_hash(len.0) }
    }
}

impl Default for ZeroHashes {
    fn default() -> Self {
        Self::new()
    }
}

fn zeroes_hash(len: u64) -> Hash {
    static ZEROES: [u8; LEAF_LEN as usize] = [0; LEAF_LEN as usize];
    blake3::hash(&ZEROES[..ByteLen(len).as_usize()]).into()
}

/// Looks at the bytes of one leaf: zeroes first, hash only if there is something.
pub fn content(bytes: &[u8]) -> LeafContent {
    if units::is_zero(bytes) { LeafContent::Zero } else { LeafContent::Data(blake3::hash(bytes).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_anywhere_makes_a_leaf_data() {
        for len in [512, 1024, 1536, 65536] {
            let mut bytes = vec![0; len];
            assert_eq!(content(&bytes), LeafContent::Zero);
            for at in [0, 511, len / 2, len - 1] {
                bytes[at] = 0x80;
                assert_eq!(content(&bytes), LeafContent::Data(blake3::hash(&bytes).into()), "{at} of {len}");
                bytes[at] = 0;
            }
        }
    }

    #[test]
    fn the_hash_of_zeroes_is_that_of_the_bytes() {
        for len in [512, 4096, LEAF_LEN] {
            assert_eq!(ZeroHashes::new().of(ByteLen(len)), blake3::hash(&vec![0; len as usize]).into());
        }
    }
}
