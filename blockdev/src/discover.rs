//! The disks of this machine.

use std::path::{Path, PathBuf};

use units::{ByteLen, SECTOR_LEN};

use crate::sysfs::{self, DeviceNumber};
use crate::{Identity, in_use};

/// One whole disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceListing {
    /// Where it can be opened now; only its identity stays the same.
    pub path: PathBuf,
    /// The kernel's name for it.
    pub name: String,
    /// Its size.
    pub len: ByteLen,
    /// Bytes of a logical sector; 0 if the kernel does not say.
    pub sector: u32,
    /// What its maker calls it, if the kernel knows.
    pub model: Option<String>,
    /// Which disk it is, if it has a name of its own.
    pub identity: Option<Identity>,
    /// Whether it could become a target disk.
    pub eligibility: Eligibility,
}

/// Whether a disk could become a target disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eligibility {
    /// It could.
    Eligible,
    /// Somebody uses it.
    InUse {
        /// Each use that was found.
        reasons: Vec<String>,
    },
    /// It can never be one.
    Unfit {
        /// Why not.
        reason: &'static str,
    },
}

/// Returns the disks of this machine by name; devices without a medium are left out.
pub fn list_devices() -> Vec<DeviceListing> {
    let root = Path::new("/sys/block");
    sysfs::names(root).into_iter().filter_map(|name| listing(&root.join(&name), name)).collect()
}

fn listing(directory: &Path, name: String) -> Option<DeviceListing> {
    let number = DeviceNumber::parse(&sysfs::text(&directory.join("dev"))?)?;
    let len = ByteLen(sysfs::number(&directory.join("size"))?.checked_mul(SECTOR_LEN)?);
    if len == ByteLen::ZERO {
        return None;
    }
    Some(DeviceListing {
        // The kernel writes a slash in a device's name as an exclamation mark.
        path: Path::new("/dev").join(name.replace('!', "/")),
        name,
        len,
        sector: sysfs::number(&directory.join("queue/logical_block_size"))
            .and_then(|len| u32::try_from(len).ok())
            .unwrap_or(0),
        model: sysfs::text(&directory.join("device/model")),
        identity: Identity::of_block_device(number),
        eligibility: eligibility(directory, number),
    })
}

fn eligibility(directory: &Path, number: DeviceNumber) -> Eligibility {
    let flag = |file: &str| sysfs::number(&directory.join(file)).unwrap_or(0);
    let sector = flag("queue/logical_block_size");
    if flag("ro") != 0 {
        return Eligibility::Unfit { reason: "it is read-only" };
    }
    if sector != 512 && sector != 4096 {
        return Eligibility::Unfit { reason: "its sectors are neither 512 nor 4096 bytes" };
    }
    if flag("removable") != 0 {
        return Eligibility::Unfit { reason: "its medium can be removed" };
    }
    let reasons = in_use::of_block_device(number);
    if reasons.is_empty() { Eligibility::Eligible } else { Eligibility::InUse { reasons } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_under_the_root_is_listed_and_never_eligible() {
        let root = DeviceNumber::from_raw(rustix::fs::stat("/").unwrap().st_dev);
        let (disk, _) = sysfs::whole_disk(root);
        let Some(name) = std::fs::canonicalize(disk).ok().and_then(|disk| Some(disk.file_name()?.to_owned()))
        else {
            println!("skipped: the root here is on no block device");
            return;
        };
        let listed = list_devices();
        let found = listed.iter().find(|device| *device.name == *name).expect("the disk is listed");
        assert!(
            matches!(&found.eligibility, Eligibility::InUse { reasons } if !reasons.is_empty()),
            "{found:?}"
        );
        assert!(found.len > ByteLen::mib(1) && found.path.exists());
    }
}
