//! What a killed process leaves behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use landfall_blockdev::{DirVolume, Engine, EngineChoice, Volume, open_engine};
use units::ByteLen;

use crate::rig::{LoopDevice, any, open, sparse_file, write};

const DISK: &str = "LANDFALL_TEST_DISK";
const VOLUME: &str = "LANDFALL_TEST_VOLUME";

/// Not a claim: the process that is killed. It holds a disk and a volume and keeps its ring full.
#[test]
#[ignore = "runs only as the victim of the claim below"]
fn hold_a_disk_and_a_volume_until_killed() {
    let path = |name| PathBuf::from(std::env::var_os(name).expect("the claim below says where"));
    let volume = DirVolume::open(&path(VOLUME)).unwrap();
    let mut engine = open_engine(32, EngineChoice::Best).unwrap();
    let disk = engine.attach(open(&path(DISK))).unwrap();
    let log = engine.attach(volume.open("log").unwrap()).unwrap();
    println!("holding");
    let mut done = Vec::new();
    for nth in 0.. {
        let slot = if nth % 2 == 0 { disk } else { log };
        while engine.in_flight() == 32 {
            engine.wait(1, &mut done).unwrap();
            done.drain(..).for_each(|ended| ended.outcome.unwrap());
        }
        engine.submit(write(slot, nth % 64 * 65536, 65536, 1)).expect("a place is free");
    }
}

fn victim(disk: &Path, volume: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killing::hold_a_disk_and_a_volume_until_killed", "--ignored", "--nocapture"])
        .envs([(DISK, disk), (VOLUME, volume)])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let holds = output.lines().map_while(Result::ok).any(|line| line.contains("holding"));
    assert!(holds, "the victim holds its disk");
    child
}

#[test]
fn a_killed_process_leaves_disk_and_volume_free_for_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("volume");
    std::fs::create_dir(&root).unwrap();
    drop(DirVolume::open(&root).unwrap().create("log", ByteLen::mib(4)).unwrap());
    let file = sparse_file(directory.path(), "file", 4 << 20);
    let behind = sparse_file(directory.path(), "behind", 4 << 20);
    let device = LoopDevice::attach(&behind, 512);
    let paths = std::iter::once(file).chain(device.iter().map(|device| device.path.clone()));
    for path in paths {
        for _ in 0..5 {
            let mut child = victim(&path, &root);
            std::thread::sleep(std::time::Duration::from_millis(20));
            let exclusive = any(landfall_blockdev::Access::Exclusive);
            assert!(
                landfall_blockdev::open_device(&path, &exclusive).is_err() && DirVolume::open(&root).is_err()
            );
            child.kill().unwrap();
            child.wait().unwrap();
            drop(DirVolume::open(&root).expect("the volume is free"));
            drop(open(&path));
        }
    }
}
