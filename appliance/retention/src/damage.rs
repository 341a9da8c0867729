//! Which points are spoilt when something of the history, or of a target disk, is lost.
//!
//! The content of a granule at a point comes from one place (see `rewind`): the newest redo extent at or before the point in the
//! point's own epoch, else the first before-image from that epoch on, else the target disk. So what one place spoils is a span
//! of sequences, by the writes before and behind it. Where the granules of an extent differ, the span covers all of theirs: a point
//! inside may be whole, a point outside is.

use units::{EpochNumber, Sequence};
use wire::Span;

use crate::{Damage, DamagedPlace, EpochIndex, GranuleSet, IndexEntry, Log};

/// The points that something lost was needed for: from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoilt {
    /// The first.
    pub first: Sequence,
    /// The last.
    pub last: Sequence,
}

impl Damage {
    /// Tells whether the point is spoilt.
    pub fn spoils(&self, point: Sequence) -> bool {
        self.first <= point && self.last.is_none_or(|last| point <= last)
    }

    /// Tells whether any point is.
    pub fn spoils_any(&self) -> bool {
        self.last.is_none_or(|last| self.first <= last)
    }

    /// Tells whether it is of no concern any more: what it spoilt, or the file it lies in, has left the history.
    pub fn has_left(&self, base: Sequence, oldest: EpochNumber) -> bool {
        let gone = match self.place {
            DamagedPlace::Target => false,
            DamagedPlace::Redo { epoch, .. } | DamagedPlace::Undo { epoch, .. } => epoch < oldest,
        };
        gone || self.spoils_any() && self.last.is_some_and(|last| last < base)
    }

    /// Returns the range of the disk.
    pub fn span(&self) -> Span {
        Span { disk: self.disk, start: self.start, len: self.len }
    }
}

/// Returns the points that need the payload of a redo extent of `epochs[at]`; `None` if none does, because what it wrote is on
/// the target disk still. `epochs` is the history, oldest first.
pub fn spoilt_by_redo(epochs: &[EpochIndex], at: usize, entry: &IndexEntry) -> Option<Spoilt> {
    assert_eq!(entry.log, Log::Redo, "an extent of a redo log");
    let own = &epochs[at];
    let mut rest = set_of(&entry.span());
    let mut last = None;
    for later in redo_by_sequence(own).filter(|later| later.sequence > entry.sequence) {
        if take(&mut rest, &later.span(), entry.span().disk) {
            last = Some(Sequence(later.sequence.0 - 1));
        }
    }
    let overwritten = |epoch: &EpochIndex| redo(epoch).any(|later| touches(&rest, &later.span(), entry));
    if epochs[at + 1..].iter().any(overwritten) {
        last = Some(own.last);
    }
    last.and_then(|last| spoilt(entry.sequence, last))
}

/// Tells whether the target disk holds some of what a redo extent wrote, as the only copy but for that extent.
pub fn is_newest(epochs: &[EpochIndex], at: usize, entry: &IndexEntry) -> bool {
    let mut rest = set_of(&entry.span());
    let own = redo(&epochs[at]).filter(|later| later.sequence > entry.sequence);
    for later in own.chain(epochs[at + 1..].iter().flat_map(redo)) {
        take(&mut rest, &later.span(), entry.span().disk);
    }
    rest.granules() > 0
}

/// Returns the oldest point of a history.
pub fn oldest_point(epochs: &[EpochIndex]) -> Sequence {
    base_of(epochs)
}

/// Returns the points that need a before-image of `epochs[at]`.
pub fn spoilt_by_undo(epochs: &[EpochIndex], at: usize, entry: &IndexEntry) -> Option<Spoilt> {
    assert_eq!(entry.log, Log::Undo, "an extent of an undo log");
    let disk = entry.span().disk;
    // Up to the first write of each granule in this epoch, or to its start if its redo, and all points inside, are gone:
    let mut rest = set_of(&entry.span());
    let mut last = epochs[at].is_thinned().then_some(Sequence(epochs[at].first.0 - 1));
    for write in redo_by_sequence(&epochs[at]) {
        if take(&mut rest, &write.span(), disk) {
            last = Some(Sequence(write.sequence.0 - 1));
        }
    }
    // from behind the epoch that wrote what it holds: there the redo log has it.
    let mut rest = set_of(&entry.span());
    let mut first = None;
    for earlier in epochs[..at].iter().rev() {
        if earlier.is_thinned() {
            for written in earlier.entries.iter().filter(|written| earlier.wrote_last(written)) {
                if take(&mut rest, &written.span(), disk) {
                    first = Some(earlier.last);
                }
            }
        }
        for write in redo(earlier) {
            if take(&mut rest, &write.span(), disk) {
                first = Some(earlier.last.next());
            }
        }
        if rest.granules() == 0 {
            return last.and_then(|last| spoilt(first.expect("something was written"), last));
        }
    }
    last.and_then(|last| spoilt(base_of(epochs), last))
}

/// Returns the first point whose content of the span is what the target disk held at `upto`.
pub fn spoilt_by_target(epochs: &[EpochIndex], span: &Span, upto: Sequence) -> Sequence {
    let mut rest = set_of(span);
    for epoch in epochs.iter().rev() {
        let mut writes: Vec<_> = redo(epoch).filter(|write| write.sequence <= upto).collect();
        writes.sort_by_key(|write| std::cmp::Reverse(write.sequence));
        for write in writes {
            take(&mut rest, &write.span(), span.disk);
            if rest.granules() == 0 {
                return write.sequence;
            }
        }
    }
    base_of(epochs)
}

/// Returns the last point whose content of the span is, as far as it was overwritten since, what the target disk held at `after`;
/// `None` if nothing of it was.
pub fn spoilt_until(epochs: &[EpochIndex], span: &Span, after: Sequence) -> Option<Sequence> {
    let mut rest = set_of(span);
    let mut last = None;
    for write in epochs.iter().flat_map(redo_by_sequence).filter(|write| write.sequence > after) {
        if take(&mut rest, &write.span(), span.disk) {
            last = Some(Sequence(write.sequence.0 - 1));
        }
    }
    last
}

fn base_of(epochs: &[EpochIndex]) -> Sequence {
    epochs.first().map_or(Sequence(0), |oldest| Sequence(oldest.first.0 - 1))
}

fn spoilt(first: Sequence, last: Sequence) -> Option<Spoilt> {
    (first <= last).then_some(Spoilt { first, last })
}

fn set_of(span: &Span) -> GranuleSet {
    let mut set = GranuleSet::new(usize::from(span.disk.0) + 1);
    set.insert(span);
    set
}

fn redo(epoch: &EpochIndex) -> impl Iterator<Item = &IndexEntry> {
    epoch.entries.iter().filter(|entry| entry.log == Log::Redo)
}

fn redo_by_sequence(epoch: &EpochIndex) -> impl Iterator<Item = &IndexEntry> {
    let mut entries: Vec<_> = redo(epoch).collect();
    entries.sort_by_key(|entry| entry.sequence);
    entries.into_iter()
}

fn touches(rest: &GranuleSet, span: &Span, entry: &IndexEntry) -> bool {
    span.disk == entry.span().disk && !rest.present(span).is_empty()
}

/// Takes the granules of a span out of the set; tells whether there were any.
fn take(rest: &mut GranuleSet, span: &Span, disk: units::DiskIndex) -> bool {
    let any = span.disk == disk && !rest.present(span).is_empty();
    if any {
        rest.remove(span);
    }
    any
}

#[cfg(test)]
mod tests {
    use units::{ByteLen, ByteOffset, DiskIndex, Generation, MachineId};
    use wire::{Encoding, Extent};

    use super::*;

    fn entry(log: Log, sequence: u64, granule: u64, count: u64) -> IndexEntry {
        let (start, len) = (ByteOffset(granule * 4096), ByteLen(count * 4096));
        let extent = Extent { disk: DiskIndex(1), start, len, encoding: Encoding::Zero };
        IndexEntry { extent, log, sequence: Sequence(sequence), payload_at: ByteOffset(0) }
    }

    fn epoch(number: u64, first: u64, last: u64, entries: Vec<IndexEntry>) -> EpochIndex {
        let (machine, generation) = (MachineId([1; 16]), Generation(1));
        let mut index = EpochIndex::empty(machine, generation, EpochNumber(number), Sequence(first));
        index.last = Sequence(last);
        index.redo_len = ByteOffset(4096);
        index.entries = entries;
        index
    }

    fn span(first: u64, last: u64) -> Option<Spoilt> {
        Some(Spoilt { first: Sequence(first), last: Sequence(last) })
    }

    /// Epochs 1..=9, 10..=19, 20..=29; granules 0 and 1 are written at 3 and 25, granule 0 alone at 6.
    fn history() -> Vec<EpochIndex> {
        let both = |log, sequence| entry(log, sequence, 0, 2);
        vec![
            epoch(1, 1, 9, vec![both(Log::Redo, 3), entry(Log::Redo, 6, 0, 1), both(Log::Undo, 6)]),
            epoch(2, 10, 19, vec![entry(Log::Redo, 12, 7, 1), entry(Log::Undo, 12, 7, 1)]),
            epoch(3, 20, 29, vec![both(Log::Redo, 25), both(Log::Undo, 25)]),
        ]
    }

    #[test]
    fn a_lost_write_spoils_its_epoch_from_there_on_if_it_was_overwritten_later() {
        let history = history();
        assert_eq!(spoilt_by_redo(&history, 0, &history[0].entries[0]), span(3, 9));
        assert_eq!(spoilt_by_redo(&history, 0, &history[0].entries[1]), span(6, 9));
        assert_eq!(spoilt_by_redo(&history, 1, &history[1].entries[0]), None, "the target disk has it");
        assert!(
            is_newest(&history, 1, &history[1].entries[0]) && !is_newest(&history, 0, &history[0].entries[0])
        );
        assert_eq!(spoilt_by_redo(&history, 2, &history[2].entries[0]), None, "the target disk has it");
    }

    #[test]
    fn a_lost_before_image_spoils_what_lies_between_two_writes_in_different_epochs() {
        let history = history();
        assert_eq!(spoilt_by_undo(&history, 2, &history[2].entries[1]), span(10, 24));
        assert_eq!(spoilt_by_undo(&history, 0, &history[0].entries[2]), span(0, 2));
        assert_eq!(spoilt_by_undo(&history, 1, &history[1].entries[1]), span(0, 11));
    }

    #[test]
    fn a_rotten_disk_spoils_from_its_last_write_on() {
        let history = history();
        let part = |granule| entry(Log::Redo, 1, granule, 1).span();
        assert_eq!(spoilt_by_target(&history, &part(0), Sequence(29)), Sequence(25));
        assert_eq!(spoilt_by_target(&history, &part(0), Sequence(24)), Sequence(6));
        assert_eq!(spoilt_by_target(&history, &part(9), Sequence(29)), Sequence(0));
        assert_eq!(spoilt_until(&history, &part(0), Sequence(4)), Some(Sequence(5)));
        assert_eq!(spoilt_until(&history, &part(1), Sequence(4)), Some(Sequence(24)));
        assert_eq!(spoilt_until(&history, &part(9), Sequence(4)), None);
    }

    #[test]
    fn damage_leaves_with_its_points_or_its_epoch() {
        let damage = |place, first, last: Option<u64>| Damage {
            disk: DiskIndex(0),
            start: ByteOffset(0),
            len: ByteLen(4096),
            place,
            first: Sequence(first),
            last: last.map(Sequence),
            found: units::Timestamp(1),
        };
        let (epoch, position) = (EpochNumber(2), ByteOffset(0));
        let redo = damage(DamagedPlace::Redo { epoch, position }, 5, Some(4));
        assert!(!redo.spoils_any() && !redo.has_left(Sequence(9), EpochNumber(2)));
        assert!(redo.has_left(Sequence(9), EpochNumber(3)));
        let target = damage(DamagedPlace::Target, 5, Some(8));
        assert!(target.spoils(Sequence(5)) && target.spoils(Sequence(8)) && !target.spoils(Sequence(9)));
        assert!(
            target.has_left(Sequence(9), EpochNumber(1)) && !target.has_left(Sequence(8), EpochNumber(1))
        );
        assert!(!damage(DamagedPlace::Target, 5, None).has_left(Sequence(9), EpochNumber(9)));
    }
}
