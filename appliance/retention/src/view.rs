//! Version lookup for a view: where the content of every byte at one point is, while the target disks go on.
//!
//! The map holds what the disks held otherwise when it was made, and learns of every overwriting before it happens:
//! what is overwritten then comes from the before-image just captured or, where the epoch of the point captured the
//! granule earlier, from the redo extent that wrote it at or before the point. Such extents are in the map from the
//! start, in reserve: as long as the target disk holds the same content, it is the faster source.
//!
//! *Invariant:* what the map does not name is on the target disk, at every moment between two overwritings.
//! It takes at most [`RUN_LEN`] bytes for each run of granules that it names.

use std::collections::BTreeMap;
use std::ops::Range;

use units::{ByteLen, ByteOffset, EpochNumber, Sequence};
use wire::{Encoding, Span};

use crate::rewind::{Search, epoch_of, undo_from};
use crate::{EpochIndex, GranuleSet, IndexEntry, Log, Piece, PlanError, PointRange, plan_rewind};

/// Bytes of memory a run takes at the most: itself and its extent, in a tree whose nodes are at least half full.
pub const RUN_LEN: usize = size_of::<Source>() + 2 * (size_of::<Run>() + size_of::<u64>());
const _: () = assert!(RUN_LEN <= 176);

/// Where the content of a part of a disk is.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// On the target disk, unless it is overwritten before it is read.
    Target,
    /// Nowhere: it is zero.
    Zero,
    /// In a log, for good.
    Log {
        /// The epoch.
        epoch: EpochNumber,
        /// The extent; the part lies inside it.
        entry: IndexEntry,
    },
}

/// Where the content of every byte of a machine's disks at one point is.
#[derive(Clone, Debug)]
pub struct ViewMap {
    to: Sequence,
    from: EpochNumber,
    /// For each disk the runs by their start; none overlap.
    disks: Vec<BTreeMap<u64, Run>>,
    sources: Vec<Source>,
}

#[derive(Clone, Debug)]
struct Source {
    epoch: EpochNumber,
    entry: IndexEntry,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    len: u64,
    source: u32,
    /// The target disk holds the same content, so far.
    reserve: bool,
}

impl ViewMap {
    /// Makes the map of `range.to` over disks that may hold any state of the range. `epochs`: the history, oldest first, or
    /// its end from the epochs of `range.low` and `range.to` on; each with its undo up to `range.high`, which was applied.
    /// Errors: as [`plan_rewind`].
    pub fn new(epochs: &[EpochIndex], range: PointRange, disks: usize) -> Result<Self, PlanError> {
        let plan = plan_rewind(epochs, range, disks)?;
        let oldest = epochs.get(epoch_of(epochs, range.low.min(range.to)));
        let from = oldest.map_or(EpochNumber(0), |epoch| epoch.epoch);
        let mut map = Self { to: range.to, from, disks: vec![BTreeMap::new(); disks], sources: Vec::new() };
        let reserve = epochs.get(epoch_of(epochs, range.to)).map(|own| {
            let written = written_upto(own, range.to);
            let mut touched = GranuleSet::new(disks);
            written.iter().for_each(|entry| touched.insert(&entry.span()));
            plan.pieces.iter().for_each(|piece| touched.remove(&piece.span));
            let mut search = Search::new(touched);
            written.into_iter().for_each(|entry| search.claim(own.epoch, entry));
            search.into_pieces()
        });
        map.put_all(plan.pieces, false);
        map.put_all(reserve.unwrap_or_default(), true);
        map.reserve_captured(epochs, range.to);
        Ok(map)
    }

    /// Takes into reserve what was captured before it was overwritten, which it was not yet: a round that found no room, or a rewind that
    /// left a thinned epoch, captures what nobody will capture again.
    fn reserve_captured(&mut self, epochs: &[EpochIndex], to: Sequence) {
        for epoch in &epochs[undo_from(epochs, to)..] {
            for entry in epoch.entries.iter().filter(|entry| entry.log == Log::Undo) {
                for part in self.unnamed(&entry.span()) {
                    self.put(&part, epoch.epoch, entry, true);
                }
            }
        }
    }

    /// Returns the point.
    pub fn to(&self) -> Sequence {
        self.to
    }

    /// Returns the oldest epoch the map may name.
    pub fn from(&self) -> EpochNumber {
        self.from
    }

    /// Returns how many runs the map has.
    pub fn runs(&self) -> usize {
        self.disks.iter().map(BTreeMap::len).sum()
    }

    /// Says that `writes` are about to be overwritten on the target disks, and that the content of `captured`, entries of
    /// undo logs, is durable there. Errors: the content of an overwritten granule would be lost to the view.
    pub fn overwrite<'a>(
        &mut self,
        writes: impl Iterator<Item = &'a Span> + Clone,
        captured: &[(EpochNumber, IndexEntry)],
    ) -> Result<(), PlanError> {
        writes.clone().for_each(|span| self.use_reserve(span));
        for (epoch, entry) in captured {
            assert_eq!(entry.log, Log::Undo, "what is captured is a before-image");
            for part in self.unnamed(&entry.span()) {
                self.put(&part, *epoch, entry, false);
            }
        }
        let lost = writes.flat_map(|span| self.unnamed(span)).next();
        lost.map_or(Ok(()), |part| {
            let (disk, start) = (part.disk, part.start);
            Err(PlanError::Unresolved { disk, start, wanted: self.to, from: self.from })
        })
    }

    /// Returns the parts of the span, in order and without a gap, each with the place of its content.
    pub fn lookup(&self, span: &Span) -> Vec<(Span, Place)> {
        let mut parts: Vec<(Span, Place)> = Vec::new();
        let mut add = |range: Range<u64>, place: Place| match parts.last_mut() {
            _ if range.is_empty() => {}
            Some((last, found)) if *found == place => last.len += ByteLen(range.end - range.start),
            _ => parts.push((part_of(span, &range), place)),
        };
        let mut at = span.start.0;
        for (range, run) in self.runs_in(span) {
            add(at..range.start, Place::Target);
            at = range.end;
            add(range, self.place(run));
        }
        add(at..end_of(span), Place::Target);
        assert_eq!(parts.iter().map(|(part, _)| part.len).sum::<ByteLen>(), span.len, "no part is left out");
        parts
    }

    fn place(&self, run: Run) -> Place {
        let Source { epoch, entry } = &self.sources[run.source as usize];
        match entry.extent.encoding {
            _ if run.reserve => Place::Target,
            Encoding::Zero => Place::Zero,
            Encoding::Raw { .. } | Encoding::Zstd { .. } => {
                Place::Log { epoch: *epoch, entry: entry.clone() }
            }
        }
    }

    fn put_all(&mut self, pieces: Vec<Piece>, reserve: bool) {
        for Piece { span, epoch, entry } in pieces {
            self.put(&span, epoch, &entry, reserve);
        }
    }

    fn put(&mut self, span: &Span, epoch: EpochNumber, entry: &IndexEntry, reserve: bool) {
        // Neighbours often come from one extent: it is kept once.
        if self.sources.last().is_none_or(|last| last.epoch != epoch || last.entry != *entry) {
            self.sources.push(Source { epoch, entry: entry.clone() });
        }
        let source = u32::try_from(self.sources.len() - 1).expect("memory ends before 2^32 extents");
        assert!(self.runs_in(span).next().is_none(), "no byte is named twice");
        let run = Run { len: span.len.0, source, reserve };
        self.disks[usize::from(span.disk.0)].insert(span.start.0, run);
    }

    /// Returns the runs that the span touches, each with its part inside the span, in order.
    fn runs_in(&self, span: &Span) -> impl Iterator<Item = (Range<u64>, Run)> {
        let (disk, from, end) = (&self.disks[usize::from(span.disk.0)], span.start.0, end_of(span));
        let before = disk.range(..from).next_back();
        before.into_iter().chain(disk.range(from..end)).filter_map(move |(&start, &run)| {
            let part = start.max(from)..(start + run.len).min(end);
            (!part.is_empty()).then_some((part, run))
        })
    }

    /// Takes what is in reserve for the span into use, and leaves the rest of those runs in reserve.
    fn use_reserve(&mut self, span: &Span) {
        let found: Vec<_> = self.runs_in(span).filter(|(_, run)| run.reserve).collect();
        let disk = &mut self.disks[usize::from(span.disk.0)];
        for (part, run) in found {
            let start = *disk.range(..=part.start).next_back().expect("the run was just found").0;
            let end = start + run.len;
            for (range, reserve) in [(start..part.start, true), (part.clone(), false), (part.end..end, true)]
            {
                if !range.is_empty() {
                    disk.insert(range.start, Run { len: range.end - range.start, reserve, ..run });
                }
            }
        }
    }

    /// Returns the parts of the span that no run names.
    fn unnamed(&self, span: &Span) -> Vec<Span> {
        let mut at = span.start.0;
        let mut parts = Vec::new();
        for (range, _) in self.runs_in(span).chain([(end_of(span)..end_of(span), Run::END)]) {
            if at < range.start {
                parts.push(part_of(span, &(at..range.start)));
            }
            at = range.end;
        }
        parts
    }
}

impl Run {
    /// Stands behind the last run of a span.
    const END: Self = Self { len: 0, source: 0, reserve: false };
}

/// Returns the redo extents of an epoch at or before a point, the newest first.
fn written_upto(epoch: &EpochIndex, to: Sequence) -> Vec<&IndexEntry> {
    let written = |entry: &&IndexEntry| entry.log == Log::Redo && entry.sequence <= to;
    let mut written: Vec<_> = epoch.entries.iter().filter(written).collect();
    written.sort_by_key(|entry| std::cmp::Reverse(entry.sequence));
    written
}

fn end_of(span: &Span) -> u64 {
    span.start.0 + span.len.0
}

fn part_of(span: &Span, range: &Range<u64>) -> Span {
    let (start, len) = (ByteOffset(range.start), ByteLen(range.end - range.start));
    Span { disk: span.disk, start, len }
}
