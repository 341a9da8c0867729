//! A volume in a directory of a file system.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, fsync};
use rustix::io::Errno;
use units::{ByteLen, SECTOR_LEN};

use crate::directory::capacity;
use crate::open::{Access, take_device};
use crate::volume_path::{LOCK_NAME, check_directory, check_path, is_own_name};
use crate::{FileKind, OpenDevice, Volume, VolumeError, VolumeUsage, device};

/// Permissions of new files and directories: nobody else's business.
const FILE_MODE: Mode = Mode::from_raw_mode(0o600);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o700);

/// A volume in a directory. While it or a clone exists no other process can have it.
#[derive(Clone, Debug)]
pub struct DirVolume {
    root: PathBuf,
    directory: Arc<OwnedFd>,
    /// Held for its lock.
    _lock: Arc<OwnedFd>,
}

impl DirVolume {
    /// Takes the volume in the existing directory `root`. Errors: the directory is missing, another process has it.
    pub fn open(root: &Path) -> Result<Self, VolumeError> {
        let at_root = |step, source| failed(&root.to_string_lossy(), step, source);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(root, flags, Mode::empty())
            .map_err(|source| at_root("opening the volume", source))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = rustix::fs::openat(&directory, LOCK_NAME, flags, FILE_MODE)
            .map_err(|source| at_root("opening its lock", source))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let holder = holder_of(&lock);
                return Err(VolumeError::Locked { directory: root.to_owned(), holder });
            }
            Err(source) => return Err(at_root("locking the volume", source)),
        }
        note_holder(&lock).map_err(|source| at_root("writing its lock", source))?;
        Ok(Self { root: root.to_owned(), directory: Arc::new(directory), _lock: Arc::new(lock) })
    }

    /// Returns the directory of the volume.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Opens a directory of the volume, making it and those above it when `make` says so.
    fn directory(&self, path: &str, make: Make) -> Result<OwnedFd, VolumeError> {
        let mut at = duplicate(self.directory.as_fd())
            .map_err(|source| failed(path, "opening a directory", source))?;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            at = enter(&at, part, make).map_err(|source| match source {
                Errno::NOENT => VolumeError::Missing { path: path.to_owned() },
                Errno::NOTDIR | Errno::LOOP => VolumeError::NotAFile { path: path.to_owned() },
                Errno::NOSPC | Errno::DQUOT => {
                    VolumeError::NoSpace { path: path.to_owned(), len: ByteLen::ZERO }
                }
                source => failed(path, "opening a directory", source),
            })?;
        }
        Ok(at)
    }

    fn take(&self, path: &str, file: OwnedFd) -> Result<OpenDevice, VolumeError> {
        assert!(check_path(path).is_ok(), "a path was checked before its file was touched");
        let full = self.root.join(path);
        take_device(&full, file, FileKind::RegularFile, Access::Exclusive, None)
            .map_err(|source| VolumeError::Device { path: path.to_owned(), source })
    }
}

/// Whether missing directories are made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Make {
    Missing,
    Nothing,
}

impl Volume for DirVolume {
    type Device = OpenDevice;

    /// Makes the file without a name, allocates and flushes it, and only then gives it its name: a crash leaves all or nothing.
    fn create(&self, path: &str, len: ByteLen) -> Result<OpenDevice, VolumeError> {
        check_path(path)?;
        if len == ByteLen::ZERO || !len.0.is_multiple_of(SECTOR_LEN) {
            return Err(VolumeError::Path {
                path: path.to_owned(),
                reason: "its length is not in whole sectors",
            });
        }
        let (parent, name) = split(path);
        let directory = self.directory(parent, Make::Missing)?;
        if rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(VolumeError::Exists { path: path.to_owned() });
        }
        let file =
            unnamed_file(directory.as_fd()).map_err(|source| refusal(path, len, "making a file", source))?;
        device::lengthen(file.as_fd(), ByteLen::ZERO, len)
            .map_err(|source| refusal(path, len, "allocating", source))?;
        fsync(&file).map_err(|source| failed(path, "flushing a new file", source))?;
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        rustix::fs::linkat(rustix::fs::CWD, link, &directory, name, AtFlags::SYMLINK_FOLLOW)
            .map_err(|source| refusal(path, len, "naming a new file", source))?;
        fsync(&directory).map_err(|source| failed(path, "flushing a directory", source))?;
        let device = self.take(path, file)?;
        assert_eq!(device.geometry().len, len, "a new file is as long as it was asked for");
        Ok(device)
    }

    fn open(&self, path: &str) -> Result<OpenDevice, VolumeError> {
        check_path(path)?;
        let (parent, name) = split(path);
        let directory = self.directory(parent, Make::Nothing).map_err(|error| match error {
            VolumeError::Missing { .. } => VolumeError::Missing { path: path.to_owned() },
            error => error,
        })?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(&directory, name, flags, Mode::empty()).map_err(|source| match source {
                Errno::NOENT => VolumeError::Missing { path: path.to_owned() },
                Errno::ISDIR | Errno::LOOP | Errno::NXIO => VolumeError::NotAFile { path: path.to_owned() },
                source => failed(path, "opening a file", source),
            })?;
        let stat = rustix::fs::fstat(&file).map_err(|source| failed(path, "looking at a file", source))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(VolumeError::NotAFile { path: path.to_owned() });
        }
        self.take(path, file)
    }

    fn shorten(&self, path: &str, len: ByteLen) -> Result<(), VolumeError> {
        check_path(path)?;
        let (parent, name) = split(path);
        let directory = self.directory(parent, Make::Nothing)?;
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |source| failed(path, "shortening a file", source);
        let file = rustix::fs::openat(&directory, name, flags, Mode::empty()).map_err(failed)?;
        let stat = rustix::fs::fstat(&file).map_err(failed)?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let longer = u64::try_from(stat.st_size).is_ok_and(|found| found > len.0);
        if regular && longer { rustix::fs::ftruncate(&file, len.0).map_err(failed) } else { Ok(()) }
    }

    fn remove(&self, path: &str) -> Result<(), VolumeError> {
        check_path(path)?;
        let (parent, name) = split(path);
        let directory = match self.directory(parent, Make::Nothing) {
            Err(VolumeError::Missing { .. }) => return Ok(()),
            directory => directory?,
        };
        let removed = match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => rustix::fs::unlinkat(&directory, name, AtFlags::REMOVEDIR),
            removed => removed,
        };
        match removed {
            Ok(()) => fsync(&directory).map_err(|source| failed(path, "flushing a directory", source)),
            Err(Errno::NOENT) => Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Err(VolumeError::NotEmpty { path: path.to_owned() }),
            Err(source) => Err(failed(path, "removing", source)),
        }
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, VolumeError> {
        check_directory(directory)?;
        let opened = match self.directory(directory, Make::Nothing) {
            Err(VolumeError::Missing { .. }) => return Ok(Vec::new()),
            opened => opened?,
        };
        let at = |error: &std::io::Error| {
            failed(directory, "listing a directory", Errno::from_io_error(error).unwrap_or(Errno::IO))
        };
        let entries =
            fs::read_dir(format!("/proc/self/fd/{}", opened.as_raw_fd())).map_err(|error| at(&error))?;
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| at(&error))?.file_name();
            // What is not of our making, such as lost+found, is not ours to see; nor is the lock.
            names.extend(OsStr::to_str(&name).filter(|name| is_own_name(name)).map(str::to_owned));
        }
        names.sort();
        assert!(names.iter().all(|name| name != LOCK_NAME), "the lock is not shown");
        Ok(names)
    }

    fn usage(&self) -> Result<VolumeUsage, VolumeError> {
        let told = rustix::fs::fstatvfs(&*self.directory)
            .map_err(|source| failed("", "asking for its space", source))?;
        let free = ByteLen(told.f_bavail.saturating_mul(told.f_frsize));
        Ok(VolumeUsage { capacity: capacity(&told), free })
    }
}

fn split(path: &str) -> (&str, &str) {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    assert!(!name.is_empty() && name != "..", "a checked path ends with a name");
    (parent, name)
}

fn failed(path: &str, step: &'static str, source: Errno) -> VolumeError {
    VolumeError::Failed { path: path.to_owned(), step, source }
}

fn refusal(path: &str, len: ByteLen, step: &'static str, source: Errno) -> VolumeError {
    match source {
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => VolumeError::NoSpace { path: path.to_owned(), len },
        Errno::EXIST => VolumeError::Exists { path: path.to_owned() },
        source => failed(path, step, source),
    }
}

fn duplicate(directory: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(directory, 0)
}

fn enter(at: &OwnedFd, part: &str, make: Make) -> Result<OwnedFd, Errno> {
    assert!(!part.contains('/') && !part.starts_with('.'), "a directory is entered by a checked name");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(at, part, flags, Mode::empty()) {
        Err(Errno::NOENT) if make == Make::Missing => {
            rustix::fs::mkdirat(at, part, DIRECTORY_MODE)?;
            fsync(at)?;
            rustix::fs::openat(at, part, flags, Mode::empty())
        }
        opened => opened,
    }
}

/// Makes a file that vanishes by itself unless it is given a name.
fn unnamed_file(directory: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(directory, ".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, FILE_MODE)
}

/// Writes who we are into the lock, for whoever is refused.
fn note_holder(lock: &OwnedFd) -> Result<(), Errno> {
    rustix::fs::ftruncate(lock, 0)?;
    let line = format!("process {}\n", std::process::id());
    rustix::io::pwrite(lock, line.as_bytes(), 0).map(drop)
}

fn holder_of(lock: &OwnedFd) -> String {
    let mut bytes = [0; 64];
    let len = rustix::io::pread(lock, &mut bytes, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[..len]).trim().to_owned();
    if text.is_empty() { "unknown".to_owned() } else { text }
}
