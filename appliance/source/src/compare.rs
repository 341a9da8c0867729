//! Learning the target's hashes, ahead of the scan, where little is known: what is equal need not be sent again.

use std::collections::VecDeque;

use units::{DiskIndex, Hash, LeafIndex};
use wire::HashQuery;

use crate::stream::Stream;

/// Leaves of one question: 32 MiB of disk.
pub(crate) const REGION_LEAVES: u64 = 512;
/// Questions that may wait for their answer.
const ASKED_MAX: usize = 8;
/// A region is asked for if more than one leaf in this many is unknown; fewer are cheaper to send than to ask about.
const UNKNOWN_DENOMINATOR: u64 = 8;

/// Asks for the hashes of badly known regions, a little ahead of the scan.
pub(crate) struct Compare {
    next: (DiskIndex, u64),
    asked: VecDeque<HashQuery>,
    contradictions: u64,
}

impl Compare {
    /// Starts at the first disk's start.
    pub(crate) fn new() -> Self {
        Self { next: (DiskIndex(0), 0), asked: VecDeque::new(), contradictions: 0 }
    }

    /// Tells whether there is anything to ask for in a round.
    pub(crate) fn asks(stream: &Stream) -> bool {
        Self::new().next_region(stream).is_some()
    }

    /// Returns the next question that is to be sent, a little ahead of the scan: before anything of its region is.
    pub(crate) fn question(&mut self, stream: &Stream) -> Option<HashQuery> {
        if self.asked.len() >= ASKED_MAX {
            return None;
        }
        let query = self.next_region(stream)?;
        self.asked.push_back(query);
        Some(query)
    }

    /// Returns the oldest question whose answer is needed before `leaf` is looked at.
    pub(crate) fn awaits(&self, disk: DiskIndex, leaf: LeafIndex) -> Option<HashQuery> {
        self.asked.front().copied().filter(|query| (query.disk, query.first) <= (disk, leaf))
    }

    /// Learns the answer to the oldest question.
    pub(crate) fn told(&mut self, stream: &mut Stream, hashes: &[Hash]) {
        let query = self.asked.pop_front().expect("an answer follows a question");
        assert_eq!(hashes.len(), query.count as usize, "an answer has a hash for each leaf");
        for (leaf, hash) in (query.first.0..).zip(hashes) {
            self.contradictions += u64::from(stream.told(query.disk, LeafIndex(leaf), *hash));
        }
    }

    /// Returns how many leaves the target holds otherwise than it acked.
    pub(crate) fn contradictions(&self) -> u64 {
        self.contradictions
    }

    /// Returns the next region of which too little is known.
    fn next_region(&mut self, stream: &Stream) -> Option<HashQuery> {
        loop {
            let (disk, first) = self.next;
            let leaves = stream.table().disks().get(usize::from(disk.0))?;
            let count = leaves.len().leaves().saturating_sub(first).min(REGION_LEAVES);
            if count == 0 {
                self.next = (DiskIndex(disk.0 + 1), 0);
                continue;
            }
            self.next = (disk, first + count);
            let first = LeafIndex(first);
            if leaves.unknown(first, count) * UNKNOWN_DENOMINATOR > count {
                let count = u32::try_from(count).expect("a region is small");
                return Some(HashQuery { disk, first, count });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use units::{ByteLen, LEAF_LEN};

    use super::*;
    use crate::table::LeafTable;

    #[test]
    fn only_badly_known_regions_are_asked_for_each_once() {
        let lens = [ByteLen((2 * REGION_LEAVES + 3) * LEAF_LEN), ByteLen(512)];
        let mut table = LeafTable::unknown("m".parse().unwrap(), lens);
        let second = REGION_LEAVES..2 * REGION_LEAVES - REGION_LEAVES / UNKNOWN_DENOMINATOR;
        second.for_each(|leaf| table.disk_mut(DiskIndex(0)).learn(LeafIndex(leaf), Hash([1; 32])));
        let (mut compare, stream) = (Compare::new(), Stream::new(table));
        let mut asked = Vec::new();
        while let Some(query) = compare.next_region(&stream) {
            asked.push((query.disk.0, query.first.0, query.count));
        }
        assert_eq!(asked, [(0, 0, 512), (0, 1024, 3), (1, 0, 1)]);
    }
}
