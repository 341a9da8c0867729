//! driver: the other end of 443: a program that joined a configuration server (or fleet manager) reports to it and does what it says.
//!
//! A [`HeartbeatAgent`] runs on threads of its own, connects by itself and again after every failure, and finds out why it can't. A
//! [`Reporter`] tells it what to report, an [`Executor`] carries commands out. What was commanded is kept in a file of the state
//! directory (FORMAT.md, 5.4), so that a command is carried out once at most, whatever crashes.
//!
//! Not here: what a command does, and what a report says; the controller's side (`control`).
//!
//! *Invariants:* a command is durable before it is begun, and its outcome is kept until the controller has it; none is begun twice, out of
//! its order, or after it expired; losing the controller changes nothing but this crate's own state.

mod agent;
mod clock;
mod commands;
mod config;
mod countdown;
mod decoders;
mod diagnosis;
mod error;
mod ledger;
mod ledger_file;
mod opening;
mod parts;
mod session;
mod signature;
mod status;
mod wake;

/// The agent, running.
pub use agent::HeartbeatAgent;
/// What an agent is started with.
pub use config::{AgentConfig, Done, Executor, Facts, Reporter};
/// Every decoder by name, for tests that feed them any bytes.
pub use decoders::{DECODERS, Decoder};
/// Why the controller can't be reached.
pub use diagnosis::Diagnosis;
/// Why an agent can't start, and why a command can't be approved.
pub use error::AgentError;
/// How an agent is.
pub use status::{AgentStatus, Connection, WaitingCommand};
