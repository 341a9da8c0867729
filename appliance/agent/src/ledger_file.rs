//! The file of the ledger: `commands` in the state directory, replaced whole; `lock` keeps a second program away.
//!
//! 1. write `commands.new`, 2. fsync it, 3. rename it, 4. fsync the directory. A crash leaves the old ledger or the new one.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::AgentError;
use crate::ledger::Ledger;

/// The largest ledger that is read back: every entry with the longest reply.
const LEN_MAX: u64 = 320 << 20;

/// The state directory, locked.
#[derive(Debug)]
pub(crate) struct LedgerFile {
    directory: PathBuf,
    _lock: File,
}

impl LedgerFile {
    /// Opens the directory, making it if it is missing, and reads the ledger.
    ///
    /// # Errors
    /// [`AgentError::State`], [`AgentError::Locked`] or [`AgentError::Damaged`].
    pub(crate) fn open(directory: &Path) -> Result<(Self, Ledger), AgentError> {
        fs::create_dir_all(directory).map_err(failed("make", directory))?;
        let path = directory.join("lock");
        let lock = File::options().create(true).write(true).truncate(false).open(&path);
        let lock = lock.map_err(failed("write to", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(AgentError::Locked { path }),
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
        }
        let ledger = read(&directory.join("commands"))?;
        Ok((Self { directory: directory.to_owned(), _lock: lock }, ledger))
    }

    /// Replaces the ledger; durable on return.
    ///
    /// # Errors
    /// [`AgentError::State`]; the old ledger stands.
    pub(crate) fn save(&self, ledger: &Ledger) -> Result<(), AgentError> {
        let (path, new) = (self.directory.join("commands"), self.directory.join("commands.new"));
        let replace = || {
            let mut file = File::create(&new)?;
            file.write_all(&ledger.encode())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        replace().map_err(failed("write", &path))
    }
}

fn read(path: &Path) -> Result<Ledger, AgentError> {
    let damaged = |what| AgentError::Damaged { path: path.to_owned(), what };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ledger::default()),
        Err(source) => return Err(failed("read", path)(source)),
        Ok(metadata) if metadata.len() > LEN_MAX => return Err(damaged("it is too long")),
        Ok(_) => {}
    }
    let bytes = fs::read(path).map_err(failed("read", path))?;
    Ledger::decode(&bytes).map_err(damaged)
}

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AgentError {
    let path = path.to_owned();
    move |source| AgentError::State { step, path, source }
}
