//! What every catalog does, whatever keeps it.

use std::fmt::Debug;
use std::time::Duration;

use inventory::{Key, Record, Revision};

use crate::CatalogError;

/// Changes in one commit: two fewer than etcd carries out at once, which its writer needs.
pub const CHANGES_MAX: usize = 126;
/// Bytes of the longest value.
pub const VALUE_LEN_MAX: usize = 1 << 20;
/// Bytes of keys and values in one commit: what etcd takes at once (1.5 MiB), less what surrounds them.
pub const COMMIT_LEN_MAX: usize = VALUE_LEN_MAX + (256 << 10);

/// A catalog. Methods block for as long as its database takes; several threads may call at once.
pub trait Catalog: Debug + Send + Sync {
    /// Returns what is kept under a key.
    fn get(&self, key: &Key) -> Result<Option<Entry>, CatalogError>;

    /// Returns everything whose key begins like this, by key, as it was at one moment.
    fn list(&self, prefix: &str) -> Result<Listing, CatalogError>;

    /// Carries out all the changes, or none; durable on return. No changes are no commit. Errors: [`CatalogError::Conflict`] if a
    /// record is not as expected; nothing was changed then. After [`CatalogError::Failed`] the changes may have been made or not.
    fn commit(&self, changes: &[Change]) -> Result<Revision, CatalogError>;

    /// Begins to watch everything whose key begins like this, from the first change after a revision.
    fn watch(&self, prefix: &str, after: Revision) -> Result<Box<dyn Watch>, CatalogError>;

    /// Grants a lease: what hangs on it goes when nobody has kept it alive for so long.
    fn grant(&self, life: Duration) -> Result<Lease, CatalogError>;

    /// Begins the life of a lease anew. Errors: [`CatalogError::LeaseUnknown`] if it ended.
    fn keep_alive(&self, lease: LeaseId) -> Result<(), CatalogError>;

    /// Ends a lease, and what hangs on it. One that is not known has ended.
    fn end(&self, lease: LeaseId) -> Result<(), CatalogError>;
}

/// Changes as they come.
pub trait Watch: Send {
    /// Returns the next changes, in their order, as soon as there are any; none after this wait. Errors:
    /// [`CatalogError::Missed`] if changes were too many to be kept: list anew and watch from there.
    fn next(&mut self, wait: Duration) -> Result<Vec<Event>, CatalogError>;
}

/// What is kept under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The text.
    pub value: String,
    /// The revision of its last change.
    pub revision: Revision,
    /// The lease it hangs on.
    pub lease: Option<LeaseId>,
}

/// Entries as they were at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The entries, by key.
    pub entries: Vec<Entry>,
    /// The revision of the catalog at that moment; a watch after it misses nothing.
    pub revision: Revision,
}

/// A change to one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its key.
    pub key: Key,
    /// What it must be for the commit to happen.
    pub expect: Expect,
    /// What it becomes; nothing, if it goes.
    pub value: Option<String>,
    /// The lease it hangs on from now on.
    pub lease: Option<LeaseId>,
}

/// What a record must be for a commit to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It does not exist.
    Absent,
    /// It was last changed at this revision.
    At(Revision),
    /// Anything, or nothing.
    Any,
}

/// One change that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key.
    pub key: Key,
    /// What it became; nothing, if it went.
    pub value: Option<String>,
    /// The revision of the commit.
    pub revision: Revision,
}

/// The number of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

/// A lease, as it was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its number.
    pub id: LeaseId,
    /// How long it lives when nobody keeps it alive; may be longer than what was asked for.
    pub life: Duration,
}

impl Change {
    /// Returns the change that makes a record what it is now.
    pub fn put<R: Record>(record: &R, expect: Expect) -> Self {
        Self { key: record.key(), expect, value: Some(record.encode()), lease: None }
    }

    /// Returns the change that ends a record.
    pub fn remove(key: Key, expect: Expect) -> Self {
        Self { key, expect, value: None, lease: None }
    }

    /// Returns the change with its record hanging on a lease.
    pub fn under(self, lease: LeaseId) -> Self {
        Self { lease: Some(lease), ..self }
    }
}

impl Expect {
    /// True if a record that was last changed then, or never was, is as expected.
    pub fn is_met(self, found: Option<Revision>) -> bool {
        match self {
            Self::Absent => found.is_none(),
            Self::At(revision) => found == Some(revision),
            Self::Any => true,
        }
    }
}

/// Refuses changes that no catalog takes.
pub(crate) fn check(changes: &[Change]) -> Result<(), CatalogError> {
    assert!(changes.len() <= CHANGES_MAX, "a commit has at most {CHANGES_MAX} changes");
    let mut sum = 0;
    for (at, change) in changes.iter().enumerate() {
        let again = changes[..at].iter().any(|before| before.key == change.key);
        assert!(!again, "a commit changes {} once", change.key);
        let len = change.value.as_ref().map_or(0, String::len);
        if len > VALUE_LEN_MAX {
            return Err(CatalogError::ValueTooLong { key: change.key.clone(), len });
        }
        sum += change.key.as_str().len() + len;
    }
    if sum > COMMIT_LEN_MAX {
        return Err(CatalogError::CommitTooLong { count: changes.len(), len: sum });
    }
    Ok(())
}
