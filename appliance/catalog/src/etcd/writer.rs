//! Commits, each carried out once, whatever becomes of the answer.
//!
//! An endpoint that dies may have passed a commit on, or not, or may yet. So each commit of a server bears a number, and notes it under
//! the server's name in the same transaction, which happens only if what is noted there is what the server noted last. The same commit
//! can then be sent again and again: one of them happens. The others find its number noted, which is how the server knows.
//!
//! *Invariant:* a commit happens once, or not at all, also if it was asked for at several endpoints. Of two processes with one name the
//! older one can commit nothing once the younger has begun.

use std::sync::{Mutex, PoisonError};

use inventory::Revision;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::layout::{Layout, encode_value, place_of, writer_key};
use super::message::{
    Bytes, Compare, Delete, KeyValue, Number, Operation, Put, Range, Ranged, Transacted, Txn,
};
use super::{RANGE, TXN, failed};
use crate::{CatalogError, Change, Expect};

/// Attempts of one commit that finds an earlier one of its own noted only now; there can't be many.
const ATTEMPTS_MAX: usize = 16;

/// Who commits.
#[derive(Debug)]
pub(super) struct Writer {
    name: String,
    /// Random: another process of the same name has another.
    instance: String,
    last: Mutex<Last>,
}

/// The last commit, as far as is known.
#[derive(Debug)]
struct Last {
    number: u64,
    /// The revision of the cluster at which it, or one before it, was noted. Nothing, before the first.
    noted: Option<i64>,
}

/// What is noted under a writer's name.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    instance: String,
    number: u64,
}

impl Writer {
    /// Returns who will write under this name; whoever does now can't any more after the first commit. `instance` is random.
    pub(super) fn new(name: &str, instance: String) -> Self {
        let last = Mutex::new(Last { number: 0, noted: None });
        Self { name: name.to_owned(), instance, last }
    }

    /// Carries out all the changes, or none.
    ///
    /// In order: 1. the commit has a number of its own, which no other commit ever has; 2. it is asked for until some endpoint says what
    /// became of it; 3. what is noted now is what the next one expects.
    pub(super) fn commit(
        &self,
        client: &Client,
        layout: &Layout,
        changes: &[Change],
    ) -> Result<Revision, CatalogError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.number += 1;
        let mut noted = match last.noted {
            Some(noted) => noted,
            None => self.predecessor(client, layout)?,
        };
        for _ in 0..ATTEMPTS_MAX {
            let txn = self.transaction(last.number, noted, layout, changes);
            let answer: Transacted =
                client.ask(TXN, &txn).map_err(|error| lease_or(changes, error, layout))?;
            let revision = answer.header.revision.0;
            if answer.succeeded {
                last.noted = Some(revision);
                return Ok(layout.revision(revision));
            }
            let mut found = answer.found();
            let note = found.next().flatten();
            let at = note.as_ref().map_or(0, |note| note.mod_revision.0);
            if at == noted {
                return Err(conflict(layout, changes, found));
            }
            match note.map(|note| self.read(layout, &note)).transpose()? {
                // An endpoint has passed it on that could not say so.
                Some(note) if note.instance == self.instance && note.number == last.number => {
                    last.noted = Some(at);
                    return Ok(layout.revision(at));
                }
                Some(note) if note.instance != self.instance && last.noted.is_some() => {
                    let writer = self.name.clone();
                    return Err(CatalogError::Supplanted { place: layout.place.clone(), writer });
                }
                // One before, of which nobody could say whether it would happen; a predecessor's last one; or the note was removed.
                _ => noted = at,
            }
        }
        let what = format!("the key of {} is changed by somebody else, again and again", self.name);
        Err(layout.damaged(what))
    }

    /// Returns the revision of what is noted under our name before our first commit.
    fn predecessor(&self, client: &Client, layout: &Layout) -> Result<i64, CatalogError> {
        let range = Range { key: writer_key(&self.name), keys_only: true, ..Range::default() };
        let found: Ranged = client.ask(RANGE, &range).map_err(failed(layout))?;
        Ok(found.kvs.first().map_or(0, |kept| kept.mod_revision.0))
    }

    fn transaction(&self, number: u64, noted: i64, layout: &Layout, changes: &[Change]) -> Txn {
        let own = writer_key(&self.name);
        let note = Note { instance: self.instance.clone(), number };
        let note = serde_json::to_vec(&note).expect("a note is text and number");
        let mut txn = Txn {
            compare: vec![Compare::modified(own.clone(), noted)],
            success: vec![Operation::Put(Put { key: own.clone(), value: Bytes(note), lease: Number(0) })],
            failure: vec![Operation::Range(Range { key: own, ..Range::default() })],
        };
        for change in changes {
            let key = place_of(&change.key);
            let revision = match change.expect {
                Expect::Absent => Some(0),
                Expect::At(revision) => Some(layout.of_cluster(revision)),
                Expect::Any => None,
            };
            if let Some(revision) = revision {
                txn.compare.push(Compare::modified(key.clone(), revision));
                let found = Range { key: key.clone(), keys_only: true, ..Range::default() };
                txn.failure.push(Operation::Range(found));
            }
            txn.success.push(match &change.value {
                None => Operation::Delete(Delete { key, range_end: Bytes::default() }),
                Some(value) => {
                    let lease = change.lease.map_or(0, |lease| lease.0);
                    let value = encode_value(&change.key, lease, value);
                    Operation::Put(Put { key, value, lease: Number(lease) })
                }
            });
        }
        txn
    }

    fn read(&self, layout: &Layout, kept: &KeyValue) -> Result<Note, CatalogError> {
        serde_json::from_slice(&kept.value.0)
            .map_err(|_| layout.damaged(format!("what {} noted of its last commit can't be read", self.name)))
    }
}

/// Returns which change is not as expected.
fn conflict(
    layout: &Layout,
    changes: &[Change],
    found: impl Iterator<Item = Option<KeyValue>>,
) -> CatalogError {
    let expecting = changes.iter().filter(|change| change.expect != Expect::Any);
    for (change, found) in expecting.zip(found) {
        let found = found.map(|kept| layout.revision(kept.mod_revision.0));
        if !change.expect.is_met(found) {
            return CatalogError::Conflict { key: change.key.clone(), expected: change.expect, found };
        }
    }
    layout.damaged("it refused a commit and shows no reason")
}

/// Returns that the lease is gone on which a change would hang, if that is why nothing was done.
fn lease_or(changes: &[Change], error: super::EtcdError, layout: &Layout) -> CatalogError {
    match changes.iter().find_map(|change| change.lease) {
        Some(lease) if error.is_not_found() => CatalogError::LeaseUnknown { lease },
        _ => failed(layout)(error),
    }
}
