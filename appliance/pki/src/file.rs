//! Files that are made new, with the right mode from the start, and are on disk when the call returns.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::PkiError;

/// Who may read a new file.
#[derive(Clone, Copy)]
pub(crate) enum Readers {
    /// Its owner.
    Owner,
    /// Everyone.
    All,
}

/// Makes a directory, and those above it, for the owner alone; one that exists is left as it is.
pub(crate) fn make_directory(path: &Path) -> Result<(), PkiError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| PkiError::Directory { path: path.to_owned(), source })
}

/// Refuses if any of the files exists.
pub(crate) fn refuse_existing(directory: &Path, names: &[&str]) -> Result<(), PkiError> {
    let existing = names.iter().map(|name| directory.join(name)).find(|path| path.symlink_metadata().is_ok());
    existing.map_or(Ok(()), |path| Err(PkiError::Exists { path }))
}

/// Writes a file that must not exist yet; it and its name are durable afterwards.
pub(crate) fn write_new(
    directory: &Path,
    name: &str,
    content: &str,
    readers: Readers,
) -> Result<(), PkiError> {
    let path = directory.join(name);
    write(&path, content, readers, OpenOptions::new().create_new(true)).map_err(|source| {
        match source.kind() {
            io::ErrorKind::AlreadyExists => PkiError::Exists { path: path.clone() },
            _ => PkiError::Write { path: path.clone(), source },
        }
    })?;
    sync(directory)
}

/// Writes a file, in place of one that is there: after a crash it is the old or the new one. It and its name are durable afterwards.
pub(crate) fn write_over(
    directory: &Path,
    name: &str,
    content: &str,
    readers: Readers,
) -> Result<(), PkiError> {
    let (path, temporary) = (directory.join(name), directory.join(format!("{name}.new")));
    let failed = |source| PkiError::Write { path: path.clone(), source };
    // What a crash has left may have another mode.
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    write(&temporary, content, readers, OpenOptions::new().create_new(true)).map_err(failed)?;
    std::fs::rename(&temporary, &path).map_err(failed)?;
    sync(directory)
}

fn write(path: &Path, content: &str, readers: Readers, options: &mut OpenOptions) -> io::Result<()> {
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::All => 0o644,
    };
    let mut file = options.write(true).mode(mode).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

/// Makes the names in a directory durable.
pub(crate) fn sync(directory: &Path) -> Result<(), PkiError> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| PkiError::Write { path: directory.to_owned(), source })
}

/// Reads a whole text file; its bytes are wiped when the value is dropped.
pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>, PkiError> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    text.map_err(|source| PkiError::Read { path: path.to_owned(), source })
}
