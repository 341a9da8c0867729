//! What the server serves.

mod groups;
mod network;
mod pending;
mod plans;
mod records;

use inventory::Action;
use units::MachineName;

use crate::api::{
    Cancel, Commit, DiskEvents, DiskVerdicts, Disks, Expiry, Failback, FailbackStarted, Job, JobId, JobStart,
    JobStarted, Jobs, JoinTokenMade, Machine, MachineAdd, MachineRemove, MachineRemoved, Machines,
    ManifestFile, ManifestShow, Manifests, Pins, PointList, PointPin, PointUnpin, PointVerify, PointView,
    Points, Policies, PolicyChanged, PolicySet, Preflight, Reprotect, Reprotected, Retention, RetentionScrub,
    Scrubs, ServerEntry, ServerRevoke, ServerToken, Servers, Status, View, Views,
};
use crate::error::ApiError;

/// Consistency groups.
pub use groups::GroupService;
/// The network.
pub use network::NetworkService;
/// What waits to be confirmed.
pub use pending::PendingService;
/// Recovery plans.
pub use plans::PlanService;
/// Alarms, the audit log, backups, the catalog.
pub use records::RecordService;

/// The answers. Methods block; the server calls each on a thread of its own, several at once.
///
/// A method that returns an error has changed nothing, unless the error says so. Fields that follow from others
/// (RPO, hints, health) are filled in by [`Machine::derived`] and [`Status::derived`], which the service calls.
pub trait Service:
    GroupService + NetworkService + PendingService + PlanService + RecordService + Send + Sync + 'static
{
    /// Tells whether such a thing can be done at present; asked before anything else is.
    fn admits(&self, _: Action) -> Result<(), ApiError> {
        Ok(())
    }

    /// Returns everything at a glance.
    fn status(&self) -> Result<Status, ApiError>;

    /// Registers a machine; durable on return.
    fn machine_add(&self, request: MachineAdd) -> Result<Machine, ApiError>;

    /// Returns every machine, by name.
    fn machine_list(&self) -> Result<Machines, ApiError>;

    /// Returns one machine.
    fn machine_show(&self, name: &MachineName) -> Result<Machine, ApiError>;

    /// Forgets a machine and its history; durable on return. The server has compared `confirm` with the name.
    fn machine_remove(&self, request: MachineRemove) -> Result<MachineRemoved, ApiError>;

    /// Returns every block device.
    fn disk_list(&self) -> Result<Disks, ApiError>;

    /// Returns what each block device, or one, may be used for.
    fn disk_eligible(&self, disk: Option<&str>) -> Result<DiskVerdicts, ApiError>;

    /// Returns what happened to block devices after an event, as soon as something has, or nothing after a second.
    fn disk_watch(&self, after: Option<u64>) -> Result<DiskEvents, ApiError>;

    /// Returns a machine's recovery points, oldest first.
    fn point_list(&self, request: PointList) -> Result<Points, ApiError>;

    /// Plans a failback and, unless only the plan was asked for, starts the job that carries it out.
    fn failback(&self, request: Failback) -> Result<FailbackStarted, ApiError>;

    /// Accepts the recovery point a machine stands at; durable on return. The server has compared `confirm` with the name.
    fn commit(&self, request: Commit) -> Result<Machine, ApiError>;

    /// Starts the job that brings a machine back to the latest.
    fn cancel(&self, request: Cancel) -> Result<JobStarted, ApiError>;

    /// Plans a reprotect and, unless only the plan was asked for, carries it out; durable on return. The server has compared `confirm`
    /// with the name.
    fn reprotect(&self, request: Reprotect) -> Result<Reprotected, ApiError>;

    /// Starts the job that compares roots.
    fn point_verify(&self, request: PointVerify) -> Result<JobStarted, ApiError>;

    /// Serves a recovery point over NBD.
    fn point_view(&self, request: PointView) -> Result<View, ApiError>;

    /// Returns the views that are open, by number.
    fn view_list(&self) -> Result<Views, ApiError>;

    /// Closes a view, and returns it as it was.
    fn view_close(&self, id: u64) -> Result<View, ApiError>;

    /// Returns the jobs, newest first.
    fn job_list(&self) -> Result<Jobs, ApiError>;

    /// Returns one job as it is now; called several times a second while the job is watched.
    fn job_show(&self, id: JobId) -> Result<Job, ApiError>;

    /// Has a job end before its next step; durable on return.
    fn job_cancel(&self, id: JobId) -> Result<Job, ApiError>;

    /// Starts a job; durable on return.
    fn job_start(&self, request: JobStart) -> Result<JobStarted, ApiError>;

    /// Returns the manifests of a machine's failbacks, oldest first.
    fn manifest_list(&self, machine: &MachineName) -> Result<Manifests, ApiError>;

    /// Returns one manifest.
    fn manifest_show(&self, request: ManifestShow) -> Result<ManifestFile, ApiError>;

    /// Changes how machines are scrubbed, as far as wishes are told, and returns how that stands.
    fn retention_scrub(&self, request: RetentionScrub) -> Result<Scrubs, ApiError>;

    /// Returns how far back the history of one machine, or of all, reaches.
    fn retention_show(&self, machine: Option<&MachineName>) -> Result<Retention, ApiError>;

    /// Returns what goes of the history of one machine, or of all.
    fn retention_plan(&self, machine: Option<&MachineName>) -> Result<Expiry, ApiError>;

    /// Returns the policy of one machine, or of all.
    fn policy_show(&self, machine: Option<&MachineName>) -> Result<Policies, ApiError>;

    /// Changes a policy; durable on return. History that would go by it at once must have been agreed to.
    fn policy_set(&self, request: PolicySet) -> Result<PolicyChanged, ApiError>;

    /// Says what would go wrong with one machine, or with all.
    fn preflight(&self, machine: Option<&MachineName>) -> Result<Preflight, ApiError>;

    /// Keeps a recovery point beyond the policy; durable on return.
    fn point_pin(&self, request: PointPin) -> Result<Pins, ApiError>;

    /// Keeps a recovery point no longer; durable on return.
    fn point_unpin(&self, request: PointUnpin) -> Result<Pins, ApiError>;

    /// Makes a join token; on record on return.
    fn server_token(&self, request: ServerToken) -> Result<JoinTokenMade, ApiError>;

    /// Returns who is or was enrolled.
    fn server_list(&self) -> Result<Servers, ApiError>;

    /// Revokes every certificate of somebody; on record on return, in force within seconds. The name was confirmed.
    fn server_revoke(&self, request: ServerRevoke) -> Result<ServerEntry, ApiError>;
}
