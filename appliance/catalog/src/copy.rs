//! The copy of a catalog on another volume: written whole beside the one before, then put into its place.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::{Snapshot, SnapshotError};

/// The name of a copy.
pub const COPY_FILE: &str = "catalog.copy";
/// The name it is written under.
const NEW_FILE: &str = "catalog.copy.new";
/// Bytes of the longest copy that is read.
const COPY_LEN_MAX: u64 = 1 << 30;

/// Why a copy can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Its file failed.
    #[error("{} can't be {operation}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// What it holds is no catalog.
    #[error("{} is not a copy as it was written", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SnapshotError,
    },
}

/// Writes the copy in a directory; durable on return. After a crash there is the new one or the one before, whole.
///
/// # Errors
/// A file can't be written; the copy before is as it was.
pub fn write_copy(directory: &Path, snapshot: &Snapshot) -> Result<(), CopyError> {
    let (new, place) = (directory.join(NEW_FILE), directory.join(COPY_FILE));
    let failed = |path: &Path, operation| {
        let path = path.to_owned();
        move |source| CopyError::File { path, operation, source }
    };
    // 1. All of it, durable, under another name. 2. Its name. 3. The name, durable.
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .map_err(failed(&new, "made"))?;
    file.write_all(snapshot.encode().as_bytes()).map_err(failed(&new, "written"))?;
    file.sync_all().map_err(failed(&new, "flushed"))?;
    fs::rename(&new, &place).map_err(failed(&place, "put into its place"))?;
    sync_directory(directory).map_err(failed(directory, "flushed"))
}

/// Reads the copy in a directory, if there is one.
///
/// # Errors
/// It can't be read, or is not as it was written.
pub fn read_copy(directory: &Path) -> Result<Option<Snapshot>, CopyError> {
    let path = directory.join(COPY_FILE);
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(COPY_LEN_MAX).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(CopyError::File { path, operation: "read", source }),
        Ok(_) => {}
    }
    Snapshot::decode(&bytes).map(Some).map_err(|source| CopyError::Content { path, source })
}

/// Puts the copy in a directory aside under a name that begins with `catalog.copy.` and ends with this, if there is one; durable on return.
///
/// # Errors
/// It can't be renamed.
pub fn set_copy_aside(directory: &Path, end: &str) -> Result<(), CopyError> {
    let path = directory.join(COPY_FILE);
    let aside = directory.join(format!("{COPY_FILE}.{end}"));
    match fs::rename(&path, aside).and_then(|()| sync_directory(directory)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(CopyError::File { path, operation: "put aside", source: error })
        }
        _ => Ok(()),
    }
}

/// Makes names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use inventory::Revision;

    use super::*;
    use crate::{Entry, Listing};

    fn snapshot(revision: u64) -> Snapshot {
        let (key, value) = ("group/a".parse().unwrap(), "{}".to_owned());
        let entries = vec![Entry { key, value, revision: Revision(revision), lease: None }];
        Snapshot::of(Listing { entries, revision: Revision(revision) })
    }

    #[test]
    fn a_copy_is_the_last_that_was_written_whatever_a_crash_left_of_the_next() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read_copy(directory.path()).unwrap().is_none());
        write_copy(directory.path(), &snapshot(3)).unwrap();
        fs::write(directory.path().join(NEW_FILE), "half of the ne").unwrap();
        assert_eq!(read_copy(directory.path()).unwrap(), Some(snapshot(3)));
        write_copy(directory.path(), &snapshot(4)).unwrap();
        assert_eq!(read_copy(directory.path()).unwrap(), Some(snapshot(4)));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn a_changed_copy_is_refused_and_can_be_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        write_copy(directory.path(), &snapshot(3)).unwrap();
        let path = directory.path().join(COPY_FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(matches!(read_copy(directory.path()), Err(CopyError::Content { .. })));
        set_copy_aside(directory.path(), "damaged").unwrap();
        set_copy_aside(directory.path(), "damaged").unwrap();
        assert!(read_copy(directory.path()).unwrap().is_none());
        assert!(directory.path().join("catalog.copy.damaged").exists());
    }
}
