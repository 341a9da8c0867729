//! The state directory: the leaf table of one machine, and the lock that keeps a second agent away.
//!
//! `NAME.leaves` is the table (see [`crate::layout`]), `NAME.lock` is locked while an agent runs,
//! `NAME.frozen` is there while writes are held. The table is replaced whole:
//! 1. write `NAME.leaves.new`, 2. fsync it, 3. rename it, 4. fsync the directory. A crash leaves the old table or the new one;
//!    either is true, for the sequence it names.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use units::{ByteLen, ByteOffset, MachineName};

use crate::error::SourceError;
use crate::layout::{self, TableError};
use crate::table::LeafTable;

/// The largest table that is read back: that of 64 TiB of disks.
const TABLE_LEN_MAX: u64 = 33 << 30;

/// The state directory of one machine, locked.
#[derive(Debug)]
pub(crate) struct StateDirectory {
    directory: PathBuf,
    machine: MachineName,
    _lock: File,
}

/// What the state directory held.
#[derive(Debug)]
pub(crate) enum Loaded {
    /// A table for exactly these disks.
    Table(LeafTable),
    /// None: the first run.
    Missing,
    /// One that cannot be trusted; the reason is for the operator.
    Damaged(TableError),
    /// One of other disks or of another machine.
    Foreign,
}

impl StateDirectory {
    /// Opens the directory, making it if it is missing, and locks it for the machine. Errors: another agent has the lock, the
    /// directory cannot be made or written.
    pub(crate) fn open(directory: &Path, machine: &MachineName) -> Result<Self, SourceError> {
        let failed = |step| {
            let path = directory.to_owned();
            move |source| SourceError::State { step, path, source: Arc::new(source) }
        };
        fs::create_dir_all(directory).map_err(failed("make"))?;
        let path = directory.join(format!("{machine}.lock"));
        let lock = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("write to"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SourceError::Locked { machine: machine.clone(), path });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        Ok(Self { directory: directory.to_owned(), machine: machine.clone(), _lock: lock })
    }

    /// Reads the table, if there is one for these disks. Errors: the file cannot be read at all.
    pub(crate) fn load(&self, lens: &[ByteLen]) -> Result<Loaded, SourceError> {
        let path = self.table_path();
        let failed =
            |source| SourceError::State { step: "read", path: path.clone(), source: Arc::new(source) };
        let found = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::Missing),
            Err(error) => return Err(failed(error)),
        };
        if found > TABLE_LEN_MAX {
            return Ok(Loaded::Damaged(TableError::Length { found, expected: TABLE_LEN_MAX }));
        }
        let table = match layout::decode(&fs::read(&path).map_err(failed)?) {
            Ok(table) => table,
            Err(damage) => return Ok(Loaded::Damaged(damage)),
        };
        let same = table.machine == self.machine
            && table.disks().iter().map(|disk| disk.len()).eq(lens.iter().copied());
        Ok(if same { Loaded::Table(table) } else { Loaded::Foreign })
    }

    /// Replaces the table, durably; leaves not before `through` (by disk) are kept as unknown. Errors: no space, no permission;
    /// the old table stands.
    pub(crate) fn save(&self, table: &LeafTable, through: &[ByteOffset]) -> Result<(), SourceError> {
        let (path, new) = (self.table_path(), self.directory.join(format!("{}.leaves.new", self.machine)));
        let replace = || {
            let mut out = BufWriter::with_capacity(1 << 20, File::create(&new)?);
            layout::encode(table, through, &mut out)?;
            out.flush()?;
            out.get_ref().sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        replace().map_err(|source| SourceError::State { step: "write", path, source: Arc::new(source) })
    }

    /// Notes durably that writes are about to be held. Errors: no space, no permission.
    pub(crate) fn mark_frozen(&self) -> Result<(), SourceError> {
        let path = self.frozen_path();
        let make = || {
            File::create(&path)?.sync_all()?;
            File::open(&self.directory)?.sync_all()
        };
        make().map_err(|source| SourceError::State {
            step: "write",
            path: path.clone(),
            source: Arc::new(source),
        })
    }

    /// Tells whether an agent has held writes and was killed before it let them go.
    pub(crate) fn is_marked_frozen(&self) -> bool {
        self.frozen_path().exists()
    }

    /// Returns where that is noted.
    pub(crate) fn frozen_path(&self) -> PathBuf {
        self.directory.join(format!("{}.frozen", self.machine))
    }

    fn table_path(&self) -> PathBuf {
        self.directory.join(format!("{}.leaves", self.machine))
    }
}

#[cfg(test)]
mod tests {
    use units::{DiskIndex, Hash, LEAF_LEN, LeafIndex, Sequence};

    use super::*;

    const LENS: [ByteLen; 1] = [ByteLen(3 * LEAF_LEN)];

    fn machine() -> MachineName {
        "web-01".parse().unwrap()
    }

    fn saved(directory: &Path) -> LeafTable {
        let state = StateDirectory::open(directory, &machine()).unwrap();
        let mut table = LeafTable::unknown(machine(), LENS);
        table.sequence = Sequence(5);
        table.disk_mut(DiskIndex(0)).learn(LeafIndex(1), Hash([3; 32]));
        state.save(&table, &[ByteOffset(u64::MAX)]).unwrap();
        table
    }

    #[test]
    fn a_saved_table_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let table = saved(directory.path());
        let state = StateDirectory::open(directory.path(), &machine()).unwrap();
        assert!(matches!(state.load(&LENS).unwrap(), Loaded::Table(found) if found == table));
        assert!(matches!(state.load(&[ByteLen(512)]).unwrap(), Loaded::Foreign));
    }

    #[test]
    fn a_damaged_table_is_told_from_a_missing_one() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path(), &machine()).unwrap();
        assert!(matches!(state.load(&LENS).unwrap(), Loaded::Missing));
        drop(state);
        saved(directory.path());
        let path = directory.path().join("web-01.leaves");
        let mut bytes = fs::read(&path).unwrap();
        bytes[150] ^= 4;
        fs::write(&path, bytes).unwrap();
        let state = StateDirectory::open(directory.path(), &machine()).unwrap();
        assert!(matches!(state.load(&LENS).unwrap(), Loaded::Damaged(TableError::Checksum { .. })));
    }

    #[test]
    fn a_second_agent_for_the_machine_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let first = StateDirectory::open(directory.path(), &machine()).unwrap();
        let second = StateDirectory::open(directory.path(), &machine());
        assert!(matches!(second, Err(SourceError::Locked { .. })));
        StateDirectory::open(directory.path(), &"web-02".parse().unwrap()).unwrap();
        drop(first);
        StateDirectory::open(directory.path(), &machine()).unwrap();
    }
}
