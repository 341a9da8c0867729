//! Opening and verifying.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use units::Hash;

use super::mark::Mark;
use super::rows::{self, Standing, damaged, failed};
use crate::CatalogError;

/// The version of the form, in `user_version`. 1: one table of records, one row that says where they stand.
const FORM: i64 = 1;
/// `LfCt`, in `application_id`.
const APPLICATION: i64 = 1_281_770_356;

const MAKE: &str = "
BEGIN IMMEDIATE;
CREATE TABLE record (
    key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL, revision INTEGER NOT NULL,
    lease INTEGER, life_ms INTEGER, sum BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX record_lease ON record (lease) WHERE lease IS NOT NULL;
CREATE TABLE standing (one INTEGER PRIMARY KEY NOT NULL, revision INTEGER NOT NULL, digest BLOB NOT NULL) STRICT;
INSERT INTO standing VALUES (1, 0, zeroblob(32));
PRAGMA application_id = 1281770356;
PRAGMA user_version = 1;
COMMIT;";

/// Opens the database, makes what it lacks if it is new, and verifies it: its structure, each record, the sum of them, the mark.
pub(super) fn open(path: &Path, mark: &Mark) -> Result<(Connection, Standing), CatalogError> {
    let database = make(path)?;
    let standing = verify(path, &database)?;
    match mark.get() {
        Some(committed) if committed > standing.revision => {
            Err(CatalogError::Older { place: path.into(), found: standing.revision, committed })
        }
        _ => Ok((database, standing)),
    }
}

/// Opens the database, and makes what it lacks if it is new.
pub(super) fn make(path: &Path) -> Result<Connection, CatalogError> {
    let failed = |error| failed(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let database = Connection::open_with_flags(path, flags).map_err(failed)?;
    settings(path, &database)?;
    if is_new(path, &database)? {
        database.execute_batch(MAKE).map_err(failed)?;
    }
    Ok(database)
}

/// Every commit is flushed, other programs are waited for, and nothing in the file is trusted.
fn settings(path: &Path, database: &Connection) -> Result<(), CatalogError> {
    let failed = |error| failed(path, error);
    database.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    for (name, value) in [
        ("journal_mode", "WAL"),
        ("synchronous", "FULL"),
        ("cell_size_check", "ON"),
        ("trusted_schema", "OFF"),
    ] {
        database.pragma_update(None, name, value).map_err(failed)?;
    }
    Ok(())
}

fn pragma(path: &Path, database: &Connection, name: &str) -> Result<i64, CatalogError> {
    database.pragma_query_value(None, name, |row| row.get(0)).map_err(|error| failed(path, error))
}

/// True if nothing was ever written into the database. Errors: it is of a newer version, or of something else.
fn is_new(path: &Path, database: &Connection) -> Result<bool, CatalogError> {
    let (application, form) =
        (pragma(path, database, "application_id")?, pragma(path, database, "user_version")?);
    match (application, form) {
        (0, 0) if pragma(path, database, "page_count")? <= 1 && is_empty(path, database)? => Ok(true),
        (APPLICATION, 1..=FORM) => Ok(false),
        (APPLICATION, found) if found > FORM => {
            Err(CatalogError::Newer { place: path.into(), found, known: FORM })
        }
        _ => Err(damaged(path, "it is a database of something else")),
    }
}

fn is_empty(path: &Path, database: &Connection) -> Result<bool, CatalogError> {
    let count = "SELECT count(*) FROM sqlite_schema";
    database
        .query_row(count, [], |row| row.get::<_, i64>(0))
        .map(|found| found == 0)
        .map_err(|error| failed(path, error))
}

fn verify(path: &Path, database: &Connection) -> Result<Standing, CatalogError> {
    let found: String = database
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .map_err(|error| failed(path, error))?;
    if found != "ok" {
        return Err(damaged(path, found));
    }
    let standing = rows::standing(path, database)?;
    let digest: Hash = rows::digest(path, database)?;
    if digest != standing.digest {
        return Err(damaged(path, "records are missing, or older than the rest"));
    }
    Ok(standing)
}
