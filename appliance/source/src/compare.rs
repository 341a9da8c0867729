//! Learning the target's hashes, ahead of the scan, where little is known: what is equal need not be sent again.

use std::collections::VecDeque;

use units::{DiskIndex, LeafIndex};
use wire::{HashQuery, Message};

use crate::error::SourceError;
use crate::session::Session;
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
    /// Leaves the target holds otherwise than it acked.
    pub(crate) contradictions: u64,
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

    /// Makes sure that the region `leaf` lies in has been asked for if it needs to be, and that the answer is learned. Must be called
    /// in the order of the scan, before anything of the region is sent. Errors: the session; an answer to another question.
    pub(crate) fn reach(
        &mut self,
        session: &Session,
        stream: &mut Stream,
        disk: DiskIndex,
        leaf: LeafIndex,
    ) -> Result<(), SourceError> {
        self.ask_ahead(session, stream)?;
        while let Some(query) = self.asked.front().copied() {
            if (query.disk, query.first) > (disk, leaf) {
                break;
            }
            self.asked.pop_front();
            self.learn(session, stream, query)?;
            self.ask_ahead(session, stream)?;
        }
        Ok(())
    }

    fn learn(&mut self, session: &Session, stream: &mut Stream, query: HashQuery) -> Result<(), SourceError> {
        let hashes = session.hashes(query)?;
        for (leaf, hash) in (query.first.0..).zip(hashes) {
            self.contradictions += u64::from(stream.told(query.disk, LeafIndex(leaf), hash));
        }
        Ok(())
    }

    fn ask_ahead(&mut self, session: &Session, stream: &Stream) -> Result<(), SourceError> {
        while self.asked.len() < ASKED_MAX {
            let Some(query) = self.next_region(stream) else { return Ok(()) };
            let lane = self.asked.len() % session.lanes();
            session.send(Some(lane), Message::HashQuery(query), None)?;
            self.asked.push_back(query);
        }
        Ok(())
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

impl Default for Compare {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use units::{ByteLen, Hash, LEAF_LEN};

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
