//! What is kept of a machine, what goes of its history, and which points stay.

/// What becomes of a machine by itself that stands at a recovery point.
pub use inventory::CommitBy;
use serde::{Deserialize, Serialize};
use units::{EpochNumber, MachineName, Sequence};
use utoipa::ToSchema;

use super::{Point, Rfc3339};

/// What happens when there is no room for more history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The oldest epochs go.
    #[default]
    Shrink,
    /// Old epochs keep their start and their end, and lose what lies between; then the oldest go.
    Thin,
    /// Nothing more is acked: the source waits.
    Pause,
}

/// What is kept of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// The age of the newest recovery point that is still well, in seconds.
    pub rpo_seconds: u32,
    /// How far back recovery points reach, in seconds.
    pub window_seconds: u32,
    /// How old the newest application-consistent point may be, in seconds; 0 asks for none.
    pub application_seconds: u32,
    /// Most bytes of history; absent when only the volume limits it.
    pub budget_bytes: Option<u64>,
    /// What happens when there is no room for more.
    pub when_full: WhenFull,
    /// What becomes of the machine by itself that stands at a recovery point.
    #[serde(default)]
    pub commit: CommitBy,
    /// How long after it was brought there, in seconds.
    #[serde(default)]
    pub commit_after_seconds: u32,
}

/// The policy of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MachinePolicy {
    /// The machine.
    pub machine: MachineName,
    /// It has a policy of its own; otherwise it has the default.
    pub own: bool,
    /// The policy in force.
    pub policy: Policy,
}

/// Policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Policies {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The policy of machines that have none of their own.
    pub default: Policy,
    /// The machines, by name.
    pub machines: Vec<MachinePolicy>,
}

/// What is to change of a policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyChange {
    /// See [`Policy::rpo_seconds`].
    pub rpo_seconds: Option<u32>,
    /// See [`Policy::window_seconds`].
    pub window_seconds: Option<u32>,
    /// See [`Policy::application_seconds`].
    pub application_seconds: Option<u32>,
    /// See [`Policy::budget_bytes`].
    pub budget_bytes: Option<u64>,
    /// See [`Policy::when_full`].
    pub when_full: Option<WhenFull>,
    /// See [`Policy::commit`].
    pub commit: Option<CommitBy>,
    /// See [`Policy::commit_after_seconds`]; 10 to 2,678,400.
    pub commit_after_seconds: Option<u32>,
    /// The machine has no policy of its own any more; nothing else may be told then.
    pub inherit: bool,
}

/// A policy that was changed, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyChanged {
    /// The machine; the default when absent.
    pub machine: Option<MachineName>,
    /// The policy before.
    pub before: Policy,
    /// The policy then.
    pub after: Policy,
    /// It is in force.
    pub done: bool,
    /// What goes by it, of each machine of whose history something does.
    pub goes: Vec<MachineExpiry>,
}

/// What of an epoch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// All of it.
    Whole,
    /// What lies between its start and its end.
    Redo,
    /// The point at its end, of one that lost its redo before: it becomes one with the next that ends in the same hour.
    End,
}

/// One thing that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExpiryStep {
    /// The epoch.
    pub epoch: EpochNumber,
    /// Its first sequence.
    pub first: Sequence,
    /// Its last sequence.
    pub last: Sequence,
    /// When its last record was received.
    pub closed: Rfc3339,
    /// What of it goes.
    pub loss: Loss,
    /// Bytes that are given back; 0 where that is not known before it is done.
    pub freed_bytes: u64,
    /// Why, in a few words.
    pub reason: String,
}

/// What goes of a machine's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MachineExpiry {
    /// The machine.
    pub machine: MachineName,
    /// What goes, in this order.
    pub steps: Vec<ExpiryStep>,
    /// Why more stays than the policy asks for, in one sentence.
    pub held: Option<String>,
    /// Why no room is made though some is wanted, in one sentence: the source waits.
    pub wanting: Option<String>,
}

/// What goes now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Expiry {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The machines, by name.
    pub machines: Vec<MachineExpiry>,
}

/// A recovery point that is kept beyond the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pin {
    /// The point.
    pub point: Point,
    /// Until when; for ever when absent.
    pub until: Option<Rfc3339>,
    /// Why, for people; may be empty.
    pub note: String,
}

/// The pins of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pins {
    /// The machine.
    pub machine: MachineName,
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The pins, oldest point first.
    pub pins: Vec<Pin>,
}

/// What is wanted of a machine's history, and how that stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Keeping {
    /// The policy in force.
    pub policy: Policy,
    /// Bytes that are added to the journal in an hour, as far as that is known.
    pub churn_bytes_per_hour: Option<u64>,
    /// How far back the history will reach at this churn, in seconds; at most the policy's window.
    pub history_left_seconds: u64,
    /// Seconds since the newest application-consistent point, if there is one.
    pub application_age_seconds: Option<u64>,
    /// Why the source waits, and what to do, in one sentence.
    pub paused: Option<String>,
    /// How history went for want of room since the start, in one sentence.
    pub shrunk: Option<String>,
    /// Why history stays that is older than the window, in one sentence.
    pub held: Option<String>,
}
