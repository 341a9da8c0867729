//! What a source can be ordered to do.

use heapless::String;
use serde::{Deserialize, Serialize};
use units::{Sequence, Timestamp};

use crate::Consistency;

/// An order to a source. All are idempotent: the same one twice has the effect of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceOrder {
    /// Make a recovery point now.
    Mark(Mark),
    /// First phase of a point of a consistency group: hold the machine's writes, and say when they are held.
    Hold(GroupPoint),
    /// Second phase, sent once every member holds: mark the point, and let go of the writes.
    Take(GroupPoint),
    /// Instead of the second phase: let go of the writes without a point.
    Release(GroupPoint),
    /// Compare everything with the target anew.
    Resync,
    /// Send nothing until `Resume`. What is written meanwhile goes with the next round.
    Pause,
    /// Go on after `Pause`.
    Resume,
    /// Send at most so many bytes a second.
    Throttle {
        /// The limit; 0 for none.
        bytes_per_second: u64,
    },
    /// Replicate to a target.
    Protect(Box<Protect>),
}

/// A recovery point that is wished for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Given by who orders; a source that has marked this number answers with the point it made.
    pub number: u64,
    /// How far the point is to be trusted.
    pub wish: Wish,
    /// A word for people; may be empty.
    pub label: String<64>,
}

/// One point of a consistency group, in each of its phases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPoint {
    /// The group.
    pub group: String<63>,
    /// Which point of the group; rises by one with each.
    pub number: u64,
    /// How far the point is to be trusted.
    pub wish: Wish,
    /// Milliseconds after `Hold` has come at which the source lets go by itself, whatever it hears or does not hear.
    pub deadline_ms: u32,
}

/// How far a recovery point is to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// As after a power cut.
    Crash,
    /// Applications are asked first; the point is `Crash` if they don't answer.
    Application,
}

/// What a source is to replicate to. The disks are those the source was started with: no path comes from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protect {
    /// `host:port` of the master target or process server.
    pub target: String<262>,
    /// Between the ends of two rounds, in milliseconds.
    pub interval_ms: u32,
}

/// The recovery point an order has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointTaken {
    /// The marker's position in the machine's stream.
    pub sequence: Sequence,
    /// The moment it stands for, by the source's clock.
    pub time: Timestamp,
    /// How far it can be trusted.
    pub consistency: Consistency,
}
