//! Consistency groups: machines whose recovery points share one order.

use serde::{Deserialize, Serialize};
use units::{MachineName, Sequence};
use utoipa::ToSchema;

use super::{Consistency, FailbackPlan, JobId, Rfc3339};

/// A consistency group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Its name.
    pub name: MachineName,
    /// Its members, by name.
    pub machines: Vec<MachineName>,
    /// Seconds between two points of it; absent when none are wanted.
    pub every_seconds: Option<u32>,
    /// The interval is the group's own, and not what the members' policies say.
    pub own_interval: bool,
    /// How long writes are held for a point, at the most, in milliseconds.
    pub hold_ms: u32,
    /// How many points it has.
    pub points: u64,
    /// The newest of them.
    pub newest: Option<GroupPoint>,
    /// What became of the last point that was tried.
    pub last: Option<GroupAttempt>,
}

/// What became of a group point that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupAttempt {
    /// Its number.
    pub number: u64,
    /// When it was begun.
    pub begun: Rfc3339,
    /// Why there is no such point; absent if there is.
    pub failed: Option<String>,
}

/// The consistency groups, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Groups {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The groups.
    pub groups: Vec<Group>,
}

/// A group that was deleted; its members stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupDeleted {
    /// Its name.
    pub name: MachineName,
    /// Who belonged to it.
    pub machines: Vec<MachineName>,
}

/// A point that every member of a group has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupPoint {
    /// Its number; later ones are higher.
    pub number: u64,
    /// The latest time of its members' points.
    pub time: Rfc3339,
    /// The members' points, by machine.
    pub members: Vec<GroupMemberPoint>,
}

/// One member's part of a group point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupMemberPoint {
    /// The machine.
    pub machine: MachineName,
    /// The point in its own history.
    pub sequence: Sequence,
    /// The moment it stands for, by the source's clock.
    pub time: Rfc3339,
    /// How far it can be trusted.
    pub consistency: Consistency,
}

/// The points of a group, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupPoints {
    /// The group.
    pub group: MachineName,
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The points.
    pub points: Vec<GroupPoint>,
}

/// How a point of a group is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GroupTo {
    /// The newest point.
    Latest,
    /// The newest point at or before this time.
    Time(Rfc3339),
    /// The point of this number.
    Number(u64),
}

/// The plan of a group's failback, and the jobs that carry it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupFailbackStarted {
    /// The group.
    pub group: MachineName,
    /// The point that was found.
    pub to: GroupPoint,
    /// What changes, by machine.
    pub plans: Vec<FailbackPlan>,
    /// The jobs, in the order of the plans; none when only the plan was asked for.
    pub jobs: Vec<JobId>,
}
