//! Answers operators: the service behind the control socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use blockdev::FilePolicy;
use control::api::{
    Cancel, Commit, Concern, Content, ContentOrigin, DiskEvents, DiskVerdicts, Disks, Expiry, Failback,
    FailbackPlan, FailbackStarted, FailbackTo, Health, Job, JobId, JobStart, JobStarted, Jobs, JoinTokenMade,
    Machine, MachineAdd, MachineRemove, MachineRemoved, MachineScrub, Machines, ManifestFile, ManifestShow,
    Manifests, Pins, PlanDisk, PointList, PointPin, PointUnpin, PointVerify, PointView, Points, Policies,
    PolicyChanged, PolicySet, Reprotect, Reprotected, Retention, RetentionScrub, Scrubs, ServerEntry,
    ServerRevoke, ServerToken, Status, View, VolumeUse,
};
use control::{ApiError, Code, Service};
use inventory::{AlarmKind, JobWork};
use retention::{Log, Piece, RewindPlan};
use target::{DiskOffer, MasterTarget, PointName, ScrubWish};
use units::{ByteLen, DiskIndex, MachineId, MachineName, Sequence, Timestamp};

use crate::backups::Backups;
use crate::commits::{CommitBook, Commits};
use crate::failure::api_error;
use crate::pendings::Pendings;
use crate::random::random_bytes;
use crate::records::Records;
use crate::servers::Servers;
use crate::views::{Views, Wanted};
use crate::{job_report, keeping, notary, report, reprotect, scrub};

/// The service of one master target.
pub(crate) struct Answers {
    pub(crate) node: Arc<MasterTarget>,
    pub(crate) disks: Arc<crate::disks::DiskEvents>,
    pub(crate) views: Views,
    /// The address sources connect to.
    pub(crate) listen: String,
    /// The directory of the retention volume.
    pub(crate) retention: PathBuf,
    /// The jobs of this server.
    pub(crate) jobs: Arc<crate::jobs::Jobs>,
    /// The recovery plans of a configuration server.
    pub(crate) plans: Option<Arc<crate::plans::Plans>>,
    /// What becomes of machines by themselves.
    pub(crate) commits: Commits,
    /// What waits to be confirmed.
    pub(crate) pendings: Pendings,
    /// What machines have received.
    pub(crate) cutovers: Arc<crate::cutovers::Cutovers>,
    /// Who joined here, where certificates are given out.
    pub(crate) servers: Option<Servers>,
    /// What is kept in the catalog, where there is one.
    pub(crate) records: Option<Arc<Records>>,
    /// The keeper of the network, where that is ours.
    pub(crate) network: Option<network::Keeper>,
    /// What makes backups, where there is something to make them of.
    pub(crate) backups: Option<Backups>,
    /// Where its own certificate lies.
    pub(crate) identity: PathBuf,
}

impl Answers {
    /// Sends every client of a view away.
    pub(crate) fn close_views(&self) {
        self.views.close_all();
    }

    /// Describes every job, newest first.
    fn all_jobs(&self) -> Result<Vec<Job>, ApiError> {
        let jobs = self.jobs.list()?;
        Ok(jobs.iter().rev().map(|job| self.describe_job(job)).collect())
    }

    fn describe_job(&self, job: &inventory::Job) -> Job {
        let (running, machine) = (self.jobs.running(job.id), self.node.machine(&job.machine).ok());
        job_report::job(job, running.as_deref(), machine.as_deref())
    }

    /// Starts a job, unless it is refused at once.
    fn begin(&self, machine: &MachineName, work: JobWork) -> Result<JobId, ApiError> {
        self.jobs.may(machine, &work)?;
        Ok(JobId(self.jobs.start(machine, work)?))
    }

    fn machines(&self) -> Vec<Machine> {
        // A machine is described without its job rather than not at all.
        let (jobs, commits) = (self.all_jobs().unwrap_or_default(), self.commit_book());
        self.node.machines().iter().map(|machine| self.describe_with(machine, &jobs, &commits)).collect()
    }

    fn describe(&self, machine: &target::Machine) -> Machine {
        self.describe_with(machine, &self.all_jobs().unwrap_or_default(), &self.commit_book())
    }

    fn describe_with(&self, machine: &target::Machine, jobs: &[Job], commits: &CommitBook) -> Machine {
        let (views, forecast) = (self.views.of(&machine.name), self.forecast(machine));
        report::machine(machine, jobs, views, commits, forecast, now())
    }

    /// Returns what becomes of machines by themselves; what can't be read now does not happen now.
    fn commit_book(&self) -> CommitBook {
        self.commits.book().unwrap_or_else(|_| CommitBook::nothing())
    }

    /// Refuses a commit or a cancel that is not possible now; touches nothing.
    pub(crate) fn may_end(&self, machine: &MachineName, work: &JobWork) -> Result<(), ApiError> {
        if *work == JobWork::Commit {
            self.views.refuse_if_viewed(machine)?;
        }
        self.jobs.may(machine, work)
    }

    /// Returns who joined here. Errors: this is no configuration server.
    fn servers(&self) -> Result<&Servers, ApiError> {
        let none = || ApiError::new(Code::NotHere, "this server gives out no certificates");
        let unavailable = || self.records.as_ref().and_then(|records| records.unavailable());
        self.servers.as_ref().ok_or_else(|| unavailable().unwrap_or_else(none))
    }

    /// Returns the consistency groups. Errors: this is no configuration server.
    pub(crate) fn groups(&self) -> Result<&crate::groups::Groups, ApiError> {
        let missing = || ApiError::new(Code::NotHere, "this server keeps no consistency groups");
        self.servers.as_ref().map(|servers| &*servers.groups).ok_or_else(missing)
    }

    /// Says how far back a machine's history will reach. A volume that can't be asked has no free space.
    fn forecast(&self, machine: &target::Machine) -> target::Forecast {
        let free = self.node.usage().map_or(ByteLen::ZERO, |usage| usage.free);
        self.node.forecast(machine, free)
    }

    fn some_machines(&self, name: Option<&MachineName>) -> Result<Vec<Arc<target::Machine>>, ApiError> {
        match name {
            Some(name) => Ok(vec![self.machine(name)?]),
            None => Ok(self.node.machines()),
        }
    }

    pub(crate) fn machine(&self, name: &MachineName) -> Result<Arc<target::Machine>, ApiError> {
        self.node.machine(name).map_err(|error| api_error(&error))
    }

    fn volume(&self) -> Result<VolumeUse, ApiError> {
        let usage = self.node.usage().map_err(|error| api_error(&error))?;
        let journals =
            self.node.machines().iter().map(|machine| machine.shared.lock().journal_len()).sum::<ByteLen>();
        Ok(VolumeUse {
            path: self.retention.display().to_string(),
            capacity_bytes: usage.capacity.0,
            free_bytes: usage.free.0,
            journal_bytes: journals.0,
        })
    }

    pub(crate) fn find(
        &self,
        name: &MachineName,
        to: FailbackTo,
        floor: wire::Consistency,
    ) -> Result<Sequence, ApiError> {
        let point = match to {
            FailbackTo::Latest => PointName::Latest,
            FailbackTo::Time(time) => PointName::Time(time.0),
            FailbackTo::Sequence(sequence) => PointName::Sequence(sequence),
        };
        Ok(self.node.find(name, point, floor).map_err(|error| api_error(&error))?.sequence)
    }

    pub(crate) fn plan(&self, machine: &target::Machine, to: Sequence) -> Result<FailbackPlan, ApiError> {
        let plan = self.node.plan(&machine.name, to).map_err(|error| api_error(&error))?;
        let cutover = self.cutovers.of(machine);
        let state = machine.shared.lock();
        let cutover = cutover.filter(|_| state.lifecycle == retention::Lifecycle::Protected);
        let from = match state.lifecycle {
            retention::Lifecycle::Rewound { at } => at,
            _ => state.durable,
        };
        Ok(FailbackPlan {
            machine: machine.name.clone(),
            from,
            to: report::named(&state, to),
            granules: plan.pieces.iter().map(granules).sum(),
            write_bytes: plan.len().0,
            content: contents(&plan),
            disks: machine
                .disks
                .iter()
                .enumerate()
                .map(|(index, disk)| plan_disk(&plan, index, &disk.path))
                .collect(),
            cutover,
        })
    }
}

impl Service for Answers {
    fn status(&self) -> Result<Status, ApiError> {
        let mut jobs = match self.all_jobs() {
            Err(error) if self.records.is_none() => return Err(error),
            // That the catalog can't be read now is told among the concerns; the machines are well all the same.
            listed => listed.unwrap_or_default(),
        };
        jobs.retain(|job| job.state == control::api::JobState::Running);
        let status = Status {
            time: now().into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listen: self.listen.clone(),
            health: Health::Healthy,
            concerns: Vec::new(),
            machines: self.machines(),
            jobs,
            volume: self.volume()?,
            alarms: self.open_alarms(),
            next: None,
        };
        let unreadable = |what| Concern::of_appliance(AlarmKind::Machine, Health::Failed, what);
        let unreadable = self.node.unreadable().into_iter().map(unreadable);
        Ok(status.derived().with(self.further_concerns().into_iter().chain(unreadable)))
    }

    fn admits(&self, action: inventory::Action) -> Result<(), ApiError> {
        self.records.as_ref().map_or(Ok(()), |records| records.admits(action))
    }

    fn machine_add(&self, request: MachineAdd) -> Result<Machine, ApiError> {
        self.may_register(&request)?;
        let offers: Vec<_> = request.disks.iter().map(offer).collect();
        let id = random_id()?;
        let added = self.node.add(id, &request.name, &offers).map_err(|error| api_error(&error))?;
        self.settle()?;
        Ok(self.describe(&added))
    }

    fn machine_list(&self) -> Result<Machines, ApiError> {
        Ok(Machines { time: now().into(), machines: self.machines() })
    }

    fn machine_show(&self, name: &MachineName) -> Result<Machine, ApiError> {
        Ok(self.describe(&*self.machine(name)?))
    }

    fn machine_remove(&self, request: MachineRemove) -> Result<MachineRemoved, ApiError> {
        self.views.refuse_if_viewed(&request.name)?;
        if let Some(servers) = &self.servers {
            servers.groups.refuse_if_member(&request.name)?;
        }
        if let Some(records) = &self.records {
            if self.node.machine(&request.name).is_err() && records.forget(&self.node, &request.name)? {
                return Ok(MachineRemoved { name: request.name, released: Vec::new(), freed_bytes: 0 });
            }
            records.leaving(&request.name)?;
        }
        let gone = self.node.remove(&request.name).map_err(|error| api_error(&error));
        // What was refused stays on record as a machine that stays.
        self.settle()?;
        let gone = gone?;
        self.commits.forget(&request.name);
        let released = gone.disks.iter().map(|disk| disk.path.clone()).collect();
        let freed_bytes = gone.shared.lock().journal_len().0;
        Ok(MachineRemoved { name: request.name, released, freed_bytes })
    }

    fn disk_list(&self) -> Result<Disks, ApiError> {
        Ok(self.list_disks())
    }

    fn disk_eligible(&self, disk: Option<&str>) -> Result<DiskVerdicts, ApiError> {
        self.judge_disks(disk)
    }

    fn disk_watch(&self, after: Option<u64>) -> Result<DiskEvents, ApiError> {
        Ok(self.disk_events(after))
    }

    fn point_list(&self, request: PointList) -> Result<Points, ApiError> {
        let machine = self.machine(&request.machine)?;
        let state = machine.shared.lock();
        let mut points: Vec<_> = state.timeline.points().map(|point| report::point(&state, point)).collect();
        let total = points.len() as u64;
        let limit = if request.limit == 0 { usize::MAX } else { request.limit as usize };
        if let Some(around) = request.around {
            points.sort_by_key(|point| point.time.0.0.abs_diff(around.0.0));
            points.truncate(limit);
            points.sort_by_key(|point| point.sequence);
        }
        let mut points = points.split_off(points.len().saturating_sub(limit));
        let at = match state.lifecycle {
            retention::Lifecycle::Rewound { at } | retention::Lifecycle::Committed { at } => at,
            _ => state.applied,
        };
        let resync = report::resync(&state, now());
        let (gaps, pins) = (report::gaps(&state, now()), keeping::pins(&state));
        drop(state);
        if let Some(servers) = &self.servers {
            servers.groups.keep_common(&mut points);
        }
        Ok(Points { machine: request.machine, time: now().into(), total, at, points, resync, gaps, pins })
    }

    fn failback(&self, request: Failback) -> Result<FailbackStarted, ApiError> {
        let machine = self.machine(&request.machine)?;
        let floor = if request.inconsistent_ok { wire::Consistency::Fuzzy } else { wire::Consistency::Crash };
        let to = self.find(&request.machine, request.to, floor)?;
        let plan = self.plan(&machine, to)?;
        if request.plan_only {
            return Ok(FailbackStarted { plan, job: None });
        }
        let work = JobWork::Failback { to, prove: !request.no_proof };
        let job = self.begin(&request.machine, work)?;
        Ok(FailbackStarted { plan, job: Some(job) })
    }

    fn commit(&self, request: Commit) -> Result<Machine, ApiError> {
        self.may_end(&request.machine, &JobWork::Commit)?;
        self.jobs.do_now(&request.machine, JobWork::Commit)?;
        Ok(self.describe(&*self.machine(&request.machine)?))
    }

    fn cancel(&self, request: Cancel) -> Result<JobStarted, ApiError> {
        Ok(JobStarted { job: Some(self.begin(&request.machine, JobWork::Cancel)?) })
    }

    fn reprotect(&self, request: Reprotect) -> Result<Reprotected, ApiError> {
        if !request.disks.is_empty() && self.node.machine(&request.machine).is_err() {
            let (name, disks) = (request.machine.clone(), request.disks.clone());
            self.may_register(&MachineAdd { name, disks })?;
        }
        let reprotected =
            reprotect::answer(&self.node, &self.jobs, request, |machine| self.describe(machine))?;
        self.settle()?;
        Ok(reprotected)
    }

    fn point_verify(&self, request: PointVerify) -> Result<JobStarted, ApiError> {
        let to = self.find(&request.machine, request.point, wire::Consistency::Fuzzy)?;
        Ok(JobStarted { job: Some(self.begin(&request.machine, JobWork::Verify { to })?) })
    }

    fn point_view(&self, request: PointView) -> Result<View, ApiError> {
        let floor = if request.inconsistent_ok { wire::Consistency::Fuzzy } else { wire::Consistency::Crash };
        let to = self.find(&request.machine, request.point, floor)?;
        let view = self.node.open_view(&request.machine, to).map_err(|error| api_error(&error))?;
        let wanted = Wanted { scratch: request.scratch_bytes.map(ByteLen), listen: request.listen };
        let free = self.node.usage().map_err(|error| api_error(&error))?.free;
        let point = report::named(&self.machine(&request.machine)?.shared.lock(), to);
        self.views.open(view, point, &wanted, free, now())
    }

    fn view_list(&self) -> Result<control::api::Views, ApiError> {
        Ok(control::api::Views { time: now().into(), views: self.views.list() })
    }

    fn view_close(&self, id: u64) -> Result<View, ApiError> {
        self.views.close(id)
    }

    fn job_list(&self) -> Result<Jobs, ApiError> {
        Ok(Jobs { time: now().into(), jobs: self.all_jobs()? })
    }

    fn job_show(&self, id: JobId) -> Result<Job, ApiError> {
        let job = self.jobs.find(id.0)?;
        Ok(Job { log: job_report::log(&job), ..self.describe_job(&job) })
    }

    fn job_cancel(&self, id: JobId) -> Result<Job, ApiError> {
        let job = self.jobs.cancel(id.0)?;
        Ok(Job { log: job_report::log(&job), ..self.describe_job(&job) })
    }

    fn job_start(&self, request: JobStart) -> Result<JobStarted, ApiError> {
        let work = crate::jobs::Jobs::work_of(request.kind);
        Ok(JobStarted { job: Some(self.begin(&request.machine, work)?) })
    }

    fn manifest_list(&self, machine: &MachineName) -> Result<Manifests, ApiError> {
        let manifests = self.node.manifests(machine).map_err(|error| api_error(&error))?;
        let manifests = manifests.iter().map(|(number, bytes)| notary::entry(*number, bytes)).collect();
        Ok(Manifests { machine: machine.clone(), manifests })
    }

    fn manifest_show(&self, request: ManifestShow) -> Result<ManifestFile, ApiError> {
        let mut manifests = self.node.manifests(&request.machine).map_err(|error| api_error(&error))?;
        manifests.retain(|(number, _)| request.number.is_none_or(|wanted| wanted == *number));
        let which = request.number.map_or_else(String::new, |number| format!(" with number {number}"));
        let what = format!("machine {} has no manifest{which}", request.machine);
        let found = manifests.last().ok_or_else(|| ApiError::new(Code::ManifestNone, what))?;
        Ok(notary::file(found.0, &found.1))
    }

    fn retention_scrub(&self, request: RetentionScrub) -> Result<Scrubs, ApiError> {
        let machines = match &request.machine {
            Some(name) => vec![self.machine(name)?],
            None => self.node.machines(),
        };
        let wish = ScrubWish { now: request.now, rate: request.rate, paused: request.paused };
        for machine in &machines {
            self.node.scrub(machine, wish).map_err(|source| {
                api_error(&target::TargetError::Replica { name: machine.name.clone(), source })
            })?;
        }
        let describe = |machine: &Arc<target::Machine>| MachineScrub {
            machine: machine.name.clone(),
            scrub: scrub::scrub(&machine.scrub, now()),
        };
        Ok(Scrubs { time: now().into(), machines: machines.iter().map(describe).collect() })
    }

    fn retention_show(&self, machine: Option<&MachineName>) -> Result<Retention, ApiError> {
        let machines = self.some_machines(machine)?;
        let commits = self.commit_book();
        let history = |machine: &Arc<target::Machine>| {
            report::history(machine, &commits, self.forecast(machine), now())
        };
        let machines = machines.iter().map(history).collect();
        Ok(Retention { time: now().into(), volume: self.volume()?, machines })
    }

    fn retention_plan(&self, machine: Option<&MachineName>) -> Result<Expiry, ApiError> {
        keeping::expiry(&self.node, &self.some_machines(machine)?, now())
    }

    fn policy_show(&self, machine: Option<&MachineName>) -> Result<Policies, ApiError> {
        Ok(keeping::policies(&self.node, &self.some_machines(machine)?, &self.commit_book(), now()))
    }

    fn policy_set(&self, request: PolicySet) -> Result<PolicyChanged, ApiError> {
        let changed = keeping::set(&self.node, &self.commits, request)?;
        self.settle()?;
        Ok(changed)
    }

    fn point_pin(&self, request: PointPin) -> Result<Pins, ApiError> {
        let sequence = self.find(&request.machine, request.point, wire::Consistency::Fuzzy)?;
        keeping::pin(&self.node, request, sequence, now())
    }

    fn preflight(&self, machine: Option<&MachineName>) -> Result<control::api::Preflight, ApiError> {
        if let Some(name) = machine {
            self.machine(name)?;
        }
        Ok(self.jobs.preflight.look(machine))
    }

    fn server_token(&self, request: ServerToken) -> Result<JoinTokenMade, ApiError> {
        self.servers()?.token(request)
    }

    fn server_list(&self) -> Result<control::api::Servers, ApiError> {
        self.servers()?.list()
    }

    fn server_revoke(&self, request: ServerRevoke) -> Result<ServerEntry, ApiError> {
        self.servers()?.revoke(self.node.name(), request)
    }

    fn point_unpin(&self, request: PointUnpin) -> Result<Pins, ApiError> {
        let sequence = match request.point {
            FailbackTo::Sequence(sequence) => sequence,
            point => self.find(&request.machine, point, wire::Consistency::Fuzzy)?,
        };
        keeping::unpin(&self.node, request, sequence, now())
    }
}

/// Returns a machine's new id.
pub(crate) fn random_id() -> Result<MachineId, ApiError> {
    let no_random = |error| ApiError::new(Code::Internal, "no random bytes can be had").because(error);
    Ok(MachineId(random_bytes().map_err(no_random)?))
}

/// Returns a target disk as it was offered.
pub(crate) fn offer(disk: &control::api::DiskChoice) -> DiskOffer {
    let files = if disk.allow_file { FilePolicy::Allow } else { FilePolicy::Refuse };
    DiskOffer { path: disk.path.clone(), files }
}

fn granules(piece: &Piece) -> u64 {
    piece.span.len.granules()
}

fn origin(piece: &Piece) -> ContentOrigin {
    match (&piece.entry.extent.encoding, piece.entry.log) {
        (wire::Encoding::Zero, _) => ContentOrigin::Zero,
        (_, Log::Redo) => ContentOrigin::Redo,
        (_, Log::Undo) => ContentOrigin::Undo,
    }
}

fn contents(plan: &RewindPlan) -> Vec<Content> {
    let of = |wanted: ContentOrigin| {
        let pieces = || plan.pieces.iter().filter(move |piece| origin(piece) == wanted);
        let bytes = pieces().map(|piece| piece.span.len.0).sum();
        Content { origin: wanted, granules: pieces().map(granules).sum(), bytes }
    };
    [ContentOrigin::Redo, ContentOrigin::Undo, ContentOrigin::Zero]
        .map(of)
        .into_iter()
        .filter(|c| c.bytes > 0)
        .collect()
}

fn plan_disk(plan: &RewindPlan, index: usize, path: &str) -> PlanDisk {
    let index = DiskIndex(u16::try_from(index).expect("a machine has at most 256 disks"));
    let pieces = || plan.pieces.iter().filter(|piece| piece.span.disk == index);
    let write_bytes = pieces().map(|piece| piece.span.len.0).sum();
    PlanDisk { index, path: path.to_owned(), granules: pieces().map(granules).sum(), write_bytes }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}
