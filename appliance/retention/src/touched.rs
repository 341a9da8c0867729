//! Sets of granules, by disk.

use std::ops::Range;

use roaring::RoaringTreemap;
use units::{ByteLen, ByteOffset, DiskIndex, GRANULE_LEN};
use wire::Span;

/// A set of granules of the disks of one machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GranuleSet {
    disks: Vec<RoaringTreemap>,
}

impl GranuleSet {
    /// Returns an empty set for `disks` disks.
    pub fn new(disks: usize) -> Self {
        Self { disks: vec![RoaringTreemap::new(); disks] }
    }

    /// Adds every granule the span touches.
    pub fn insert(&mut self, span: &Span) {
        let range = granules(span);
        self.disks[usize::from(span.disk.0)].insert_range(range);
    }

    /// Adds every granule of another set of the same disks.
    pub fn add(&mut self, other: &Self) {
        assert_eq!(self.disks.len(), other.disks.len(), "both are of one machine");
        self.disks.iter_mut().zip(&other.disks).for_each(|(set, other)| *set |= other);
    }

    /// Takes out every granule the span touches.
    pub fn remove(&mut self, span: &Span) {
        let range = granules(span);
        self.disks[usize::from(span.disk.0)].remove_range(range);
    }

    /// Returns the parts of the span whose granules are not in the set, in order; cut at granules, and at the end of the span.
    pub fn missing(&self, span: &Span) -> Vec<Span> {
        self.parts(span, false)
    }

    /// Returns the parts of the span whose granules are in the set, in order.
    pub fn present(&self, span: &Span) -> Vec<Span> {
        self.parts(span, true)
    }

    fn parts(&self, span: &Span, wanted: bool) -> Vec<Span> {
        let set = &self.disks[usize::from(span.disk.0)];
        let mut runs = Vec::new();
        collect_runs(set, granules(span), wanted, &mut runs);
        let part = |run: Range<u64>| {
            let start = run.start * GRANULE_LEN;
            let end = (run.end * GRANULE_LEN).min(span.start.0 + span.len.0);
            Span { disk: span.disk, start: ByteOffset(start), len: ByteLen(end - start) }
        };
        runs.into_iter().map(part).collect()
    }

    /// Returns how many granules are in the set.
    pub fn granules(&self) -> u64 {
        self.disks.iter().map(RoaringTreemap::len).sum()
    }

    /// Returns the lowest granule of the set that `other` lacks, as its disk and position.
    pub fn first_not_in(&self, other: &Self) -> Option<(DiskIndex, ByteOffset)> {
        let pairs = self.disks.iter().zip(&other.disks).enumerate();
        pairs.into_iter().find_map(|(disk, (set, other))| {
            let granule = (set - other).min()?;
            let disk = u16::try_from(disk).expect("a machine has at most 256 disks");
            Some((DiskIndex(disk), ByteOffset(granule * GRANULE_LEN)))
        })
    }
}

/// Finds the runs of `range` that are in the set (or not) by halving it, so that a long span costs by its runs and
/// not by its granules: a zero extent may be as long as a disk.
fn collect_runs(set: &RoaringTreemap, range: Range<u64>, wanted: bool, runs: &mut Vec<Range<u64>>) {
    let (inside, all) = (set.range_cardinality(range.clone()), range.end - range.start);
    if inside == 0 || inside == all {
        match runs.last_mut() {
            _ if (inside == all) != wanted => {}
            Some(last) if last.end == range.start => last.end = range.end,
            _ => runs.push(range),
        }
        return;
    }
    let middle = range.start + all / 2;
    collect_runs(set, range.start..middle, wanted, runs);
    collect_runs(set, middle..range.end, wanted, runs);
}

fn granules(span: &Span) -> Range<u64> {
    assert!(span.start.is_multiple_of(GRANULE_LEN), "spans of history start at granules");
    assert!(span.len.0 > 0, "a span is not empty");
    let first = span.start.granule().0;
    first..first + span.len.granules()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, len: u64) -> Span {
        Span { disk: DiskIndex(0), start: ByteOffset(start), len: ByteLen(len) }
    }

    #[test]
    fn missing_and_present_parts_make_up_the_span() {
        let mut set = GranuleSet::new(1);
        set.insert(&span(4096, 4096));
        set.insert(&span(12288, 100));
        assert_eq!(set.missing(&span(0, 20000)), [span(0, 4096), span(8192, 4096), span(16384, 3616)]);
        assert_eq!(set.present(&span(0, 20000)), [span(4096, 4096), span(12288, 4096)]);
        assert_eq!(set.missing(&span(12288, 100)), []);
        assert_eq!(set.granules(), 2);
    }
}
