//! Who uses a disk or an image file already.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;

use crate::sysfs::{self, DeviceNumber, Host};

/// Between a device and where it is mounted, in words.
const MOUNTED_AT: &str = " is mounted at ";
/// How deep devices may lie on one another: a bound, not a wish.
const DEPTH_MAX: usize = 16;
/// Where the system lives: a disk with one of these is the system disk.
const SYSTEM_PLACES: [&str; 6] = ["/", "/usr", "/var", "/boot", "/boot/efi", "/home"];

/// One use of a disk that would suffer if somebody else wrote to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskUse {
    /// What kind of use.
    pub kind: UseKind,
    /// What uses it, in a few words.
    pub what: String,
}

/// What kind of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UseKind {
    /// The system runs from it.
    System,
    /// A file system on it is mounted.
    Mounted,
    /// The system swaps to it.
    Swap,
    /// It is a part of another device: a mapped one, a RAID.
    Held,
    /// It is behind a loop device.
    Behind,
}

impl DiskUse {
    /// Returns where a file system of the disk is mounted, if that is the use.
    pub fn mounted_at(&self) -> Option<&str> {
        let (_, place) = self.what.rsplit_once(MOUNTED_AT)?;
        matches!(self.kind, UseKind::Mounted | UseKind::System).then_some(place)
    }
}

impl fmt::Display for DiskUse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.what)
    }
}

/// Returns every use of a block device; none means it is free.
pub(crate) fn of_block_device(host: &Host, device: DeviceNumber) -> Vec<DiskUse> {
    let directory = host.directory(device);
    let mut concerned = vec![device];
    concerned.extend(sysfs::partitions(&fs::canonicalize(&directory).unwrap_or(directory.clone())));
    let mut uses = mounts(host, &concerned);
    uses.extend(swaps(host, &concerned));
    for number in &concerned {
        uses.extend(holders(host, *number));
    }
    let is_concerned = |stat: &Stat| concerned.contains(&DeviceNumber::from_raw(stat.st_rdev));
    uses.extend(loops(host, |_, stat| stat.st_rdev != 0 && is_concerned(stat)));
    if let Some((_, own)) = sysfs::backing_file(&directory) {
        uses.extend(loops(host, |number, stat| number != device && same_file(stat, &own)));
    }
    uses
}

/// Returns every use of a file; none means it is free.
pub(crate) fn of_file(file: &Stat) -> Vec<DiskUse> {
    let host = Host::this();
    let mut uses = loops(&host, |_, stat| same_file(stat, file));
    let swapped = swap_files(&host)
        .into_iter()
        .filter(|path| rustix::fs::stat(path).is_ok_and(|stat| same_file(&stat, file)));
    uses.extend(
        swapped.map(|path| DiskUse {
            kind: UseKind::Swap,
            what: format!("used for swap as {}", path.display()),
        }),
    );
    uses
}

fn same_file(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Returns the devices that are made of this one, each with what it is used for itself.
fn holders(host: &Host, device: DeviceNumber) -> Vec<DiskUse> {
    let mut uses = Vec::new();
    for holder in sysfs::names(&host.directory(device).join("holders")) {
        let what = format!("{} is a part of {holder}", host.name_of(device));
        let above = system_above(host, &host.disks().join(&holder), DEPTH_MAX);
        uses.push(match above {
            Some(place) => {
                DiskUse { kind: UseKind::System, what: format!("{what}, which is mounted at {place}") }
            }
            None => DiskUse { kind: UseKind::Held, what },
        });
    }
    uses
}

/// Returns where the system is mounted from this device or one made of it.
fn system_above(host: &Host, directory: &Path, depth: usize) -> Option<String> {
    let number = DeviceNumber::parse(&sysfs::text(&directory.join("dev"))?)?;
    let own = mounts(host, &[number]).into_iter().find(|place| place.kind == UseKind::System);
    if let Some(own) = own {
        return own.mounted_at().map(str::to_owned);
    }
    let mut names = sysfs::names(&directory.join("holders")).into_iter().take_while(|_| depth > 0);
    names.find_map(|name| system_above(host, &host.disks().join(name), depth.saturating_sub(1)))
}

fn mounts(host: &Host, concerned: &[DeviceNumber]) -> Vec<DiskUse> {
    let table = fs::read_to_string(host.proc.join("self/mountinfo")).unwrap_or_default();
    let mounts = table.lines().filter_map(parse_mount);
    let held = mounts.filter_map(|mount| {
        // Some file systems show a number of their own and only the path of their disk.
        let number = Some(mount.number).filter(|number| concerned.contains(number));
        let number = number.or_else(|| sysfs::block_device_at(Path::new(&mount.origin)))?;
        let kind =
            if SYSTEM_PLACES.contains(&mount.place.as_str()) { UseKind::System } else { UseKind::Mounted };
        let what = || format!("{}{MOUNTED_AT}{}", host.name_of(number), mount.place);
        concerned.contains(&number).then(|| DiskUse { kind, what: what() })
    });
    held.collect()
}

struct Mount {
    number: DeviceNumber,
    place: String,
    origin: String,
}

/// Reads one line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
fn parse_mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(2);
    let number = DeviceNumber::parse(fields.next()?)?;
    let place = unescape(fields.nth(1)?);
    let origin = unescape(after.split(' ').nth(1)?);
    Some(Mount { number, place, origin })
}

/// Undoes the octal escapes of space, tab, line feed and backslash in the kernel's tables.
fn unescape(field: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(field.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

fn swap_files(host: &Host) -> Vec<PathBuf> {
    let table = fs::read_to_string(host.proc.join("swaps")).unwrap_or_default();
    table
        .lines()
        .skip(1)
        .filter_map(|line| Some(PathBuf::from(unescape(line.split_whitespace().next()?))))
        .collect()
}

fn swaps(host: &Host, concerned: &[DeviceNumber]) -> Vec<DiskUse> {
    let number_of = |path: PathBuf| {
        // A recorded host has no nodes: there the name tells.
        let by_name = || {
            let name = path.strip_prefix("/dev").ok()?;
            concerned.iter().copied().find(|number| Path::new(&host.name_of(*number)) == name)
        };
        sysfs::block_device_at(&path).or_else(by_name)
    };
    let devices = swap_files(host).into_iter().filter_map(number_of);
    devices
        .filter(|number| concerned.contains(number))
        .map(|number| DiskUse {
            kind: UseKind::Swap,
            what: format!("{} is used for swap", host.name_of(number)),
        })
        .collect()
}

/// Returns the loop devices whose backing file is `wanted`.
fn loops(host: &Host, wanted: impl Fn(DeviceNumber, &Stat) -> bool) -> Vec<DiskUse> {
    let mut found = Vec::new();
    let disks = host.disks();
    for name in sysfs::names(&disks).into_iter().filter(|name| name.starts_with("loop")) {
        let directory = disks.join(&name);
        let number = sysfs::text(&directory.join("dev")).and_then(|text| DeviceNumber::parse(&text));
        let (Some(number), Some((path, stat))) = (number, sysfs::backing_file(&directory)) else {
            continue;
        };
        if wanted(number, &stat) {
            let what = format!("{} is behind /dev/{name}", path.display());
            found.push(DiskUse { kind: UseKind::Behind, what });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_table_line_gives_device_and_place() {
        let line =
            r"36 35 98:0 /mnt1 /mnt/my\040disk rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let mount = parse_mount(line).unwrap();
        assert_eq!(mount.number, DeviceNumber { major: 98, minor: 0 });
        assert_eq!((mount.place.as_str(), mount.origin.as_str()), ("/mnt/my disk", "/dev/root"));
        assert!(parse_mount("nonsense").is_none());
    }

    #[test]
    fn the_disk_under_the_root_is_the_system_disk() {
        let stat = rustix::fs::stat("/").unwrap();
        let root = DeviceNumber::from_raw(stat.st_dev);
        if !root.directory().exists() {
            println!("skipped: the root here is on no block device");
            return;
        }
        let uses = of_block_device(&Host::this(), root);
        assert!(
            uses.iter().any(|each| each.kind == UseKind::System && each.what.contains("is mounted at /"))
        );
    }

    #[test]
    fn a_plain_file_is_free() {
        let stat = rustix::fs::stat(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(of_file(&stat), Vec::new());
    }
}
