//! Where plans lie: `kept.json` and, beside it, `tried.json`; `lock` keeps a second program away.
//!
//! Writing: 1. write `tried.json.new`, 2. fsync it, 3. rename it to `tried.json`, 4. fsync the directory. Keeping: 1. rename `tried.json` to
//! `kept.json`, 2. fsync the directory. Dropping: 1. remove `tried.json`, 2. fsync the directory. A crash leaves the old or the new.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use netplan::{Checked, Plan, Which};

use crate::error::{NetworkError, failed};

/// Bytes a plan may have on the disk.
const LEN_MAX: u64 = 256 << 10;

/// How long another program is waited for that has the plans.
const LOCK_WAIT: Duration = Duration::from_secs(3);
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Where plans lie. What a method did is durable on return.
pub trait Plans: Send {
    /// Returns a plan, if there is one. Errors: it can't be read, or is damaged.
    fn read(&self, which: Which) -> Result<Option<Checked>, NetworkError>;

    /// Tells whether a plan lies there to be tried, be it damaged or not. Errors: the directory can't be read.
    fn has_tried(&self) -> Result<bool, NetworkError>;

    /// Puts a plan beside the kept one. Errors: it can't be written; what was there before stands.
    fn write_tried(&self, plan: &Checked) -> Result<(), NetworkError>;

    /// Puts the tried plan in the place of the kept one. Errors: the old one stands, or the new one, and no third.
    fn promote(&self) -> Result<(), NetworkError>;

    /// Removes the tried plan; none is nothing wrong. Errors: it is still there.
    fn drop_tried(&self) -> Result<(), NetworkError>;
}

/// A directory with plans, locked.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Opens the directory, making it for its owner alone if it is missing. Errors: it can't be made, or another program has it.
    pub fn open(path: &Path) -> Result<Self, NetworkError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(failed("made", path))?;
        let lock = path.join("lock");
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock);
        let file = opened.map_err(failed("opened", &lock))?;
        // Whoever lets go of them does so within a second.
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { path: path.to_owned(), _lock: file }),
                Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_WAIT => {
                    std::thread::sleep(LOCK_PAUSE)
                }
                Err(TryLockError::WouldBlock) => return Err(NetworkError::Locked { path: lock }),
                Err(TryLockError::Error(source)) => return Err(failed("locked", lock)(source)),
            }
        }
    }

    /// Returns the plan that is kept in a directory, without opening it: whoever has it may just be putting another in its place. Errors:
    /// it can't be read, or is damaged.
    pub fn peek(path: &Path) -> Result<Option<Plan>, NetworkError> {
        Ok(read(&file(path, Which::Kept))?.map(Checked::into_plan))
    }

    fn file(&self, which: Which) -> PathBuf {
        file(&self.path, which)
    }

    fn settle(&self) -> Result<(), NetworkError> {
        File::open(&self.path)
            .and_then(|directory| directory.sync_all())
            .map_err(failed("flushed", &self.path))
    }
}

impl Plans for Directory {
    fn read(&self, which: Which) -> Result<Option<Checked>, NetworkError> {
        read(&self.file(which))
    }

    fn has_tried(&self) -> Result<bool, NetworkError> {
        let path = self.file(Which::Tried);
        path.try_exists().map_err(failed("looked at", path))
    }

    fn write_tried(&self, plan: &Checked) -> Result<(), NetworkError> {
        let path = self.file(Which::Tried);
        let new = path.with_extension("json.new");
        let mut bytes = serde_json::to_vec_pretty(plan.plan()).expect("a plan is what JSON can write");
        bytes.push(b'\n');
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(failed("written", &path))?;
        self.settle()
    }

    fn promote(&self) -> Result<(), NetworkError> {
        let (tried, kept) = (self.file(Which::Tried), self.file(Which::Kept));
        fs::rename(&tried, &kept).map_err(failed("put in place", &kept))?;
        self.settle()
    }

    fn drop_tried(&self) -> Result<(), NetworkError> {
        let tried = self.file(Which::Tried);
        match fs::remove_file(&tried) {
            Ok(()) => self.settle(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(failed("removed", tried)(source)),
        }
    }
}

fn file(directory: &Path, which: Which) -> PathBuf {
    directory.join(match which {
        Which::Kept => "kept.json",
        Which::Tried => "tried.json",
    })
}

fn read(path: &Path) -> Result<Option<Checked>, NetworkError> {
    let damaged = |what: String| NetworkError::Damaged { path: path.to_owned(), what };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("read", path)(source)),
        Ok(metadata) if metadata.len() > LEN_MAX => {
            return Err(damaged(format!("it has {} bytes; a plan has at most {LEN_MAX}", metadata.len())));
        }
        Ok(_) => {}
    }
    let bytes = fs::read(path).map_err(failed("read", path))?;
    let plan: Plan = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    plan.check().map(Some).map_err(|error| damaged(error.to_string()))
}
