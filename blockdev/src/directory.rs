//! What a directory lies on: the file system below it, and what is in it.

use std::path::Path;

use rustix::fs::{Mode, OFlags, StatVfs, StatVfsMountFlags};
use rustix::io::Errno;
use units::ByteLen;

use crate::volume_path::{LOCK_NAME, is_own_name};

/// The file systems that keep no history safe, by the number the kernel gives them (`linux/magic.h`).
const FAT_FAMILY: [(u64, &str); 2] = [(0x4d44, "FAT"), (0x2011_bab0, "exFAT")];

/// What is known of a directory that is to hold a retention volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryFacts {
    /// The name of its file system, if it is of the FAT family.
    pub fat: Option<&'static str>,
    /// It can't be written.
    pub read_only: bool,
    /// What the file system can hold, without what it keeps back for the superuser.
    pub capacity: ByteLen,
    /// A file system of its own is mounted here.
    pub is_mount: bool,
    /// What is in it that no retention volume has, sorted; the directory for lost files and the lock are nothing.
    pub foreign: Vec<String>,
    /// What is in it by names of ours, sorted.
    pub own: Vec<String>,
}

/// What a file system can hold. Blocks kept back for the superuser are no room of ours: counted in, a volume of which they are the
/// larger part would never be as free as the alarms want it.
pub(crate) fn capacity(space: &StatVfs) -> ByteLen {
    let kept_back = space.f_bfree.saturating_sub(space.f_bavail);
    ByteLen(space.f_blocks.saturating_sub(kept_back).saturating_mul(space.f_frsize))
}

/// Looks at a directory. `ours` are the names at the top of a retention volume. Errors: it is missing, or no directory.
pub fn directory_facts(path: &Path, ours: &[&str]) -> Result<DirectoryFacts, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty())?;
    let system = rustix::fs::fstatfs(&directory)?;
    let space = rustix::fs::fstatvfs(&directory)?;
    let magic = u64::try_from(system.f_type).unwrap_or_default() & 0xffff_ffff;
    let number = |path: &Path| rustix::fs::stat(path).map(|stat| stat.st_dev);
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let above = real.parent().map(number).transpose()?;
    let entries =
        std::fs::read_dir(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| name != "lost+found" && name != LOCK_NAME).collect();
    names.sort();
    let (own, foreign) =
        names.into_iter().partition(|name| is_own_name(name) && ours.contains(&name.as_str()));
    Ok(DirectoryFacts {
        fat: FAT_FAMILY.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name),
        read_only: space.f_flag.contains(StatVfsMountFlags::RDONLY),
        capacity: capacity(&space),
        is_mount: above.is_none_or(|above| Ok(above) != number(&real)),
        foreign,
        own,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_kept_back_are_no_capacity() {
        let mut space = rustix::fs::statvfs("/").unwrap();
        (space.f_frsize, space.f_blocks, space.f_bfree, space.f_bavail) = (4096, 100, 70, 30);
        assert_eq!(capacity(&space), ByteLen(60 * 4096), "30 are used and 30 can be");
    }

    #[test]
    fn a_directory_tells_what_is_in_it_by_whom() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["machines", "lost+found", "Photos", ".hidden", "lock"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let facts = directory_facts(directory.path(), &["machines"]).unwrap();
        assert_eq!(facts.own, ["machines"]);
        assert_eq!(facts.foreign, [".hidden", "Photos"]);
        assert!(facts.capacity > ByteLen::ZERO && facts.fat.is_none() && !facts.read_only);
        assert!(!facts.is_mount);
        assert!(directory_facts(Path::new("/proc"), &[]).unwrap().is_mount);
        assert!(directory_facts(&directory.path().join("none"), &[]).is_err());
    }
}
