//! Who uses a disk or an image file already.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;

use crate::sysfs::{self, DeviceNumber};

/// Returns every use of a block device that would suffer if somebody else wrote to it; none means it is free.
pub(crate) fn of_block_device(device: DeviceNumber) -> Vec<String> {
    let directory = device.directory();
    let mut concerned = vec![device];
    concerned.extend(sysfs::partitions(&fs::canonicalize(&directory).unwrap_or(directory.clone())));
    let mut reasons = mounts(&concerned);
    reasons.extend(swaps(&concerned));
    for number in &concerned {
        let holders = sysfs::names(&number.directory().join("holders"));
        reasons.extend(holders.iter().map(|holder| format!("{} is a part of {holder}", name_of(*number))));
    }
    let is_concerned = |stat: &Stat| concerned.contains(&DeviceNumber::from_raw(stat.st_rdev));
    reasons.extend(loops(|_, stat| stat.st_rdev != 0 && is_concerned(stat)));
    if let Some((_, own)) = sysfs::backing_file(&directory) {
        reasons.extend(loops(|number, stat| number != device && same_file(stat, &own)));
    }
    reasons
}

/// Returns every use of a file that would suffer if somebody else wrote to it; none means it is free.
pub(crate) fn of_file(file: &Stat) -> Vec<String> {
    let mut reasons = loops(|_, stat| same_file(stat, file));
    let swapped = swap_files()
        .into_iter()
        .filter(|path| rustix::fs::stat(path).is_ok_and(|stat| same_file(&stat, file)));
    reasons.extend(swapped.map(|path| format!("used for swap as {}", path.display())));
    reasons
}

fn same_file(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

fn name_of(number: DeviceNumber) -> String {
    let real = fs::canonicalize(number.directory()).ok();
    let name = real.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| number.to_string())
}

fn mounts(concerned: &[DeviceNumber]) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounts = table.lines().filter_map(parse_mount);
    let held = mounts.filter_map(|mount| {
        // Some file systems show a number of their own and only the path of their disk.
        let number = Some(mount.number).filter(|number| concerned.contains(number));
        let number = number.or_else(|| sysfs::block_device_at(Path::new(&mount.origin)))?;
        concerned.contains(&number).then(|| format!("{} is mounted at {}", name_of(number), mount.place))
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

fn swap_files() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/swaps").unwrap_or_default();
    table
        .lines()
        .skip(1)
        .filter_map(|line| Some(PathBuf::from(unescape(line.split_whitespace().next()?))))
        .collect()
}

fn swaps(concerned: &[DeviceNumber]) -> Vec<String> {
    let devices = swap_files().into_iter().filter_map(|path| sysfs::block_device_at(&path));
    devices
        .filter(|number| concerned.contains(number))
        .map(|number| format!("{} is used for swap", name_of(number)))
        .collect()
}

/// Returns the loop devices whose backing file is `wanted`.
fn loops(wanted: impl Fn(DeviceNumber, &Stat) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for name in sysfs::names(Path::new("/sys/block")).into_iter().filter(|name| name.starts_with("loop")) {
        let directory = Path::new("/sys/block").join(&name);
        let number = sysfs::text(&directory.join("dev")).and_then(|text| DeviceNumber::parse(&text));
        let (Some(number), Some((path, stat))) = (number, sysfs::backing_file(&directory)) else {
            continue;
        };
        if wanted(number, &stat) {
            found.push(format!("{} is behind /dev/{name}", path.display()));
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
    fn the_disk_under_the_root_is_in_use() {
        let stat = rustix::fs::stat("/").unwrap();
        let root = DeviceNumber::from_raw(stat.st_dev);
        if !root.directory().exists() {
            println!("skipped: the root here is on no block device");
            return;
        }
        assert!(of_block_device(root).iter().any(|reason| reason.contains("is mounted at /")));
    }

    #[test]
    fn a_plain_file_is_free() {
        let stat = rustix::fs::stat(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(of_file(&stat), Vec::<String>::new());
    }
}
