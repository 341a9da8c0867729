//! What can go wrong.

use std::path::{Path, PathBuf};

/// The result of a step of the build.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path} can't be {doing}")]
    File {
        /// The file.
        path: PathBuf,
        /// `read`, `written`, and so on.
        doing: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// Another program is missing or failed.
    #[error("{program} failed: {words}")]
    Program {
        /// Its name.
        program: String,
        /// What it complained, on one line.
        words: String,
    },
    /// A list has a line that means nothing.
    #[error("{list}, line {line}: found `{found}`, allowed is {allowed}")]
    List {
        /// Which list.
        list: String,
        /// Counted from one.
        line: usize,
        /// What is there.
        found: String,
        /// What may be there.
        allowed: &'static str,
    },
    /// A package is not what the lock says.
    #[error(
        "package {package}: found {found}, the lock says {locked}; `scripts/image lock` writes a new one"
    )]
    Locked {
        /// Its name.
        package: String,
        /// Version and hash, or `nothing`.
        found: String,
        /// Version and hash, or `nothing`.
        locked: String,
    },
    /// Something a list names is not in the packages.
    #[error("{list} names {wanted}, which no package has; needed by {by}")]
    Missing {
        /// Which list.
        list: &'static str,
        /// What is missing.
        wanted: String,
        /// Who needs it.
        by: String,
    },
    /// A file that is to become a part is not what it should be.
    #[error("{what} is not {expected}: {found}")]
    Form {
        /// Which file.
        what: String,
        /// What it should be.
        expected: &'static str,
        /// What is wrong.
        found: String,
    },
    /// A part is larger than the room for it.
    #[error("{what} has {len} bytes, the room is {room}")]
    Room {
        /// Which part.
        what: &'static str,
        /// Its size in bytes.
        len: u64,
        /// The most it may have.
        room: u64,
    },
    /// A key can't be used.
    #[error("{path} is no {expected}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wanted.
        expected: &'static str,
    },
}

impl Error {
    /// Returns what turns an I/O error into one about `path`.
    pub(crate) fn file(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), doing, source }
    }
}

/// Reads a whole file. Errors: it can't be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(Error::file(path, "read"))
}

/// Reads a whole text. Errors: it can't be read, or is no UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(Error::file(path, "read"))
}

/// Writes a whole file, anew. Errors: it can't be written.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(Error::file(path, "written"))
}
