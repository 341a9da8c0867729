//! Why a catalog did not do what it was asked.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use inventory::{Key, RecordError, Revision};

use crate::{EtcdError, Expect, LeaseId};

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
    /// The changes of one commit are longer than any may be; nothing was changed.
    #[error("{count} changes would take {len} bytes at once, more than {}", crate::COMMIT_LEN_MAX)]
    CommitTooLong {
        /// How many changes.
        count: usize,
        /// The length of their keys and values, in bytes.
        len: usize,
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
    #[error("{place} is used by another landfalld")]
    Taken {
        /// Where it is.
        place: Place,
    },
    /// Somebody else has begun to write under our name since; nothing was changed.
    #[error(
        "another landfalld has begun to write to {place} as {writer}: give each server a --name of its own"
    )]
    Supplanted {
        /// Where it is.
        place: Place,
        /// The name.
        writer: String,
    },
    /// A catalog can be made only where there is none.
    #[error("{place} holds a catalog already, or somebody else is making one there")]
    NotEmpty {
        /// Where it is.
        place: Place,
    },
    /// The catalog was written by a newer version.
    #[error("{place} has the form {found}, this version knows up to {known}")]
    Newer {
        /// Where it is.
        place: Place,
        /// The version of its form.
        found: i64,
        /// The newest form that is known.
        known: i64,
    },
    /// The catalog is damaged; it is left as it is.
    #[error("{place} is damaged: {what}")]
    Damaged {
        /// Where it is.
        place: Place,
        /// What is wrong.
        what: String,
    },
    /// The catalog lacks commits that were made.
    #[error("{place} is at revision {found}, but revision {committed} was committed")]
    Older {
        /// Where it is.
        place: Place,
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

/// Where a catalog is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// In a cluster, at these endpoints.
    Cluster(String),
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(out),
            Self::Cluster(endpoints) => out.write_str(endpoints),
        }
    }
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

    /// True if the catalog is in a cluster that does not answer now: it may be as well as ever.
    pub fn is_away(&self) -> bool {
        let Self::Failed { source, .. } = self else { return false };
        matches!(source.downcast_ref::<EtcdError>(), Some(EtcdError::Away { .. }))
    }

    pub(crate) fn failed(what: impl Into<String>) -> impl FnOnce(Box<dyn Error + Send + Sync>) -> Self {
        let what = what.into();
        move |source| Self::Failed { what, source }
    }
}
