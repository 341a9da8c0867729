//! What was sent in the stream and is not known to be durable: the leaves whose table entries run ahead of the target.

use std::collections::VecDeque;

use units::{ByteLen, ByteOffset, DiskIndex, Sequence};

use crate::table::LeafTable;

/// Items that may be on their way without an ack, at most.
pub(crate) const UNACKED_MAX: usize = 4096;

/// A run of bytes of one disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The disk.
    pub disk: DiskIndex,
    /// Where it starts.
    pub start: ByteOffset,
    /// How long it is.
    pub len: ByteLen,
}

/// The items sent and not acked, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Unacked {
    items: VecDeque<(Sequence, Vec<Run>)>,
}

impl Unacked {
    /// Notes an item that is about to be sent. Panics if it does not follow the one before: a bug of ours.
    pub(crate) fn sent(&mut self, sequence: Sequence, runs: Vec<Run>) {
        if let Some((last, _)) = self.items.back() {
            assert_eq!(last.next(), sequence, "items are numbered without gaps");
        }
        self.items.push_back((sequence, runs));
    }

    /// Drops every item up to `upto`: they are durable.
    pub(crate) fn acked(&mut self, upto: Sequence) {
        while self.items.front().is_some_and(|(sequence, _)| *sequence <= upto) {
            self.items.pop_front();
        }
    }

    /// Returns how many items are not acked.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Tells whether everything sent is acked.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Gives up every item that is not acked: nobody knows which of them the target has, so their leaves become unknown.
    pub(crate) fn lose(&mut self, table: &mut LeafTable) {
        for run in self.items.drain(..).flat_map(|(_, runs)| runs) {
            assert!(
                table.forget_span(run.disk, run.start, run.len),
                "what was sent lies on a disk of the table"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use units::{Hash, LEAF_LEN, LeafIndex};

    use super::*;

    #[test]
    fn only_leaves_without_an_ack_are_forgotten() {
        let mut table = LeafTable::unknown("m".parse().unwrap(), [ByteLen(4 * LEAF_LEN)]);
        let disk = DiskIndex(0);
        let mut unacked = Unacked::default();
        for leaf in 0..4 {
            table.disk_mut(disk).learn(LeafIndex(leaf), Hash([1; 32]));
            let run = Run { disk, start: LeafIndex(leaf).offset(), len: ByteLen(LEAF_LEN) };
            unacked.sent(Sequence(leaf + 8), vec![run]);
        }
        unacked.acked(Sequence(9));
        assert_eq!(unacked.len(), 2);
        unacked.lose(&mut table);
        let known = (0..4).map(|leaf| table.disk(disk).get(LeafIndex(leaf)).is_some());
        assert_eq!(known.collect::<Vec<_>>(), [true, true, false, false]);
        assert!(unacked.is_empty());
    }

    #[test]
    #[should_panic(expected = "without gaps")]
    fn a_gap_of_our_own_never_leaves_the_source() {
        let mut unacked = Unacked::default();
        unacked.sent(Sequence(1), Vec::new());
        unacked.sent(Sequence(3), Vec::new());
    }
}
