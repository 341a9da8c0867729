//! Looking at a disk for what is on it and who has it, without disturbing anybody.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use units::{ByteLen, ByteOffset};

use crate::content::{END_LEN, data_at};
use crate::{Content, DeviceError, DiskEnds, recognise};

/// Samples taken between both ends, and bytes of each.
const SAMPLES: u64 = 256;
const SAMPLE_LEN: usize = 64 << 10;

/// What was seen on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskLook {
    /// What was recognised.
    pub contents: Vec<Content>,
    /// A byte that is not zero, in the first or last MiB or in one of 256 samples between; none was found if there is none here.
    pub data: Option<ByteOffset>,
    /// Another program holds it as the only one.
    pub locked: bool,
}

/// Looks at the disk or file at `path`. Nothing is changed. Errors: it is missing or can't be read.
pub fn look_at(path: &Path) -> Result<DiskLook, DeviceError> {
    let failed = |step, source| DeviceError::Open { path: path.to_owned(), step, source };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|source| failed("opening", source))?;
    let len =
        rustix::fs::seek(&file, SeekFrom::End(0)).map_err(|source| failed("finding its size", source))?;
    let locked = is_locked(path, &file);
    let file = File::from(file);
    let look = sample(&file, ByteLen(len));
    let (contents, data) =
        look.map_err(|error| failed("reading", Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    Ok(DiskLook { contents, data, locked })
}

/// Reads both ends of a disk, as far as marks are looked for.
pub fn read_ends(file: &File, len: ByteLen) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let end_len = usize::try_from(len.0).map_or(END_LEN, |len| len.min(END_LEN));
    let (mut head, mut tail) = (vec![0; end_len], vec![0; end_len]);
    file.read_exact_at(&mut head, 0)?;
    file.read_exact_at(&mut tail, len.0 - end_len as u64)?;
    Ok((head, tail))
}

fn sample(file: &File, len: ByteLen) -> std::io::Result<(Vec<Content>, Option<ByteOffset>)> {
    let (head, tail) = read_ends(file, len)?;
    let contents = recognise(&DiskEnds { len, head: &head, tail: &tail });
    let at_end = || data_at(ByteOffset(len.0 - tail.len() as u64), &tail);
    let mut data = data_at(ByteOffset(0), &head).or_else(at_end);
    let mut buffer = vec![0; SAMPLE_LEN];
    for number in 1..SAMPLES {
        let at = len.0 / SAMPLES * number / 4096 * 4096;
        if data.is_some() || at + SAMPLE_LEN as u64 > len.0 {
            break;
        }
        file.read_exact_at(&mut buffer, at)?;
        data = data_at(ByteOffset(at), &buffer);
    }
    Ok((contents, data))
}

/// Tries the kernel's claim on a block device and gives it back at once; a file's lock is tried likewise.
fn is_locked(path: &Path, file: &OwnedFd) -> bool {
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let is_device = crate::sysfs::block_device_at(path).is_some();
    let claimed = || matches!(rustix::fs::open(path, flags, Mode::empty()), Err(Errno::BUSY));
    let lock = rustix::fs::FlockOperation::NonBlockingLockShared;
    let flocked = || rustix::fs::flock(file, lock) == Err(Errno::WOULDBLOCK);
    if is_device { claimed() } else { flocked() }
}
