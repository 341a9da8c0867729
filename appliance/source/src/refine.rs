//! Finding out which granules of a leaf differ, before it is sent in a resync.
//!
//! A leaf whose hash differs may do so by one granule in sixteen. The target is asked for the hashes of its granules, and only
//! those that differ are sent.
//!
//! # Why the leaf is right afterwards
//! The answer tells what the target holds with everything applied that was durable when the question came. Nothing of ours that
//! touches the leaf is under way then: a round sends a leaf once, after the answer, and everything of the round before was acked before this one
//! began. Nobody else writes. So the granules that are not sent are, at the sequence of the batch that has the others, what they are here;
//! all parts of a leaf are in one batch, and the table learns the leaf with that batch.
//!
//! # When it pays
//! To ask costs the target another read of the leaf and both ends its hashes, which is less than to send, keep and write
//! a whole leaf, with its before-image, but not much less where the link is fast. So it pays while at least a quarter of the granules asked about are equal; while
//! they are not, one question in [`TRY_EVERY`] finds out whether that has changed.

use std::collections::VecDeque;
use std::ops::Range;

use units::{DiskIndex, GRANULE_LEN, Hash, LeafIndex};
use wire::GranuleQuery;

use crate::sweep::AwaitedGranules;

/// Leaves of one question.
const ASK_LEAVES: usize = 64;
/// Questions that may wait for their answer: 16 MiB of leaves are kept for them.
const ASKED_MAX: usize = 4;
/// While it does not pay, one in this many questions is asked.
const TRY_EVERY: u32 = 16;

/// A leaf that differs.
#[derive(Debug)]
pub(crate) struct Differing {
    /// The disk.
    pub(crate) disk: DiskIndex,
    /// The leaf.
    pub(crate) leaf: LeafIndex,
    /// The hash of its content.
    pub(crate) hash: Hash,
    /// Its content.
    pub(crate) bytes: Vec<u8>,
}

impl Differing {
    /// Returns the parts that are not what the target holds: neighbours as one.
    pub(crate) fn parts(&self, theirs: &[Hash]) -> Vec<Range<usize>> {
        let mut parts: Vec<Range<usize>> = Vec::new();
        for (index, (granule, hash)) in self.bytes.chunks(GRANULE_LEN as usize).zip(theirs).enumerate() {
            if Hash::from(blake3::hash(granule)) == *hash {
                continue;
            }
            let start = index * GRANULE_LEN as usize;
            let end = start + granule.len();
            match parts.last_mut().filter(|last| last.end == start) {
                Some(last) => last.end = end,
                None => parts.push(start..end),
            }
        }
        parts
    }

    fn granules(&self) -> usize {
        self.bytes.len().div_ceil(GRANULE_LEN as usize)
    }
}

/// A leaf, and the parts of it that the target does not hold.
pub(crate) type Refined = (Differing, Vec<Range<usize>>);

/// Whether asking has paid.
#[derive(Debug)]
struct Yield {
    /// The part of the granules that was equal, of late.
    equal: f64,
    passed: u32,
}

impl Yield {
    fn pays(&self) -> bool {
        self.equal >= 0.25
    }

    /// Tells whether to ask about the next leaves.
    fn asks(&mut self) -> bool {
        self.passed = if self.pays() { 0 } else { (self.passed + 1) % (TRY_EVERY * ASK_LEAVES as u32) };
        self.passed < ASK_LEAVES as u32
    }

    fn learn(&mut self, equal: usize, of: usize) {
        let part = equal as f64 / of.max(1) as f64;
        self.equal = (self.equal + part) / 2.0;
    }
}

/// Leaves that differ, on their way to be sent in part.
#[derive(Debug)]
pub(crate) struct Refine {
    next: Vec<Differing>,
    asked: VecDeque<(u64, Vec<Differing>)>,
    worth: Yield,
    token: u64,
}

impl Refine {
    /// Starts with nothing, and the hope that it pays.
    pub(crate) fn new() -> Self {
        let worth = Yield { equal: 0.5, passed: 0 };
        Self { next: Vec::new(), asked: VecDeque::new(), worth, token: 0 }
    }

    /// Tells whether the next leaf is to be refined.
    pub(crate) fn wants(&mut self) -> bool {
        self.worth.asks()
    }

    /// Takes a leaf, in the order of the scan. Returns the question to be sent when there are enough.
    pub(crate) fn take(&mut self, leaf: Differing) -> Option<GranuleQuery> {
        let before =
            if self.next.last().is_some_and(|last| last.disk != leaf.disk) { self.ask() } else { None };
        self.next.push(leaf);
        const { assert!(ASK_LEAVES > 1, "a leaf that comes after a question does not make another") };
        before.or_else(|| if self.next.len() == ASK_LEAVES { self.ask() } else { None })
    }

    /// Returns the question about what was taken, to be sent, if something was.
    pub(crate) fn ask(&mut self) -> Option<GranuleQuery> {
        let leaves = std::mem::take(&mut self.next);
        let disk = leaves.first()?.disk;
        self.token += 1;
        let query =
            GranuleQuery { token: self.token, disk, leaves: leaves.iter().map(|leaf| leaf.leaf).collect() };
        self.asked.push_back((self.token, leaves));
        Some(query)
    }

    /// Returns the oldest question that waits for its answer.
    pub(crate) fn awaits(&self) -> Option<AwaitedGranules> {
        let (token, leaves) = self.asked.front()?;
        let count = leaves.iter().map(Differing::granules).sum();
        Some(AwaitedGranules { token: *token, count, is_urgent: self.asked.len() > ASKED_MAX })
    }

    /// Returns the leaves of the oldest question, each with its parts that differ from the target's hashes.
    pub(crate) fn told(&mut self, hashes: &[Hash]) -> Vec<Refined> {
        let (_, leaves) = self.asked.pop_front().expect("an answer follows a question");
        let count = leaves.iter().map(Differing::granules).sum();
        assert_eq!(hashes.len(), count, "an answer has a hash for each granule");
        let (mut rest, mut sent) = (hashes, 0);
        let mut refined = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let (theirs, behind) = rest.split_at(leaf.granules());
            rest = behind;
            let parts = leaf.parts(theirs);
            sent += parts.iter().map(|part| part.len().div_ceil(GRANULE_LEN as usize)).sum::<usize>();
            refined.push((leaf, parts));
        }
        self.worth.learn(count - sent, count);
        refined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_granules_that_differ_are_parts_and_neighbours_are_one() {
        let bytes = vec![7; 3 * 4096 + 512];
        let mut theirs: Vec<Hash> = bytes.chunks(4096).map(|granule| blake3::hash(granule).into()).collect();
        let leaf = Differing { disk: DiskIndex(0), leaf: LeafIndex(4), hash: Hash([0; 32]), bytes };
        let parts = |theirs: &[Hash]| {
            leaf.parts(theirs).into_iter().map(|part| (part.start, part.end)).collect::<Vec<_>>()
        };
        assert_eq!(parts(&theirs), []);
        theirs[3] = Hash([1; 32]);
        assert_eq!(parts(&theirs), [(3 * 4096, 3 * 4096 + 512)]);
        theirs[2] = Hash([1; 32]);
        theirs[0] = Hash([1; 32]);
        assert_eq!(parts(&theirs), [(0, 4096), (2 * 4096, 3 * 4096 + 512)]);
    }

    #[test]
    fn where_it_does_not_pay_it_is_tried_now_and_then() {
        let mut worth = Yield { equal: 0.5, passed: 0 };
        worth.learn(0, 1024);
        worth.learn(0, 1024);
        let asked = (0..10_240).filter(|_| worth.asks()).count();
        assert!((512..=768).contains(&asked), "{asked} of 10240");
        worth.learn(1000, 1024);
        assert!((0..100).all(|_| worth.asks()));
    }
}
