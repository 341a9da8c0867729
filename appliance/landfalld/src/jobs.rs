//! Jobs that survive landfalld: kept in the catalog, carried out by a thread each.
//!
//! The order: 1. the job is durable, and with it its claim on the machine; 2. a step is carried out; 3. that it is done is durable; and so
//! on; at last the end is durable, and with it the claim is gone. A landfalld that finds a job under way when it starts goes on with the step
//! whose end was not noted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use catalog::{Catalog, CatalogError, Change, Expect, Row, Table};
use control::heartbeat::Orders;
use control::{ApiError, Code};
use inventory::{Job, JobClaim, JobEvent, JobOrigin, JobWork, Record as _, forgettable_jobs};
use target::replica::Progress;
use target::{MasterTarget, Occupied, TargetError};
use units::MachineName;

use crate::answers::now;
use crate::failure::api_error;
use crate::groups::unusable;
use crate::preflight::Preflight;

/// Attempts to give a job its number while others start some.
const ATTEMPTS_MAX: usize = 64;
/// How long the end of the job before may take to be seen everywhere.
const OCCUPY_WAIT: Duration = Duration::from_secs(5);
/// Between two attempts to note something in a catalog that fails.
const NOTE_AGAIN: Duration = Duration::from_secs(1);

/// The jobs of this server.
pub(crate) struct Jobs {
    catalog: Arc<dyn Catalog>,
    table: Table<Job>,
    claims: Table<JobClaim>,
    pub(crate) node: Arc<MasterTarget>,
    /// Orders to sources, once there are any.
    pub(crate) orders: OnceLock<Orders>,
    /// Judges before each job.
    pub(crate) preflight: Preflight,
    running: Mutex<BTreeMap<u64, Arc<Running>>>,
    ended: Condvar,
}

/// A job that a thread of this process carries out.
pub(crate) struct Running {
    /// When it was begun or taken up here.
    since: Instant,
    /// Somebody wants it to end.
    pub(crate) stop: AtomicBool,
    counted: Mutex<Counted>,
}

/// How far a running job is.
#[derive(Default)]
struct Counted {
    /// Bytes that the steps before have done.
    before: u64,
    /// The step under way, if its work counts itself.
    progress: Option<Arc<Progress>>,
    /// Bytes done and to do in the step under way, where nothing counts itself.
    told: (u64, u64),
    /// Bytes that the steps behind will have to do, as far as is known.
    behind: u64,
}

impl Jobs {
    /// Keeps jobs of `node` in this catalog.
    pub(crate) fn new(catalog: Arc<dyn Catalog>, node: Arc<MasterTarget>) -> Arc<Self> {
        let (table, claims) = (Table::new(catalog.clone()), Table::new(catalog.clone()));
        let (orders, running, ended) = (OnceLock::new(), Mutex::default(), Condvar::new());
        let preflight = Preflight::new(node.clone());
        Arc::new(Self { catalog, table, claims, node, orders, preflight, running, ended })
    }

    /// Takes up what an earlier landfalld has begun. Errors: the catalog fails.
    pub(crate) fn take_up(self: &Arc<Self>) -> Result<(), CatalogError> {
        for Row { record, .. } in self.table.list()?.rows {
            if record.has_ended() {
                continue;
            }
            tracing::info!(job = record.id, kind = record.work.kind(), machine = %record.machine, "job taken up again");
            let job = self.note(record.id, &JobEvent::TakenUp);
            self.carry_on(job);
        }
        Ok(())
    }

    /// Starts a job; durable on return. Errors: another one of this machine is under way, the catalog fails.
    pub(crate) fn start(self: &Arc<Self>, machine: &MachineName, work: JobWork) -> Result<u64, ApiError> {
        self.start_for(machine, work, None)
    }

    /// Starts a job for a step of a recovery plan, or for nobody in particular; durable on return. Errors: as [`Jobs::start`].
    pub(crate) fn start_for(
        self: &Arc<Self>,
        machine: &MachineName,
        work: JobWork,
        origin: Option<JobOrigin>,
    ) -> Result<u64, ApiError> {
        for _ in 0..ATTEMPTS_MAX {
            self.refuse_if_busy(machine)?;
            let known = self.list()?;
            let id = known.last().map_or(0, |job| job.id) + 1;
            let job = Job { origin: origin.clone(), ..Job::new(id, machine.clone(), work.clone(), now()) };
            let claim = JobClaim { machine: machine.clone(), job: id };
            let changes = [Change::put(&job, Expect::Absent), Change::put(&claim, Expect::Absent)];
            match self.catalog.commit(&changes) {
                Err(error) if error.is_conflict() => continue,
                Err(error) => return Err(unusable(&error)),
                Ok(_) => {}
            }
            tracing::info!(job = id, kind = work.kind(), %machine, "job started");
            self.forget_old(&known);
            self.carry_on(job);
            return Ok(id);
        }
        let what = format!("no {} of machine {machine} was started", work.kind());
        Err(ApiError::new(Code::Internal, what)
            .because("others start jobs at the same time, again and again"))
    }

    /// Starts a job and waits until it has ended. Errors: as [`Jobs::start`]; the job failed.
    pub(crate) fn do_now(self: &Arc<Self>, machine: &MachineName, work: JobWork) -> Result<Job, ApiError> {
        let id = self.start(machine, work)?;
        let mut running = self.lock();
        while running.contains_key(&id) {
            running = self.ended.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        drop(running);
        let job = self.find(id)?;
        match &job.error {
            None => Ok(job),
            Some(error) => {
                let code = Code::find(&error.code).unwrap_or(Code::JobFailed);
                let failed = ApiError::new(code, error.what.clone());
                Err(failed.because(&error.cause).fixed_by(error.fix.clone()))
            }
        }
    }

    /// Has a job end before its next step; durable on return. Errors: it has ended, or there is none such.
    pub(crate) fn cancel(&self, id: u64) -> Result<Job, ApiError> {
        let job = self.find(id)?;
        if job.has_ended() {
            return Err(ApiError::new(Code::JobEnded, format!("job {id} was left as it is")));
        }
        let job = self.note(id, &JobEvent::StopWanted);
        if let Some(running) = self.running(id) {
            running.stop.store(true, Ordering::Relaxed);
        }
        Ok(job)
    }

    /// Returns every job, by number.
    pub(crate) fn list(&self) -> Result<Vec<Job>, ApiError> {
        let rows = self.table.list().map_err(|error| unusable(&error))?.rows;
        Ok(rows.into_iter().map(|row| row.record).collect())
    }

    /// Returns one job. Errors: there is none such.
    pub(crate) fn find(&self, id: u64) -> Result<Job, ApiError> {
        let found = self.table.get(&format!("{id:012}")).map_err(|error| unusable(&error))?;
        let unknown = || ApiError::new(Code::JobUnknown, format!("job {id} is not known"));
        found.map(|row| row.record).ok_or_else(unknown)
    }

    /// Returns how a job goes that is carried out here.
    pub(crate) fn running(&self, id: u64) -> Option<Arc<Running>> {
        self.lock().get(&id).cloned()
    }

    /// Refuses what would meet a job under way.
    pub(crate) fn refuse_if_busy(&self, machine: &MachineName) -> Result<(), ApiError> {
        match self.claims.get(machine.as_str()).map_err(|error| unusable(&error))? {
            None => Ok(()),
            Some(Row { record, .. }) => {
                Err(api_error(&TargetError::Busy { name: machine.clone(), job: record.job }))
            }
        }
    }

    /// Carries a job out on a thread of its own.
    fn carry_on(self: &Arc<Self>, job: Job) {
        let id = job.id;
        let running = Arc::new(Running {
            since: Instant::now(),
            stop: AtomicBool::new(job.stop),
            counted: Mutex::new(Counted { before: job.found.done_bytes, ..Counted::default() }),
        });
        self.lock().insert(id, running.clone());
        let jobs = self.clone();
        let work = move || {
            jobs.run(job, &running);
            jobs.lock().remove(&id);
            jobs.ended.notify_all();
        };
        if let Err(error) = std::thread::Builder::new().name("job".to_owned()).spawn(work) {
            // It stays under way in the catalog, and is taken up at the next start.
            tracing::error!(job = id, %error, "no thread for a job");
            self.lock().remove(&id);
        }
    }

    fn run(&self, mut job: Job, running: &Running) {
        let occupied = self.occupy(&job);
        let mut occupied = match occupied {
            Ok(occupied) => Some(occupied),
            Err(error) => {
                self.note(job.id, &JobEvent::StepFailed(Box::new(crate::job_run::job_error(&error))));
                return;
            }
        };
        while let Some(step) = job.next() {
            let event = self.carry_out(&job, step, running);
            // Whoever hears that it has ended may begin with the machine at once.
            if job.clone().after(event.clone(), now()).has_ended() {
                occupied = None;
            }
            job = self.note(job.id, &event);
        }
        drop(occupied);
        tracing::info!(job = job.id, kind = job.work.kind(), machine = %job.machine, state = ?job.state, "job ended");
    }

    fn occupy(&self, job: &Job) -> Result<Occupied, ApiError> {
        let begun = Instant::now();
        loop {
            match self.node.occupy(&job.machine, job.id) {
                Err(TargetError::Busy { .. }) if begun.elapsed() < OCCUPY_WAIT => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                occupied => return occupied.map_err(|error| api_error(&error)),
            }
        }
    }

    /// Notes what happened; durable on return, however long the catalog takes to be usable. Returns the job as it is then.
    fn note(&self, id: u64, event: &JobEvent) -> Job {
        let mut told = false;
        loop {
            match self.try_note(id, event) {
                Ok(Some(job)) => return job,
                Ok(None) => {}
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(job = id, %error, "what a job has done can't be noted: it waits");
                    }
                    std::thread::sleep(NOTE_AGAIN);
                }
            }
        }
    }

    fn try_note(&self, id: u64, event: &JobEvent) -> Result<Option<Job>, CatalogError> {
        let row = self.table.get(&format!("{id:012}"))?;
        let Row { record, revision } = row.expect("a job is kept until it has ended");
        let job = record.after(event.clone(), now());
        let mut changes = vec![Change::put(&job, Expect::At(revision))];
        if job.has_ended() {
            let claim = JobClaim { machine: job.machine.clone(), job: id };
            changes.push(Change::remove(claim.key(), Expect::Any));
        }
        match self.catalog.commit(&changes) {
            Ok(_) => Ok(Some(job)),
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn forget_old(&self, known: &[Job]) {
        for id in forgettable_jobs(known) {
            if let Err(error) = self.table.remove(&format!("{id:012}"), Expect::Any) {
                tracing::warn!(job = id, %error, "an old job was not forgotten");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Begins a step whose work counts itself; `behind` bytes follow it.
    pub(crate) fn count(&self, before: u64, progress: Arc<Progress>, behind: u64) {
        *self.counted() = Counted { before, progress: Some(progress), told: (0, 0), behind };
    }

    /// Tells how far a step is that does not count itself.
    pub(crate) fn tell(&self, before: u64, done: u64, total: u64) {
        *self.counted() = Counted { before, progress: None, told: (done, total), behind: 0 };
    }

    /// Returns bytes done and bytes to do, over all steps, and the seconds since it was begun here.
    pub(crate) fn bytes(&self) -> (u64, u64, f64) {
        let counted = self.counted();
        let (done, total) = counted.progress.as_ref().map_or(counted.told, |progress| progress.bytes());
        let (before, behind) = (counted.before, counted.behind);
        // What is to do is not known before its plan is made.
        let total = if total == 0 { 0 } else { before + total + behind };
        (before + done, total, self.since.elapsed().as_secs_f64())
    }

    /// Tells whether somebody wants it to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
