//! What holds for the volume in a directory and for the simulated one alike.

use std::os::unix::fs::symlink;

use crate::rig::{Mounted, flush, one, read, write};
use landfall_blockdev::{
    DeviceError, DirVolume, Engine, EngineChoice, SimWorld, Volume, VolumeError, open_engine,
};
use units::ByteLen;

const LEN: ByteLen = ByteLen::kib(64);

fn conforms<V: Volume<Device = E::Device>, E: Engine>(volume: &V, engine: &mut E) {
    assert!(volume.list("").unwrap().is_empty() && volume.list("web-1").unwrap().is_empty());
    let slot = engine.attach(volume.create("web-1/redo/000001", LEN).unwrap()).unwrap();
    assert_eq!(engine.geometry(slot).len, LEN);
    assert_eq!(one(engine, read(slot, 0, 65536)).1.unwrap()[..], [0; 65536], "a new file reads as zero");
    one(engine, write(slot, 4096, 4096, 1)).0.unwrap();
    one(engine, flush(slot)).0.unwrap();
    engine.grow(slot, ByteLen::kib(128)).unwrap();
    assert!(matches!(engine.grow(slot, LEN), Err(DeviceError::NotGrowable { .. })), "files never shrink");
    one(engine, write(slot, 65536, 65536, 2)).0.unwrap();
    drop(engine.detach(slot));

    assert!(matches!(volume.create("web-1/redo/000001", LEN), Err(VolumeError::Exists { .. })));
    assert!(matches!(volume.create("web-1/redo/000001/x", LEN), Err(VolumeError::NotAFile { .. })));
    assert!(matches!(volume.open("web-1/redo"), Err(VolumeError::NotAFile { .. })));
    for missing in ["web-1/redo/000002", "web-2/a"] {
        assert!(matches!(volume.open(missing), Err(VolumeError::Missing { path }) if path == missing));
        volume.remove(missing).expect("what is missing needs no removing");
    }
    for bad in ["../x", "/x", "a/../../x", "A", "lock", ""] {
        assert!(matches!(volume.create(bad, LEN), Err(VolumeError::Path { .. })), "{bad}");
        assert!(matches!(volume.open(bad), Err(VolumeError::Path { .. })), "{bad}");
        assert!(matches!(volume.remove(bad), Err(VolumeError::Path { .. })), "{bad}");
    }
    for len in [0, 100] {
        assert!(matches!(volume.create("odd", ByteLen(len)), Err(VolumeError::Path { .. })));
    }

    drop(volume.create("web-1/head", LEN).unwrap());
    assert_eq!(volume.list("").unwrap(), ["web-1"]);
    assert_eq!(volume.list("web-1").unwrap(), ["head", "redo"]);
    let slot = engine.attach(volume.open("web-1/redo/000001").unwrap()).unwrap();
    assert_eq!(engine.geometry(slot).len, ByteLen::kib(128));
    assert_eq!(one(engine, read(slot, 4096, 4096)).1.unwrap()[..], [1; 4096]);
    drop(engine.detach(slot));

    assert!(matches!(volume.remove("web-1"), Err(VolumeError::NotEmpty { .. })));
    for path in ["web-1/redo/000001", "web-1/redo", "web-1/head", "web-1"] {
        volume.remove(path).unwrap();
    }
    assert!(volume.list("").unwrap().is_empty());
    let usage = volume.usage().unwrap();
    assert!(usage.free <= usage.capacity && usage.free > LEN);
}

#[test]
fn the_simulated_volume_conforms() {
    let world = SimWorld::new(1);
    conforms(&world.volume(), &mut world.engine(4));
}

#[test]
fn the_volume_in_a_directory_conforms() {
    for choice in [EngineChoice::Best, EngineChoice::Plain] {
        let directory = tempfile::tempdir().unwrap();
        let volume = DirVolume::open(directory.path()).unwrap();
        conforms(&volume, &mut open_engine(4, choice).unwrap());
    }
}

#[test]
fn a_second_holder_of_a_volume_is_refused_and_told_who_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let first = DirVolume::open(directory.path()).unwrap();
    let clone = first.clone();
    let error = DirVolume::open(directory.path()).unwrap_err();
    assert!(
        matches!(&error, VolumeError::Locked { holder, .. } if *holder == format!("process {}", std::process::id()))
    );
    drop(first);
    assert!(DirVolume::open(directory.path()).is_err(), "a clone holds the volume too");
    drop(clone);
    drop(DirVolume::open(directory.path()).unwrap());
    assert!(matches!(DirVolume::open(&directory.path().join("missing")), Err(VolumeError::Failed { .. })));
    assert!(!directory.path().join("missing").exists());
}

#[test]
fn a_full_volume_refuses_files_and_growth_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let Some(small) = Mounted::mount(&["-t", "tmpfs", "-o", "size=4M", "landfall-test"], directory.path())
    else {
        return;
    };
    let volume = DirVolume::open(&small.place).unwrap();
    let mut engine = open_engine(4, EngineChoice::Best).unwrap();
    let slot = engine.attach(volume.create("a/log", ByteLen::mib(1)).unwrap()).unwrap();
    let free = volume.usage().unwrap().free;
    assert!(matches!(volume.create("a/more", ByteLen::mib(8)), Err(VolumeError::NoSpace { .. })));
    assert_eq!(volume.list("a").unwrap(), ["log"]);
    assert!(matches!(engine.grow(slot, ByteLen::mib(8)), Err(DeviceError::NoSpace { .. })));
    assert_eq!(volume.usage().unwrap().free, free, "nothing stays allocated");
    assert_eq!(engine.geometry(slot).len, ByteLen::mib(1));
    one(&mut engine, write(slot, 0, 1 << 20, 1)).0.expect("a full volume does not stop its files");
    engine.grow(slot, ByteLen::mib(2)).expect("there is space for this");
    drop(engine);
    drop(volume);
}

#[test]
fn nothing_outside_the_volume_is_reached_through_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let secret = crate::rig::sparse_file(outside.path(), "secret", 65536);
    let volume = DirVolume::open(directory.path()).unwrap();
    symlink(&secret, directory.path().join("file")).unwrap();
    symlink(outside.path(), directory.path().join("directory")).unwrap();
    assert!(matches!(volume.open("file"), Err(VolumeError::NotAFile { .. })));
    assert!(matches!(volume.open("directory/secret"), Err(VolumeError::NotAFile { .. })));
    assert!(matches!(volume.create("directory/new", LEN), Err(VolumeError::NotAFile { .. })));
    assert!(matches!(volume.create("file", LEN), Err(VolumeError::Exists { .. })));
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}
