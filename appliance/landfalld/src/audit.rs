//! The audit log, in the catalog.

use std::sync::{Arc, Mutex, PoisonError};

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
}

impl AuditLog {
    /// Keeps the log in a catalog.
    pub(crate) fn new(catalog: Arc<dyn Catalog>) -> Self {
        let (entries, heads) = (Table::new(catalog.clone()), Table::new(catalog.clone()));
        Self { catalog, entries, heads, appending: Mutex::default() }
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
