//! Requests from elsewhere that would destroy something, in the catalog: they wait until somebody here confirms them or their time is over.
//!
//! The time that is left is counted while landfalld runs, and made durable once a minute: neither a clock that is set nor a restart shortens it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use catalog::{Catalog, CatalogError, Expect, Table};
use control::api::{PendingApprove, PendingCommand, PendingCommands, PendingStatus, Request};
use control::{ApiError, Caller, Code, Deed, Desk, PendingService, decode_request};
use inventory::{
    Asker, PENDING_MAX, Pending, PendingOutcome, PendingState, Record as _, forgettable_pending,
};

use crate::answers::{Answers, now};
use crate::groups::unusable;

/// How often the time that has passed is made durable, at the most.
const STEP: Duration = Duration::from_secs(60);
/// Parts of the whole time that pass before that, where it is short.
const STEP_PART: u32 = 20;
/// Attempts to give a request its number while others come.
const ATTEMPTS_MAX: usize = 64;

/// What waits on this server, and what has.
pub(crate) struct Pendings {
    table: Table<Pending>,
    /// How long a request waits.
    wait: Duration,
    /// Until when the time that has passed is taken off.
    counted: Mutex<Instant>,
}

impl Pendings {
    /// Keeps them in a catalog; what an earlier landfalld was doing when it ended is interrupted. Errors: the catalog.
    pub(crate) fn open(catalog: Arc<dyn Catalog>, wait: Duration) -> Result<Self, CatalogError> {
        let table = Table::new(catalog);
        let pendings = Self { table, wait, counted: Mutex::new(Instant::now()) };
        for pending in pendings.all()? {
            if let Some(interrupted) = pending.ended(PendingOutcome::Interrupted, now()) {
                tracing::warn!(
                    id = pending.id,
                    action = pending.action,
                    "what was confirmed was interrupted"
                );
                pendings.table.put(&interrupted)?;
            }
        }
        Ok(pendings)
    }

    /// Lets time pass, and has done what has waited long enough.
    pub(crate) fn pass(&self, desk: &Desk) {
        match self.count() {
            Ok(due) => {
                for id in due {
                    if let Err(error) = desk.call(&Caller::System, PendingApprove { id }.into()) {
                        tracing::warn!(id, error = %error, "what has waited its time was not done");
                    }
                }
            }
            Err(error) => tracing::error!(%error, "the time of what waits is not counted"),
        }
    }

    /// Takes what has passed off what is left, and returns what is due.
    fn count(&self) -> Result<Vec<u64>, CatalogError> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let step = STEP.min(self.wait / STEP_PART).max(Duration::from_secs(1));
        let passed = counted.elapsed().as_secs();
        if passed < step.as_secs() {
            return Ok(Vec::new());
        }
        *counted += Duration::from_secs(passed);
        let mut due = Vec::new();
        for pending in self.all()? {
            let changed = self.table.update(&pending.name(), |found| {
                Ok::<_, CatalogError>(found.and_then(|pending| pending.after(passed)))
            })?;
            due.extend(changed.filter(Pending::is_due).map(|pending| pending.id));
        }
        Ok(due)
    }

    fn all(&self) -> Result<Vec<Pending>, CatalogError> {
        Ok(self.table.list()?.rows.into_iter().map(|row| row.record).collect())
    }

    /// Says what waits, for people.
    pub(crate) fn waiting(&self) -> Result<Vec<String>, CatalogError> {
        let told = |pending: Pending| {
            let PendingState::Waiting { seconds_left } = pending.state else { return None };
            let Pending { id, action, subject, by, .. } = pending;
            let (who, at) = (caller_of(&by), now().after(Duration::from_secs(seconds_left)));
            Some(format!(
                "{who} wants {action} {subject}: done at {at} unless `landfall pending cancel {id}`"
            ))
        };
        Ok(self.all()?.into_iter().filter_map(told).collect())
    }

    fn hold(&self, by: Asker, deed: &Deed, request: &Request) -> Result<Pending, ApiError> {
        let text = serde_json::to_string(request).expect("requests hold only what JSON can write");
        for _ in 0..ATTEMPTS_MAX {
            let all = self.all().map_err(|error| unusable(&error))?;
            let waiting = || all.iter().filter(|pending| pending.waits());
            if let Some(same) = waiting().find(|pending| pending.by == by && pending.request == text) {
                return Ok(same.clone());
            }
            if waiting().count() >= PENDING_MAX {
                return Err(ApiError::new(Code::PendingMost, format!("{} was not taken", deed.action)));
            }
            let pending = Pending {
                id: all.last().map_or(0, |pending| pending.id) + 1,
                by: by.clone(),
                action: deed.action.clone(),
                subject: deed.subject.clone(),
                request: text.clone(),
                asked: now().into(),
                state: PendingState::Waiting { seconds_left: self.wait.as_secs() },
            };
            match self.table.insert(&pending) {
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(unusable(&error)),
                Ok(_) => {
                    self.forget_old(&all);
                    tracing::warn!(
                        id = pending.id,
                        action = pending.action,
                        "a request waits to be confirmed"
                    );
                    return Ok(pending);
                }
            }
        }
        Err(ApiError::new(Code::Internal, "the request was not taken").because("others come all the time"))
    }

    fn forget_old(&self, all: &[Pending]) {
        for id in forgettable_pending(all) {
            if let Err(error) = self.table.remove(&format!("{id:012}"), Expect::Any) {
                tracing::warn!(id, %error, "what has waited long ago was not forgotten");
            }
        }
    }

    /// Changes one; durable on return. Errors: there is none such, or the change is not possible any more.
    fn change(
        &self,
        id: u64,
        mut change: impl FnMut(&Pending) -> Option<Pending>,
    ) -> Result<Pending, ApiError> {
        enum Refused {
            Catalog(CatalogError),
            Unknown,
            Ended,
        }
        impl From<CatalogError> for Refused {
            fn from(error: CatalogError) -> Self {
                Self::Catalog(error)
            }
        }
        let changed = self.table.update(&format!("{id:012}"), |found| {
            let found = found.ok_or(Refused::Unknown)?;
            change(found).map(Some).ok_or(Refused::Ended)
        });
        let what = format!("number {id} was left as it is");
        changed.map(|changed| changed.expect("it was changed")).map_err(|refused| match refused {
            Refused::Catalog(error) => unusable(&error),
            Refused::Unknown => ApiError::new(Code::PendingUnknown, what),
            Refused::Ended => ApiError::new(Code::PendingEnded, what),
        })
    }
}

impl PendingService for Answers {
    fn pending_hold(
        &self,
        caller: &Caller,
        deed: &Deed,
        request: &Request,
    ) -> Result<PendingCommand, ApiError> {
        let by = match caller {
            Caller::Operator(name) => Asker::Operator(name.clone()),
            Caller::Manager(name) => Asker::Manager(name.clone()),
            Caller::Local { .. } | Caller::Job(_) | Caller::System => {
                unreachable!("what is asked for here is done at once")
            }
        };
        Ok(described(&self.pendings.hold(by, deed, request)?))
    }

    fn pending_begin(&self, id: u64, by: &Caller) -> Result<(Caller, Request), ApiError> {
        let begun = self.pendings.change(id, |pending| pending.begun(&by.to_string()))?;
        Ok((caller_of(&begun.by), decode_request(begun.request.as_bytes())?))
    }

    fn pending_end(&self, id: u64, outcome: Result<(), &ApiError>) -> Result<PendingCommand, ApiError> {
        let outcome = match outcome {
            Ok(()) => PendingOutcome::Done,
            Err(error) => PendingOutcome::Failed(error.to_string()),
        };
        let ended = self.pendings.change(id, |pending| pending.ended(outcome.clone(), now()))?;
        Ok(described(&ended))
    }

    fn pending_cancel(&self, id: u64, by: &Caller) -> Result<PendingCommand, ApiError> {
        let cancelled = self.pendings.change(id, |pending| pending.cancelled(&by.to_string(), now()))?;
        Ok(described(&cancelled))
    }

    fn pending_list(&self) -> Result<PendingCommands, ApiError> {
        let all = self.pendings.all().map_err(|error| unusable(&error))?;
        Ok(PendingCommands { time: now().into(), commands: all.iter().rev().map(described).collect() })
    }
}

fn caller_of(by: &Asker) -> Caller {
    match by {
        Asker::Operator(name) => Caller::Operator(name.clone()),
        Asker::Manager(name) => Caller::Manager(name.clone()),
    }
}

fn described(pending: &Pending) -> PendingCommand {
    let (state, seconds_left, ended, why) = match &pending.state {
        PendingState::Waiting { seconds_left } => (PendingStatus::Waiting, Some(*seconds_left), None, None),
        PendingState::Begun { .. } => (PendingStatus::Begun, None, None, None),
        PendingState::Ended { outcome, at } => {
            let (state, why) = match outcome {
                PendingOutcome::Done => (PendingStatus::Done, None),
                PendingOutcome::Failed(why) => (PendingStatus::Failed, Some(why.clone())),
                PendingOutcome::Cancelled(who) => (PendingStatus::Cancelled, Some(format!("by {who}"))),
                PendingOutcome::Interrupted => (PendingStatus::Interrupted, None),
            };
            (state, None, Some(*at), why)
        }
    };
    PendingCommand {
        id: pending.id,
        who: caller_of(&pending.by).to_string(),
        action: pending.action.clone(),
        subject: pending.subject.clone(),
        asked: pending.asked,
        state,
        seconds_left,
        ended,
        why,
    }
}
