//! The machine's stream as this source writes it, and the leaf table that follows it.
//!
//! # Why a known leaf is the truth
//! The claim: whenever the table is *used* (to skip a leaf) or *saved*, a leaf known with hash `h` has, on the target at sequence
//! `s`, exactly the content whose hash is `h`; `s` is the last sequence given out while a session lives, and `acked` when the
//! table is saved or a session begins.
//!
//! 1. *Learning.* A leaf is learned only from (a) a parcel, whole leaves with their content, at the moment its item gets the next
//!    sequence: at that sequence the target's content is what the parcel says, since the target applies items in order or not at
//!    all; (b) the target's own hash of the leaf as of its durable sequence, asked for before any item of this session touched
//!    the leaf; (c) a seed frame, or a zero left out on a disk nobody ever wrote to, while there is no stream yet.
//! 2. *Within a session* nobody else writes the machine's stream (the target takes one session per generation), so that between
//!    two of our items that touch a leaf its content stands still.
//! 3. *A session that breaks* leaves items of which nobody knows whether they arrived: every item above `acked` is in
//!    [`Unacked`], and [`Stream::lose`] makes its leaves unknown. What remains known was last written at or before `acked`: the
//!    claim holds with `s = acked`.
//! 4. *The next session* begins at the target's durable sequence `d`. If `d = acked` the claim holds as it is. If `d > acked`,
//!    whoever wrote in between, the target names what was written after `acked`, and that becomes unknown; if it cannot name
//!    it, everything does. If `d < acked`, or the generation is another, nothing is claimed at all.
//! 5. *The saved table* is written only while nothing is unacked, with `acked` as its sequence: it is case 4 for whoever loads it,
//!    however much later. A table that is damaged, of other disks or another machine is not used.
//! 6. *While seeding* the saved table has, as known, only leaves before a watermark the target has made durable; no seed frame is ever
//!    sent before a durable watermark again. Leaves past it are forgotten when a seed is resumed, and then zeroes are sent like
//!    everything else, since an earlier try may have put data where zeroes are now.
//!
//! A leaf that is not known is sent, or compared by its hash: losing knowledge costs time, never truth.

use heapless::Vec as Bounded;
use units::{ByteOffset, Generation, Hash, Sequence, Timestamp};
use wire::{Batch, Consistency, GroupMark, Marker, Message, Span, Welcome};

use crate::config::Label;
use crate::exchange::ChangedAnswer;
use crate::leaf::ZeroHashes;
use crate::parcel::Parcel;
use crate::resume::{Footing, Standing, footing};
use crate::table::LeafTable;
use crate::unacked::{UNACKED_MAX, Unacked};

/// The stream and its leaf table.
pub struct Stream {
    table: LeafTable,
    unacked: Unacked,
    given: Sequence,
    acked: Sequence,
    zeroes: ZeroHashes,
    /// Everything was forgotten, and no point has been made since.
    resyncs: bool,
    /// The point that is on its way.
    point: Option<Sequence>,
}

/// What a recovery point says beside its sequence and its roots.
#[derive(Clone, Debug)]
pub struct PointWords {
    /// The moment it stands for.
    pub time: Timestamp,
    /// How far it can be trusted.
    pub consistency: Consistency,
    /// A word for people.
    pub label: Label,
    /// Which point of its consistency group it is, if it is one.
    pub group: Option<GroupMark>,
}

impl Stream {
    /// Starts from a table as it was saved, or from one in which nothing is known.
    pub fn new(table: LeafTable) -> Self {
        let acked = table.sequence;
        let (unacked, zeroes) = (Unacked::default(), ZeroHashes::new());
        Self { table, unacked, given: acked, acked, zeroes, resyncs: false, point: None }
    }

    /// Returns the table. See the module for what it says when.
    pub fn table(&self) -> &LeafTable {
        &self.table
    }

    /// Returns the hashes of zeroes.
    pub fn zeroes(&self) -> &ZeroHashes {
        &self.zeroes
    }

    /// Returns the last sequence known to be durable.
    pub fn acked(&self) -> Sequence {
        self.acked
    }

    /// Returns the generation of the table; 0 if there is none yet.
    pub fn generation(&self) -> Generation {
        self.table.generation
    }

    /// Tells what has to be done to the table before it speaks for the target at the welcome's durable sequence (rules 3 and 4).
    pub fn footing(&self, welcome: &Welcome) -> Footing {
        footing(Standing { generation: self.table.generation, acked: self.acked }, welcome)
    }

    /// Brings the table to what it may say at the welcome's durable sequence; `changed` is what the target said was written since, if
    /// [`Stream::footing`] asks for it. Panics if history was lost: nothing can be brought to that.
    pub fn adopt(&mut self, welcome: &Welcome, changed: &ChangedAnswer) {
        assert!(self.unacked.is_empty(), "what an earlier session left is given up before the next");
        match (self.footing(welcome), changed) {
            (Footing::Exact, _) => {}
            (Footing::ChangedSince(_), ChangedAnswer::Spans(spans)) => {
                let known = spans.iter().all(|span| self.table.forget_span(span.disk, span.start, span.len));
                assert!(known, "spans are checked against the disks when they are received");
            }
            (Footing::Nothing | Footing::ChangedSince(_), _) => {
                self.table.forget_all();
                self.resyncs = true;
            }
            (Footing::LostHistory, _) => panic!("a target that lost history is not gone on with"),
        }
        self.table.generation = welcome.generation;
        (self.acked, self.given) = (welcome.durable, welcome.durable);
    }

    /// Forgets what lies past the seed's watermarks (rule 6).
    pub fn forget_unseeded(&mut self, through: &[ByteOffset]) {
        for (disk, through) in (0..).zip(through) {
            self.table.disk_mut(units::DiskIndex(disk)).forget_from(*through);
        }
    }

    /// Forgets what the target wants to have again, between two rounds; returns the last sequence that was given out.
    pub fn forget_spans(&mut self, spans: &[Span]) -> Sequence {
        assert!(self.unacked.is_empty(), "a round leaves nothing unacked");
        let known = spans.iter().all(|span| self.table.forget_span(span.disk, span.start, span.len));
        assert!(known, "spans are checked against the disks when they are received");
        self.given
    }

    /// Learns what a seed frame carries (rule 1c).
    pub fn seeded(&mut self, parcel: &Parcel) {
        assert_eq!(self.given, self.acked, "a seed ends before the stream goes on");
        parcel.teach(&mut self.table, &self.zeroes);
    }

    /// Learns a leaf of zeroes that is left out on a disk nobody ever wrote to (rule 1c).
    pub fn zero_left_out(&mut self, disk: units::DiskIndex, leaf: units::LeafIndex) {
        let leaves = self.table.disk_mut(disk);
        let len = leaf.len_on(leaves.len());
        leaves.learn(leaf, self.zeroes.of(len));
    }

    /// Learns the target's own hash of a leaf (rule 1b). Returns whether that contradicts what was known.
    pub fn told(&mut self, disk: units::DiskIndex, leaf: units::LeafIndex, hash: Hash) -> bool {
        let leaves = self.table.disk_mut(disk);
        let contradicts = leaves.get(leaf).is_some_and(|known| known != hash);
        leaves.learn(leaf, hash);
        contradicts
    }

    /// Tells whether an ack is to be waited for before the next item.
    pub fn is_full(&self) -> bool {
        self.unacked.len() >= UNACKED_MAX
    }

    /// Forgets everything, between two rounds: the next compares every leaf.
    pub fn distrust(&mut self) {
        assert!(self.unacked.is_empty(), "a round leaves nothing unacked");
        self.table.forget_all();
        self.resyncs = true;
    }

    /// Tells whether everything given out is acked.
    pub fn is_settled(&self) -> bool {
        self.unacked.is_empty()
    }

    /// Makes a parcel the next item, to be sent at once. Panics while [`Stream::is_full`].
    pub fn next_batch(&mut self, parcel: &Parcel, time: Timestamp) -> Message {
        assert!(!self.is_full(), "an ack is waited for first");
        let extents =
            Bounded::from_slice(&parcel.extents).expect("a parcel has at most as many extents as a batch");
        let sequence = self.given.next();
        parcel.teach(&mut self.table, &self.zeroes);
        self.unacked.sent(sequence, parcel.runs());
        self.given = sequence;
        Message::Batch(Box::new(Batch { sequence, time, extents }))
    }

    /// Tells whether the round to come is a resync: nothing was known of the target when it began. It is, in each session, until a
    /// point is durable.
    pub fn resyncs(&self) -> bool {
        self.resyncs
    }

    /// Makes the marker that begins a resync the next item, to be sent at once, before anything of the round. The target
    /// then keeps the last good point until a later one completes the resync. Panics while [`Stream::is_full`].
    pub fn next_resync(&mut self, time: Timestamp) -> Message {
        assert!(!self.is_full(), "an ack is waited for first");
        let sequence = self.given.next();
        self.unacked.sent(sequence, Vec::new());
        self.given = sequence;
        let (consistency, label, roots) = (Consistency::Resync, Label::new(), Bounded::new());
        Message::Marker(Box::new(Marker { sequence, time, consistency, label, roots, group: None }))
    }

    /// Makes a recovery point the next item, to be sent at once; returns its roots too. Panics if a leaf is unknown: every leaf was
    /// scanned before.
    pub fn next_point(&mut self, words: PointWords) -> (Message, Sequence, Vec<Hash>) {
        let roots = self.table.roots().expect("a scan leaves no leaf unknown");
        let sequence = self.given.next();
        let listed = Bounded::from_slice(&roots).expect("a machine has at most 256 disks");
        let PointWords { time, consistency, label, group } = words;
        self.unacked.sent(sequence, Vec::new());
        (self.given, self.point) = (sequence, Some(sequence));
        let marker = Marker { sequence, time, consistency, label, roots: listed, group };
        (Message::Marker(Box::new(marker)), sequence, roots)
    }

    /// Notes the target's ack.
    pub fn settle(&mut self, durable: Sequence) {
        assert!(durable <= self.given, "an ack of what was never sent is refused where it is received");
        self.acked = self.acked.max(durable);
        self.unacked.acked(durable);
        if self.point.take_if(|point| *point <= durable).is_some() {
            self.resyncs = false;
        }
    }

    /// Gives up what is not acked, after a session ended (rule 3). The table then stands for `acked`.
    pub fn lose(&mut self) {
        self.unacked.lose(&mut self.table);
        (self.given, self.point) = (self.acked, None);
    }

    /// Returns the table to be saved (rule 5). Panics while something is unacked: a bug of ours.
    pub fn saveable(&mut self) -> &LeafTable {
        assert!(self.unacked.is_empty(), "a table is saved only while nothing is unacked");
        self.table.sequence = self.acked;
        &self.table
    }
}
