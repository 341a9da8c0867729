//! Recovery points.

use serde::{Deserialize, Serialize};
use units::{MachineName, Sequence};
use utoipa::ToSchema;

use super::{Pin, Resync, Rfc3339};

/// How far a recovery point can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// The disk was being written while it was scanned: later and earlier writes are mixed.
    Fuzzy,
    /// As if the machine had lost power at this moment.
    Crash,
    /// The applications had been asked to be consistent.
    Application,
}

/// One recovery point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Point {
    /// Position in the machine's stream.
    pub sequence: Sequence,
    /// The moment it stands for, by the source's clock.
    pub time: Rfc3339,
    /// How far it can be trusted.
    pub consistency: Consistency,
    /// The source's word for it; may be empty.
    pub label: String,
    /// The source gave the roots of its disks, so that the point can be verified.
    pub proof: bool,
    /// Something that it needs is lost: it is refused.
    #[serde(default)]
    pub spoilt: bool,
    /// Which point of its consistency group it is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupMark>,
}

/// One point of a consistency group: at it every member held its writes at the same time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct GroupMark {
    /// The group.
    pub group: MachineName,
    /// Which of its points: of two the later is the higher.
    pub number: u64,
}

/// A machine's recovery points, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Points {
    /// The machine.
    pub machine: MachineName,
    /// The appliance's clock.
    pub time: Rfc3339,
    /// How many points the whole history has; more than are listed here when only some were asked for.
    pub total: u64,
    /// The sequence the target disks stand at.
    pub at: Sequence,
    /// The points.
    pub points: Vec<Point>,
    /// The resync under way: since it began there is no consistent point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resync: Option<Resync>,
    /// The spans without points, oldest first.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    /// The points that are kept beyond the policy.
    #[serde(default)]
    pub pins: Vec<Pin>,
}

/// A span without recovery points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    /// The point before it.
    pub from: Rfc3339,
    /// The point behind it, or the time of the answer.
    pub to: Rfc3339,
    /// Why.
    pub kind: GapKind,
}

/// Why a span has no recovery points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// The source gave none for longer than the RPO threshold.
    Silent,
    /// They were given up for want of room.
    Thinned,
}
