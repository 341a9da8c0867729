//! What the source knows about the target: one hash per leaf of each disk, or nothing.

use units::{
    ByteLen, ByteOffset, DiskIndex, Generation, Hash, LEAF_LEN, LeafIndex, MachineName, Sequence, disk_root,
};

/// The leaves of one disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskLeaves {
    len: ByteLen,
    hashes: Vec<Hash>,
    known: Vec<bool>,
}

/// The leaves of all disks of a machine, and the point of its stream they stand for.
///
/// *Invariant:* a leaf that is known with hash `h` has, on the target, at `sequence` of `generation` (while a round is
/// under way: at the last sequence the source gave out), exactly the content whose hash is `h`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafTable {
    /// The machine the table is of.
    pub machine: MachineName,
    /// The generation `sequence` counts in.
    pub generation: Generation,
    /// The sequence the table stands for; 0 before the first item of the stream.
    pub sequence: Sequence,
    disks: Vec<DiskLeaves>,
}

impl DiskLeaves {
    /// Makes the leaves of a disk of `len`, all unknown.
    pub fn new(len: ByteLen) -> Self {
        let count = usize::try_from(len.leaves()).expect("the leaves of a disk fit the address space");
        Self { len, hashes: vec![Hash::default(); count], known: vec![false; count] }
    }

    /// Returns the size of the disk.
    pub fn len(&self) -> ByteLen {
        self.len
    }

    /// Returns the hash of a leaf, or `None` while it is unknown. Panics past the disk's end: a bug of ours.
    pub fn get(&self, leaf: LeafIndex) -> Option<Hash> {
        let at = self.at(leaf);
        self.known[at].then(|| self.hashes[at])
    }

    /// Sets the hash of a leaf. Panics past the disk's end: a bug of ours.
    pub fn learn(&mut self, leaf: LeafIndex, hash: Hash) {
        let at = self.at(leaf);
        self.hashes[at] = hash;
        self.known[at] = true;
    }

    /// Makes `count` leaves from `first` unknown; what lies past the disk's end is ignored.
    pub fn forget(&mut self, first: LeafIndex, count: u64) {
        let end = first.0.saturating_add(count).min(self.known.len() as u64);
        for leaf in first.0..end {
            let at = self.at(LeafIndex(leaf));
            self.known[at] = false;
        }
    }

    /// Makes every leaf unknown that does not lie wholly before `through`.
    pub fn forget_from(&mut self, through: ByteOffset) {
        if through.0 < self.len.0 {
            self.forget(through.leaf(), u64::MAX);
        }
    }

    /// Returns how many leaves of `count` from `first` are unknown; what lies past the disk's end is none.
    pub fn unknown(&self, first: LeafIndex, count: u64) -> u64 {
        let end = first.0.saturating_add(count).min(self.known.len() as u64);
        (first.0..end).filter(|leaf| !self.known[self.at(LeafIndex(*leaf))]).count() as u64
    }

    /// Returns every hash, if all are known.
    pub fn complete(&self) -> Option<&[Hash]> {
        self.known.iter().all(|known| *known).then_some(&self.hashes)
    }

    fn at(&self, leaf: LeafIndex) -> usize {
        let at = usize::try_from(leaf.0).unwrap_or(usize::MAX);
        assert!(at < self.known.len(), "leaf {} lies on a disk of {} leaves", leaf.0, self.known.len());
        at
    }
}

impl LeafTable {
    /// Makes a table in which nothing is known, for disks of these sizes.
    pub fn unknown(machine: MachineName, lens: impl IntoIterator<Item = ByteLen>) -> Self {
        let disks = lens.into_iter().map(DiskLeaves::new).collect();
        Self { machine, generation: Generation(0), sequence: Sequence(0), disks }
    }

    /// Returns the disks in their order.
    pub fn disks(&self) -> &[DiskLeaves] {
        &self.disks
    }

    /// Returns one disk. Panics if the machine has no such disk: a bug of ours.
    pub fn disk(&self, disk: DiskIndex) -> &DiskLeaves {
        &self.disks[usize::from(disk.0)]
    }

    /// Returns one disk, to be changed. Panics if the machine has no such disk: a bug of ours.
    pub fn disk_mut(&mut self, disk: DiskIndex) -> &mut DiskLeaves {
        &mut self.disks[usize::from(disk.0)]
    }

    /// Makes every leaf of every disk unknown.
    pub fn forget_all(&mut self) {
        self.disks.iter_mut().for_each(|disk| disk.forget(LeafIndex(0), u64::MAX));
    }

    /// Makes the leaves unknown that a run of bytes touches. Returns false, with nothing changed, if the machine has no
    /// such disk or the run does not lie on it.
    pub fn forget_span(&mut self, disk: DiskIndex, start: ByteOffset, len: ByteLen) -> bool {
        let Some(leaves) = self.disks.get_mut(usize::from(disk.0)) else { return false };
        let Some(end) = start.checked_add(len).filter(|end| end.0 <= leaves.len.0) else { return false };
        if len > ByteLen::ZERO {
            leaves.forget(start.leaf(), end.0.div_ceil(LEAF_LEN) - start.leaf().0);
        }
        true
    }

    /// Tells whether no leaf is unknown.
    pub fn is_complete(&self) -> bool {
        self.disks.iter().all(|disk| disk.complete().is_some())
    }

    /// Returns the root of each disk, or `None` while a leaf is unknown.
    pub fn roots(&self) -> Option<Vec<Hash>> {
        self.disks.iter().map(|disk| Some(disk_root(disk.len, disk.complete()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(len: u64) -> LeafTable {
        LeafTable::unknown("web-01".parse().unwrap(), [ByteLen(len)])
    }

    #[test]
    fn a_table_has_roots_only_when_every_leaf_is_known() {
        let mut table = table(2 * LEAF_LEN + 512);
        for leaf in 0..3 {
            assert_eq!(table.roots(), None);
            table.disk_mut(DiskIndex(0)).learn(LeafIndex(leaf), Hash([1; 32]));
        }
        assert_eq!(table.roots().unwrap().len(), 1);
        assert!(table.forget_span(DiskIndex(0), ByteOffset(2 * LEAF_LEN), ByteLen(512)));
        assert_eq!(table.roots(), None);
    }

    #[test]
    fn a_span_forgets_exactly_the_leaves_it_touches() {
        let mut table = table(4 * LEAF_LEN);
        for leaf in 0..4 {
            table.disk_mut(DiskIndex(0)).learn(LeafIndex(leaf), Hash([7; 32]));
        }
        assert!(table.forget_span(DiskIndex(0), ByteOffset(LEAF_LEN + 4096), ByteLen(LEAF_LEN)));
        let known = (0..4).map(|leaf| table.disk(DiskIndex(0)).get(LeafIndex(leaf)).is_some());
        assert_eq!(known.collect::<Vec<_>>(), [true, false, false, true]);
        assert!(!table.forget_span(DiskIndex(0), ByteOffset(0), ByteLen(4 * LEAF_LEN + 1)));
        assert!(!table.forget_span(DiskIndex(1), ByteOffset(0), ByteLen(1)));
    }

    #[test]
    fn a_watermark_keeps_only_leaves_wholly_before_it() {
        let mut table = table(2 * LEAF_LEN + 512);
        let disk = table.disk_mut(DiskIndex(0));
        (0..3).for_each(|leaf| disk.learn(LeafIndex(leaf), Hash([7; 32])));
        disk.forget_from(ByteOffset(2 * LEAF_LEN + 512));
        assert_eq!(disk.unknown(LeafIndex(0), 3), 0);
        disk.forget_from(ByteOffset(LEAF_LEN + 4096));
        assert_eq!(disk.unknown(LeafIndex(0), 3), 2);
        assert!(disk.get(LeafIndex(0)).is_some());
    }
}
