//! A service that answers a little: enough to see what the server makes of it.

mod groups;
mod network;
mod pending;
mod plans;
mod records;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use landfall_control::api::{
    Cancel, Commit, Consistency, DiskEvents, DiskVerdicts, Disks, Expiry, Failback, FailbackStarted, Job,
    JobId, JobKind, JobOutcome, JobStart, JobStarted, JobState, Jobs, JoinTokenMade, Machine, MachineAdd,
    MachineRemove, MachineRemoved, Machines, ManifestFile, ManifestShow, Manifests, Pin, Pins, Point,
    PointList, PointPin, PointUnpin, PointVerify, PointView, Points, Policies, Policy, PolicyChanged,
    PolicySet, Preflight, Reprotect, Reprotected, Retention, RetentionScrub, Rfc3339, Scrubs, ServerEntry,
    ServerRevoke, ServerToken, Servers, Status, View, Views,
};
use landfall_control::{ApiError, Code, Service};
use units::{MachineName, Sequence, Timestamp};

/// Looks at the job it takes until it is done.
pub(crate) const LOOKS: u64 = 8;

/// The service; counts what it was asked to remove.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) removed: AtomicU64,
    looks: AtomicU64,
}

/// What the job comes to.
pub(crate) fn outcome() -> JobOutcome {
    let (disks, manifest_problem) = (Vec::new(), None);
    JobOutcome::Failback { written_bytes: LOOKS << 20, disks, manifest: Some(1), manifest_problem }
}

fn unknown() -> ApiError {
    ApiError::new(Code::MachineUnknown, "machine web-99 is unknown")
}

impl Service for Fake {
    fn status(&self) -> Result<Status, ApiError> {
        std::thread::sleep(Duration::from_secs(1));
        Err(ApiError::new(Code::VolumeFailed, "the retention volume is gone"))
    }

    fn machine_add(&self, request: MachineAdd) -> Result<Machine, ApiError> {
        assert!(request.name.as_str() != "web-01", "a mistake of our own");
        Err(unknown())
    }

    fn machine_list(&self) -> Result<Machines, ApiError> {
        Ok(Machines { time: Rfc3339(Timestamp(1_700_000_000_000_000)), machines: Vec::new() })
    }

    fn machine_show(&self, _: &MachineName) -> Result<Machine, ApiError> {
        Err(unknown())
    }

    fn machine_remove(&self, request: MachineRemove) -> Result<MachineRemoved, ApiError> {
        self.removed.fetch_add(1, Ordering::SeqCst);
        Ok(MachineRemoved { name: request.name, released: Vec::new(), freed_bytes: 0 })
    }

    fn disk_list(&self) -> Result<Disks, ApiError> {
        Err(unknown())
    }

    fn disk_eligible(&self, _: Option<&str>) -> Result<DiskVerdicts, ApiError> {
        Err(unknown())
    }

    fn disk_watch(&self, _: Option<u64>) -> Result<DiskEvents, ApiError> {
        Err(unknown())
    }

    fn point_list(&self, request: PointList) -> Result<Points, ApiError> {
        if request.machine.as_str() != "a" {
            return Err(unknown());
        }
        let time = Rfc3339(Timestamp(1_700_000_000_000_000));
        let point = Point {
            sequence: Sequence(8),
            time,
            consistency: Consistency::Crash,
            label: String::new(),
            proof: false,
            spoilt: false,
            group: None,
        };
        let pins = vec![Pin { point: point.clone(), until: None, note: String::new() }];
        let (machine, at, points) = (request.machine, point.sequence, vec![point]);
        Ok(Points { machine, time, total: 1, at, points, resync: None, gaps: Vec::new(), pins })
    }

    fn failback(&self, _: Failback) -> Result<FailbackStarted, ApiError> {
        Err(unknown())
    }

    fn commit(&self, _: Commit) -> Result<Machine, ApiError> {
        Err(unknown())
    }

    fn cancel(&self, _: Cancel) -> Result<JobStarted, ApiError> {
        Err(unknown())
    }

    fn reprotect(&self, _: Reprotect) -> Result<Reprotected, ApiError> {
        Err(unknown())
    }

    fn point_verify(&self, _: PointVerify) -> Result<JobStarted, ApiError> {
        Err(unknown())
    }

    fn point_view(&self, _: PointView) -> Result<View, ApiError> {
        Err(unknown())
    }

    fn view_list(&self) -> Result<Views, ApiError> {
        Err(unknown())
    }

    fn view_close(&self, _: u64) -> Result<View, ApiError> {
        Err(unknown())
    }

    fn job_list(&self) -> Result<Jobs, ApiError> {
        Err(unknown())
    }

    fn job_show(&self, id: JobId) -> Result<Job, ApiError> {
        let looks = self.looks.fetch_add(1, Ordering::SeqCst).min(LOOKS);
        let done = looks == LOOKS;
        Ok(Job {
            id,
            kind: JobKind::Failback,
            machine: "web-01".parse().expect("a name"),
            point: None,
            state: if done { JobState::Done } else { JobState::Running },
            started: Rfc3339(Timestamp(1_700_000_000_000_000)),
            ended: None,
            done_bytes: looks << 20,
            total_bytes: LOOKS << 20,
            rate: 0,
            eta_seconds: None,
            steps: Vec::new(),
            log: Vec::new(),
            error: None,
            outcome: done.then(outcome),
        })
    }

    fn job_cancel(&self, _: JobId) -> Result<Job, ApiError> {
        Err(unknown())
    }

    fn job_start(&self, _: JobStart) -> Result<JobStarted, ApiError> {
        Err(unknown())
    }

    fn manifest_list(&self, _: &MachineName) -> Result<Manifests, ApiError> {
        Err(unknown())
    }

    fn manifest_show(&self, _: ManifestShow) -> Result<ManifestFile, ApiError> {
        Err(unknown())
    }

    fn retention_scrub(&self, _: RetentionScrub) -> Result<Scrubs, ApiError> {
        Err(unknown())
    }

    fn retention_show(&self, _: Option<&MachineName>) -> Result<Retention, ApiError> {
        Err(unknown())
    }

    fn retention_plan(&self, _: Option<&MachineName>) -> Result<Expiry, ApiError> {
        Err(unknown())
    }

    fn policy_show(&self, _: Option<&MachineName>) -> Result<Policies, ApiError> {
        let default = Policy { window_seconds: 86_400, ..Policy::default() };
        Ok(Policies { time: Rfc3339(Timestamp(0)), default, machines: Vec::new() })
    }

    fn policy_set(&self, _: PolicySet) -> Result<PolicyChanged, ApiError> {
        Err(unknown())
    }

    fn preflight(&self, _: Option<&MachineName>) -> Result<Preflight, ApiError> {
        Err(unknown())
    }

    fn point_pin(&self, _: PointPin) -> Result<Pins, ApiError> {
        Err(unknown())
    }

    fn point_unpin(&self, _: PointUnpin) -> Result<Pins, ApiError> {
        Err(unknown())
    }

    fn server_token(&self, _: ServerToken) -> Result<JoinTokenMade, ApiError> {
        Err(unknown())
    }

    fn server_list(&self) -> Result<Servers, ApiError> {
        Err(unknown())
    }

    fn server_revoke(&self, _: ServerRevoke) -> Result<ServerEntry, ApiError> {
        Err(unknown())
    }
}
