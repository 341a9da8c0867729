//! Opening a disk: never made, never the wrong one, never one that is in use.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, SeekFrom, Stat, StatxFlags};
use rustix::io::Errno;
use units::{ByteLen, SECTOR_LEN};

use crate::sysfs::{self, DeviceNumber, Host};
use crate::{DeviceError, FileKind, Geometry, Identity, OpenDevice, in_use};

/// How often a disk somebody else has is tried, and the pause between: half a second in all.
const BUSY_ATTEMPTS: u32 = 26;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// What a disk is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read what others write; the disk may be in use.
    ReadOnly,
    /// To write, as the only one; the disk must not be in use.
    Exclusive,
}

const _: () = assert!(BUSY_ATTEMPTS > 1 && BUSY_PAUSE.as_millis() * (BUSY_ATTEMPTS as u128) < 1000);

/// Whether an image file may stand for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilePolicy {
    /// Block devices only.
    Refuse,
    /// Block devices and regular files.
    Allow,
}

/// What the disk at a path has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The disk it has to be, or `None` when it is seen for the first time.
    pub identity: Option<Identity>,
    /// The least size.
    pub len_min: ByteLen,
    /// Whether it may be a file.
    pub files: FilePolicy,
    /// What it is opened for.
    pub access: Access,
}

/// Opens the disk at `path` if it is what is expected; nothing is ever created or changed. Errors: each names the path, what was
/// found, what is allowed and what to do.
pub fn open_device(path: &Path, expect: &Expect) -> Result<OpenDevice, DeviceError> {
    let before = rustix::fs::stat(path).map_err(|source| match source {
        // Nothing can have a path with a zero byte in it, or one that is too long or leads in a circle.
        Errno::NOENT | Errno::NOTDIR | Errno::INVAL | Errno::NAMETOOLONG | Errno::LOOP => {
            DeviceError::Missing { path: path.to_owned() }
        }
        source => failed(path, "looking it up", source),
    })?;
    let kind = check_kind(path, &before, expect.files)?;
    if expect.access == Access::Exclusive {
        refuse_if_used(path, &before, kind)?;
    }
    let file = open_file(path, kind, expect.access)?;
    let stat = rustix::fs::fstat(&file).map_err(|source| failed(path, "looking at it", source))?;
    if (stat.st_rdev, stat.st_dev, stat.st_ino) != (before.st_rdev, before.st_dev, before.st_ino) {
        return Err(failed(path, "opening (it was replaced meanwhile)", Errno::AGAIN));
    }
    if expect.access == Access::Exclusive {
        lock_file(path, &file, kind)?;
        // Between the first look and the opening somebody may have mounted it or put a loop device on it.
        refuse_if_used(path, &stat, kind)?;
    }
    let identity = match kind {
        FileKind::BlockDevice => Identity::of_block_device(DeviceNumber::from_raw(stat.st_rdev)),
        _ => Some(Identity::of_file(&file, &stat)),
    };
    check_identity(path, identity.as_ref(), expect.identity.as_ref())?;
    let device = take_device(path, file, kind, expect.access, identity)?;
    if device.geometry.len < expect.len_min {
        let (found, needed) = (device.geometry.len, expect.len_min);
        return Err(DeviceError::TooSmall { path: path.to_owned(), found, needed });
    }
    assert_eq!(device.writable, expect.access == Access::Exclusive, "only who has it alone may write");
    let expected = |wanted: &Identity| device.identity.as_ref().is_some_and(|found| wanted.is_same(found));
    assert!(expect.identity.as_ref().is_none_or(expected), "the disk is the one expected");
    Ok(device)
}

fn failed(path: &Path, step: &'static str, source: Errno) -> DeviceError {
    DeviceError::Open { path: path.to_owned(), step, source }
}

fn check_kind(path: &Path, stat: &Stat, files: FilePolicy) -> Result<FileKind, DeviceError> {
    let found = match FileType::from_raw_mode(stat.st_mode) {
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::RegularFile => FileKind::RegularFile,
        FileType::Directory => FileKind::Directory,
        FileType::CharacterDevice => FileKind::CharacterDevice,
        _ => FileKind::Other,
    };
    let allowed = match files {
        FilePolicy::Refuse => "a block device",
        FilePolicy::Allow => "a block device or a regular file",
    };
    match (found, files) {
        (FileKind::BlockDevice, _) | (FileKind::RegularFile, FilePolicy::Allow) => Ok(found),
        _ => Err(DeviceError::WrongKind { path: path.to_owned(), found, allowed }),
    }
}

fn refuse_if_used(path: &Path, stat: &Stat, kind: FileKind) -> Result<(), DeviceError> {
    assert!(matches!(kind, FileKind::BlockDevice | FileKind::RegularFile), "the kind was checked before");
    let uses = match kind {
        FileKind::BlockDevice => in_use::of_block_device(&Host::this(), DeviceNumber::from_raw(stat.st_rdev)),
        _ => in_use::of_file(stat),
    };
    let reasons: Vec<_> = uses.iter().map(ToString::to_string).collect();
    if reasons.is_empty() { Ok(()) } else { Err(DeviceError::InUse { path: path.to_owned(), reasons }) }
}

fn open_file(path: &Path, kind: FileKind, access: Access) -> Result<OwnedFd, DeviceError> {
    let flags = match (access, kind) {
        (Access::ReadOnly, _) => OFlags::RDONLY,
        // On a block device, and only there, O_EXCL without O_CREAT claims it against mounts and other claims (open(2)).
        (Access::Exclusive, FileKind::BlockDevice) => OFlags::RDWR | OFlags::EXCL,
        (Access::Exclusive, _) => OFlags::RDWR,
    };
    assert!(!flags.contains(OFlags::CREATE), "a disk is opened, never made");
    let open = || rustix::fs::open(path, flags | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty());
    patiently(Errno::BUSY, open).map_err(|source| match source {
        Errno::BUSY => {
            let reasons = vec!["the kernel has given it to somebody else".to_owned()];
            DeviceError::InUse { path: path.to_owned(), reasons }
        }
        source => failed(path, "opening", source),
    })
}

/// Tries again for a while what fails with `busy`: the files of a killed process are closed a little after its end, when the
/// kernel is through with its ring.
fn patiently<T>(busy: Errno, mut attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 1..BUSY_ATTEMPTS {
        match attempt() {
            Err(source) if source == busy => std::thread::sleep(BUSY_PAUSE),
            outcome => return outcome,
        }
    }
    attempt()
}

fn lock_file(path: &Path, file: &OwnedFd, kind: FileKind) -> Result<(), DeviceError> {
    if kind == FileKind::BlockDevice {
        return Ok(());
    }
    let lock = || rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive);
    patiently(Errno::WOULDBLOCK, lock).map_err(|source| match source {
        Errno::WOULDBLOCK => {
            let reasons = vec!["another process has locked it".to_owned()];
            DeviceError::InUse { path: path.to_owned(), reasons }
        }
        source => failed(path, "locking", source),
    })
}

pub(crate) fn check_identity(
    path: &Path,
    found: Option<&Identity>,
    expected: Option<&Identity>,
) -> Result<(), DeviceError> {
    match expected {
        Some(expected) if !found.is_some_and(|found| expected.is_same(found)) => {
            Err(DeviceError::WrongIdentity {
                path: path.to_owned(),
                found: found.map_or_else(|| "without a name of its own".to_owned(), Identity::to_string),
                expected: expected.to_string(),
            })
        }
        _ => Ok(()),
    }
}

/// Makes a device of a file that was opened and belongs to us: finds its size, and the alignment it asks for.
pub(crate) fn take_device(
    path: &Path,
    file: OwnedFd,
    kind: FileKind,
    access: Access,
    identity: Option<Identity>,
) -> Result<OpenDevice, DeviceError> {
    let len = rustix::fs::seek(&file, SeekFrom::End(0))
        .map_err(|source| failed(path, "finding its size", source))?;
    if len == 0 || !len.is_multiple_of(SECTOR_LEN) {
        let found = format!("a size of {len} bytes");
        return Err(DeviceError::Unfit {
            path: path.to_owned(),
            found,
            allowed: "a multiple of 512 above 0",
        });
    }
    let sector = direct_alignment(file.as_fd(), kind);
    // The last sector of a file may be cut; then only the page cache can reach its end.
    let direct = sector.is_some_and(|sector| len.is_multiple_of(u64::from(sector))) && set_direct(&file);
    let alignment = match (direct, kind, sector) {
        (true, _, Some(sector)) | (false, FileKind::BlockDevice, Some(sector)) => sector,
        _ => 512,
    };
    if alignment != 512 && alignment != 4096 {
        let found = format!("sectors of {alignment} bytes");
        return Err(DeviceError::Unfit {
            path: path.to_owned(),
            found,
            allowed: "sectors of 512 or 4096 bytes",
        });
    }
    assert!(len.is_multiple_of(u64::from(alignment)), "a disk ends with a whole sector");
    if !direct {
        tracing::info!(device = %path.display(), "device used through the page cache");
    }
    Ok(OpenDevice {
        file,
        path: path.to_owned(),
        name: path.to_string_lossy().into(),
        kind,
        geometry: Geometry { len: ByteLen(len), alignment },
        direct,
        writable: access == Access::Exclusive,
        identity,
        failure: None,
    })
}

/// Returns what positions and lengths of a direct transfer have to be multiples of, or `None` where there are none.
fn direct_alignment(file: BorrowedFd<'_>, kind: FileKind) -> Option<u32> {
    let told =
        rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN | StatxFlags::BASIC_STATS)
            .ok()?;
    if told.stx_mask & StatxFlags::DIOALIGN.bits() != 0 {
        return (told.stx_dio_offset_align > 0).then_some(told.stx_dio_offset_align.max(512));
    }
    let number = match kind {
        FileKind::BlockDevice => DeviceNumber { major: told.stx_rdev_major, minor: told.stx_rdev_minor },
        _ => DeviceNumber { major: told.stx_dev_major, minor: told.stx_dev_minor },
    };
    let (disk, _) = sysfs::whole_disk(number);
    let sector =
        sysfs::number(&disk.join("queue/logical_block_size")).and_then(|sector| u32::try_from(sector).ok());
    // A file system of an unknown kind is asked for no more than everybody can do.
    sector.or((kind == FileKind::RegularFile).then_some(4096))
}

/// Makes transfers go past the page cache; tells whether that is possible.
fn set_direct(file: &OwnedFd) -> bool {
    let flags = rustix::fs::fcntl_getfl(file);
    flags.and_then(|flags| rustix::fs::fcntl_setfl(file, flags | OFlags::DIRECT)).is_ok()
}
