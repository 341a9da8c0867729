//! A device that was opened and checked.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, Mode, OFlags, SeekFrom, XattrFlags, fallocate, fsync, ftruncate};
use rustix::io::Errno;
use units::{ByteLen, ByteOffset};

use crate::slots::Attached;
use crate::sysfs::{self, DeviceNumber};
use crate::{DeviceError, FileKind, Geometry, Identity, LABEL_ATTRIBUTE, OperationKind};

/// A disk or image file, opened by [`crate::open_device`] or [`crate::DirVolume`]. Closed, and free for others, when dropped.
#[derive(Debug)]
pub struct OpenDevice {
    pub(crate) file: OwnedFd,
    pub(crate) path: PathBuf,
    pub(crate) name: Arc<str>,
    pub(crate) kind: FileKind,
    pub(crate) geometry: Geometry,
    pub(crate) direct: bool,
    pub(crate) writable: bool,
    pub(crate) identity: Option<Identity>,
    pub(crate) failure: Option<Arc<str>>,
}

/// What changes when a disk is written, by whomever: equal stamps mean that nobody wrote in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityStamp {
    /// What the kernel counted on a block device since it appeared.
    Counters {
        /// Writes that ended.
        writes: u64,
        /// Sectors written, each 512 bytes.
        sectors: u64,
        /// Discards that ended.
        discards: u64,
    },
    /// The times and the size of a file.
    Times {
        /// Last change of the contents, in ns since 1970.
        changed_ns: i128,
        /// Last change of contents or attributes, in ns since 1970.
        attributes_ns: i128,
        /// Size of the file.
        len: ByteLen,
    },
}

impl OpenDevice {
    /// Returns the path it was opened at.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether it is a block device or a regular file.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Returns size and alignment.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Returns which disk it is, or `None` if it has no name of its own.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Tells whether transfers go past the page cache.
    pub fn is_direct(&self) -> bool {
        self.direct
    }

    /// Returns a stamp of the writes the disk has seen. Errors: the kernel does not tell.
    pub fn activity(&self) -> Result<ActivityStamp, DeviceError> {
        let stat =
            rustix::fs::fstat(&self.file).map_err(|source| self.failed_step("reading its times", source))?;
        if self.kind == FileKind::BlockDevice {
            let table = DeviceNumber::from_raw(stat.st_rdev).directory().join("stat");
            let counters = sysfs::text(&table).and_then(|text| parse_counters(&text));
            return counters.ok_or_else(|| self.failed_step("reading its counters", Errno::NODATA));
        }
        let stamp =
            |seconds: i64, nanoseconds: u64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Ok(ActivityStamp::Times {
            changed_ns: stamp(stat.st_mtime, stat.st_mtime_nsec),
            attributes_ns: stamp(stat.st_ctime, stat.st_ctime_nsec),
            len: ByteLen(u64::try_from(stat.st_size).unwrap_or_default()),
        })
    }

    /// Labels an image file, or the file behind a loop device, so that it is known wherever it is moved; durable on return. Returns
    /// whether it has the label: other disks, and file systems without attributes, take none.
    pub fn give_label(&mut self, label: &str) -> bool {
        assert!(self.writable, "only who has a disk alone labels it");
        if !self.identity.as_ref().is_some_and(Identity::is_by_place) {
            return false;
        }
        let set = |file: BorrowedFd<'_>| {
            rustix::fs::fsetxattr(file, LABEL_ATTRIBUTE, label.as_bytes(), XattrFlags::CREATE)?;
            fsync(file)
        };
        let done = match self.kind {
            FileKind::RegularFile => set(self.file.as_fd()),
            _ => self.backing_file().and_then(|file| set(file.as_fd())),
        };
        let stat = rustix::fs::fstat(&self.file);
        let (Ok(()), Ok(stat)) = (done, stat) else { return false };
        self.identity = match self.kind {
            FileKind::RegularFile => Some(Identity::of_file(&self.file, &stat)),
            _ => Identity::of_block_device(DeviceNumber::from_raw(stat.st_rdev)),
        };
        !self.identity.as_ref().is_some_and(Identity::is_by_place)
    }

    /// Opens the file behind a loop device.
    fn backing_file(&self) -> Result<OwnedFd, Errno> {
        let stat = rustix::fs::fstat(&self.file)?;
        let (disk, _) = sysfs::whole_disk(DeviceNumber::from_raw(stat.st_rdev));
        let (path, _) = sysfs::backing_file(&disk).ok_or(Errno::NOENT)?;
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    }

    /// Opens the same disk once more, for reading only, whatever its path leads to now.
    pub fn reader(&self) -> Result<Self, DeviceError> {
        assert!(
            matches!(self.kind, FileKind::BlockDevice | FileKind::RegularFile),
            "an open device is one of these"
        );
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&self.file));
        let direct = if self.direct { OFlags::DIRECT } else { OFlags::empty() };
        let file = rustix::fs::open(link, OFlags::RDONLY | OFlags::CLOEXEC | direct, Mode::empty())
            .map_err(|source| self.failed_step("opening it once more", source))?;
        Ok(Self {
            file,
            path: self.path.clone(),
            name: Arc::clone(&self.name),
            identity: self.identity.clone(),
            writable: false,
            failure: None,
            ..*self
        })
    }

    /// Returns the stretch that starts at `at`: whether it is a hole, which reads as zero, and how long it is. Where nobody can
    /// tell, all of it is data. What is written meanwhile may fill a hole.
    pub fn stretch_at(&self, at: ByteOffset) -> (bool, ByteLen) {
        let rest = ByteLen(self.geometry.len.0.saturating_sub(at.0));
        let until = |next: u64| ByteLen(next - at.0).min(rest);
        if self.kind != FileKind::RegularFile {
            return (false, rest);
        }
        match rustix::fs::seek(&self.file, SeekFrom::Data(at.0)) {
            Ok(data) if data > at.0 => (true, until(data)),
            Ok(_) => {
                let hole = rustix::fs::seek(&self.file, SeekFrom::Hole(at.0));
                (false, hole.map_or(rest, |hole| if hole > at.0 { until(hole) } else { rest }))
            }
            Err(Errno::NXIO) => (true, rest),
            Err(_) => (false, rest),
        }
    }

    fn failed_step(&self, step: &'static str, source: Errno) -> DeviceError {
        DeviceError::Open { path: self.path.clone(), step, source }
    }

    /// Lengthens a file; see [`crate::Engine::grow`].
    pub(crate) fn grow(&mut self, len: ByteLen) -> Result<(), DeviceError> {
        let old = self.geometry.len;
        let device = || Arc::clone(&self.name);
        if let Some(first) = &self.failure {
            return Err(DeviceError::FailedStop { device: device(), first: Arc::clone(first) });
        }
        if !self.writable {
            return Err(DeviceError::ReadOnly { device: device(), kind: OperationKind::Grow });
        }
        let whole = len.0.is_multiple_of(u64::from(self.geometry.alignment));
        if self.kind != FileKind::RegularFile || len < old || !whole {
            let reason = "only a file grows, and in whole sectors";
            return Err(DeviceError::NotGrowable { device: device(), len, reason });
        }
        if let Err(source) = lengthen(self.file.as_fd(), old, len) {
            if matches!(source, Errno::NOSPC | Errno::DQUOT | Errno::FBIG) {
                return Err(DeviceError::NoSpace { device: device(), len });
            }
            let (kind, at) = (OperationKind::Grow, ByteOffset(old.0));
            return Err(DeviceError::Failed { device: device(), kind, at, len, source });
        }
        assert!(self.geometry.len <= len, "a file that grew is longer");
        self.geometry.len = len;
        Ok(())
    }
}

/// Allocates a file up to `len` and makes that durable; on failure it has its `old` length again.
pub(crate) fn lengthen(file: BorrowedFd<'_>, old: ByteLen, len: ByteLen) -> Result<(), Errno> {
    assert!(len >= old, "a file is lengthened, never cut");
    if len == old {
        return Ok(());
    }
    let outcome = fallocate(file, FallocateFlags::empty(), old.0, len.0 - old.0).and_then(|()| fsync(file));
    if outcome.is_err() {
        // A file system may have lengthened the file before it ran out of space.
        ftruncate(file, old.0)?;
    }
    outcome
}

/// Reads `/sys/dev/block/M:m/stat` (Documentation/block/stat.rst of the kernel).
fn parse_counters(text: &str) -> Option<ActivityStamp> {
    let fields: Vec<u64> = text.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let field = |index: usize| fields.get(index).copied();
    Some(ActivityStamp::Counters { writes: field(4)?, sectors: field(6)?, discards: field(11).unwrap_or(0) })
}

impl AsFd for OpenDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Attached for OpenDevice {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn writable(&self) -> bool {
        self.writable
    }

    fn failure(&self) -> Option<&Arc<str>> {
        self.failure.as_ref()
    }

    fn set_failure(&mut self, first: Arc<str>) {
        self.failure = Some(first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_counters_are_read_by_their_place() {
        let line = "  243079    44159 31555210   415233    13600    41266  5579802    16002        0    32976   432684     8742      130  1302816";
        let expected = ActivityStamp::Counters { writes: 13600, sectors: 5_579_802, discards: 8742 };
        assert_eq!(parse_counters(line), Some(expected));
        assert_eq!(parse_counters("1 2 3"), None);
    }
}
