//! What a client may ask.

use std::time::Instant;

use netplan::Plan as NetworkPlan;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use units::{HexHash, MachineName, Sequence, as_text};
use utoipa::ToSchema;
use wire::Role;

use super::{
    AlarmEvents, Alarms, AuditLog, AuditVerdict, BackupMade, CatalogRebuilt, CatalogReport, DiskEvents,
    DiskVerdicts, Disks, Expiry, FailbackStarted, Group, GroupDeleted, GroupFailbackStarted, GroupPoint,
    GroupPoints, GroupTo, Groups, Job, JobId, JobStarted, JobWish, Jobs, JoinTokenMade, Machine,
    MachineRemoved, Machines, ManifestFile, Manifests, NetworkState, PendingCommand, PendingCommands, Pins,
    Plan, PlanStep, Plans, Points, Policies, PolicyChange, PolicyChanged, Preflight, RebuildFrom,
    Reprotected, Retention, Rfc3339, Scrubs, Secret, ServerEntry, Servers, Status, View, Views,
};

/// A kind of request and what answers it.
pub trait Call: Into<Request> {
    /// The name of the request's type.
    const KIND: &'static str;
    /// What a successful result holds.
    type Reply: Serialize + DeserializeOwned;
}

macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty),* $(,)? } -> $reply:ty;)*) => {
        /// One request: a JSON object on one line, its kind under `request`.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "request", rename_all = "snake_case")]
        pub enum Request {
            $($(#[$doc])* $name($name),)*
        }
        impl Request {
            /// Every kind of request, by the name of its type.
            pub const KINDS: &[&str] = &[$(stringify!($name),)*];

            /// Returns the name of the request's type, such as `StatusShow`.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }
        }

        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $kind,)*
            }

            impl From<$name> for Request {
                fn from(request: $name) -> Self {
                    Self::$name(request)
                }
            }

            impl Call for $name {
                const KIND: &'static str = stringify!($name);
                type Reply = $reply;
            }
        )*
    };
}

requests! {
    /// Asks for everything at a glance.
    StatusShow {} -> Status;
    /// Registers a machine and its target disks.
    MachineAdd {
        /// Its name, as its certificate carries it.
        name: MachineName,
        /// Its target disks, in the order of the source's disks; 1 to 256.
        disks: Vec<DiskChoice>,
    } -> Machine;
    /// Asks for every machine.
    MachineList {} -> Machines;
    /// Asks for one machine.
    MachineShow {
        /// Which.
        name: MachineName,
    } -> Machine;
    /// Forgets a machine and its history; the target disks keep their content.
    MachineRemove {
        /// Which.
        name: MachineName,
        /// The name again, typed by a person or vouched for by `--yes`.
        confirm: String,
    } -> MachineRemoved;
    /// Asks for every block device.
    DiskList {} -> Disks;
    /// Asks what each block device, or one, may be used for.
    DiskEligible {
        /// One device; all when absent.
        #[serde(default)]
        disk: Option<String>,
    } -> DiskVerdicts;
    /// Asks what happened to block devices; answered when something has, or after a second.
    DiskWatch {
        /// The newest event that is known; only what comes from now on when absent.
        #[serde(default)]
        after: Option<u64>,
    } -> DiskEvents;
    /// Asks for a machine's recovery points.
    PointList {
        /// Which machine.
        machine: MachineName,
        /// Only the points nearest this time.
        #[serde(default)]
        around: Option<Rfc3339>,
        /// At most this many points, the newest (or nearest to `around`); 0 asks for all.
        #[serde(default)]
        limit: u32,
    } -> Points;
    /// Brings the target disks to a recovery point, or only plans it.
    Failback {
        /// Which machine.
        machine: MachineName,
        /// Where to.
        to: FailbackTo,
        /// Only plan: change nothing.
        #[serde(default)]
        plan_only: bool,
        /// A fuzzy point will do.
        #[serde(default)]
        inconsistent_ok: bool,
        /// Don't compute the roots of the target disks once they stand at the point.
        #[serde(default)]
        no_proof: bool,
    } -> FailbackStarted;
    /// Accepts the recovery point a rewound machine stands at, for good.
    Commit {
        /// Which machine.
        machine: MachineName,
        /// The name again, typed by a person or vouched for by `--yes`.
        confirm: String,
    } -> Machine;
    /// Brings a rewound machine back to the latest, so that replication goes on.
    Cancel {
        /// Which machine.
        machine: MachineName,
    } -> JobStarted;
    /// Protects a machine again on disks that hold an earlier state of it, or only plans it: a committed machine begins another
    /// generation on its own disks; one that is not known is registered with `disks`. What the disks hold becomes the first
    /// recovery point, and the source sends what differs.
    Reprotect {
        /// Which machine.
        machine: MachineName,
        /// The target disks of a machine that is not known; none for a committed one.
        #[serde(default)]
        disks: Vec<DiskChoice>,
        /// Only plan: change nothing.
        #[serde(default)]
        plan_only: bool,
        /// The name again, typed by a person or vouched for by `--yes`; not looked at when only planning.
        #[serde(default)]
        confirm: String,
    } -> Reprotected;
    /// Computes the roots at a recovery point and compares them with the source's.
    PointVerify {
        /// Which machine.
        machine: MachineName,
        /// Which point.
        point: FailbackTo,
    } -> JobStarted;
    /// Serves a recovery point over NBD, beside everything else.
    PointView {
        /// Which machine.
        machine: MachineName,
        /// Which point.
        point: FailbackTo,
        /// A fuzzy point will do.
        #[serde(default)]
        inconsistent_ok: bool,
        /// It may be written: so many bytes are kept until the view is closed, and then thrown away.
        #[serde(default)]
        scratch_bytes: Option<u64>,
        /// `unix:PATH` or `HOST:PORT`; without it a socket beside the control socket.
        #[serde(default)]
        listen: Option<String>,
    } -> View;
    /// Asks for the views that are open.
    ViewList {} -> Views;
    /// Closes a view; the result is the view as it was.
    ViewClose {
        /// Which.
        id: u64,
    } -> View;
    /// Makes a token with which somebody may join, once, within an hour.
    ServerToken {
        /// What its holder becomes: `source`, `master-target` and so on.
        #[serde(with = "as_text")]
        #[schema(value_type = String)]
        role: Role,
        /// Under which name; for a source, the machine's.
        name: MachineName,
    } -> JoinTokenMade;
    /// Asks who is or was enrolled.
    ServerList {} -> Servers;
    /// Ends every certificate of somebody, also on connections that are open.
    ServerRevoke {
        /// Whose.
        name: MachineName,
        /// In which role; where the name has only one, it is not needed.
        #[serde(default, with = "optional_role")]
        #[schema(value_type = Option<String>)]
        role: Option<Role>,
        /// Why, for people.
        #[serde(default)]
        reason: String,
        /// The name again, typed by a person or vouched for by `--yes`.
        confirm: String,
    } -> ServerEntry;
    /// Asks for alarms.
    AlarmList {
        /// Those that ended and were taken note of, too.
        #[serde(default)]
        every: bool,
    } -> Alarms;
    /// Takes note of alarms; the result is those that were open.
    AlarmAck {
        /// Those of this kind; of any when absent.
        #[serde(default)]
        kind: Option<String>,
        /// Those of this subject; of any when absent.
        #[serde(default)]
        subject: Option<String>,
    } -> Alarms;
    /// Asks what became of alarms; answered when something has, or after a second.
    AlarmWatch {
        /// The newest event that is known; only what comes from now on when absent.
        #[serde(default)]
        after: Option<u64>,
    } -> AlarmEvents;
    /// Asks for the audit log.
    AuditList {
        /// At most so many entries, the newest; 0 for as many as are told at once.
        #[serde(default)]
        limit: u32,
        /// Only entries before this number.
        #[serde(default)]
        before: Option<u64>,
    } -> AuditLog;
    /// Asks whether the audit log is as it was written.
    AuditCheck {
        /// The number of an entry that was noted elsewhere.
        #[serde(default)]
        number: Option<u64>,
        /// Its hash.
        #[serde(default)]
        hash: Option<HexHash>,
    } -> AuditVerdict;
    /// Asks what waits to be confirmed, and what has.
    PendingList {} -> PendingCommands;
    /// Has something done that waits; the result says what came of it.
    PendingApprove {
        /// Its number.
        id: u64,
    } -> PendingCommand;
    /// Ends something that waits; it is not done.
    PendingCancel {
        /// Its number.
        id: u64,
    } -> PendingCommand;
    /// Makes a backup of authority, keys and catalog.
    BackupMake {
        /// What it is sealed under; at least 8 characters.
        passphrase: Secret,
    } -> BackupMade;
    /// Asks what is on record, and how the catalog and its copy stand.
    CatalogShow {} -> CatalogReport;
    /// Makes a catalog anew that can't be relied on; landfalld begins again with it.
    CatalogRebuild {
        /// Of what.
        from: RebuildFrom,
        /// The name of the server, typed by a person or vouched for by `--yes`.
        confirm: String,
    } -> CatalogRebuilt;
    /// Asks for the jobs, newest first.
    JobList {} -> Jobs;
    /// Asks for progress until a job ends; the result is the ended job.
    JobWatch {
        /// Which job.
        id: JobId,
    } -> Job;
    /// Asks for one job with all that happened in it.
    JobShow {
        /// Which job.
        id: JobId,
    } -> Job;
    /// Has a job end before its next step; what was done stays. The result is the job as it is now.
    JobCancel {
        /// Which job.
        id: JobId,
    } -> Job;
    /// Starts a job of a machine.
    JobStart {
        /// Which machine.
        machine: MachineName,
        /// What it does.
        kind: JobWish,
    } -> JobStarted;
    /// Asks for the manifests of a machine's failbacks.
    ManifestList {
        /// Which machine.
        machine: MachineName,
    } -> Manifests;
    /// Asks for one manifest.
    ManifestShow {
        /// Which machine.
        machine: MachineName,
        /// Its number; the newest when absent.
        #[serde(default)]
        number: Option<u64>,
    } -> ManifestFile;
    /// Asks for the network of the appliance.
    NetworkShow {} -> NetworkState;
    /// Tries a plan of the network: it is applied, and rolled back by itself after 30 s unless it is kept over a new connection.
    NetworkTry {
        /// The plan.
        plan: NetworkPlan,
    } -> NetworkState;
    /// Keeps the plan that is tried.
    NetworkKeep {
        /// When the connection was opened that this came by; nobody but who took it says so.
        #[serde(skip)]
        #[schema(ignore)]
        opened: Option<Instant>,
    } -> NetworkState;
    /// Applies a plan of the network and keeps it at once: whoever is cut off by it stays so.
    NetworkSet {
        /// The plan.
        plan: NetworkPlan,
        /// `network`, typed by a person or vouched for by `--yes`.
        confirm: String,
    } -> NetworkState;
    /// Asks how scrubbing stands, and changes it as far as wishes are told.
    RetentionScrub {
        /// One machine; all when absent.
        #[serde(default)]
        machine: Option<MachineName>,
        /// Begin a pass now.
        #[serde(default)]
        now: bool,
        /// Read at most so many bytes a second, until landfalld ends; 0 for no limit.
        #[serde(default)]
        rate: Option<u64>,
        /// Wait, or go on.
        #[serde(default)]
        paused: Option<bool>,
    } -> Scrubs;
    /// Asks how far back history reaches and what it costs.
    RetentionShow {
        /// One machine; all when absent.
        #[serde(default)]
        machine: Option<MachineName>,
    } -> Retention;
    /// Asks what goes of the history now, and what stays though it should go.
    RetentionPlan {
        /// One machine; all when absent.
        #[serde(default)]
        machine: Option<MachineName>,
    } -> Expiry;
    /// Asks for the policies.
    PolicyShow {
        /// One machine; all when absent.
        #[serde(default)]
        machine: Option<MachineName>,
    } -> Policies;
    /// Changes a policy, or says what would go by it.
    PolicySet {
        /// The machine; the default when absent.
        #[serde(default)]
        machine: Option<MachineName>,
        /// What is to change.
        change: PolicyChange,
        /// Only say what would go: change nothing.
        #[serde(default)]
        plan_only: bool,
        /// History may go at once by it.
        #[serde(default)]
        expiry_ok: bool,
    } -> PolicyChanged;
    /// Keeps a recovery point beyond the policy, or changes how long.
    PointPin {
        /// Which machine.
        machine: MachineName,
        /// Which point.
        point: FailbackTo,
        /// Until when; for ever when absent.
        #[serde(default)]
        until: Option<Rfc3339>,
        /// Why, for people; at most 128 bytes.
        #[serde(default)]
        note: String,
    } -> Pins;
    /// Keeps a recovery point no longer.
    PointUnpin {
        /// Which machine.
        machine: MachineName,
        /// Which point.
        point: FailbackTo,
    } -> Pins;
    /// Asks for the recovery plans.
    PlanList {} -> Plans;
    /// Asks for one recovery plan, with all that happened in its newest run.
    PlanShow {
        /// Which.
        name: MachineName,
    } -> Plan;
    /// Makes a recovery plan.
    PlanCreate {
        /// Its name.
        name: MachineName,
        /// What is done, first things first; 1 to 64 steps.
        steps: Vec<PlanStep>,
    } -> Plan;
    /// Deletes a recovery plan that is not being run; the result is the plan as it was.
    PlanDelete {
        /// Which.
        name: MachineName,
        /// The name again, typed by a person or vouched for by `--yes`.
        confirm: String,
    } -> Plan;
    /// Begins to carry a recovery plan out.
    PlanRun {
        /// Which.
        name: MachineName,
        /// The newest points at or before this time are taken; the latest when absent.
        #[serde(default)]
        to: Option<Rfc3339>,
        /// The name again, typed by a person or vouched for by `--yes`.
        confirm: String,
    } -> Plan;
    /// Lets a run go on that waits for a person.
    PlanContinue {
        /// Which plan.
        name: MachineName,
    } -> Plan;
    /// Ends a run before its next step; jobs that it has started go on.
    PlanStop {
        /// Which plan.
        name: MachineName,
    } -> Plan;
    /// Asks what would go wrong, before anything is touched.
    PreflightShow {
        /// One machine; all when absent, and all who have joined as sources.
        #[serde(default)]
        machine: Option<MachineName>,
    } -> Preflight;
    /// Asks for the consistency groups.
    GroupList {} -> Groups;
    /// Asks for one consistency group.
    GroupShow {
        /// Which.
        name: MachineName,
    } -> Group;
    /// Makes machines a consistency group: their points share one order.
    GroupCreate {
        /// Its name.
        name: MachineName,
        /// Its members, 1 to 64; none may be in another group.
        machines: Vec<MachineName>,
        /// Seconds between two points of it, 10 to 2,678,400; as the members' policies say when absent.
        #[serde(default)]
        every_seconds: Option<u32>,
        /// How long writes may be held for a point, in milliseconds, 200 to 60,000; 10,000 when absent.
        #[serde(default)]
        hold_ms: Option<u32>,
    } -> Group;
    /// Takes one more machine into a group. Points made before don't have it, and are points of the group no longer.
    GroupAdd {
        /// The group.
        name: MachineName,
        /// The machine.
        machine: MachineName,
    } -> Group;
    /// Takes a machine out of a group; the machine and its history stay.
    GroupRemove {
        /// The group.
        name: MachineName,
        /// The machine.
        machine: MachineName,
    } -> Group;
    /// Deletes a group; its members and their histories stay, their common points are common no longer.
    GroupDelete {
        /// Which.
        name: MachineName,
        /// The name again, typed by a person or vouched for by `--yes`.
        confirm: String,
    } -> GroupDeleted;
    /// Makes a point of a group: all members hold their writes, then all make their point. Answered when it is durable at all of them.
    GroupPointMake {
        /// The group.
        name: MachineName,
    } -> GroupPoint;
    /// Asks for the points of a group.
    GroupPointList {
        /// The group.
        name: MachineName,
    } -> GroupPoints;
    /// Brings the target disks of every member of a group to one common point, or only plans it.
    GroupFailback {
        /// The group.
        name: MachineName,
        /// Where to.
        to: GroupTo,
        /// Only plan: change nothing.
        #[serde(default)]
        plan_only: bool,
        /// Don't compute the roots of the target disks once they stand at the point.
        #[serde(default)]
        no_proof: bool,
    } -> GroupFailbackStarted;
}

impl Request {
    /// Notes when the connection was opened that the request came by.
    #[must_use]
    pub(crate) fn came_by(self, opened: Instant) -> Self {
        match self {
            Self::NetworkKeep(_) => Self::NetworkKeep(NetworkKeep { opened: Some(opened) }),
            other => other,
        }
    }
}

/// A target disk that is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskChoice {
    /// The device or file; absolute.
    pub path: String,
    /// It may be a regular file.
    #[serde(default)]
    pub allow_file: bool,
}

/// How a recovery point is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FailbackTo {
    /// The newest point.
    Latest,
    /// The newest point at or before this time.
    Time(Rfc3339),
    /// Exactly this sequence. One that lies between two recovery points counts as a fuzzy point.
    Sequence(Sequence),
}

/// A role that may be absent, as text.
mod optional_role {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use wire::Role;

    pub(super) fn serialize<S: Serializer>(role: &Option<Role>, out: S) -> Result<S::Ok, S::Error> {
        role.map(Role::as_str).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Role>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}
