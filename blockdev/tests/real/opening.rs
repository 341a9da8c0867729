//! Which disks are opened, and which are refused with what words.

use std::path::Path;

use crate::rig::{LoopDevice, Mounted, any, flush, one, open, run, sparse_file, write};
use landfall_blockdev::{
    Access, DeviceError, Engine, EngineChoice, Expect, FileKind, FilePolicy, Identity, LABEL_ATTRIBUTE,
    UseKind, list_devices, open_device, open_engine,
};
use units::ByteLen;

const LEN: u64 = 16 << 20;

fn refusal(path: &Path, expect: &Expect) -> DeviceError {
    open_device(path, expect).expect_err("this disk must be refused")
}

#[test]
fn a_missing_path_is_an_error_and_is_never_made() {
    let directory = tempfile::tempdir().unwrap();
    for access in [Access::ReadOnly, Access::Exclusive] {
        let path = directory.path().join("disk");
        let error = refusal(&path, &any(access));
        assert_eq!(error, DeviceError::Missing { path: path.clone() });
        assert!(error.to_string().contains(path.to_str().unwrap()));
        assert!(!path.exists());
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn only_block_devices_are_disks_unless_files_are_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let file = sparse_file(directory.path(), "disk", LEN);
    let strict = Expect { files: FilePolicy::Refuse, ..any(Access::ReadOnly) };
    let kinds = [
        (file.as_path(), FileKind::RegularFile),
        (directory.path(), FileKind::Directory),
        (Path::new("/dev/null"), FileKind::CharacterDevice),
    ];
    for (path, kind) in kinds {
        assert!(matches!(refusal(path, &strict), DeviceError::WrongKind { found, .. } if found == kind));
    }
    assert!(matches!(refusal(directory.path(), &any(Access::ReadOnly)), DeviceError::WrongKind { .. }));
    assert_eq!(open(&file).kind(), FileKind::RegularFile);
}

#[test]
fn a_second_opener_is_refused_and_the_first_is_not_disturbed() {
    let directory = tempfile::tempdir().unwrap();
    let file = sparse_file(directory.path(), "disk", LEN);
    let first = open(&file);
    assert!(matches!(refusal(&file, &any(Access::Exclusive)), DeviceError::InUse { .. }));
    drop(open_device(&file, &any(Access::ReadOnly)).expect("readers are let in"));
    drop(first);
    drop(open(&file));
    let Some(device) = LoopDevice::attach(&file, 512) else { return };
    let first = open(&device.path);
    let error = refusal(&device.path, &any(Access::Exclusive));
    assert!(matches!(&error, DeviceError::InUse { path, .. } if *path == device.path), "{error}");
    drop(first);
    drop(open(&device.path));
}

#[test]
fn a_disk_that_is_too_small_or_not_in_sectors_is_refused_with_its_size() {
    let directory = tempfile::tempdir().unwrap();
    let small = sparse_file(directory.path(), "small", 4096);
    let expect = Expect { len_min: ByteLen(8192), ..any(Access::ReadOnly) };
    let (found, needed) = (ByteLen(4096), ByteLen(8192));
    assert_eq!(refusal(&small, &expect), DeviceError::TooSmall { path: small.clone(), found, needed });
    for (name, len) in [("odd", 4097), ("empty", 0)] {
        let error = refusal(&sparse_file(directory.path(), name, len), &any(Access::ReadOnly));
        assert!(
            matches!(&error, DeviceError::Unfit { found, .. } if found.contains(&len.to_string())),
            "{error}"
        );
    }
}

#[test]
fn another_disk_at_the_same_path_is_refused_and_both_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = sparse_file(directory.path(), "disk", LEN);
    let identity = open(&file).identity().cloned().expect("a file has an identity");
    let stored: Identity = identity.to_string().parse().unwrap();
    let expect = Expect { identity: Some(stored), ..any(Access::Exclusive) };
    drop(open_device(&file, &expect).expect("it is the same disk"));
    std::fs::rename(&file, directory.path().join("away")).unwrap();
    sparse_file(directory.path(), "disk", LEN);
    let error = refusal(&file, &expect).to_string();
    assert!(error.contains(&identity.to_string()), "{error}");
    assert_eq!(error.matches("file:").count(), 2, "{error}");
    drop(open_device(&directory.path().join("away"), &expect).expect("the disk is known at any path"));
}

#[test]
fn a_label_is_a_part_of_the_identity() {
    let directory = tempfile::tempdir().unwrap();
    let file = sparse_file(directory.path(), "disk", LEN);
    let before = open(&file).identity().cloned();
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(&file, LABEL_ATTRIBUTE, b"web-1 disk 0", flags).is_err() {
        println!("skipped: no extended attributes here");
        return;
    }
    let after = open(&file).identity().cloned().expect("a file has an identity");
    assert_ne!(before.as_ref(), Some(&after));
    assert!(after.to_string().ends_with(":web-1 disk 0"));
    let expect = Expect { identity: before, ..any(Access::Exclusive) };
    assert!(matches!(refusal(&file, &expect), DeviceError::WrongIdentity { .. }));
}

#[test]
fn a_file_behind_a_loop_device_and_a_loop_device_with_a_twin_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = sparse_file(directory.path(), "disk", LEN);
    let Some(one) = LoopDevice::attach(&file, 512) else { return };
    let error = refusal(&file, &any(Access::Exclusive)).to_string();
    assert!(error.contains(one.path.to_str().unwrap()), "{error}");
    let identity = open(&one.path).identity().cloned();
    assert!(matches!(&identity, Some(Identity::LoopFile { partition: None, .. })), "{identity:?}");
    let Some(twin) = LoopDevice::attach(&file, 512) else { return };
    let error = refusal(&one.path, &any(Access::Exclusive)).to_string();
    assert!(error.contains(twin.path.to_str().unwrap()), "{error}");
    drop(twin);
    drop(open(&one.path));
}

#[test]
fn a_mounted_disk_is_refused_for_writing_and_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = sparse_file(directory.path(), "disk", LEN);
    let Some(device) = LoopDevice::attach(&file, 512) else { return };
    let path = device.path.to_str().unwrap();
    if let Err(reason) = run("mkfs.ext4", &["-q", "-F", path]) {
        println!("skipped: {reason}");
        return;
    }
    let place = directory.path().join("here");
    std::fs::create_dir(&place).unwrap();
    let Some(mounted) = Mounted::mount(&[path], &place) else { return };
    let error = refusal(&device.path, &any(Access::Exclusive));
    assert!(error.to_string().contains(mounted.place.to_str().unwrap()), "{error}");
    let reader = open_device(&device.path, &any(Access::ReadOnly)).expect("a disk in use can be read");
    let listed =
        list_devices().into_iter().find(|one| one.path == device.path).expect("a loop device is listed");
    assert!(matches!(&listed.uses[..], [only] if only.kind == UseKind::Mounted), "{:?}", listed.uses);
    drop(mounted);
    drop(reader);
    drop(open(&device.path));
    let listed =
        list_devices().into_iter().find(|one| one.path == device.path).expect("a loop device is listed");
    assert_eq!((listed.uses, listed.len), (Vec::new(), ByteLen(LEN)));
}

#[test]
fn a_reader_sees_that_somebody_wrote_and_cannot_write_itself() {
    let directory = tempfile::tempdir().unwrap();
    let file = sparse_file(directory.path(), "disk", LEN);
    let device = LoopDevice::attach(&sparse_file(directory.path(), "loop", LEN), 4096);
    let paths = std::iter::once(file).chain(device.iter().map(|device| device.path.clone()));
    for path in paths {
        let reader = open_device(&path, &any(Access::ReadOnly)).unwrap();
        let before = reader.activity().unwrap();
        assert_eq!(reader.activity().unwrap(), before);
        let mut engine = open_engine(4, EngineChoice::Best).unwrap();
        let writer = open(&path);
        let third = writer.reader().unwrap();
        let slot = engine.attach(writer).unwrap();
        one(&mut engine, write(slot, 0, 4096, 1)).0.unwrap();
        one(&mut engine, flush(slot)).0.unwrap();
        assert_ne!(reader.activity().unwrap(), before, "{}", path.display());
        for reader in [reader, third] {
            let slot = engine.attach(reader).unwrap();
            assert!(matches!(one(&mut engine, write(slot, 0, 4096, 1)).0, Err(DeviceError::ReadOnly { .. })));
            assert_eq!(one(&mut engine, crate::rig::read(slot, 0, 4096)).1.unwrap()[..], [1; 4096]);
        }
    }
}
