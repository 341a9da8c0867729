//! Making a catalog of a snapshot, in place of one that is of no use any more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use inventory::Revision;
use rusqlite::{Connection, TransactionBehavior};

use super::mark::path_of;
use super::rows::{self, Standing};
use super::{Sqlite, open};
use crate::copy::sync_directory;
use crate::{CatalogError, Snapshot};

/// Files of one catalog: itself, its log, the log's index, its mark.
const ENDS: [&str; 4] = ["db", "db-wal", "db-shm", "mark"];

impl Sqlite {
    /// Makes a catalog that holds what a snapshot does, and stands one revision behind it, in place of whatever catalog is in this file,
    /// whose files are kept beside it with `aside` behind their names. Durable on return; after a crash it is done, or there is no
    /// catalog and it can be done again, or nothing has happened.
    ///
    /// # Errors
    /// [`CatalogError::Taken`] if another program has it; a file can't be written.
    pub fn restore(path: &Path, snapshot: &Snapshot, aside: &str) -> Result<(), CatalogError> {
        let failed = |what: &str| {
            let what = format!("{what} {}", path.display());
            move |source: io::Error| CatalogError::failed(what)(source.into())
        };
        // Nobody else may have it, from here to the end: the mark is the lock.
        let lock = super::mark::Mark::take(path)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        // 1. The new one is whole under another name. 2. The old one has another name. 3. The new one has its name. 4. All names are durable.
        let new = path.with_extension("new.db");
        remove_all(&new).map_err(failed("clearing the way for"))?;
        fill(&new, snapshot)?;
        fs::File::open(&new).and_then(|file| file.sync_all()).map_err(failed("flushing"))?;
        for end in ENDS {
            let old = path.with_extension(end);
            match fs::rename(&old, path.with_extension(format!("{end}.{aside}"))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("setting aside")(error));
                }
                _ => {}
            }
        }
        fs::rename(&new, path).map_err(failed("putting into its place"))?;
        remove_all(&new).map_err(failed("clearing up after"))?;
        sync_directory(directory).map_err(failed("making durable"))?;
        drop(lock);
        Ok(())
    }
}

/// Makes the database, and writes every record with the revision it had.
fn fill(path: &Path, snapshot: &Snapshot) -> Result<(), CatalogError> {
    let failed = |error| rows::failed(path, error);
    let mut database = open::make(path)?;
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let mut standing = rows::standing(path, &transaction)?;
    for record in snapshot.records() {
        rows::insert(path, &transaction, record, &mut standing)?;
    }
    let standing = Standing { revision: Revision(snapshot.revision().0).next(), ..standing };
    rows::set_standing(path, &transaction, &standing)?;
    transaction.commit().map_err(failed)?;
    settle(path, database)
}

/// Closes a database so that all of it is in its one file.
fn settle(path: &Path, database: Connection) -> Result<(), CatalogError> {
    let failed = |error| rows::failed(path, error);
    database.pragma_update(None, "journal_mode", "DELETE").map_err(failed)?;
    database.close().map_err(|(_, error)| failed(error))
}

fn remove_all(path: &Path) -> io::Result<()> {
    let files: Vec<PathBuf> =
        ENDS.iter().map(|end| path.with_extension(end)).chain([path_of(path)]).collect();
    for file in files {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
