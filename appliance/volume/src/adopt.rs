//! Taking over the machines of another node, from its retention volume and target disks alone.
//!
//! The order: 1. The head of each machine is told where its disks are now. 2. The volume is handed over: it has no owner, and the next
//! `landfalld` that serves it becomes that. A crash leaves a volume that can be adopted again.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use blockdev::{DirVolume, EngineChoice, PagePool, open_engine};
use control::{ApiError, Code};
use retention::{Head, Policy, Superblock};
use target::replica::{chain, list_machines, read_head, relocate};
use target::{
    Claim, NewVolume, TargetError, Whereabouts, check_directory, claim_volume, find_disk, read_superblock,
};
use units::{ByteLen, MachineId, Timestamp, VolumeId};

use crate::failure::volume_error;

const CHOICE: EngineChoice = EngineChoice::Best;

/// What is on a volume, and what was found of it elsewhere.
#[derive(Debug)]
pub struct Adoption {
    volume: DirVolume,
    /// What the volume says of itself; an older one says nothing.
    pub superblock: Option<Superblock>,
    /// Its machines, by name.
    pub machines: Vec<FoundMachine>,
    /// Why machines on it can't be had.
    pub unreadable: Vec<String>,
}

/// One machine on a volume.
#[derive(Debug)]
pub struct FoundMachine {
    /// What its replica is doing, and with which disks.
    pub head: Head,
    /// Where each disk is now.
    pub disks: Vec<Whereabouts>,
    /// What its history takes on the volume.
    pub journal: ByteLen,
    /// When something was written to its history last.
    pub written: Option<SystemTime>,
}

/// Looks at the volume in a directory, and for the disks of its machines; `files` may be image files of theirs. The volume is locked
/// while the result lives. Errors: it is no retention volume, or a running `landfalld` has it.
pub fn survey(directory: &Path, files: &[PathBuf]) -> Result<Adoption, ApiError> {
    let known = |error: TargetError| volume_error(&error);
    check_directory(directory).map_err(known)?;
    let facts = blockdev::directory_facts(directory, &["superblock", "machines"]);
    if facts.is_ok_and(|facts| facts.own.is_empty()) {
        let error = ApiError::new(Code::VolumeMissing, format!("{} can't be adopted", directory.display()));
        return Err(error.because("there is no retention volume in it"));
    }
    let volume = DirVolume::open(directory).map_err(|error| known(error.into()))?;
    let superblock = read_superblock(&volume, CHOICE).map_err(known)?;
    let (mut machines, mut unreadable) = (Vec::new(), Vec::new());
    for id in list_machines(&volume).map_err(|error| known(error.into()))? {
        match look(&volume, directory, id, files) {
            Ok(found) => machines.push(found),
            Err(error) => unreadable.push(format!("machine {id} can't be had: {error}")),
        }
    }
    machines.sort_by(|one, other| one.head.name.cmp(&other.head.name));
    Ok(Adoption { volume, superblock, machines, unreadable })
}

fn look(
    volume: &DirVolume,
    directory: &Path,
    id: MachineId,
    files: &[PathBuf],
) -> Result<FoundMachine, String> {
    let mut engine = open_engine(4, CHOICE).map_err(|error| chain(&error))?;
    let pool = PagePool::new(4, 256 << 10);
    let head = read_head(&mut engine, &pool, volume, id).map_err(|error| chain(&error))?;
    let disks = head.disks.iter().map(|disk| find_disk(disk, files)).collect();
    let (journal, written) = weigh(&directory.join("machines").join(id.to_string()));
    Ok(FoundMachine { head, disks, journal, written })
}

/// Returns what the files below a directory take, and when one was written last.
fn weigh(directory: &Path) -> (ByteLen, Option<SystemTime>) {
    let (mut bytes, mut newest) = (0, None);
    for entry in std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        let Ok(metadata) = entry.metadata() else { continue };
        let (len, written) = match metadata.is_dir() {
            true => weigh(&entry.path()),
            false => (ByteLen(metadata.len()), metadata.modified().ok()),
        };
        bytes += len.0;
        newest = newest.max(written);
    }
    (ByteLen(bytes), newest)
}

/// Takes the machines over, as far as their disks were found. `volume` is the id a volume gets that has none yet. Errors: a step fails; it
/// can be done again.
pub fn adopt(adoption: &Adoption, volume: VolumeId, now: Timestamp) -> Result<Superblock, ApiError> {
    let mut engine = open_engine(4, CHOICE)
        .map_err(|error| ApiError::new(Code::Internal, "no block engine can be had").because(error))?;
    let pool = PagePool::new(4, 256 << 10);
    for machine in &adoption.machines {
        let find = |disk: &retention::HeadDisk| {
            let index = machine.head.disks.iter().position(|each| each == disk)?;
            machine.disks[index].moved_to()
        };
        relocate(&mut engine, &pool, &adoption.volume, machine.head.machine, find).map_err(|error| {
            let what = format!("the disks of {} can't be written down", machine.head.name);
            ApiError::new(Code::VolumeFailed, what).because(chain(&error))
        })?;
    }
    let new = NewVolume { volume, created: now, defaults: Policy::default() };
    claim_volume(&adoption.volume, CHOICE, Claim::HandOver, &new).map_err(|error| volume_error(&error))
}
