//! Positions, lengths and indexes on a disk.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes in the smallest sector a protected disk may be cut into.
pub const SECTOR_LEN: u64 = 512;
/// Bytes in a granule: the unit of history. The last granule of a disk may be shorter.
pub const GRANULE_LEN: u64 = 4096;
/// Bytes in a leaf: the unit of comparison and of proof. The last leaf of a disk may be shorter.
pub const LEAF_LEN: u64 = 65536;

const _: () = {
    assert!(GRANULE_LEN.is_multiple_of(SECTOR_LEN));
    assert!(LEAF_LEN.is_multiple_of(GRANULE_LEN));
};

/// A position on a disk or in a file, in bytes from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ByteOffset(pub u64);

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ByteLen(pub u64);

/// The number of a 4 KiB granule on a disk, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GranuleIndex(pub u64);

/// The number of a 64 KiB leaf on a disk, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeafIndex(pub u64);

impl ByteOffset {
    /// Returns the position `len` further on, or `None` past 2^64.
    pub fn checked_add(self, len: ByteLen) -> Option<Self> {
        self.0.checked_add(len.0).map(Self)
    }

    /// Returns the distance from `earlier` to here. Panics if `earlier` is later: a bug of ours.
    pub fn since(self, earlier: Self) -> ByteLen {
        ByteLen(self.0.checked_sub(earlier.0).expect("a distance runs from the earlier position"))
    }

    /// Returns the granule this position lies in.
    pub fn granule(self) -> GranuleIndex {
        GranuleIndex(self.0 / GRANULE_LEN)
    }

    /// Returns the leaf this position lies in.
    pub fn leaf(self) -> LeafIndex {
        LeafIndex(self.0 / LEAF_LEN)
    }

    /// Tells whether the position is a multiple of `unit` bytes.
    pub fn is_multiple_of(self, unit: u64) -> bool {
        self.0.is_multiple_of(unit)
    }
}

impl ByteLen {
    /// No bytes.
    pub const ZERO: Self = Self(0);

    /// Returns `count` KiB.
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// Returns `count` MiB.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// Returns `count` GiB.
    pub const fn gib(count: u64) -> Self {
        Self(count << 30)
    }

    /// Returns the length as a `usize`. Panics if the machine's address space is smaller: a bug of ours.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).expect("a length in memory fits the address space")
    }

    /// Returns the next multiple of `unit` at or above this length.
    pub fn round_up(self, unit: u64) -> Self {
        Self(self.0.checked_next_multiple_of(unit).expect("lengths stay far below 2^64"))
    }

    /// Returns how many granules a disk of this length has, the last one perhaps short.
    pub fn granules(self) -> u64 {
        self.0.div_ceil(GRANULE_LEN)
    }

    /// Returns how many leaves a disk of this length has, the last one perhaps short.
    pub fn leaves(self) -> u64 {
        self.0.div_ceil(LEAF_LEN)
    }
}

impl GranuleIndex {
    /// Returns where the granule starts.
    pub fn offset(self) -> ByteOffset {
        ByteOffset(self.0.checked_mul(GRANULE_LEN).expect("a granule of a disk starts below 2^64"))
    }

    /// Returns how many bytes of the granule lie on a disk of `disk_len`.
    pub fn len_on(self, disk_len: ByteLen) -> ByteLen {
        ByteLen(disk_len.0.saturating_sub(self.offset().0).min(GRANULE_LEN))
    }
}

impl LeafIndex {
    /// Returns where the leaf starts.
    pub fn offset(self) -> ByteOffset {
        ByteOffset(self.0.checked_mul(LEAF_LEN).expect("a leaf of a disk starts below 2^64"))
    }

    /// Returns how many bytes of the leaf lie on a disk of `disk_len`.
    pub fn len_on(self, disk_len: ByteLen) -> ByteLen {
        ByteLen(disk_len.0.saturating_sub(self.offset().0).min(LEAF_LEN))
    }
}

impl std::ops::Add for ByteLen {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self(self.0.checked_add(more.0).expect("lengths stay far below 2^64"))
    }
}

impl std::ops::AddAssign for ByteLen {
    fn add_assign(&mut self, more: Self) {
        *self = *self + more;
    }
}

impl std::iter::Sum for ByteLen {
    fn sum<I: Iterator<Item = Self>>(lengths: I) -> Self {
        lengths.fold(Self::ZERO, |total, len| total + len)
    }
}

impl fmt::Display for ByteOffset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "byte {}", self.0)
    }
}

impl fmt::Display for ByteLen {
    /// Writes the length in the largest of B, KiB, MiB, GiB and TiB that leaves at least 1.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 4] =
            [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        for (unit, size) in UNITS {
            if self.0.is_multiple_of(size) && self.0 > 0 {
                return write!(out, "{} {unit}", self.0 / size);
            }
            if self.0 >= size {
                return write!(out, "{:.2} {unit}", self.0 as f64 / size as f64);
            }
        }
        write!(out, "{} B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_granule_and_leaf_are_cut_at_the_end_of_the_disk() {
        let disk = ByteLen(LEAF_LEN + GRANULE_LEN + SECTOR_LEN);
        assert_eq!(disk.granules(), 18);
        assert_eq!(GranuleIndex(17).len_on(disk), ByteLen(SECTOR_LEN));
        assert_eq!(GranuleIndex(18).len_on(disk), ByteLen::ZERO);
        assert_eq!(disk.leaves(), 2);
        assert_eq!(LeafIndex(1).len_on(disk), ByteLen(GRANULE_LEN + SECTOR_LEN));
    }

    #[test]
    fn lengths_read_well() {
        let shown = [0, 512, 4096, 1_572_864, 1 << 40].map(|len| ByteLen(len).to_string());
        assert_eq!(shown, ["0 B", "512 B", "4 KiB", "1.50 MiB", "1 TiB"]);
    }
}
