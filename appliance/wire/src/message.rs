//! What the two ends say to each other. Append-only: a variant or field is never reused or reordered.

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};
use units::{
    ByteLen, ByteOffset, DISKS_MAX, DiskIndex, Generation, Hash, LeafIndex, MachineName, Sequence, Timestamp,
};

/// Extents in one batch.
pub const EXTENTS_MAX: usize = 256;
/// Bytes of payload behind one frame.
pub const PAYLOAD_LEN_MAX: usize = 1 << 20;
/// Leaf hashes in one answer.
pub const HASHES_MAX: usize = PAYLOAD_LEN_MAX / 32;
/// Leaves in one question about granules.
pub const GRANULE_LEAVES_MAX: usize = 1024;
/// Spans in one answer about what changed.
pub const SPANS_MAX: usize = 1024;
/// Connections that may share one session.
pub const CONNECTIONS_MAX: u8 = 8;

/// One message, in either direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Source: opens a session, or joins one with a further connection.
    Hello(Box<Hello>),
    /// Target: takes the session and says where the stream stands.
    Welcome(Box<Welcome>),
    /// Source: the next changes, in order. Payload: the extents' data, one after the other.
    Batch(Box<Batch>),
    /// Source: a recovery point.
    Marker(Box<Marker>),
    /// Source: data for a blank disk, in no order, before the first recovery point. Payload as in a batch.
    Seed(Box<Seed>),
    /// Source: asks for everything seeded so far on this connection to be durable.
    SeedSync(SeedSync),
    /// Target: everything seeded before the sync of this token is durable.
    SeedDurable(SeedDurable),
    /// Target: everything up to this sequence is durable: the ack.
    Durable(Durable),
    /// Target: everything up to this sequence is on the target disks.
    Applied(Applied),
    /// Target: the source may send more on this connection.
    Credit(Credit),
    /// Source: asks for the hashes of a run of leaves of the target disk, as of the last durable sequence.
    HashQuery(HashQuery),
    /// Target: the answer. Payload: `count` hashes of 32 bytes.
    Hashes(HashQuery),
    /// Source: asks what was written after a sequence.
    ChangedQuery(ChangedQuery),
    /// Target: part of the answer.
    Changed(Box<Changed>),
    /// Either: still here.
    Ping,
    /// Either: an answer to `Ping`.
    Pong,
    /// Either: the end, wanted. Everything acked stays acked.
    Goodbye,
    /// Either: the end, with the reason. Nothing follows.
    Refused(Box<Refused>),
    /// Target: what it holds here is in doubt; the source is to know nothing of it any more.
    Resend(Box<Resend>),
    /// Source: it does not, and will not after a crash either.
    ResendTaken(ResendTaken),
    /// Source: asks for the hashes of the granules of some leaves, as of the last durable sequence.
    GranuleQuery(Box<GranuleQuery>),
    /// Target: the answer. Payload: `count` hashes of 32 bytes.
    Granules(Granules),
    /// Target: its policy wants a recovery point of this kind, as soon as one can be had. Since version 2.
    PointWanted(PointWanted),
}

/// Opens a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The machine, as its certificate names it.
    pub machine: MachineName,
    /// The generation the source writes in; 0 asks for the present one.
    pub generation: Generation,
    /// Random; connections with one session id belong together.
    pub session: [u8; 16],
    /// Which connection of the session this is, from 0.
    pub connection: u8,
    /// How many connections the session has, 1 to [`CONNECTIONS_MAX`].
    pub connections: u8,
    /// The highest sequence the source was ever acked in this generation.
    pub acked: Sequence,
    /// The machine's disks; position in the list is the [`DiskIndex`].
    pub disks: Vec<DiskShape, DISKS_MAX>,
    /// The source's name and version, for people.
    pub software: String<32>,
}

/// The shape of one protected disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskShape {
    /// Size; a multiple of 512.
    pub len: ByteLen,
}

/// Takes a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The generation this session writes in.
    pub generation: Generation,
    /// What the target wants first.
    pub phase: Phase,
    /// The last durable sequence: the resume point; the next batch or marker has the one after it.
    pub durable: Sequence,
    /// Payload bytes the source may send on this connection from its start (see [`Credit`]).
    pub credit: u64,
    /// The target's name and version, for people.
    pub software: String<32>,
}

/// Where a machine's replication stands.
#[expect(clippy::large_enum_variant, reason = "a message holds it in a box; bounded lists are stored inline")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// The disks are being filled; there is no recovery point yet. For each disk, how much from its start is durable.
    Seeding {
        /// Everything before this position of the disk was seeded and is durable.
        through: Vec<ByteOffset, DISKS_MAX>,
        /// The disks held nothing but zeroes before the seed began, so that zeroes need not be sent.
        blank: bool,
    },
    /// Batches and markers follow.
    Protected {
        /// The sequence of the newest marker at or before `durable`; 0 if there is none.
        last_marker: Sequence,
    },
}

/// Changes that belong together in the order of sequences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Position in the machine's stream.
    pub sequence: Sequence,
    /// When the source captured it, by the source's clock.
    pub time: Timestamp,
    /// What changed: sorted by disk and position, not overlapping, at least one.
    pub extents: Vec<Extent, EXTENTS_MAX>,
}

/// Data for a blank disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seed {
    /// The data: sorted by disk and position, not overlapping, at least one.
    pub extents: Vec<Extent, EXTENTS_MAX>,
}

/// A run of bytes of one disk. Starts at a multiple of 4 KiB; its length is a multiple of 4 KiB unless it ends where the
/// disk ends; it never crosses a multiple of 64 KiB, unless its encoding is `Zero`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// The disk.
    pub disk: DiskIndex,
    /// Where it starts on the disk.
    pub start: ByteOffset,
    /// How long it is on the disk.
    pub len: ByteLen,
    /// How the payload holds it.
    pub encoding: Encoding,
}

/// How an extent's bytes travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// All zero; no payload.
    Zero,
    /// As they are: `len` bytes of payload.
    Raw {
        /// blake3 of the payload bytes.
        hash: Hash,
    },
    /// One zstd frame that decodes to exactly the extent's `len`.
    Zstd {
        /// Bytes of payload; less than the extent's `len`.
        encoded_len: u32,
        /// blake3 of the payload bytes, as they travel.
        hash: Hash,
    },
}

/// How far a recovery point can be trusted. Ordered by that: the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consistency {
    /// The disk was being written while it was scanned: later and earlier writes are mixed.
    Fuzzy,
    /// As if the machine had lost power at this moment.
    Crash,
    /// The applications had been asked to be consistent.
    Application,
    /// No recovery point at all: a resync begins. What follows mixes states until a marker that can be trusted.
    Resync,
}

impl Consistency {
    fn trust(self) -> u8 {
        match self {
            Self::Resync => 0,
            Self::Fuzzy => 1,
            Self::Crash => 2,
            Self::Application => 3,
        }
    }
}

impl Ord for Consistency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.trust().cmp(&other.trust())
    }
}

impl PartialOrd for Consistency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A recovery point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Marker {
    /// Position in the machine's stream.
    pub sequence: Sequence,
    /// The moment it stands for, by the source's clock.
    pub time: Timestamp,
    /// How far it can be trusted.
    pub consistency: Consistency,
    /// A word for people; may be empty.
    pub label: String<64>,
    /// The root of each disk at this point, by disk, where the source knows it. Empty, or one for every disk; empty where a resync
    /// begins.
    pub roots: Vec<Hash, DISKS_MAX>,
    /// Which point of its consistency group it is, if it is one: since version 2.
    pub group: Option<GroupMark>,
}

/// One point of a consistency group: at it every member held its writes at the same time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupMark {
    /// The group.
    pub group: MachineName,
    /// Which of its points, given once: of two the later is the higher.
    pub number: u64,
}

/// Asks for what was seeded to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedSync {
    /// Comes back in [`SeedDurable`].
    pub token: u64,
    /// The disk the watermark is of.
    pub disk: DiskIndex,
    /// Everything before this position of that disk has been sent, on whichever connection, and synced before or is covered by this
    /// sync: the new watermark.
    pub through: ByteOffset,
}

/// Answers [`SeedSync`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedDurable {
    /// From the question.
    pub token: u64,
}

/// The ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durable {
    /// Everything up to here survives any crash.
    pub upto: Sequence,
}

/// How far the target disks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Everything up to here is on the target disks.
    pub upto: Sequence,
}

/// Back-pressure. The grant is absolute, so that a lost or repeated one does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Payload bytes the source may have sent on this connection since it began, all told. Never falls.
    pub upto: u64,
}

/// A run of leaves of one disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashQuery {
    /// The disk.
    pub disk: DiskIndex,
    /// The first leaf.
    pub first: LeafIndex,
    /// How many; 1 to [`HASHES_MAX`].
    pub count: u32,
}

/// Asks what was written after a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedQuery {
    /// Batches after this sequence count.
    pub since: Sequence,
}

/// Part of the answer to [`ChangedQuery`].
#[expect(clippy::large_enum_variant, reason = "a message holds it in a box; bounded lists are stored inline")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Changed {
    /// Some of what was written; more parts follow unless `last`.
    Spans {
        /// In no order; may overlap.
        spans: Vec<Span, SPANS_MAX>,
        /// No part follows.
        last: bool,
    },
    /// The history no longer reaches back that far: compare by hashes.
    Unknown,
}

/// A run of bytes of one disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The disk.
    pub disk: DiskIndex,
    /// Where it starts.
    pub start: ByteOffset,
    /// How long it is.
    pub len: ByteLen,
}

/// Asks for parts of the disks again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resend {
    /// Comes back in [`ResendTaken`].
    pub token: u64,
    /// In no order; may overlap.
    pub spans: Vec<Span, SPANS_MAX>,
}

/// Answers [`Resend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResendTaken {
    /// From the question.
    pub token: u64,
    /// The last sequence that was given out before: a marker behind it vouches for what was asked for.
    pub after: Sequence,
}

/// Asks which granules of leaves that differ are to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GranuleQuery {
    /// Comes back in [`Granules`].
    pub token: u64,
    /// The disk.
    pub disk: DiskIndex,
    /// The leaves, ascending; at least one.
    pub leaves: Vec<LeafIndex, GRANULE_LEAVES_MAX>,
}

/// Answers [`GranuleQuery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granules {
    /// From the question.
    pub token: u64,
    /// How many hashes: one for each granule of each leaf, in their order.
    pub count: u32,
}

/// Asks for a recovery point beside those the source makes by itself. It may come to nothing: a source that can't ask its
/// applications makes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointWanted {
    /// How far it is to be trusted; never `Resync`.
    pub consistency: Consistency,
}

/// Why a session or frame is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// What kind of refusal.
    pub code: RefusalCode,
    /// What was found, what is allowed, what to do; for people.
    pub detail: String<512>,
}

/// The kinds of refusal. Whether trying again can help: see [`RefusalCode::is_temporary`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RefusalCode {
    /// The bytes are not a frame of this protocol, or too large, or of another version.
    Malformed,
    /// A message that has no place in this state of the session.
    Unexpected,
    /// The certificate does not allow this.
    NotAuthorised,
    /// No such machine at this target.
    UnknownMachine,
    /// The generation is older than the present one, or the machine was committed.
    Fenced,
    /// Another session of the same generation is open.
    Busy,
    /// The number or size of disks is not what the target has.
    DiskMismatch,
    /// A sequence was left out.
    Gap,
    /// An extent is unaligned, overlapping, past the end, or too long.
    BadExtent,
    /// The payload is not what its hash says.
    WrongHash,
    /// The payload does not decode to the extent.
    BadPayload,
    /// More was sent than was credited.
    OverCredit,
    /// The source was acked more than the target has: data is lost here; resync.
    LostHistory,
    /// The machine stands at an older recovery point: commit or cancel first.
    Rewound,
    /// A device of this machine failed or vanished: it is out until an operator says so.
    DeviceFailed,
    /// The machine's journal is damaged: it is quarantined.
    Damaged,
    /// The retention volume is full.
    Full,
    /// Nothing was heard for too long.
    Silent,
    /// The target is stopping.
    Stopping,
}

impl RefusalCode {
    /// Tells whether the same call may succeed later without anyone changing anything at the source.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Busy | Self::Rewound | Self::Full | Self::Silent | Self::Stopping)
    }
}
