//! core: the journal of one protected machine; no file, clock, socket or thread.
//!
//! A journal is cut into epochs. An epoch holds a redo log (every batch and marker, in sequence order, as it
//! came over the wire) and an undo log (the content each granule had when the epoch first touched it). From
//! both, and the target disk that always holds the latest state, any moment can be had again.
//!
//! *Invariants:* a record that decodes is at the place, in the epoch and of the machine it was written for;
//! a plan is a value, complete before anything is touched; a point that can't be resolved is refused.
//! What this crate does not do: it never sees a device path, never reads a clock, never performs a step of a
//! plan. `target` does, in the order listed there.

/// Which points are spoilt by what is lost.
mod damage;
/// The form of every small file.
mod envelope;
/// Why bytes are not taken and plans not made.
mod error;
/// What of a history goes, and why.
mod expiry;
/// How an extent's payload becomes bytes, and bytes a payload.
mod extent;
/// How fast a journal grows, and how far back it will reach at that.
mod forecast;
/// The small file that says what a machine's replica is doing.
mod head;
/// What an epoch holds, sorted, written when it is sealed.
mod index;
/// Making one of two thinned epochs.
mod join;
/// The fixed header of a record.
mod layout;
/// What the leaves of a target disk held at a scrub.
mod leaf_page;
/// The mark on a device that is being made into a retention volume.
mod making;
/// Which sequence a second ended with.
mod moments;
/// What is kept of a machine, and what happens when there is no room for it.
mod policy;
/// Records: what a log is made of.
mod record;
/// A resync in a machine's history.
mod resync;
/// Version lookup for many granules at once: the plan of a rewind.
mod rewind;
/// One destage round: what to capture and what to write.
mod round;
/// The small file that says when a machine was scrubbed.
mod scrub;
/// How large a retention volume must be.
mod sizing;
/// Small files that must never be lost: four copies of one record.
mod small_file;
/// The small file that says what a retention volume is.
mod superblock;
/// Where a log ends, and whether what follows is a torn tail or damage.
mod tail;
/// The recovery points of a machine.
mod timeline;
/// Sets of granules, by disk.
mod touched;
/// Version lookup for a view, while the target disks go on.
mod view;

pub use damage::{
    Spoilt, is_newest, oldest_point, spoilt_by_redo, spoilt_by_target, spoilt_by_undo, spoilt_until,
};
pub use error::{DecodeError, PlanError};
pub use expiry::{
    EpochSummary, Expired, ExpiryPlan, ExpiryReason, GAP_MAX, History, Hold, Holder, JOINED_LEN_MAX, Kept,
    Loss, ages, may_join, plan_expiry,
};
pub use extent::{Effort, ExtentDecoder, ExtentEncoder, encoded_len};
pub use forecast::{CHURN_SPAN, Churn, Grown, free_share, history_left};
pub use head::{
    Afterwards, DAMAGE_MAX, EpochRun, HEAD_LEN_MAX, Head, HeadDisk, JOINED_MAX, Lifecycle, PIN_NOTE_LEN_MAX,
    PINS_MAX, THINNED_MAX,
};
pub use index::{EpochIndex, IndexEntry, Log, entries_of};
pub use join::{JOINED_ENTRIES_MAX, TakenOver, taken_over};
pub use layout::{BLOCK_LEN, RECORD_ALIGN, RECORD_HEADER_LEN, RECORD_LEN_MAX};
pub use leaf_page::{LeafPage, PAGE_LEAVES, PAGE_LEN};
pub use making::MakingMark;
pub use moments::{MOMENTS_MAX, Moment, Moments};
pub use policy::{
    APPLICATION_SECONDS, BUDGET, Damage, DamagedPlace, Pin, Policy, PolicyError, RPO_SECONDS, WINDOW_SECONDS,
    WhenFull,
};
pub use record::{
    BatchBody, BeforeBody, Body, Placement, Record, RecordHead, RecordPlace, decode_body, decode_head,
    encode, record_len,
};
pub use resync::Resync;
pub use rewind::{Piece, PointRange, RewindPlan, plan_rewind, unsaved};
pub use round::{RoundPlan, Write, plan_round};
pub use scrub::{LeafTable, ScrubAt, ScrubPass, ScrubRecord};
pub use sizing::{EPOCH_AGE, LOG_CHUNK, Sizing, WHOLE, Workload};
pub use small_file::{COPIES, SmallFile};
pub use superblock::Superblock;
pub use tail::{Tail, TailScan};
pub use timeline::{Gap, GapKind, Point, TIMELINE_LEN_MAX, Timeline};
pub use touched::GranuleSet;
pub use view::{Place, RUN_LEN, ViewMap};

/// A decoder that is given any bytes: it may refuse, and must not panic.
pub type Decoder = fn(&[u8]);

/// Every decoder of this crate, by name: each must have golden bytes and a fuzz target.
pub const DECODERS: &[(&str, Decoder)] = &[
    ("record_head", |bytes| drop(decode_head(bytes))),
    ("record_body", |bytes| drop(record::decode_any_body(bytes))),
    ("journal_head", |bytes| drop(Head::decode(bytes))),
    ("making_mark", |bytes| drop(MakingMark::decode(bytes))),
    ("superblock", |bytes| drop(Superblock::decode(bytes))),
    ("epoch_index", |bytes| drop(EpochIndex::decode(bytes))),
    ("scrub_record", |bytes| drop(ScrubRecord::decode(bytes))),
    ("leaf_page", |bytes| drop(LeafPage::decode(bytes))),
];
