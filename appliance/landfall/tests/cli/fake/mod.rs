//! A service with machines in every phase, and a server for it on a socket of its own.

mod facts;
mod groups;
mod network;
mod pending;
mod plans;
mod records;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use control::api::{
    Cancel, Commit, DiskEligible, DiskEvents, DiskVerdicts, DiskWatch, Disks, Expiry, Failback,
    FailbackStarted, FailbackTo, Job, JobCancel, JobId, JobStart, JobStarted, JobWish, Jobs, JoinTokenMade,
    Machine, MachineAdd, MachinePolicy, MachineRemove, MachineRemoved, Machines, ManifestFile, ManifestShow,
    Manifests, Phase, Pins, PointList, PointPin, PointUnpin, PointVerify, PointView, Points, Policies,
    Policy, PolicyChanged, PolicySet, Preflight, Reprotect, Reprotected, Request, Retention, RetentionScrub,
    Scrubs, ServerEntry, ServerRevoke, ServerToken, Servers, Status, View, Views, WhenFull,
};
use control::{ApiError, Code, Config, Desk, Server, Service, Stop};
use tempfile::TempDir;
use units::MachineName;

/// The service. Remembers what it was asked to change.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) asked: Mutex<Vec<Request>>,
    looks: AtomicU64,
    /// A job takes this many looks; between two there are at most 250 ms.
    looks_max: u64,
    /// There is nothing to show.
    empty: bool,
    /// Everything is well.
    well: bool,
}

/// A running server; ends when dropped.
pub(crate) struct Appliance {
    pub(crate) socket: PathBuf,
    pub(crate) service: Arc<Fake>,
    pub(crate) directory: TempDir,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    pub(crate) fn empty() -> Self {
        Self { empty: true, ..Self::default() }
    }

    pub(crate) fn well() -> Self {
        Self { well: true, ..Self::default() }
    }

    pub(crate) fn slow(looks_max: u64) -> Self {
        Self { looks_max, ..Self::default() }
    }

    fn machines(&self) -> Vec<Machine> {
        let machines = if self.empty { Vec::new() } else { facts::machines() };
        machines.into_iter().filter(|machine| !self.well || machine.phase == Phase::Protected).collect()
    }

    fn machine(&self, name: &MachineName) -> Result<Machine, ApiError> {
        let found = self.machines().into_iter().find(|machine| machine.name == *name);
        found.ok_or_else(|| ApiError::new(Code::MachineUnknown, format!("machine {name} is unknown")))
    }

    fn note(&self, request: impl Into<Request>) {
        self.asked.lock().unwrap().push(request.into());
    }
}

impl Appliance {
    pub(crate) fn start(service: Fake) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (socket, service) = (directory.path().join("control.sock"), Arc::new(service));
        let server = Server::bind(Config::at(&socket)).unwrap();
        let (stop, served) = (server.stop_handle(), service.clone());
        let thread = Some(std::thread::spawn(move || server.run(Arc::new(Desk::new(served))).unwrap()));
        Self { socket, service, directory, stop, thread }
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        self.stop.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Service for Fake {
    fn status(&self) -> Result<Status, ApiError> {
        let jobs = if self.empty || self.well { Vec::new() } else { vec![facts::running(JobId(4))] };
        Ok(facts::status(self.machines(), jobs))
    }

    fn machine_add(&self, request: MachineAdd) -> Result<Machine, ApiError> {
        self.note(request.clone());
        let path = &request.disks[0].path;
        if path.ends_with("mounted") {
            let error = ApiError::new(Code::DiskInUse, format!("{path} can't be a target disk"));
            return Err(error.because("it is mounted at /srv"));
        }
        Ok(facts::added(request))
    }

    fn machine_list(&self) -> Result<Machines, ApiError> {
        Ok(Machines { time: facts::now(), machines: self.machines() })
    }

    fn machine_show(&self, name: &MachineName) -> Result<Machine, ApiError> {
        self.machine(name)
    }

    fn machine_remove(&self, request: MachineRemove) -> Result<MachineRemoved, ApiError> {
        self.note(request.clone());
        let machine = self.machine(&request.name)?;
        let released = machine.disks.into_iter().map(|disk| disk.path).collect();
        Ok(MachineRemoved { name: request.name, released, freed_bytes: 3 << 30 })
    }

    fn disk_list(&self) -> Result<Disks, ApiError> {
        Ok(Disks { time: facts::now(), disks: if self.empty { Vec::new() } else { facts::disks() } })
    }

    fn disk_eligible(&self, disk: Option<&str>) -> Result<DiskVerdicts, ApiError> {
        self.note(DiskEligible { disk: disk.map(str::to_owned) });
        let mut disks = facts::verdicts();
        disks.retain(|verdict| disk.is_none_or(|disk| verdict.path == disk));
        Ok(DiskVerdicts { time: facts::now(), disks })
    }

    fn disk_watch(&self, after: Option<u64>) -> Result<DiskEvents, ApiError> {
        self.note(DiskWatch { after });
        if after == Some(8) {
            return Err(ApiError::new(Code::Stopping, "the request was not finished"));
        }
        let (newest, missed, by_event) = (after.unwrap_or(6) + 1, false, true);
        let events = vec![facts::disk_event(newest)];
        Ok(DiskEvents { newest, missed, by_event, events })
    }

    fn point_list(&self, request: PointList) -> Result<Points, ApiError> {
        self.note(request.clone());
        self.machine(&request.machine)?;
        Ok(facts::points(&request))
    }

    fn failback(&self, request: Failback) -> Result<FailbackStarted, ApiError> {
        self.note(request.clone());
        self.machine(&request.machine)?;
        match request.to {
            FailbackTo::Sequence(sequence) if sequence.0 > 900 => {
                let error = ApiError::new(
                    Code::PointOutsideWindow,
                    format!("machine web-01 has no point #{sequence}"),
                );
                Err(error.because("the history reaches from #640 to #812"))
            }
            FailbackTo::Sequence(sequence) if sequence.0 == 660 && !request.inconsistent_ok => {
                Err(ApiError::new(Code::PointInconsistent, "point #660 of web-01 is fuzzy"))
            }
            _ => Ok(FailbackStarted {
                plan: facts::plan(request.machine),
                job: (!request.plan_only).then_some(JobId(4)),
            }),
        }
    }

    fn commit(&self, request: Commit) -> Result<Machine, ApiError> {
        self.note(request.clone());
        let machine = self.machine(&request.machine)?;
        if machine.phase != Phase::Rewound {
            let error =
                ApiError::new(Code::MachinePhase, format!("machine {} can't be committed", request.machine));
            return Err(error.because("it is protected, not rewound"));
        }
        Ok(facts::committed(machine))
    }

    fn cancel(&self, request: Cancel) -> Result<JobStarted, ApiError> {
        self.note(request.clone());
        let machine = self.machine(&request.machine)?;
        Ok(JobStarted { job: (machine.phase == Phase::Rewound).then_some(JobId(9)) })
    }

    fn reprotect(&self, request: Reprotect) -> Result<Reprotected, ApiError> {
        if !request.plan_only {
            self.note(request.clone());
        }
        if let Ok(machine) = self.machine(&request.machine) {
            if machine.phase != Phase::Rewound {
                let what = format!("machine {} can't be reprotected", request.machine);
                return Err(ApiError::new(Code::MachinePhase, what).because("it is protected, not committed"));
            }
            return Ok(facts::reprotected(&request, Some(machine)));
        }
        Ok(facts::reprotected(&request, None))
    }

    fn point_verify(&self, request: PointVerify) -> Result<JobStarted, ApiError> {
        self.note(request.clone());
        self.machine(&request.machine)?;
        let job = match request.point {
            FailbackTo::Sequence(sequence) => sequence.0,
            FailbackTo::Latest | FailbackTo::Time(_) => 6,
        };
        Ok(JobStarted { job: Some(JobId(job)) })
    }

    fn point_view(&self, request: PointView) -> Result<View, ApiError> {
        self.note(request.clone());
        self.machine(&request.machine)?;
        Ok(facts::view(&request))
    }

    fn view_list(&self) -> Result<Views, ApiError> {
        let views = if self.empty { Vec::new() } else { facts::views() };
        Ok(Views { time: facts::now(), views })
    }

    fn view_close(&self, id: u64) -> Result<View, ApiError> {
        let found = facts::views().into_iter().find(|view| view.id == id);
        found.ok_or_else(|| ApiError::new(Code::ViewUnknown, format!("view {id} is not known")))
    }

    fn job_list(&self) -> Result<Jobs, ApiError> {
        let jobs = if self.empty { Vec::new() } else { [6, 5, 4].map(|id| facts::ended(JobId(id))).to_vec() };
        Ok(Jobs { time: facts::now(), jobs })
    }

    fn job_show(&self, id: JobId) -> Result<Job, ApiError> {
        if id.0 > 9 {
            return Err(ApiError::new(Code::JobUnknown, format!("there is no job {id}")));
        }
        let log = facts::job_log();
        let looks = self.looks.fetch_add(1, Ordering::SeqCst);
        let running =
            Job { done_bytes: looks << 20, total_bytes: self.looks_max << 20, ..facts::running(id) };
        Ok(Job { log, ..if looks < self.looks_max { running } else { facts::ended(id) } })
    }

    fn job_cancel(&self, id: JobId) -> Result<Job, ApiError> {
        self.note(JobCancel { id });
        match id.0 {
            4 => Ok(Job { log: facts::job_log(), ..facts::running(id) }),
            _ => Err(ApiError::new(Code::JobEnded, format!("job {id} was left as it is"))),
        }
    }

    fn job_start(&self, request: JobStart) -> Result<JobStarted, ApiError> {
        self.note(request.clone());
        self.machine(&request.machine)?;
        let job = match request.kind {
            JobWish::Resync => 7,
            JobWish::Expire => 8,
            JobWish::Scrub => 9,
        };
        Ok(JobStarted { job: Some(JobId(job)) })
    }

    fn manifest_list(&self, machine: &MachineName) -> Result<Manifests, ApiError> {
        self.machine(machine)?;
        Ok(facts::manifests(machine))
    }

    fn manifest_show(&self, request: ManifestShow) -> Result<ManifestFile, ApiError> {
        self.machine(&request.machine)?;
        let none = || ApiError::new(Code::ManifestNone, format!("{} has no manifest 9", request.machine));
        if request.number == Some(9) { Err(none()) } else { Ok(facts::manifest()) }
    }

    fn retention_scrub(&self, request: RetentionScrub) -> Result<Scrubs, ApiError> {
        self.note(request.clone());
        request.machine.as_ref().map(|name| self.machine(name)).transpose()?;
        Ok(facts::scrubs())
    }

    fn retention_show(&self, machine: Option<&MachineName>) -> Result<Retention, ApiError> {
        machine.map(|name| self.machine(name)).transpose()?;
        Ok(facts::retention(self.empty))
    }

    fn retention_plan(&self, machine: Option<&MachineName>) -> Result<Expiry, ApiError> {
        machine.map(|name| self.machine(name)).transpose()?;
        let machines = if self.empty { Vec::new() } else { vec![facts::expiry("web-01".parse().unwrap())] };
        Ok(Expiry { time: facts::now(), machines })
    }

    fn policy_show(&self, machine: Option<&MachineName>) -> Result<Policies, ApiError> {
        machine.map(|name| self.machine(name)).transpose()?;
        let (machine, own) = ("web-01".parse().unwrap(), true);
        let policy = Policy { budget_bytes: Some(40 << 30), when_full: WhenFull::Thin, ..facts::policy() };
        let machines = vec![MachinePolicy { machine, own, policy }];
        Ok(Policies { time: facts::now(), default: facts::policy(), machines })
    }

    fn policy_set(&self, request: PolicySet) -> Result<PolicyChanged, ApiError> {
        self.note(request.clone());
        let before = facts::policy();
        let after = Policy {
            window_seconds: request.change.window_seconds.unwrap_or(before.window_seconds),
            commit: request.change.commit.unwrap_or(before.commit),
            ..before
        };
        let goes = match &request.machine {
            Some(machine) if after.window_seconds < before.window_seconds => {
                vec![facts::expiry(machine.clone())]
            }
            _ => Vec::new(),
        };
        if !goes.is_empty() && !request.plan_only && !request.expiry_ok {
            return Err(ApiError::new(
                Code::PolicyExpires,
                "the policy is not changed: 2 epochs would go at once",
            ));
        }
        Ok(PolicyChanged { machine: request.machine, before, after, done: !request.plan_only, goes })
    }

    fn preflight(&self, machine: Option<&MachineName>) -> Result<Preflight, ApiError> {
        machine.map(|name| self.machine(name)).transpose()?;
        let mut found = facts::preflight();
        found
            .findings
            .retain(|finding| !self.empty && machine.is_none_or(|machine| finding.machine == *machine));
        Ok(found)
    }

    fn point_pin(&self, request: PointPin) -> Result<Pins, ApiError> {
        self.note(request.clone());
        self.machine(&request.machine)?;
        Ok(facts::pins())
    }

    fn point_unpin(&self, request: PointUnpin) -> Result<Pins, ApiError> {
        self.note(request.clone());
        self.machine(&request.machine)?;
        Ok(Pins { pins: Vec::new(), ..facts::pins() })
    }

    fn server_token(&self, request: ServerToken) -> Result<JoinTokenMade, ApiError> {
        self.note(request.clone());
        let identity = format!("landfall:{}:{}", request.role, request.name);
        let (expires, token) = (facts::now(), "landfall1-not-a-real-token".to_owned());
        Ok(JoinTokenMade { identity, expires, token })
    }

    fn server_list(&self) -> Result<Servers, ApiError> {
        Ok(facts::servers())
    }

    fn server_revoke(&self, request: ServerRevoke) -> Result<ServerEntry, ApiError> {
        self.note(request.clone());
        let known = facts::servers().servers.into_iter().find(|server| server.name == request.name);
        let unknown = || ApiError::new(Code::ServerUnknown, format!("{} is not enrolled", request.name));
        known.ok_or_else(unknown)
    }
}
