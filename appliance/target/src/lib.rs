//! driver: the master target.
//!
//! Sessions bring batches; the journal makes them durable; the applier brings the target disks up to them, and to any
//! point of the history. One thread commits for all machines, workers apply, each connection has a thread. What this crate
//! does not do: it reads no environment and knows no command line, and it talks to operators through `control` only by
//! what [`MasterTarget`] offers.
//!
//! *Invariants:* a failure of one machine concerns that machine; memory is bounded by the configuration, whatever sources
//! send; nothing is acked that is not durable.

/// What a connection has under way.
mod account;
/// Who may open a session.
mod admission;
/// The one place that reads the clock.
mod clock;
/// One connection without its socket.
mod conversation;
/// From the hello of a connection to its end.
mod door;
mod error;
/// A failback, its proof and its manifest.
mod failback;
/// Each generation is given once.
mod generation;
/// What operators want kept.
mod keeping;
/// One machine, and who speaks for it.
mod machine;
/// The server.
mod node;
/// Machines that a job works on.
mod occupied;
/// What operators ask for.
mod operations;
/// Whether a payload can become its extent.
mod payload;
/// Target disks that vanish and come back.
mod presence;
/// Why a session ends.
mod refusal;
/// Several connections, one order.
mod reorder;
/// One machine's replica, over `blockdev`'s traits.
pub mod replica;
/// Protecting a machine again on disks it had.
mod reprotect;
/// The thread that scrubs.
mod scrub;
/// One connection.
mod session;
/// Views on this host.
mod view;
/// What a retention volume says of itself.
mod volume_file;
/// Where a target disk is now.
mod whereabouts;
/// The threads that drive replicas.
mod worker;

pub use admission::{Caller, admit};
pub use conversation::{Admitted, Conversation, Outgoing, Wake};
pub use error::TargetError;
pub use failback::{Notary, Noted};
pub use generation::next_generation;
pub use keeping::Forecast;
pub use machine::{Machine, SessionReport};
pub use node::{MasterTarget, NodeConfig};
pub use occupied::Occupied;
pub use operations::{DiskOffer, Found, PointName};
pub use presence::DiskSight;
pub use refusal::SessionEnd;
pub use reprotect::ReprotectPlan;
pub use scrub::{Scrub, ScrubWish};
pub use view::View;
pub use volume_file::{Claim, NewVolume, check_directory, claim_volume, read_superblock};
pub use whereabouts::{Whereabouts, find_disk};
