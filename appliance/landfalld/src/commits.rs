//! What becomes of machines by themselves that stand at a recovery point: kept in the catalog, carried out by the appliance's clock.
//!
//! The order: 1. since when a machine stands at its point is durable; 2. its time is over; 3. the desk is asked as by anybody, so that it
//! is on record and refused for the same reasons, and a job carries it out. A landfalld that is killed in between finds the machine where it
//! stands and the time over, and asks again, unless a job is under way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use catalog::{Catalog, CatalogError, Expect, Row, Table};
use control::api::{Cancel, Commit, CommitBy, CommitDeadline, PolicyChange, Request};
use control::{ApiError, Caller, Code, Desk};
use inventory::{ClockJump, CommitDue, CommitPolicy, CommitSubject, JobWork, Stand, Standing};
use retention::Lifecycle;
use target::Machine;
use units::{MachineName, Sequence, Timestamp};

use crate::answers::{Answers, now};
use crate::groups::unusable;

/// How long after an attempt that failed the next one is made.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What becomes of machines by themselves.
pub(crate) struct Commits {
    policies: Table<CommitPolicy>,
    standings: Table<Standing>,
    refused: Mutex<BTreeMap<MachineName, Refused>>,
    /// When time passed last, by both clocks.
    passed: Mutex<(Instant, Timestamp)>,
}

/// Something that should have happened and did not.
struct Refused {
    why: String,
    /// When it is tried again.
    again: Instant,
}

/// A machine that stands at a recovery point, and what becomes of it.
type Noted = (Arc<Machine>, Option<CommitDue>);

/// What was known at one moment.
#[derive(Debug)]
pub(crate) struct CommitBook {
    default: CommitPolicy,
    own: BTreeMap<MachineName, CommitPolicy>,
    standings: BTreeMap<MachineName, Standing>,
    refused: BTreeMap<MachineName, String>,
}

/// A change of what becomes of machines by themselves.
#[derive(Debug)]
pub(crate) struct CommitChange {
    pub(crate) before: CommitPolicy,
    pub(crate) after: CommitPolicy,
    step: Step,
}

/// What of a change is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Put,
    /// The machine has the default again.
    Forget,
}

impl Commits {
    /// Keeps them in a catalog.
    pub(crate) fn new(catalog: Arc<dyn Catalog>) -> Self {
        let (policies, standings) = (Table::new(catalog.clone()), Table::new(catalog));
        let passed = Mutex::new((Instant::now(), now()));
        Self { policies, standings, refused: Mutex::default(), passed }
    }

    /// Returns what is known now.
    pub(crate) fn book(&self) -> Result<CommitBook, CatalogError> {
        let mut book = CommitBook {
            default: CommitPolicy::none(),
            own: BTreeMap::new(),
            standings: BTreeMap::new(),
            refused: self
                .refused()
                .iter()
                .map(|(name, refused)| (name.clone(), refused.why.clone()))
                .collect(),
        };
        for Row { record, .. } in self.policies.list()?.rows {
            match record.of.as_ref().map(|of| of.machine.clone()) {
                Some(machine) => drop(book.own.insert(machine, record)),
                None => book.default = record,
            }
        }
        let standings = self.standings.list()?.rows.into_iter().map(|row| row.record);
        book.standings = standings.map(|standing| (standing.of.machine.clone(), standing)).collect();
        Ok(book)
    }

    /// Returns what a change comes to, of a machine or of the default; nothing is written. Errors: a time out of bounds, the catalog.
    pub(crate) fn change(
        &self,
        machine: Option<&Machine>,
        change: &PolicyChange,
    ) -> Result<CommitChange, ApiError> {
        let book = self.book().map_err(|error| unusable(&error))?;
        let before = machine.map_or(&book.default, |machine| book.of(machine)).clone();
        if change.inherit {
            return Ok(CommitChange { before, after: book.default, step: Step::Forget });
        }
        let after = CommitPolicy {
            of: machine.map(subject),
            by: change.commit.unwrap_or(before.by),
            after_seconds: change.commit_after_seconds.unwrap_or(before.after_seconds),
        };
        if !after.is_lawful() {
            let error = ApiError::new(Code::PolicyValue, "the policy is not changed");
            let found = after.after_seconds;
            return Err(
                error.because(format!("the time until it is committed is {found} s, allowed is 10s to 31d"))
            );
        }
        let told = change.commit.is_some() || change.commit_after_seconds.is_some();
        Ok(CommitChange { before, after, step: if told { Step::Put } else { Step::Nothing } })
    }

    /// Carries a change out; durable on return.
    pub(crate) fn carry_out(&self, machine: Option<&Machine>, change: &CommitChange) -> Result<(), ApiError> {
        let done = match (change.step, machine) {
            (Step::Put, _) => self.policies.put(&change.after).map(drop),
            (Step::Forget, Some(machine)) => self.forget_policy(&machine.name),
            (Step::Forget, None) | (Step::Nothing, _) => Ok(()),
        };
        done.map_err(|error| unusable(&error))
    }

    /// Forgets a machine that is gone. What stays by a crash is of its id, and of no other machine.
    pub(crate) fn forget(&self, machine: &MachineName) {
        let forgotten = self.forget_policy(machine);
        let forgotten = forgotten.and_then(|()| self.standings.remove(machine.as_str(), Expect::Any));
        if let Err(error) = forgotten {
            tracing::warn!(%machine, %error, "the commit policy of a removed machine stays on record");
        }
    }

    fn forget_policy(&self, machine: &MachineName) -> Result<(), CatalogError> {
        self.policies.remove(&CommitPolicy::name_of(machine), Expect::Any).map(drop)
    }

    /// Lets time pass: notes who stands at a point since when, and has done what is due.
    pub(crate) fn pass(&self, answers: &Answers, desk: &Desk) {
        let standing = match self.note(answers) {
            Ok(standing) => standing,
            Err(error) => return tracing::error!(error = %error, "the deadlines are not kept"),
        };
        self.refused().retain(|name, _| standing.iter().any(|(machine, _)| machine.name == *name));
        for (machine, due) in standing {
            if due.is_some_and(|due| due.at <= now()) && !self.waits(&machine.name) {
                self.act(answers, desk, &machine.name, due.expect("it is due").by);
            }
        }
    }

    /// Brings the records up to what is, and returns the machines that stand at a point, with what becomes of them.
    fn note(&self, answers: &Answers) -> Result<Vec<Noted>, ApiError> {
        let unusable = |error: CatalogError| unusable(&error);
        let at = |machine: &Machine| match machine.shared.lock().lifecycle {
            Lifecycle::Rewound { at } => Some(at),
            _ => None,
        };
        let (book, jump) = (self.book().map_err(unusable)?, self.jump());
        let mut standing = Vec::new();
        for machine in answers.node.machines() {
            match at(&machine) {
                Some(at) => standing.push((machine, at)),
                None if book.standings.contains_key(&machine.name) => {
                    self.standings.remove(machine.name.as_str(), Expect::Any).map(drop).map_err(unusable)?;
                }
                None => {}
            }
        }
        if standing.is_empty() {
            return Ok(Vec::new());
        }
        let jobs = answers.jobs.list()?;
        let mut noted = Vec::new();
        for (machine, at) in standing {
            let before = book.standings.get(&machine.name);
            let shifted = before.zip(jump).map(|(before, jump)| before.shifted(jump));
            let (job, reached) = brought_by(&jobs, &machine.name, at);
            let is = (subject(&machine), Stand { at, job });
            let record = Standing::noted(shifted.as_ref().or(before), is, book.of(&machine), reached, now());
            if before != Some(&record) {
                self.standings.put(&record).map_err(unusable)?;
            }
            noted.push((machine, record.due()));
        }
        Ok(noted)
    }

    /// Tells whether the clock was set since time passed last.
    fn jump(&self) -> Option<ClockJump> {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let ((instant, before), after) = (*passed, (Instant::now(), now()));
        *passed = after;
        let jump = ClockJump::between(before, after.0.saturating_duration_since(instant), after.1);
        if let Some(jump) = jump {
            tracing::warn!(?jump, "the clock was set; deadlines move with it");
        }
        jump
    }

    /// Asks for what is due, unless a job of the machine is under way: then there is time when it has ended.
    fn act(&self, answers: &Answers, desk: &Desk, machine: &MachineName, by: CommitBy) {
        if answers.jobs.refuse_if_busy(machine).is_err() {
            return;
        }
        let (work, request) = match by {
            CommitBy::None => return,
            CommitBy::Commit => {
                let confirm = machine.to_string();
                (JobWork::Commit, Request::from(Commit { machine: machine.clone(), confirm }))
            }
            CommitBy::Cancel => (JobWork::Cancel, Cancel { machine: machine.clone() }.into()),
        };
        // What is refused anyway is not asked for again and again: each time would be on record.
        let possible = answers.may_end(machine, &work);
        let asked = possible.map_err(|error| (error, Duration::ZERO)).and_then(|()| {
            tracing::info!(%machine, work = work.kind(), "the time is over");
            desk.call(&Caller::System, request).map_err(|error| (error, AGAIN_AFTER))
        });
        match asked {
            Ok(_) => drop(self.refused().remove(machine)),
            Err((error, pause)) => {
                let refused = Refused { why: error.to_string(), again: Instant::now() + pause };
                self.refused().insert(machine.clone(), refused);
            }
        }
    }

    /// Tells whether the last attempt failed not long ago.
    fn waits(&self, machine: &MachineName) -> bool {
        self.refused().get(machine).is_some_and(|refused| Instant::now() < refused.again)
    }

    fn refused(&self) -> MutexGuard<'_, BTreeMap<MachineName, Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CommitBook {
    /// Returns what holds where nothing can be read: nothing happens by itself.
    pub(crate) fn nothing() -> Self {
        let (own, standings, refused) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { default: CommitPolicy::none(), own, standings, refused }
    }

    /// Returns the policy of machines that have none of their own.
    pub(crate) fn default(&self) -> &CommitPolicy {
        &self.default
    }

    /// Returns a machine's own policy.
    pub(crate) fn own(&self, machine: &Machine) -> Option<&CommitPolicy> {
        self.own.get(&machine.name).filter(|policy| policy.of.as_ref() == Some(&subject(machine)))
    }

    /// Returns the policy that is in force for a machine.
    pub(crate) fn of(&self, machine: &Machine) -> &CommitPolicy {
        self.own(machine).unwrap_or(&self.default)
    }

    /// Returns what becomes of a machine by itself, if anything does.
    pub(crate) fn deadline(&self, machine: &Machine, now: Timestamp) -> Option<CommitDeadline> {
        let standing =
            self.standings.get(&machine.name).filter(|standing| standing.of == subject(machine))?;
        let due = standing.due()?;
        let refused = self.refused.get(&machine.name).cloned();
        Some(CommitDeadline { by: due.by, at: due.at.into(), soon: due.notice <= now, refused })
    }
}

fn subject(machine: &Machine) -> CommitSubject {
    CommitSubject { machine: machine.name.clone(), id: machine.id }
}

/// Returns the job that brought a machine to the point where it stands, and when, as far as that is known.
fn brought_by(
    jobs: &[inventory::Job],
    machine: &MachineName,
    at: Sequence,
) -> (Option<u64>, Option<Timestamp>) {
    let of = |job: &&inventory::Job| job.machine == *machine && matches!(job.work, JobWork::Failback { .. });
    let last = jobs.iter().rev().find(of).filter(|job| job.work.point() == Some(at));
    (last.map(|job| job.id), last.and_then(|job| job.found.reached).map(|reached| reached.0))
}
