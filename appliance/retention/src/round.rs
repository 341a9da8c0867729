//! One destage round: which granules must be captured first, and what is then written where.

use units::{ByteLen, ByteOffset};
use wire::{Extent, Span};

use crate::GranuleSet;

/// A part of an extent that is written to the target disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where it goes.
    pub span: Span,
    /// Which batch of the round it comes from.
    pub batch: usize,
    /// Which extent of that batch.
    pub extent: usize,
}

/// What a round does, in the order it must be done: capture all, make that durable, then write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoundPlan {
    /// Granules this epoch has not captured, sorted; each span within one 64 KiB leaf.
    pub capture: Vec<Span>,
    /// The newest content of everything the round touches, sorted, no byte twice.
    pub writes: Vec<Write>,
}

/// Plans the round of these batches, oldest first, all of one epoch. `captured` is what the epoch has captured
/// before.
pub fn plan_round(batches: &[&[Extent]], captured: &GranuleSet, disks: usize) -> RoundPlan {
    let mut touched = GranuleSet::new(disks);
    let mut plan = RoundPlan::default();
    for (batch, extents) in batches.iter().enumerate().rev() {
        for (extent, each) in extents.iter().enumerate() {
            for span in touched.missing(&each.span()) {
                plan.writes.push(Write { span, batch, extent });
                plan.capture.extend(captured.missing(&span).iter().flat_map(by_leaf));
            }
        }
        // Only now: the extents of one batch do not overlap, and a granule belongs to one of them.
        for each in *extents {
            touched.insert(&each.span());
        }
    }
    plan.writes.sort_by_key(|write| (write.span.disk, write.span.start));
    plan.capture.sort_by_key(|span| (span.disk, span.start));
    plan.capture = merge(plan.capture);
    assert_disjoint(&plan);
    plan
}

fn by_leaf(span: &Span) -> Vec<Span> {
    let (disk, end) = (span.disk, span.start.0 + span.len.0);
    let mut parts = Vec::new();
    let mut start = span.start.0;
    while start < end {
        let stop = end.min((start / units::LEAF_LEN + 1) * units::LEAF_LEN);
        parts.push(Span { disk, start: ByteOffset(start), len: ByteLen(stop - start) });
        start = stop;
    }
    parts
}

/// Joins neighbours that lie in one leaf, so that each is one read.
fn merge(spans: Vec<Span>) -> Vec<Span> {
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last)
                if last.disk == span.disk
                    && last.start.0 + last.len.0 == span.start.0
                    && last.start.leaf() == span.start.leaf() =>
            {
                last.len += span.len;
            }
            _ => merged.push(span),
        }
    }
    merged
}

fn assert_disjoint(plan: &RoundPlan) {
    let end = |span: &Span| span.start.0 + span.len.0;
    let apart = |a: &Span, b: &Span| a.disk < b.disk || end(a) <= b.start.0;
    let writes = plan.writes.windows(2).all(|pair| apart(&pair[0].span, &pair[1].span));
    assert!(writes, "a round writes no byte twice");
    assert!(
        plan.capture.windows(2).all(|pair| apart(&pair[0], &pair[1])),
        "a round captures no granule twice"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::DiskIndex;
    use wire::Encoding;

    fn extent(start: u64, len: u64) -> Extent {
        let (start, len) = (ByteOffset(start * 4096), ByteLen(len * 4096));
        Extent { disk: DiskIndex(0), start, len, encoding: Encoding::Zero }
    }

    fn span(start: u64, len: u64) -> Span {
        Span { disk: DiskIndex(0), start: ByteOffset(start * 4096), len: ByteLen(len * 4096) }
    }

    #[test]
    fn the_newest_content_wins_and_each_granule_is_captured_once() {
        let mut captured = GranuleSet::new(1);
        captured.insert(&span(2, 1));
        let plan = plan_round(&[&[extent(0, 4)], &[extent(1, 1), extent(14, 4)]], &captured, 1);
        let writes: Vec<_> =
            plan.writes.iter().map(|write| (write.span, write.batch, write.extent)).collect();
        assert_eq!(writes, [(span(0, 1), 0, 0), (span(1, 1), 1, 0), (span(2, 2), 0, 0), (span(14, 4), 1, 1)]);
        assert_eq!(plan.capture, [span(0, 2), span(3, 1), span(14, 2), span(16, 2)]);
    }
}
