//! Why a catalog did not do what it was asked.

use std::error::Error;
use std::path::PathBuf;

use inventory::{Key, RecordError, Revision};

use crate::{Expect, LeaseId};

/// Why a catalog did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A record is not as expected; nothing was changed.
    #[error("{key} was changed meanwhile: expected {expected:?}, found {found:?}")]
    Conflict {
        /// Which record.
        key: Key,
        /// What was expected.
        expected: Expect,
        /// The revision of its last change, if it exists.
        found: Option<Revision>,
    },
    /// A value is longer than any may be; nothing was changed.
    #[error("{key} would take {len} bytes, more than {}", crate::VALUE_LEN_MAX)]
    ValueTooLong {
        /// Which record.
        key: Key,
        /// Its length, in bytes.
        len: usize,
    },
    /// A record is none of its kind.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A name is not lawful in a key.
    #[error(transparent)]
    Key(#[from] inventory::KeyError),
    /// The lease has ended, and what hung on it went.
    #[error("lease {} has ended", lease.0)]
    LeaseUnknown {
        /// Which lease.
        lease: LeaseId,
    },
    /// A watch could not follow.
    #[error("changes after revision {after} are no longer known")]
    Missed {
        /// The last revision that was seen.
        after: Revision,
    },
    /// Another program has the catalog.
    #[error("{} is used by another landfalld", path.display())]
    Taken {
        /// Its file.
        path: PathBuf,
    },
    /// The catalog was written by a newer version.
    #[error("{} has the form {found}, this version knows up to {known}", path.display())]
    Newer {
        /// Its file.
        path: PathBuf,
        /// The version of its form.
        found: i64,
        /// The newest form that is known.
        known: i64,
    },
    /// The catalog is damaged; it is left as it is.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The catalog lacks commits that were made.
    #[error("{} is at revision {found}, but revision {committed} was committed", path.display())]
    Older {
        /// Its file.
        path: PathBuf,
        /// Where it stands.
        found: Revision,
        /// Where it stood.
        committed: Revision,
    },
    /// Its database or file failed.
    #[error("{what} failed")]
    Failed {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl CatalogError {
    /// True if somebody else changed a record first: read anew and try again.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// True if what was kept is not what was committed: the catalog must be brought back from elsewhere.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Older { .. })
    }

    pub(crate) fn failed(what: impl Into<String>) -> impl FnOnce(Box<dyn Error + Send + Sync>) -> Self {
        let what = what.into();
        move |source| Self::Failed { what, source }
    }
}
