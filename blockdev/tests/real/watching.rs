//! Disks that come and go are told at once; what is on them is what others say it is.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::rig::{LoopDevice, run, sparse_file};
use landfall_blockdev::{Content, ContentKind, DeviceChange, DiskEnds, Watch, WatchBy, read_ends, recognise};
use units::ByteLen;

const LEN: u64 = 16 << 20;
/// What is promised.
const LISTED_WITHIN: Duration = Duration::from_secs(5);

/// Waits for a change that `wanted` accepts, and returns how long it took.
fn told(watch: &mut Watch, begun: Instant, mut wanted: impl FnMut(&DeviceChange) -> bool) -> Duration {
    while begun.elapsed() < LISTED_WITHIN {
        if watch.wait(Duration::from_millis(500)).iter().any(&mut wanted) {
            return begun.elapsed();
        }
    }
    panic!("nothing was told for {LISTED_WITHIN:?}");
}

fn attach_and_detach(by: WatchBy) -> Option<(Duration, Duration)> {
    let directory = tempfile::tempdir().unwrap();
    let file = sparse_file(directory.path(), "disk", LEN);
    let mut watch = Watch::open(by);
    let begun = Instant::now();
    let device = LoopDevice::attach(&file, 512)?;
    let path = device.path.clone();
    let added = told(
        &mut watch,
        begun,
        |change| matches!(change, DeviceChange::Added(disk) if disk.path == path && disk.len == ByteLen(LEN)),
    );
    assert!(watch.devices().any(|disk| disk.path == path));
    let begun = Instant::now();
    drop(device);
    let removed =
        told(&mut watch, begun, |change| matches!(change, DeviceChange::Removed(disk) if disk.path == path));
    Some((added, removed))
}

#[test]
fn a_disk_is_told_when_it_comes_and_when_it_goes() {
    let Some((added, removed)) = attach_and_detach(WatchBy::Events) else { return };
    println!("by event: told after {added:?}, and gone after {removed:?}");
    let Some((added, removed)) = attach_and_detach(WatchBy::Looks) else { return };
    println!("by looking: told after {added:?}, and gone after {removed:?}");
}

#[test]
fn another_medium_under_one_name_is_another_disk_and_a_resized_one_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = sparse_file(directory.path(), "disk", LEN);
    let Some(device) = LoopDevice::attach(&file, 512) else { return };
    let mut watch = Watch::open(WatchBy::Events);
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(2 * LEN).unwrap();
    run("losetup", &["--set-capacity", device.path.to_str().unwrap()]).unwrap();
    told(&mut watch, Instant::now(), |change| {
        matches!(change, DeviceChange::Changed { was, now }
            if now.path == device.path && was.len == ByteLen(LEN) && now.len == ByteLen(2 * LEN))
    });
}

#[test]
fn a_disk_whose_node_comes_later_is_told_when_it_comes() {
    let directory = tempfile::tempdir().unwrap();
    let file = sparse_file(directory.path(), "disk", LEN);
    let Some(device) = LoopDevice::attach(&file, 512) else { return };
    let number =
        std::fs::read_to_string(Path::new("/sys/block").join(device.path.file_name().unwrap()).join("dev"));
    let Some((major, minor)) = number.ok().and_then(|text| {
        let (major, minor) = text.trim().split_once(':')?;
        Some((major.to_owned(), minor.to_owned()))
    }) else {
        return;
    };
    let node = device.path.to_str().unwrap();
    let aside = format!("{node}-landfall-aside");
    std::fs::rename(node, &aside).unwrap();
    let mut watch = Watch::open(WatchBy::Events);
    let hidden = watch.devices().all(|disk| disk.path != device.path);
    let begun = Instant::now();
    std::fs::rename(&aside, node).unwrap();
    assert!(hidden, "{major}:{minor} has no node, and can't be used");
    told(&mut watch, begun, |change| matches!(change, DeviceChange::Added(disk) if disk.path == device.path));
}

/// Makes a disk with a program, and compares what is recognised with what `blkid` says.
fn judged(make: &[&str], expected: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let file = sparse_file(directory.path(), "disk", 400 << 20);
    let path = file.to_str().unwrap();
    let arguments: Vec<_> = make[1..].iter().map(|word| if *word == "DISK" { path } else { word }).collect();
    if let Err(reason) = run(make[0], &arguments) {
        assert!(reason.contains("No such file"), "{reason}");
        println!("skipped: {reason}");
        return;
    }
    let found = recognised(&file);
    assert_eq!(found.iter().map(|content| content.kind.name()).collect::<Vec<_>>(), expected, "{make:?}");
    let what = |tag: &str| run("blkid", &["-p", "-o", "value", "-s", tag, path]).unwrap_or_default();
    let kind = if expected[0] == "gpt" || expected[0] == "dos" { "PTTYPE" } else { "TYPE" };
    assert_eq!(found[0].kind.name(), what(kind), "blkid has the same opinion of {make:?}");
    assert_eq!(found[0].label, what("LABEL"), "the label of {make:?}");
    if kind == "TYPE" && !found[0].uuid.is_empty() && found[0].kind != ContentKind::LvmMember {
        assert_eq!(found[0].uuid, what("UUID"), "the UUID of {make:?}");
    }
}

fn recognised(file: &Path) -> Vec<Content> {
    let ends =
        read_ends(&std::fs::File::open(file).unwrap(), ByteLen(std::fs::metadata(file).unwrap().len()));
    let (head, tail) = ends.unwrap();
    recognise(&DiskEnds { len: ByteLen(std::fs::metadata(file).unwrap().len()), head: &head, tail: &tail })
}

#[test]
fn real_file_systems_are_recognised_as_blkid_recognises_them() {
    judged(&["mkfs.ext4", "-q", "-L", "four", "DISK"], &["ext4"]);
    judged(&["mkfs.ext4", "-q", "-t", "ext3", "DISK"], &["ext3"]);
    judged(&["mkfs.ext4", "-q", "-t", "ext2", "-L", "two", "DISK"], &["ext2"]);
    judged(&["mkfs.xfs", "-q", "-L", "history", "DISK"], &["xfs"]);
    judged(&["mkfs.btrfs", "-q", "-L", "b", "DISK"], &["btrfs"]);
    judged(&["mkfs.vfat", "-F", "32", "-n", "STICK", "DISK"], &["vfat"]);
    judged(&["mkfs.vfat", "-F", "16", "-n", "STICK", "DISK"], &["vfat"]);
    judged(&["mkfs.exfat", "DISK"], &["exfat"]);
    judged(&["mkntfs", "-q", "-F", "DISK"], &["ntfs"]);
    judged(&["mkswap", "-q", "-L", "swapped", "DISK"], &["swap"]);
    judged(
        &[
            "cryptsetup",
            "luksFormat",
            "-q",
            "--type",
            "luks1",
            "--pbkdf-force-iterations",
            "1000",
            "DISK",
            "/etc/hostname",
        ],
        &["crypto_LUKS"],
    );
    judged(
        &[
            "cryptsetup",
            "luksFormat",
            "-q",
            "--type",
            "luks2",
            "--pbkdf",
            "pbkdf2",
            "--pbkdf-force-iterations",
            "1000",
            "DISK",
            "/etc/hostname",
        ],
        &["crypto_LUKS"],
    );
    judged(&["sh", "-c", "echo 'label: gpt\n,' | sfdisk -q \"$0\"", "DISK"], &["gpt", "gpt"]);
    judged(&["sh", "-c", "echo 'label: dos\n,' | sfdisk -q \"$0\"", "DISK"], &["dos"]);
}
