//! Version lookup for many granules at once: the plan of a rewind, in either direction.
//!
//! The content of a granule at sequence S, for a granule that was written after the lowest state the disks may
//! hold: the newest redo extent at or before S, of an epoch from that lowest state's on; else what the first
//! epoch from S's on captured before it first wrote the granule. An epoch that wrote it without having captured it
//! ends the search: the content is lost.
//!
//! A thinned epoch has no redo. It wrote what it captured; the points at its start and its end can be had, by the
//! before-images of it and of later epochs, and those between can't. What it wrote last is on the target disk alone:
//! before that is overwritten, [`unsaved`] says what must be captured.

use units::{ByteOffset, DiskIndex, EpochNumber, Sequence};
use wire::Span;

use crate::{EpochIndex, GranuleSet, IndexEntry, Log, PlanError};

/// What the target disks hold now, and what they are to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointRange {
    /// The lowest sequence whose state may be on the disks.
    pub low: Sequence,
    /// The highest.
    pub high: Sequence,
    /// The point that is wanted.
    pub to: Sequence,
}

/// One part of a disk, and where its content at the point is.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The part.
    pub span: Span,
    /// The epoch that holds the content.
    pub epoch: EpochNumber,
    /// The extent that holds it; the span lies inside it.
    pub entry: IndexEntry,
}

/// Everything that must be written to bring the disks to the point; nothing else differs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RewindPlan {
    /// Sorted by disk and position; no byte twice.
    pub pieces: Vec<Piece>,
}

/// Plans to bring the disks to `range.to`. `epochs` is the whole history, oldest first, each with its undo up to the last
/// applied round. Errors: the point is outside the history, or some content is not in it.
pub fn plan_rewind(epochs: &[EpochIndex], range: PointRange, disks: usize) -> Result<RewindPlan, PlanError> {
    let oldest = epochs.first().map_or(Sequence(0), |epoch| Sequence(epoch.first.0 - 1));
    let newest = epochs.last().map_or(oldest, |epoch| epoch.last);
    let PointRange { low, high, to } = range;
    if to < oldest || to > newest {
        return Err(PlanError::OutOfWindow { wanted: to, oldest, newest });
    }
    assert!(low <= high && high <= newest && low >= oldest, "the disks hold a state of the history");
    if let Some(thinned) = epochs.get(epoch_of(epochs, to)).filter(|epoch| epoch.is_thinned_at(to)) {
        let (epoch, start, end) = (thinned.epoch, Sequence(thinned.first.0 - 1), thinned.last);
        return Err(PlanError::Thinned { wanted: to, epoch, start, end });
    }
    let (low, high) = (low.min(to), high.max(to));
    let mut search = Search::new(touched_between(epochs, low, high, disks));
    search.claim_redo(&epochs[epoch_of(epochs, low)..], to, disks);
    let from = undo_from(epochs, to);
    let wanted = Wanted { to, from: epochs.get(from).map_or(EpochNumber(0), |epoch| epoch.epoch) };
    for epoch in &epochs[from..] {
        let undo = epoch.entries.iter().filter(|entry| entry.log == Log::Undo);
        undo.for_each(|entry| search.claim(epoch.epoch, entry));
        // What this epoch wrote it must have captured: what a later epoch captured is already the new content.
        let written =
            |entry: &&IndexEntry| entry.log == Log::Redo && entry.sequence > to && entry.sequence <= high;
        epoch.entries.iter().filter(written).try_for_each(|entry| search.refuse(&entry.span(), wanted))?;
    }
    search.finish(wanted, disks)
}

/// Returns what must be captured, and made durable, before the disks leave the newest state for `to`: what thinned epochs
/// wrote after `to`, as far as no later redo has it. `captured` is what the newest epoch has captured already.
pub fn unsaved(epochs: &[EpochIndex], to: Sequence, captured: &GranuleSet) -> Vec<Span> {
    let mut known = captured.clone();
    let mut unsaved = Vec::new();
    for epoch in epochs.iter().rev().take_while(|epoch| epoch.last > to) {
        for entry in epoch.entries.iter().filter(|entry| epoch.wrote_last(entry)) {
            if epoch.is_thinned() {
                unsaved.extend(known.missing(&entry.span()));
            }
            known.insert(&entry.span());
        }
    }
    unsaved.sort_by_key(|span| (span.disk, span.start));
    unsaved
}

/// Returns the index of the epoch a sequence lies in; the oldest for the state before it.
pub(crate) fn epoch_of(epochs: &[EpochIndex], sequence: Sequence) -> usize {
    epochs.partition_point(|epoch| epoch.first <= sequence).saturating_sub(1)
}

/// Returns the index of the first epoch whose before-images tell of a sequence: its own, or the next if it is the last of one
/// that was thinned, whose before-images tell of its start.
pub(crate) fn undo_from(epochs: &[EpochIndex], sequence: Sequence) -> usize {
    let own = epoch_of(epochs, sequence);
    let ends = epochs.get(own).is_some_and(|epoch| epoch.is_thinned() && epoch.last == sequence);
    if ends { own + 1 } else { own }
}

fn touched_between(epochs: &[EpochIndex], low: Sequence, high: Sequence, disks: usize) -> GranuleSet {
    let mut touched = GranuleSet::new(disks);
    for epoch in &epochs[epoch_of(epochs, low)..] {
        let inside = |sequence: Sequence| sequence > low && sequence <= high;
        let wrote = |entry: &&IndexEntry| match entry.log {
            Log::Redo => inside(entry.sequence),
            Log::Undo => epoch.is_thinned() && epoch.first <= high && epoch.last > low,
        };
        epoch.entries.iter().filter(wrote).for_each(|entry| touched.insert(&entry.span()));
    }
    touched
}

/// The point, and the first epoch whose before-images may tell of it.
#[derive(Clone, Copy)]
struct Wanted {
    to: Sequence,
    from: EpochNumber,
}

impl Wanted {
    fn unresolved(self, disk: DiskIndex, start: ByteOffset) -> PlanError {
        PlanError::Unresolved { disk, start, wanted: self.to, from: self.from }
    }
}

/// Granules that are wanted, and where the content of those claimed so far is.
pub(crate) struct Search {
    unclaimed: GranuleSet,
    plan: RewindPlan,
}

impl Search {
    pub(crate) fn new(unclaimed: GranuleSet) -> Self {
        Self { unclaimed, plan: RewindPlan::default() }
    }

    pub(crate) fn into_pieces(self) -> Vec<Piece> {
        self.plan.pieces
    }

    /// Gives what is still wanted of the entry's granules to it.
    pub(crate) fn claim(&mut self, epoch: EpochNumber, entry: &IndexEntry) {
        for span in self.unclaimed.present(&entry.span()) {
            self.unclaimed.remove(&span);
            self.plan.pieces.push(Piece { span, epoch, entry: entry.clone() });
        }
    }

    /// Gives each granule to the newest redo extent at or before `to`. What a thinned epoch wrote behind it is not in it: that
    /// stays wanted.
    fn claim_redo(&mut self, epochs: &[EpochIndex], to: Sequence, disks: usize) {
        let mut later = GranuleSet::new(disks);
        for epoch in epochs.iter().rev() {
            if epoch.is_thinned() {
                for span in epoch.entries.iter().filter(|_| epoch.last <= to).map(IndexEntry::span) {
                    self.unclaimed.present(&span).iter().for_each(|part| later.insert(part));
                    self.unclaimed.remove(&span);
                }
                continue;
            }
            let mut redo: Vec<_> =
                epoch.entries.iter().filter(|e| e.log == Log::Redo && e.sequence <= to).collect();
            redo.sort_by_key(|entry| std::cmp::Reverse(entry.sequence));
            redo.into_iter().for_each(|entry| self.claim(epoch.epoch, entry));
        }
        self.unclaimed.add(&later);
    }

    /// Refuses the point if any granule of the span is still without content.
    fn refuse(&self, span: &Span, wanted: Wanted) -> Result<(), PlanError> {
        self.unclaimed
            .present(span)
            .first()
            .map_or(Ok(()), |part| Err(wanted.unresolved(part.disk, part.start)))
    }

    fn finish(mut self, wanted: Wanted, disks: usize) -> Result<RewindPlan, PlanError> {
        if let Some((disk, start)) = self.unclaimed.first_not_in(&GranuleSet::new(disks)) {
            return Err(wanted.unresolved(disk, start));
        }
        self.plan.pieces.sort_by_key(|piece| (piece.span.disk, piece.span.start));
        let apart = |a: &Span, b: &Span| a.disk < b.disk || a.start.0 + a.len.0 <= b.start.0;
        let disjoint = self.plan.pieces.windows(2).all(|pair| apart(&pair[0].span, &pair[1].span));
        assert!(disjoint, "a plan writes no byte twice");
        Ok(self.plan)
    }
}

impl RewindPlan {
    /// Returns how many bytes of target disk the plan writes.
    pub fn len(&self) -> units::ByteLen {
        self.pieces.iter().map(|piece| piece.span.len).sum()
    }

    /// Tells whether the disks hold the point already.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}
