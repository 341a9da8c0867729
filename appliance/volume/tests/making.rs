//! Making a retention volume, interrupted before every step, on a real device.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;

use control::{ApiError, Code};
use landfall_volume::{FileSystem, Making, Stage, State, examine, make};
use units::{Timestamp, VolumeId};

const LEN: u64 = 320 << 20;
const STAGES: [Stage; 5] = [Stage::Mark, Stage::Format, Stage::Unmark, Stage::Mount, Stage::Superblock];

fn run(command: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(command).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A loop device and a place to mount it; all gone when dropped.
struct Bench {
    device: PathBuf,
    directory: PathBuf,
    _root: tempfile::TempDir,
}

impl Bench {
    fn new() -> Option<Self> {
        let root = tempfile::tempdir().unwrap();
        let image = root.path().join("disk");
        std::fs::File::create_new(&image).unwrap().set_len(LEN).unwrap();
        let Some(device) = run("losetup", &["--find", "--show", image.to_str().unwrap()]) else {
            println!("skipped: no loop device here");
            return None;
        };
        Some(Self { device: device.into(), directory: root.path().join("mount"), _root: root })
    }

    fn making(&self, file_system: FileSystem) -> Making {
        let (volume, now) = (VolumeId([0x5a; 16]), Timestamp(1_700_000_000_000_000));
        Making { device: self.device.clone(), directory: self.directory.clone(), file_system, volume, now }
    }

    fn examine(&self) -> Result<State, ApiError> {
        examine(&self.device, &self.directory)
    }

    fn unmount(&self) {
        run("umount", &[self.directory.to_str().unwrap()]);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.unmount();
        run("losetup", &["--detach", self.device.to_str().unwrap()]);
    }
}

/// Makes a volume, but ends before a step.
fn make_until(bench: &Bench, file_system: FileSystem, end: Option<Stage>) -> Result<(), ApiError> {
    let stop = |stage: Stage| match Some(stage) == end {
        true => Err(ApiError::new(Code::Stopping, "the power went")),
        false => Ok(()),
    };
    make(&bench.making(file_system), bench.examine()?, &mut { stop }).map(drop)
}

fn is_whole(bench: &Bench) {
    assert!(bench.directory.join("superblock").exists());
    let kind = run("blkid", &["-p", "-o", "value", "-s", "UUID", bench.device.to_str().unwrap()]);
    assert_eq!(kind.as_deref(), Some("5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a"));
}

fn interrupted_before_every_step(file_system: FileSystem) {
    for stage in STAGES {
        let Some(bench) = Bench::new() else { return };
        assert_eq!(bench.examine().unwrap(), State::Empty);
        assert_eq!(make_until(&bench, file_system, Some(stage)).unwrap_err().code, Code::Stopping);
        let expected = match stage {
            Stage::Mark => State::Empty,
            Stage::Format | Stage::Unmark => State::HalfMade(VolumeId([0x5a; 16])),
            Stage::Mount | Stage::Superblock => State::Formatted(VolumeId([0x5a; 16]), file_system),
        };
        assert_eq!(bench.examine().unwrap(), expected, "ended before {stage:?}");
        make_until(&bench, file_system, None).unwrap();
        is_whole(&bench);
        make_until(&bench, file_system, None).expect("done once more, it is as it was");
        is_whole(&bench);
    }
}

#[test]
fn an_xfs_volume_interrupted_before_any_step_is_made_by_doing_it_again() {
    interrupted_before_every_step(FileSystem::Xfs);
}

#[test]
fn an_ext4_volume_interrupted_before_any_step_is_made_by_doing_it_again() {
    interrupted_before_every_step(FileSystem::Ext4);
}

#[test]
fn a_mark_beside_a_file_system_of_somebody_else_is_no_permission() {
    let Some(bench) = Bench::new() else { return };
    make_until(&bench, FileSystem::Ext4, Some(Stage::Format)).unwrap_err();
    run("mkfs.ext4", &["-q", "-F", "-E", "nodiscard", bench.device.to_str().unwrap()]).unwrap();
    assert_eq!(bench.examine().unwrap_err().code, Code::DiskHasData);
}

#[test]
fn a_volume_with_history_is_not_made_again() {
    let Some(bench) = Bench::new() else { return };
    make_until(&bench, FileSystem::Ext4, None).unwrap();
    let machine = bench.directory.join("machines/0123456789abcdef0123456789abcdef");
    std::fs::create_dir_all(machine).unwrap();
    for mounted in [true, false] {
        assert_eq!(make_until(&bench, FileSystem::Ext4, None).unwrap_err().code, Code::VolumeOccupied);
        assert!(Path::new(&bench.directory).join("machines").exists());
        if mounted {
            bench.unmount();
        }
    }
}
