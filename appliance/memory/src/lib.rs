//! driver: what an appliance remembers of its first boot: small files of JSON on STATE, for `landfall-boot` and the console.
//!
//! ```text
//! seed.json         what was told, or answered at the console (`seed::Seed`)
//! refused.json      what was told and is not used, in words
//! answered.json     which questions of the console are answered
//! fingerprint.json  of the authority, as the console shows it
//! retention.json    the volume that is ours
//! network/          the plans, which `network::Directory` keeps
//! ```
//! *Invariants:* each file is replaced whole, and a power cut leaves the old or the new; nobody but its owner reads them; of two programs
//! that change a file, one waits for the other.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What was told, or answered.
pub const SEED: &str = "seed.json";
/// What was told and is not used.
pub const REFUSED: &str = "refused.json";
/// Which questions of the console are answered.
pub const ANSWERED: &str = "answered.json";
/// The fingerprint of the authority.
pub const FINGERPRINT: &str = "fingerprint.json";
/// The volume that is ours.
pub const RETENTION: &str = "retention.json";
/// The directory of network plans.
pub const NETWORK: &str = "network";

/// Why something is not remembered.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// A file can't be read or written.
    #[error("{} can't be {operation}", path.display())]
    File {
        /// What was to be done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// A directory of what is remembered.
#[derive(Clone, Debug)]
pub struct Memory {
    directory: PathBuf,
}

impl Memory {
    /// Names the directory; it is made with the first file.
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Returns where something of this name lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Returns what is remembered under a name, or nothing. Errors: it can't be read, or is something else.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, MemoryError> {
        let path = self.path(name);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| MemoryError::Damaged { path, source }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MemoryError::File { operation: "read", path, source }),
        }
    }

    /// Remembers a value under a name, durable on return. The order: 1. a draft, durable; 2. it gets the name; 3. the directory, durable.
    /// Errors: a step fails; what was there before stands.
    pub fn write(&self, name: &str, value: &impl Serialize) -> Result<(), MemoryError> {
        let (path, draft) = (self.path(name), self.path(&format!("{name}.new")));
        let written = || -> io::Result<()> {
            self.make()?;
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all(&serde_json::to_vec_pretty(value)?)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        written().map_err(|source| MemoryError::File { operation: "written", path: path.clone(), source })
    }

    /// Changes what is remembered under a name, or its default, durable on return. Errors: it can't be read or written.
    pub fn change<T: DeserializeOwned + Serialize + Default>(
        &self,
        name: &str,
        change: impl FnOnce(&mut T),
    ) -> Result<(), MemoryError> {
        let path = self.path(&format!("{name}.lock"));
        let lock = self.lock_file(&path)?;
        lock.lock().map_err(|source| MemoryError::File { operation: "locked", path, source })?;
        let mut value = self.read(name)?.unwrap_or_default();
        change(&mut value);
        self.write(name, &value)
    }

    /// Returns a file for a lock of this name, for as long as it is held. Errors: it can't be made.
    pub fn lock_named(&self, name: &str) -> Result<File, MemoryError> {
        self.lock_file(&self.path(&format!("{name}.lock")))
    }

    fn lock_file(&self, path: &Path) -> Result<File, MemoryError> {
        let open = || {
            self.make()?;
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
        };
        open().map_err(|source| MemoryError::File { operation: "made", path: path.to_owned(), source })
    }

    fn make(&self) -> io::Result<()> {
        // Those above it are everybody's, and may not be there yet either.
        self.directory.parent().map_or(Ok(()), fs::create_dir_all)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_remembered_is_read_again_and_nobody_else_reads_it() {
        let place = tempfile::tempdir().expect("a directory");
        let (above, beside) = (place.path().join("lib"), place.path().join("beside"));
        let memory = Memory::at(&above.join("memory"));
        assert_eq!(memory.read::<Vec<u8>>("list.json").expect("nothing is no error"), None);
        memory.write("list.json", &[1, 2]).expect("it is new");
        memory.change("list.json", |list: &mut Vec<u8>| list.push(3)).expect("it is there");
        assert_eq!(memory.read("list.json").expect("it is there"), Some(vec![1, 2, 3]));
        let mode = |path: PathBuf| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        fs::create_dir(&beside).expect("it is new");
        assert_eq!(mode(above), mode(beside), "others have what is theirs above it");
        assert_eq!((mode(memory.path("")), mode(memory.path("list.json"))), (0o700, 0o600));
    }

    #[test]
    fn what_is_damaged_is_said_and_not_overwritten() {
        let place = tempfile::tempdir().expect("a directory");
        let memory = Memory::at(place.path());
        fs::write(memory.path("list.json"), "[1, 2").expect("a file");
        let error = memory.change("list.json", |list: &mut Vec<u8>| list.push(3)).expect_err("it is cut");
        assert!(error.to_string().ends_with("list.json is damaged"), "{error}");
        assert_eq!(fs::read_to_string(memory.path("list.json")).expect("it is there"), "[1, 2");
    }

    #[test]
    fn two_that_change_a_file_at_once_both_change_it() {
        let place = tempfile::tempdir().expect("a directory");
        let memory = Memory::at(place.path());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        memory
                            .change("count.json", |count: &mut u32| *count += 1)
                            .expect("it can be changed");
                    }
                });
            }
        });
        assert_eq!(memory.read("count.json").expect("it is there"), Some(40));
    }
}
