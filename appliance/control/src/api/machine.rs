//! Machines and where they stand.

use serde::{Deserialize, Serialize};
use units::{DiskIndex, Generation, MachineName, Sequence, Timestamp};
use utoipa::ToSchema;

use super::{CommitBy, Damage, JobId, Keeping, Point, Resync, Rfc3339, Scrub};

/// Where a machine is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The target disks are being filled; there is no recovery point yet.
    Seeding,
    /// Every round of the source adds a recovery point.
    Protected,
    /// The target disks hold an earlier state: the source compares, and sends what differs. The state before can be gone back to.
    Resyncing,
    /// The target disks are being brought to another recovery point.
    Rewinding,
    /// The target disks stand at a chosen recovery point, until commit or cancel.
    Rewound,
    /// The chosen recovery point was accepted; nothing is replicated any more.
    Committed,
    /// The journal is damaged and quarantined.
    Damaged,
    /// A target disk or the retention volume failed; the machine is out until an operator says so.
    Failed,
}

/// One protected machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Machine {
    /// Its name.
    pub name: MachineName,
    /// Where it is in its life.
    pub phase: Phase,
    /// Why it is damaged or failed, in one sentence.
    pub problem: Option<String>,
    /// The generation its source writes in.
    pub generation: Generation,
    /// Its target disks, by index.
    pub disks: Vec<MachineDisk>,
    /// The last durable sequence.
    pub durable: Sequence,
    /// The last sequence that is on the target disks.
    pub applied: Sequence,
    /// Payload bytes that are durable but not yet on the target disks.
    pub lag_bytes: u64,
    /// The oldest recovery point.
    pub oldest: Option<Point>,
    /// The newest recovery point.
    pub newest: Option<Point>,
    /// Where the target disks stand, when rewinding, rewound or committed.
    pub at: Option<Point>,
    /// Seconds since the newest recovery point: the RPO.
    pub rpo_seconds: Option<u64>,
    /// What becomes of it by itself, if anything does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<CommitDeadline>,
    /// Its source's session.
    pub session: Session,
    /// The resync under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resync: Option<Resync>,
    /// The job under way.
    pub job: Option<JobId>,
    /// The views that are open.
    #[serde(default)]
    pub views: Vec<u64>,
    /// What of its history, or of its disks, is lost.
    #[serde(default)]
    pub damage: Vec<Damage>,
    /// How it is scrubbed.
    #[serde(default)]
    pub scrub: Option<Scrub>,
    /// What to do next, for people; absent when there is nothing to do.
    pub next: Option<String>,
    /// What is wanted of its history, and how that stands.
    #[serde(default)]
    pub keeping: Keeping,
}

/// What becomes of a machine by itself that stands at a recovery point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitDeadline {
    /// What; never nothing.
    pub by: CommitBy,
    /// When.
    pub at: Rfc3339,
    /// It is soon: within a quarter of the whole time, a minute at least and an hour at the most.
    pub soon: bool,
    /// Why it did not happen though the time is over; it is tried again.
    pub refused: Option<String>,
}

/// One target disk of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MachineDisk {
    /// Its position among the machine's disks.
    pub index: DiskIndex,
    /// The device or file.
    pub path: String,
    /// Size of the device or file.
    pub len_bytes: u64,
    /// Size of the protected disk, once the source has told it.
    pub protected_bytes: Option<u64>,
    /// Everything before this position is seeded and durable.
    pub seeded_bytes: u64,
    /// Why it is out, in one sentence.
    pub problem: Option<String>,
}

/// The session of a machine's source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// A session is open.
    pub connected: bool,
    /// The address the source came from, last or now.
    pub peer: Option<String>,
    /// The source's name and version.
    pub software: Option<String>,
    /// Connections the session has.
    pub connections: u8,
    /// When the session began, or when the last one ended.
    pub since: Option<Rfc3339>,
    /// Payload bytes received in this session.
    pub received_bytes: u64,
}

/// Every machine, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Machines {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The machines.
    pub machines: Vec<Machine>,
}

/// A machine that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MachineRemoved {
    /// Its name.
    pub name: MachineName,
    /// The devices or files it used; their content was left as it was.
    pub released: Vec<String>,
    /// Bytes of history that were given back.
    pub freed_bytes: u64,
}

impl Machine {
    /// Fills in what follows from the rest at `now`: the RPO and the hint.
    #[must_use]
    pub fn derived(mut self, now: Timestamp) -> Self {
        self.rpo_seconds = self.newest.as_ref().map(|newest| now.since(newest.time.0).as_secs());
        self.next = crate::hint::for_machine(&self);
        self
    }
}
