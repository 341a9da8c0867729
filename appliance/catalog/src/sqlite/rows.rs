//! Records in the database: one row each, with a hash that binds value, key and revision together.

use std::path::Path;
use std::time::Duration;

use inventory::{Key, Revision};
use rusqlite::{Connection, OptionalExtension, Row};
use units::Hash;

use crate::{CatalogError, Change, Entry, LeaseId};

/// Where a catalog stands: its revision, and the sum of the hashes of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) revision: Revision,
    pub(super) digest: Hash,
}

/// A row, as it was read.
struct Raw {
    key: String,
    value: String,
    revision: i64,
    lease: Option<i64>,
    life_ms: Option<i64>,
    sum: Vec<u8>,
}

impl Standing {
    /// Adds a record to the sum, or takes it away: the sum is the exclusive or of all of them.
    pub(super) fn toggle(&mut self, sum: Hash) {
        for (byte, other) in self.digest.0.iter_mut().zip(sum.0) {
            *byte ^= other;
        }
    }
}

impl Raw {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: row.get("key")?,
            value: row.get("value")?,
            revision: row.get("revision")?,
            lease: row.get("lease")?,
            life_ms: row.get("life_ms")?,
            sum: row.get("sum")?,
        })
    }

    fn computed(&self) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key("landfall 2026 catalog record");
        for number in [Some(self.revision), self.lease, self.life_ms] {
            hasher.update(&[u8::from(number.is_some())]);
            hasher.update(&number.unwrap_or(0).to_le_bytes());
        }
        hasher.update(&(self.key.len() as u64).to_le_bytes());
        hasher.update(self.key.as_bytes());
        hasher.update(self.value.as_bytes());
        hasher.finalize().into()
    }

    /// Returns the entry and its hash. Errors: it is not what was written.
    fn checked(self, path: &Path) -> Result<(Entry, Hash), CatalogError> {
        let sum = self.computed();
        let damaged = || damaged(path, format!("the record {:?} is not as it was written", self.key));
        if sum.0[..] != self.sum[..] {
            return Err(damaged());
        }
        let key = self.key.parse().map_err(|_| damaged())?;
        let revision = u64::try_from(self.revision).map_err(|_| damaged())?;
        let lease = self.lease.map(LeaseId);
        Ok((Entry { key, value: self.value, revision: Revision(revision), lease }, sum))
    }
}

/// Returns the record under a key.
pub(super) fn get(path: &Path, database: &Connection, key: &Key) -> Result<Option<Entry>, CatalogError> {
    Ok(find(path, database, key)?.map(|(entry, _)| entry))
}

fn find(path: &Path, database: &Connection, key: &Key) -> Result<Option<(Entry, Hash)>, CatalogError> {
    let failed = |error| failed(path, error);
    let mut statement = database.prepare("SELECT * FROM record WHERE key = ?1").map_err(failed)?;
    let raw = statement.query_row([key.as_str()], Raw::read).optional().map_err(failed)?;
    raw.map(|raw| raw.checked(path)).transpose()
}

/// Returns the records whose key begins like this, by key.
pub(super) fn list(path: &Path, database: &Connection, prefix: &str) -> Result<Vec<Entry>, CatalogError> {
    let mut entries = Vec::new();
    each(path, database, prefix, |entry, _| entries.push(entry))?;
    Ok(entries)
}

/// Returns the sum of the hashes of all records, each verified.
pub(super) fn digest(path: &Path, database: &Connection) -> Result<Hash, CatalogError> {
    let mut sum = Standing { revision: Revision(0), digest: Hash::default() };
    each(path, database, "", |_, hash| sum.toggle(hash))?;
    Ok(sum.digest)
}

fn each(
    path: &Path,
    database: &Connection,
    prefix: &str,
    mut take: impl FnMut(Entry, Hash),
) -> Result<(), CatalogError> {
    let failed = |error| failed(path, error);
    // No letter of a key sorts after `~`.
    let mut statement = database
        .prepare("SELECT * FROM record WHERE key >= ?1 AND key < ?1 || '~' ORDER BY key")
        .map_err(failed)?;
    for raw in statement.query_map([prefix], Raw::read).map_err(failed)? {
        let (entry, sum) = raw.map_err(failed)?.checked(path)?;
        take(entry, sum);
    }
    Ok(())
}

/// Returns the keys that hang on a lease.
pub(super) fn under(path: &Path, database: &Connection, lease: LeaseId) -> Result<Vec<Key>, CatalogError> {
    let failed = |error| failed(path, error);
    let mut statement = database.prepare("SELECT * FROM record WHERE lease = ?1").map_err(failed)?;
    let raws = statement.query_map([lease.0], Raw::read).map_err(failed)?;
    raws.map(|raw| Ok(raw.map_err(failed)?.checked(path)?.0.key)).collect()
}

/// Returns the leases that records hang on, and how long each lives.
pub(super) fn leases(path: &Path, database: &Connection) -> Result<Vec<(LeaseId, Duration)>, CatalogError> {
    let failed = |error| failed(path, error);
    let mut statement = database
        .prepare("SELECT lease, max(life_ms) FROM record WHERE lease IS NOT NULL GROUP BY lease")
        .map_err(failed)?;
    let lease = |row: &Row<'_>| {
        let life = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        Ok((LeaseId(row.get(0)?), Duration::from_millis(life)))
    };
    statement.query_map([], lease).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}

/// Carries out one change within a transaction, and brings the sum up to it. Errors: the record is not as expected.
pub(super) fn apply(
    path: &Path,
    transaction: &Connection,
    change: &Change,
    lease: Option<(LeaseId, Duration)>,
    standing: &mut Standing,
) -> Result<(), CatalogError> {
    let found = find(path, transaction, &change.key)?;
    let revision = found.as_ref().map(|(entry, _)| entry.revision);
    if !change.expect.is_met(revision) {
        let (key, expected) = (change.key.clone(), change.expect);
        return Err(CatalogError::Conflict { key, expected, found: revision });
    }
    if let Some((_, sum)) = found {
        standing.toggle(sum);
    }
    let Some(value) = &change.value else {
        return execute(path, transaction, "DELETE FROM record WHERE key = ?1", [change.key.as_str()]);
    };
    let raw = Raw {
        key: change.key.to_string(),
        value: value.clone(),
        revision: number(standing.revision),
        lease: lease.map(|(id, _)| id.0),
        life_ms: lease.map(|(_, life)| i64::try_from(life.as_millis()).unwrap_or(i64::MAX)),
        sum: Vec::new(),
    };
    put_summed(path, transaction, raw, standing)
}

/// Adds a record as it is, with the revision it has; the sum is brought up to it.
pub(super) fn insert(
    path: &Path,
    transaction: &Connection,
    entry: &Entry,
    standing: &mut Standing,
) -> Result<(), CatalogError> {
    let (key, value, revision) = (entry.key.to_string(), entry.value.clone(), number(entry.revision));
    let raw = Raw { key, value, revision, lease: None, life_ms: None, sum: Vec::new() };
    put_summed(path, transaction, raw, standing)
}

fn put_summed(
    path: &Path,
    transaction: &Connection,
    raw: Raw,
    standing: &mut Standing,
) -> Result<(), CatalogError> {
    let sum = raw.computed();
    standing.toggle(sum);
    put(path, transaction, &Raw { sum: sum.0.to_vec(), ..raw })
}

fn put(path: &Path, transaction: &Connection, raw: &Raw) -> Result<(), CatalogError> {
    let sql = "INSERT OR REPLACE INTO record (key, value, revision, lease, life_ms, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    execute(path, transaction, sql, (&raw.key, &raw.value, raw.revision, raw.lease, raw.life_ms, &raw.sum))
}

/// Returns where the catalog stands. Errors: it does not say.
pub(super) fn standing(path: &Path, database: &Connection) -> Result<Standing, CatalogError> {
    let failed = |error| failed(path, error);
    let mut statement =
        database.prepare("SELECT revision, digest FROM standing WHERE one = 1").map_err(failed)?;
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
    let found = statement.query_row([], read).optional().map_err(failed)?;
    let lawful = found.and_then(|(revision, digest)| {
        Some(Standing {
            revision: Revision(u64::try_from(revision).ok()?),
            digest: Hash(digest.try_into().ok()?),
        })
    });
    lawful.ok_or_else(|| damaged(path, "it does not say where it stands"))
}

/// Writes where the catalog stands.
pub(super) fn set_standing(
    path: &Path,
    transaction: &Connection,
    standing: &Standing,
) -> Result<(), CatalogError> {
    let sql = "INSERT OR REPLACE INTO standing (one, revision, digest) VALUES (1, ?1, ?2)";
    execute(path, transaction, sql, (number(standing.revision), &standing.digest.0[..]))
}

fn execute(
    path: &Path,
    database: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> Result<(), CatalogError> {
    let failed = |error| failed(path, error);
    database.prepare(sql).map_err(failed)?.execute(values).map_err(failed)?;
    Ok(())
}

fn number(revision: Revision) -> i64 {
    i64::try_from(revision.0).expect("a catalog changes fewer than 2^63 times")
}

/// Returns the error of a catalog that is not as it was written.
pub(super) fn damaged(path: &Path, what: impl Into<String>) -> CatalogError {
    CatalogError::Damaged { place: path.into(), what: what.into() }
}

/// Returns what an error of the database says of the catalog: that it is damaged, or that something failed.
pub(super) fn failed(path: &Path, error: rusqlite::Error) -> CatalogError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let unreadable = matches!(
        error,
        rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::InvalidColumnName(..)
    );
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => damaged(path, error.to_string()),
        _ if unreadable => damaged(path, error.to_string()),
        _ => CatalogError::failed(format!("the database {}", path.display()))(error.into()),
    }
}
