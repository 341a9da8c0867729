//! What the kernel tells of block devices in text files.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat, major, minor};

/// Where the kernel's files are: of this host, or of one that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) sys: PathBuf,
    pub(crate) proc: PathBuf,
    pub(crate) dev: PathBuf,
}

impl Host {
    /// Returns this host.
    pub(crate) fn this() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into(), dev: "/dev".into() }
    }

    /// Returns the directory of a device.
    pub(crate) fn directory(&self, device: DeviceNumber) -> PathBuf {
        self.sys.join(format!("dev/block/{device}"))
    }

    /// Returns the directory that has one entry for each disk.
    pub(crate) fn disks(&self) -> PathBuf {
        self.sys.join("block")
    }

    /// Returns the name the kernel gives a device, or its number.
    pub(crate) fn name_of(&self, device: DeviceNumber) -> String {
        let real = fs::canonicalize(self.directory(device)).ok();
        let name = real.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_else(|| device.to_string())
    }
}

/// The number the kernel knows a device by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeviceNumber {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl DeviceNumber {
    pub(crate) fn from_raw(device: u64) -> Self {
        Self { major: major(device), minor: minor(device) }
    }

    /// Reads a number as the kernel writes it, `8:16`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }

    /// Returns the device's directory in sysfs.
    pub(crate) fn directory(self) -> PathBuf {
        Host::this().directory(self)
    }
}

impl std::fmt::Display for DeviceNumber {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}", self.major, self.minor)
    }
}

/// Returns the number of the block device `path` leads to, or `None` if it is something else or missing.
pub(crate) fn block_device_at(path: &Path) -> Option<DeviceNumber> {
    let stat = rustix::fs::stat(path).ok()?;
    (FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice)
        .then(|| DeviceNumber::from_raw(stat.st_rdev))
}

/// Returns the contents of a text file without the space around it, or `None` if it is missing or empty.
pub(crate) fn text(path: &Path) -> Option<String> {
    let found = fs::read_to_string(path).ok()?;
    let trimmed = found.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// Returns the number in a text file.
pub(crate) fn number(path: &Path) -> Option<u64> {
    text(path)?.parse().ok()
}

/// Returns the sorted names in a directory; none if it is missing.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Returns the numbers of a disk's partitions.
pub(crate) fn partitions(disk: &Path) -> Vec<DeviceNumber> {
    let inside = names(disk).into_iter().map(|name| disk.join(name));
    let parts = inside.filter(|part| part.join("partition").exists());
    parts.filter_map(|part| DeviceNumber::parse(&text(&part.join("dev"))?)).collect()
}

/// Returns the directory of the whole disk and, if `device` is a partition of it, its number there.
pub(crate) fn whole_disk(device: DeviceNumber) -> (PathBuf, Option<u32>) {
    whole_disk_in(&Host::this(), device)
}

/// As [`whole_disk`], on a host.
pub(crate) fn whole_disk_in(host: &Host, device: DeviceNumber) -> (PathBuf, Option<u32>) {
    let directory = host.directory(device);
    let Some(partition) = number(&directory.join("partition")) else {
        return (directory, None);
    };
    let real = fs::canonicalize(&directory).unwrap_or(directory);
    let disk = real.parent().map_or_else(|| real.clone(), Path::to_path_buf);
    (disk, u32::try_from(partition).ok())
}

/// Returns the file behind a loop device, by what its path leads to now.
pub(crate) fn backing_file(disk: &Path) -> Option<(PathBuf, Stat)> {
    let path = PathBuf::from(text(&disk.join("loop/backing_file"))?);
    let stat = rustix::fs::stat(&path).ok()?;
    Some((path, stat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_read_as_they_are_written() {
        let number = DeviceNumber { major: 259, minor: 3 };
        assert_eq!(DeviceNumber::parse(&format!("{number}\n")), Some(number));
        assert_eq!(DeviceNumber::parse("8"), None);
        assert_eq!(DeviceNumber::parse("8:x"), None);
    }

    #[test]
    fn what_is_missing_reads_as_nothing() {
        let nowhere = Path::new("/sys/landfall-has-no-such-directory");
        assert_eq!(text(nowhere), None);
        assert!(names(nowhere).is_empty() && partitions(nowhere).is_empty());
        assert!(block_device_at(Path::new("/dev/null")).is_none());
    }
}
