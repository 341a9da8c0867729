//! Which disk it is, whatever path it is found at.

use std::fmt;
use std::os::fd::AsFd;
use std::path::Path;
use std::str::FromStr;

use rustix::fs::{FileType, Stat};
use thiserror::Error;

use crate::sysfs::{self, DeviceNumber, Host};

/// The extended attribute that names an image file.
pub const LABEL_ATTRIBUTE: &str = "user.landfall.disk";
/// Bytes a label may have.
const LABEL_LEN_MAX: usize = 128;

/// What makes a disk this disk. Written as text it can be stored, and read back as the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A disk with a name from its maker: world-wide id or serial number; `disk:` in text.
    Disk {
        /// The name.
        name: String,
        /// The number of the partition, if it is one.
        partition: Option<u32>,
    },
    /// A loop device, by the file behind it; `loop:` in text.
    LoopFile {
        /// The file.
        file: FileIdentity,
        /// The number of the partition, if it is one.
        partition: Option<u32>,
    },
    /// An image file; `file:` in text.
    File(FileIdentity),
}

/// What makes a file this file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// Major number of the file system's device.
    pub major: u32,
    /// Minor number of the file system's device.
    pub minor: u32,
    /// The inode.
    pub inode: u64,
    /// The text in its attribute `user.landfall.disk`, if it has one.
    pub label: Option<String>,
}

/// A text that is no identity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{text:?} is no disk identity: allowed are disk:NAME, loop:MAJOR:MINOR:INODE and file:MAJOR:MINOR:INODE[:LABEL]"
)]
pub struct ParseIdentityError {
    /// The text as given.
    pub text: String,
}

impl Identity {
    /// Returns the identity of a block device, or `None` if it has no name of its own.
    pub(crate) fn of_block_device(device: DeviceNumber) -> Option<Self> {
        Self::of_device_in(&Host::this(), device)
    }

    /// As [`Identity::of_block_device`], on a host.
    pub(crate) fn of_device_in(host: &Host, device: DeviceNumber) -> Option<Self> {
        let (disk, partition) = sysfs::whole_disk_in(host, device);
        if let Some((path, stat)) = sysfs::backing_file(&disk) {
            return Some(Self::LoopFile { file: FileIdentity::new(&stat, label_at(&path)), partition });
        }
        assert!(partition != Some(0), "partitions are numbered from 1");
        let name = ["wwid", "device/wwid", "serial", "device/serial"]
            .iter()
            .find_map(|file| sysfs::text(&disk.join(file)))?;
        Some(Self::Disk { name, partition })
    }

    /// Tells whether it is a file, or a loop device over one, that has no label: only its place tells what it is.
    pub fn is_by_place(&self) -> bool {
        matches!(self, Self::File(file) | Self::LoopFile { file, .. } if file.label.is_none())
    }

    /// Returns the identity of the whole disk.
    #[must_use]
    pub fn whole(&self) -> Self {
        match self.clone() {
            Self::Disk { name, .. } => Self::Disk { name, partition: None },
            Self::LoopFile { file, .. } => Self::LoopFile { file, partition: None },
            Self::File(file) => Self::File(file),
        }
    }

    /// Tells whether both are one disk. A label counts more than the place of a file: the number of a file system's device is
    /// another after a restart, and a file that was moved to another file system keeps its label.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::LoopFile { file, partition }, Self::LoopFile { file: others, partition: part }) => {
                partition == part && file.is_same(others)
            }
            (Self::File(file), Self::File(others)) => file.is_same(others),
            (one, other) => one == other,
        }
    }

    /// Returns the identity of an open file.
    pub(crate) fn of_file(file: impl AsFd, stat: &Stat) -> Self {
        let mut bytes = [0; LABEL_LEN_MAX];
        let len = rustix::fs::fgetxattr(file, LABEL_ATTRIBUTE, &mut bytes).ok();
        Self::File(FileIdentity::new(stat, len.and_then(|len| label_text(&bytes[..len]))))
    }
}

impl FileIdentity {
    fn is_same(&self, other: &Self) -> bool {
        match (&self.label, &other.label) {
            (Some(label), Some(others)) => label == others,
            (None, None) => (self.major, self.minor, self.inode) == (other.major, other.minor, other.inode),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    fn new(stat: &Stat, label: Option<String>) -> Self {
        let DeviceNumber { major, minor } = DeviceNumber::from_raw(stat.st_dev);
        Self { major, minor, inode: stat.st_ino, label }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ':');
        let mut part = || parts.next();
        let (major, minor, inode) = (part()?.parse().ok()?, part()?.parse().ok()?, part()?.parse().ok()?);
        let label = match part() {
            Some(label) => Some(label_text(label.as_bytes())?),
            None => None,
        };
        Some(Self { major, minor, inode, label })
    }
}

/// Returns which disk or image file is at a path, or `None` if there is none, or none with a name of its own.
pub fn identity_at(path: &Path) -> Option<Identity> {
    if let Some(device) = sysfs::block_device_at(path) {
        return Identity::of_block_device(device);
    }
    let stat = rustix::fs::stat(path).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    is_file.then(|| Identity::File(FileIdentity::new(&stat, label_at(path))))
}

fn label_at(path: &Path) -> Option<String> {
    let mut bytes = [0; LABEL_LEN_MAX];
    let len = rustix::fs::getxattr(path, LABEL_ATTRIBUTE, &mut bytes).ok()?;
    label_text(&bytes[..len])
}

/// Returns a label as text, or `None` if it is empty, too long or not printable.
fn label_text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let good = !text.is_empty() && text.len() <= LABEL_LEN_MAX && !text.chars().any(char::is_control);
    good.then(|| text.to_owned())
}

impl fmt::Display for FileIdentity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.major, self.minor, self.inode)?;
        match &self.label {
            Some(label) => write!(out, ":{label}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write_kind = |out: &mut fmt::Formatter<'_>, kind: &str, partition: &Option<u32>| match partition {
            Some(partition) => write!(out, "{kind}/{partition}:"),
            None => write!(out, "{kind}:"),
        };
        match self {
            Self::Disk { name, partition } => {
                write_kind(out, "disk", partition)?;
                out.write_str(name)
            }
            Self::LoopFile { file, partition } => {
                write_kind(out, "loop", partition)?;
                write!(out, "{file}")
            }
            Self::File(file) => write!(out, "file:{file}"),
        }
    }
}

impl FromStr for Identity {
    type Err = ParseIdentityError;

    fn from_str(text: &str) -> Result<Self, ParseIdentityError> {
        parse(text).ok_or_else(|| ParseIdentityError { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<Identity> {
    let (kind, rest) = text.split_once(':')?;
    let (kind, partition) = match kind.split_once('/') {
        Some((kind, partition)) => (kind, Some(partition.parse().ok()?)),
        None => (kind, None),
    };
    match (kind, partition) {
        ("disk", partition) if !rest.is_empty() => Some(Identity::Disk { name: rest.to_owned(), partition }),
        ("loop", partition) => Some(Identity::LoopFile { file: FileIdentity::parse(rest)?, partition }),
        ("file", None) => Some(Identity::File(FileIdentity::parse(rest)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_from_its_text() {
        let texts = [
            "disk:naa.6000c29e",
            "disk/3:t10.ATA  QEMU:1",
            "loop:254:0:77",
            "loop/1:254:0:77:web 1",
            "file:254:0:1",
            "file:8:1:99:db:a",
        ];
        for text in texts {
            let identity: Identity = text.parse().unwrap();
            assert_eq!(identity.to_string(), text);
        }
    }

    #[test]
    fn a_text_that_is_no_identity_is_refused_by_name() {
        for text in [
            "",
            "disk:",
            "/dev/sda",
            "file:1:2",
            "file:1:2:x",
            "file/1:1:2:3",
            "loop/x:1:2:3",
            "file:1:2:3:",
            "a:b",
        ] {
            let error = text.parse::<Identity>().unwrap_err();
            assert_eq!(error.text, text);
        }
    }
}
