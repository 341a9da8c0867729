//! driver: the source agent: reads the disks of a protected machine and brings them home.
//!
//! [`protect`] opens the disks for reading, connects to the target, seeds what is to be seeded, and then scans the disks again and
//! again: what differs from the leaf table is sent, and each round ends with a recovery point. Either side may be killed at
//! any moment; the next session goes on from what is durable. The argument why nothing is lost stands in `stream`.
//!
//! *Invariants:* a protected disk is never written, nor made. No leaf is skipped unless the target is known to hold it. The leaf
//! table on disk is never trusted unless every byte of it is as it was written.
//!
//! What it does not do: read argv, the environment or signals (the program does), keep history (the target does).

mod agent;
mod backoff;
mod compare;
mod compress;
mod config;
mod connection;
mod disks;
mod error;
mod exchange;
mod hook;
mod layout;
mod leaf;
mod occasion;
mod orders;
mod pace;
mod parcel;
mod progress;
mod protect;
mod quiesce;
mod random;
mod refine;
mod resume;
mod round;
mod scan;
mod seed;
mod sending;
mod session;
mod state;
mod still;
mod stop;
mod stream;
mod sweep;
mod table;
mod throttle;
mod unacked;

/// What the operator asked for.
pub use config::{Compression, Config, ConfigError, Label, Schedule, parse_label, parse_span, parse_target};
/// What can go wrong, and what it means.
pub use error::{Outcome, Retry, SourceError};
/// The program that asks applications to be consistent.
pub use hook::Hook;
/// Decoders of what is read back from disk, for fuzzing.
pub use layout::{DECODERS, Decoder};
/// Orders of the configuration server.
pub use orders::{Carried, CarriedPoint, Order, OrderError, Orders};
/// What the agent tells whoever watches.
pub use progress::{Counters, Event, Point, Progress, Report, Stage};
/// The agent.
pub use protect::protect;
/// The wish to stop.
pub use stop::Stop;

/// What decides what is sent, without sockets, threads and files: the simulator drives it.
pub mod parts {
    pub use crate::compress::Compressor;
    pub use crate::exchange::{ChangedAnswer, Exchange, Heard, Next, Outgoing};
    pub use crate::layout::{TableError, decode, encode};
    pub use crate::leaf::{LeafContent, content};
    pub use crate::parcel::{Chunk, Packer, Parcel};
    pub use crate::resume::{Footing, SeedPlan, seed_plan};
    pub use crate::stream::{PointWords, Stream};
    pub use crate::sweep::{AwaitedGranules, Sweep};
    pub use crate::table::{DiskLeaves, LeafTable};
    pub use crate::unacked::Run;
}
