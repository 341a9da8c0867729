//! Making one of two thinned epochs that follow one another: the earlier takes over what it has not captured itself.
//!
//! What the later one captured and the earlier did not, the earlier never wrote: it held the same content at the earlier's start. So
//! the before-images of the earlier and those it takes over are those of one longer epoch, and also of the earlier alone: a crash
//! on the way leaves before-images that are true and not needed.

use units::ByteOffset;
use wire::Span;

use crate::{EpochIndex, GranuleSet, IndexEntry, Log};

/// Extents that the index of a joined epoch may have: it must fit into memory.
pub const JOINED_ENTRIES_MAX: usize = 1 << 20;

/// A before-image that an epoch takes over from the next.
#[derive(Clone, Debug, PartialEq)]
pub struct TakenOver {
    /// The extent, in the undo log of the later epoch.
    pub entry: IndexEntry,
    /// The parts of it that the earlier epoch has no before-image of, in order.
    pub parts: Vec<Span>,
}

/// Returns what `earlier` must take over from `later`, in the order it lies in the log of that. Both are thinned, and neighbours.
pub fn taken_over(earlier: &EpochIndex, later: &EpochIndex, disks: usize) -> Vec<TakenOver> {
    assert!(earlier.is_thinned() && later.is_thinned(), "what is joined has lost its redo");
    assert_eq!(earlier.last.next(), later.first, "neighbours follow one another");
    let mut captured = GranuleSet::new(disks);
    earlier.entries.iter().for_each(|entry| captured.insert(&entry.span()));
    let take =
        |entry: &IndexEntry| TakenOver { entry: entry.clone(), parts: captured.missing(&entry.span()) };
    let mut taken: Vec<_> = later.entries.iter().map(take).filter(|taken| !taken.parts.is_empty()).collect();
    taken.sort_by_key(|taken| taken.entry.payload_at);
    taken
}

impl EpochIndex {
    /// Makes this the index of both epochs, after everything [`taken_over`] was added to it. `given_up`: the bytes of redo that both
    /// have lost.
    pub fn join(&mut self, later: &Self, given_up: ByteOffset) {
        assert!(self.is_thinned() && later.is_thinned(), "what is joined has lost its redo");
        assert_eq!(self.last.next(), later.first, "neighbours follow one another");
        assert!(self.entries.iter().all(|entry| entry.log == Log::Undo), "only before-images are left");
        self.points.extend_from_slice(&later.points);
        self.moments.extend_from_slice(&later.moments);
        (self.last, self.last_checksum) = (later.last, later.last_checksum);
        self.closed = self.closed.max(later.closed);
        self.thin();
        self.sort();
        self.redo_len = given_up;
    }
}
