//! What a client may ask and what it is told, as JSON.
//!
//! Requests refuse fields they do not know, so that a misspelt wish is never silently ignored. Replies may gain
//! fields: a client ignores what it does not know. Times are RFC 3339 texts, sizes are whole bytes, hashes are
//! hexadecimal.

mod alarm;
mod audit;
mod backup;
mod catalog;
mod disk;
mod failback;
mod group;
mod job;
mod machine;
mod manifest;
mod network;
mod pending;
mod plan;
mod point;
mod policy;
mod preflight;
mod reprotect;
mod request;
mod retention;
mod scrub;
mod server;
mod status;
mod view;

/// Alarms.
pub use alarm::{Alarm, AlarmEvents, Alarms};
/// The audit log.
pub use audit::{AuditEntry, AuditLog, AuditOutcome, AuditVerdict};
/// Backups, and secrets on their way.
pub use backup::{BackupMade, Secret};
/// The catalog and its copy.
pub use catalog::{CatalogCopy, CatalogMode, CatalogRebuilt, CatalogReport, KindCount, RebuildFrom};
/// Block devices and what they may be used for.
pub use disk::{
    Disk, DiskEvent, DiskEventKind, DiskEvents, DiskVerdict, DiskVerdicts, Disks, Eligibility, Reason,
};
/// The plan of a failback, and what was started.
pub use failback::{Content, ContentOrigin, Cutover, FailbackPlan, FailbackStarted, PlanDisk};
/// Consistency groups and their points.
pub use group::{
    Group, GroupAttempt, GroupDeleted, GroupFailbackStarted, GroupMemberPoint, GroupPoint, GroupPoints,
    GroupTo, Groups,
};
/// Units of work with progress.
pub use job::{
    DiskProof, Job, JobId, JobKind, JobLine, JobOutcome, JobStarted, JobState, JobStep, JobWish, Jobs,
    Progress, Verdict,
};
/// Machines and where they stand.
pub use machine::{CommitDeadline, Machine, MachineDisk, MachineRemoved, Machines, Phase, Session};
/// Manifests of failbacks.
pub use manifest::{ManifestEntry, ManifestFile, ManifestSummary, Manifests};
/// The network of the appliance.
pub use network::{NetworkNic, NetworkState, NetworkTrial};
/// What waits to be confirmed.
pub use pending::{PendingCommand, PendingCommands, PendingStatus};
/// Recovery plans.
pub use plan::{Plan, PlanRunning, PlanState, PlanStep, Plans};
pub use point::{Consistency, Gap, GapKind, GroupMark, Point, Points};
/// Policies, what goes by them, and pins.
pub use policy::{
    CommitBy, Expiry, ExpiryStep, Keeping, Loss, MachineExpiry, MachinePolicy, Pin, Pins, Policies, Policy,
    PolicyChange, PolicyChanged, WhenFull,
};
/// What would go wrong.
pub use preflight::{Preflight, PreflightFinding};
/// Recovery points.
/// Protecting a machine again, and resyncs.
pub use reprotect::{ReprotectPlan, Reprotected, Resync};
/// What a client may ask.
pub use request::{
    AlarmAck, AlarmList, AlarmWatch, AuditCheck, AuditList, BackupMake, Call, Cancel, CatalogRebuild,
    CatalogShow, Commit, DiskChoice, DiskEligible, DiskList, DiskWatch, Failback, FailbackTo, GroupAdd,
    GroupCreate, GroupDelete, GroupFailback, GroupList, GroupPointList, GroupPointMake, GroupRemove,
    GroupShow, JobCancel, JobList, JobShow, JobStart, JobWatch, MachineAdd, MachineList, MachineRemove,
    MachineShow, ManifestList, ManifestShow, NetworkKeep, NetworkSet, NetworkShow, NetworkTry,
    PendingApprove, PendingCancel, PendingList, PlanContinue, PlanCreate, PlanDelete, PlanList, PlanRun,
    PlanShow, PlanStop, PointList, PointPin, PointUnpin, PointVerify, PointView, PolicySet, PolicyShow,
    PreflightShow, Reprotect, Request, RetentionPlan, RetentionScrub, RetentionShow, ServerList,
    ServerRevoke, ServerToken, StatusShow, ViewClose, ViewList,
};
/// How far back history reaches, and what it costs.
pub use retention::{Epoch, History, Retention};
/// Damage, and the background reading that finds it.
pub use scrub::{Damage, MachineScrub, Scrub, ScrubResult, ScrubState, Scrubs};
/// Who belongs to the installation.
pub use server::{HeartbeatState, JoinTokenMade, ServerEntry, ServerHeartbeat, Servers};
/// The one-screen answer.
pub use status::{Concern, Health, Status, VolumeUse};
/// Times and hashes as JSON writes them.
pub use units::{HexHash, Rfc3339};
/// Views: recovery points served over NBD.
pub use view::{View, ViewDisk, Views};
