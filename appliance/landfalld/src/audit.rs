//! The audit log, in the catalog.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use catalog::{Catalog, CatalogError, Change, Expect, Table};
use control::api::{self, AuditCheck, AuditList, AuditVerdict};
use control::{ApiError, Audit, Caller, Deed};
use inventory::{AuditDeed, AuditEntry, AuditHead, AuditOutcome, Record as _};

use crate::answers::now;
use crate::failure::catalog_failed as failed;

/// Attempts to append while another configuration server does.
const ATTEMPTS_MAX: usize = 32;
/// Entries that are listed at once.
const LISTED_MAX: usize = 10_000;
/// Letters of a reason that are kept.
const REASON_LEN_MAX: usize = 400;

/// The audit log of an installation.
#[derive(Debug)]
pub(crate) struct AuditLog {
    catalog: Arc<dyn Catalog>,
    entries: Table<AuditEntry>,
    heads: Table<AuditHead>,
    /// Held while this server appends: its entries need not race one another.
    appending: Mutex<()>,
    /// How long after one check of the whole log the next begins.
    check_every: Duration,
    checked: Mutex<Checked>,
}

/// What the checks by the clock have found.
#[derive(Debug, Default)]
struct Checked {
    /// When the last one was.
    last: Option<Instant>,
    problem: Option<String>,
}

impl AuditLog {
    /// Keeps the log in a catalog.
    pub(crate) fn new(catalog: Arc<dyn Catalog>, check_every: Duration) -> Self {
        let (entries, heads) = (Table::new(catalog.clone()), Table::new(catalog.clone()));
        Self { catalog, entries, heads, appending: Mutex::default(), check_every, checked: Mutex::default() }
    }

    /// Checks the whole log if that is due: at the first time, and then by the clock.
    pub(crate) fn look_after(&self, now: Instant) {
        let mut checked = self.checked();
        if checked.last.is_some_and(|last| now.saturating_duration_since(last) < self.check_every) {
            return;
        }
        checked.last = Some(now);
        match self.check(&AuditCheck { number: None, hash: None }) {
            Ok(AuditVerdict { problem: Some(problem), .. }) => {
                tracing::error!(problem, "the audit log is not as it was written");
                checked.problem = Some(problem);
            }
            Ok(_) => checked.problem = None,
            // What was found before stands; a catalog that can't be read is told of elsewhere.
            Err(error) => tracing::error!(error = %error, "the audit log can't be checked"),
        }
    }

    /// Says what the last check by the clock has found wrong.
    pub(crate) fn problem(&self) -> Option<String> {
        self.checked().problem.clone()
    }

    fn checked(&self) -> MutexGuard<'_, Checked> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an entry; durable on return.
    pub(crate) fn append(&self, deed: &AuditDeed) -> Result<(), CatalogError> {
        let _one_at_a_time = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
        for attempt in 1.. {
            match self.try_append(deed) {
                Err(error) if error.is_conflict() && attempt < ATTEMPTS_MAX => {}
                outcome => return outcome,
            }
        }
        unreachable!("the attempts have an end")
    }

    /// The entry, the new end of the log, and the new beginning where the oldest goes: all in one commit, or nothing.
    fn try_append(&self, deed: &AuditDeed) -> Result<(), CatalogError> {
        let known = self.heads.get(&AuditHead::default().name())?;
        let expect = known.as_ref().map_or(Expect::Absent, |row| Expect::At(row.revision));
        let mut head = known.map(|row| row.record).unwrap_or_default();
        let mut changes = Vec::new();
        if let Some(first) = head.surplus()
            && let Some(oldest) = self.entries.get(&format!("{first:012}"))?
        {
            head = head.without(&oldest.record);
            changes.push(Change::remove(oldest.record.key(), Expect::At(oldest.revision)));
        }
        let (entry, head) = head.append(deed.clone(), now().into());
        changes.push(Change::put(&entry, Expect::Absent));
        changes.push(Change::put(&head, expect));
        self.catalog.commit(&changes)?;
        // The log of the system is another place where it is known.
        let AuditEntry { number, who, action, subject, outcome, hash, .. } = &entry;
        tracing::info!(number, who, action, subject, ?outcome, %hash, "audit");
        Ok(())
    }

    /// Lists the newest entries, or those before one.
    pub(crate) fn list(&self, wanted: &AuditList) -> Result<api::AuditLog, ApiError> {
        let (head, mut entries) = self.all()?;
        let head = head.unwrap_or_default();
        entries.retain(|entry| wanted.before.is_none_or(|before| entry.number < before));
        let limit = match wanted.limit as usize {
            0 => LISTED_MAX,
            limit => limit.min(LISTED_MAX),
        };
        let entries = entries.split_off(entries.len().saturating_sub(limit));
        let entries = entries.into_iter().map(described).collect();
        Ok(api::AuditLog { time: now().into(), first: head.first, last: head.last, entries })
    }

    /// Says whether the log is as it was written.
    pub(crate) fn check(&self, wanted: &AuditCheck) -> Result<AuditVerdict, ApiError> {
        let (head, entries) = self.all()?;
        let known = wanted.number.zip(wanted.hash);
        let problem = AuditHead::check(head.as_ref(), &entries, known).err().map(|flaw| flaw.to_string());
        let head = head.unwrap_or_default();
        Ok(AuditVerdict { first: head.first, last: head.last, hash: head.hash, problem })
    }

    /// Reads the entries first: one that is appended meanwhile is behind the end that is read then, and left aside.
    fn all(&self) -> Result<(Option<AuditHead>, Vec<AuditEntry>), ApiError> {
        let read = || -> Result<_, CatalogError> {
            let listing = self.catalog.list("")?;
            let snapshot = catalog::Snapshot::of(listing);
            let head = snapshot.table::<AuditHead>()?.pop();
            Ok((head, snapshot.table::<AuditEntry>()?))
        };
        read().map_err(|error| failed("the audit log can't be read", &error))
    }
}

impl Audit for AuditLog {
    fn begun(&self, caller: &Caller, deed: &Deed) -> Result<(), ApiError> {
        let what = || format!("{} was not done: it can't be written down", deed.action);
        self.append(&entry(caller, deed, AuditOutcome::Begun)).map_err(|error| failed(&what(), &error))
    }

    fn ended(&self, caller: &Caller, deed: &Deed, outcome: Result<(), &ApiError>) {
        let outcome = match outcome {
            Ok(()) => AuditOutcome::Done,
            Err(error) => AuditOutcome::Refused(error.to_string().chars().take(REASON_LEN_MAX).collect()),
        };
        if let Err(error) = self.append(&entry(caller, deed, outcome)) {
            tracing::error!(%caller, action = deed.action, error = %error, "what came of a request is not written down");
        }
    }
}

fn entry(caller: &Caller, deed: &Deed, outcome: AuditOutcome) -> AuditDeed {
    let Deed { action, subject } = deed.clone();
    AuditDeed { who: caller.to_string(), action, subject, outcome }
}

fn described(entry: AuditEntry) -> api::AuditEntry {
    let AuditEntry { number, time, who, action, subject, outcome, hash, .. } = entry;
    let (outcome, why) = match outcome {
        AuditOutcome::Begun => (api::AuditOutcome::Begun, None),
        AuditOutcome::Done => (api::AuditOutcome::Done, None),
        AuditOutcome::Refused(why) => (api::AuditOutcome::Refused, Some(why)),
    };
    api::AuditEntry { number, time, who, action, subject, outcome, why, hash }
}

#[cfg(test)]
mod tests {
    use catalog::Sqlite;

    use super::*;

    #[test]
    fn a_log_that_was_changed_is_noticed_by_the_clock() {
        let directory = tempfile::tempdir().expect("a directory");
        let catalog = Arc::new(Sqlite::open(&directory.path().join("catalog.db")).expect("a catalog"));
        let (hour, begin) = (Duration::from_secs(3600), Instant::now());
        let log = AuditLog::new(catalog.clone(), hour);
        let deed = Deed { action: "machine-remove".to_owned(), subject: "web-01".to_owned() };
        log.begun(&Caller::System, &deed).expect("written");
        log.ended(&Caller::System, &deed, Ok(()));
        log.look_after(begin);
        assert_eq!(log.problem(), None);
        let entry = log.entries.get(&format!("{:012}", 1)).expect("read").expect("it is there").record;
        log.entries.put(&AuditEntry { who: "operator eve".to_owned(), ..entry.clone() }).expect("changed");
        log.look_after(begin + hour / 2);
        assert_eq!(log.problem(), None, "not yet");
        log.look_after(begin + hour);
        assert!(log.problem().is_some_and(|problem| problem.contains("entry 1")), "{:?}", log.problem());
        log.entries.put(&entry).expect("put back");
        log.look_after(begin + hour * 2);
        assert_eq!(log.problem(), None);
    }
}
