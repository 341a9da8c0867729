//! The disks of this machine.

use std::path::{Path, PathBuf};

use units::{ByteLen, SECTOR_LEN};

use crate::sysfs::{self, DeviceNumber, Host};
use crate::{DiskUse, Identity, in_use};

/// One whole disk, or a partition of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceListing {
    /// Where it can be opened now; only its identity stays the same.
    pub path: PathBuf,
    /// The kernel's name for it.
    pub name: String,
    /// Its size; zero when it has no medium.
    pub len: ByteLen,
    /// Bytes of a logical sector; 0 if the kernel does not say.
    pub sector: u32,
    /// What its maker calls it, if the kernel knows.
    pub model: Option<String>,
    /// Which disk it is, if it has a name of its own.
    pub identity: Option<Identity>,
    /// It can't be written.
    pub read_only: bool,
    /// Its medium can be taken out.
    pub removable: bool,
    /// Who uses it.
    pub uses: Vec<DiskUse>,
    /// How often the kernel has given a device of this name a medium: another number, another disk. 0 if it does not say.
    pub medium: u64,
}

/// Returns the disks of this machine by name; devices without a medium are left out.
pub fn list_devices() -> Vec<DeviceListing> {
    let mut disks = list_in(&Host::this());
    disks.retain(|disk| disk.len > ByteLen::ZERO);
    disks
}

/// Returns the disk or partition at a path, or `None` if it is no block device.
pub fn device_at(path: &Path) -> Option<DeviceListing> {
    let number = sysfs::block_device_at(path)?;
    let host = Host::this();
    let (name, directory) = (host.name_of(number), host.directory(number));
    Some(DeviceListing { path: path.to_owned(), ..listing(&host, &directory, name)? })
}

/// Returns the number of the medium in a disk of this name, or `None` if there is none now.
pub fn medium_of(name: &str) -> Option<u64> {
    let directory = Host::this().disks().join(name);
    let has_medium = sysfs::number(&directory.join("size"))? > 0;
    has_medium.then(|| sysfs::number(&directory.join("diskseq")).unwrap_or(0))
}

/// Returns every disk the kernel knows, with or without a medium.
pub(crate) fn list_in(host: &Host) -> Vec<DeviceListing> {
    let root = host.disks();
    sysfs::names(&root).into_iter().filter_map(|name| listing(host, &root.join(&name), name)).collect()
}

/// Returns the disks and partitions that are the one with this identity: none, one, or copies of it.
pub fn find_devices(identity: &Identity) -> Vec<DeviceListing> {
    let host = Host::this();
    let mut found = Vec::new();
    for disk in list_in(&host) {
        let directory = host.disks().join(&disk.name);
        let parts = sysfs::partitions(&directory).into_iter();
        let parts = parts.filter_map(|part| listing(&host, &host.directory(part), host.name_of(part)));
        let each = parts.chain([disk.clone()]).filter(|each| each.len > ByteLen::ZERO);
        found.extend(each.filter(|each| each.identity.as_ref().is_some_and(|own| own.is_same(identity))));
    }
    found
}

fn listing(host: &Host, directory: &Path, name: String) -> Option<DeviceListing> {
    let number = DeviceNumber::parse(&sysfs::text(&directory.join("dev"))?)?;
    let (disk, _) = sysfs::whole_disk_in(host, number);
    let flag = |file: &str| sysfs::number(&disk.join(file)).unwrap_or(0) != 0;
    Some(DeviceListing {
        // The kernel writes a slash in a device's name as an exclamation mark.
        path: host.dev.join(name.replace('!', "/")),
        name,
        len: ByteLen(sysfs::number(&directory.join("size"))?.checked_mul(SECTOR_LEN)?),
        sector: sysfs::number(&disk.join("queue/logical_block_size"))
            .and_then(|len| u32::try_from(len).ok())
            .unwrap_or(0),
        model: sysfs::text(&disk.join("device/model")),
        identity: Identity::of_device_in(host, number),
        read_only: flag("ro") || sysfs::number(&directory.join("ro")).unwrap_or(0) != 0,
        removable: flag("removable"),
        uses: in_use::of_block_device(host, number),
        medium: sysfs::number(&disk.join("diskseq")).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UseKind;

    #[test]
    fn the_disk_under_the_root_is_listed_as_the_systems() {
        let root = DeviceNumber::from_raw(rustix::fs::stat("/").unwrap().st_dev);
        let (disk, _) = sysfs::whole_disk(root);
        let Some(name) = std::fs::canonicalize(disk).ok().and_then(|disk| Some(disk.file_name()?.to_owned()))
        else {
            println!("skipped: the root here is on no block device");
            return;
        };
        let listed = list_devices();
        let found = listed.iter().find(|device| *device.name == *name).expect("the disk is listed");
        assert!(found.uses.iter().any(|each| each.kind == UseKind::System), "{found:?}");
        assert!(found.len > ByteLen::mib(1) && found.path.exists());
    }

    /// Builds a recorded tree: `(path, content)`, a content of `-> TARGET` making a link.
    fn recorded(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match content.strip_prefix("-> ") {
                Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
                None => std::fs::write(path, content).unwrap(),
            }
        }
        let at = |part: &str| root.path().join(part);
        let host = Host { sys: at("sys"), proc: at("proc"), dev: "/dev".into() };
        (root, host)
    }

    /// As a Debian on LVM has it: the root on dm-0 of sda2, a RAID member sdb, swap on sdc1, a CD drive without a disc.
    const DEBIAN: &[(&str, &str)] = &[
        ("sys/block/sda/dev", "8:0\n"),
        ("sys/block/sda/size", "976773168\n"),
        ("sys/block/sda/ro", "0\n"),
        ("sys/block/sda/removable", "0\n"),
        ("sys/block/sda/queue/logical_block_size", "512\n"),
        ("sys/block/sda/device/model", "Samsung SSD 870 \n"),
        ("sys/block/sda/device/wwid", "naa.5002538f70a1b2c3\n"),
        ("sys/block/sda/sda2/dev", "8:2\n"),
        ("sys/block/sda/sda2/size", "975769600\n"),
        ("sys/block/sda/sda2/partition", "2\n"),
        ("sys/block/sda/sda2/holders/dm-0", ""),
        ("sys/block/dm-0/dev", "253:0\n"),
        ("sys/block/dm-0/size", "975767552\n"),
        ("sys/block/sdb/dev", "8:16\n"),
        ("sys/block/sdb/size", "976773168\n"),
        ("sys/block/sdb/holders/md127", ""),
        ("sys/block/md127/dev", "9:127\n"),
        ("sys/block/md127/size", "976509952\n"),
        ("sys/block/sdc/dev", "8:32\n"),
        ("sys/block/sdc/size", "2048\n"),
        ("sys/block/sdc/ro", "1\n"),
        ("sys/block/sdc/sdc1/dev", "8:33\n"),
        ("sys/block/sdc/sdc1/size", "1024\n"),
        ("sys/block/sdc/sdc1/partition", "1\n"),
        ("sys/block/sr0/dev", "11:0\n"),
        ("sys/block/sr0/size", "0\n"),
        ("sys/block/sr0/removable", "1\n"),
        ("sys/dev/block/8:0", "-> ../../block/sda"),
        ("sys/dev/block/8:2", "-> ../../block/sda/sda2"),
        ("sys/dev/block/8:16", "-> ../../block/sdb"),
        ("sys/dev/block/8:32", "-> ../../block/sdc"),
        ("sys/dev/block/8:33", "-> ../../block/sdc/sdc1"),
        ("sys/dev/block/9:127", "-> ../../block/md127"),
        ("sys/dev/block/11:0", "-> ../../block/sr0"),
        ("sys/dev/block/253:0", "-> ../../block/dm-0"),
        ("proc/self/mountinfo", "25 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/debian-root rw\n"),
        ("proc/swaps", "Filename Type Size Used Priority\n/dev/sdc1 partition 512 0 -2\n"),
    ];

    #[test]
    fn holders_swap_and_the_system_are_found_on_a_recorded_host() {
        let (_root, host) = recorded(DEBIAN);
        let listed = list_in(&host);
        let of = |name: &str| listed.iter().find(|disk| disk.name == name).expect("it is listed");
        let uses =
            |name: &str| of(name).uses.iter().map(|each| (each.kind, each.what.as_str())).collect::<Vec<_>>();
        assert_eq!(uses("sda"), [(UseKind::System, "sda2 is a part of dm-0, which is mounted at /")]);
        assert_eq!(uses("dm-0"), [(UseKind::System, "dm-0 is mounted at /")]);
        assert_eq!(uses("sdb"), [(UseKind::Held, "sdb is a part of md127")]);
        assert_eq!(uses("sdc"), [(UseKind::Swap, "sdc1 is used for swap")]);
        assert_eq!(uses("md127"), []);
        assert!(of("sdc").read_only && !of("sdb").read_only);
        assert_eq!((of("sr0").len, of("sr0").removable), (ByteLen::ZERO, true));
        let identity = of("sda").identity.as_ref().map(Identity::to_string);
        assert_eq!(identity.as_deref(), Some("disk:naa.5002538f70a1b2c3"));
        assert_eq!(of("sda").model.as_deref(), Some("Samsung SSD 870"));
    }
}
