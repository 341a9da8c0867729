//! A machine's target disks under other paths: found by what they are, and the head told where.

use blockdev::{Engine, PagePool, Volume};
use retention::{Head, HeadDisk};
use units::MachineId;

use super::error::ReplicaError;
use super::paths;
use super::recover::of_machine;
use super::slot_file::SlotFile;

/// Returns the head of a machine.
pub fn read_head<E: Engine<Device = V::Device>, V: Volume>(
    engine: &mut E,
    pool: &PagePool,
    volume: &V,
    machine: MachineId,
) -> Result<Head, ReplicaError> {
    relocate(engine, pool, volume, machine, |_| None)
}

/// Writes down where the disks are for which `find` returns another path; durable on return. Returns the head as it is now.
pub fn relocate<E: Engine<Device = V::Device>, V: Volume>(
    engine: &mut E,
    pool: &PagePool,
    volume: &V,
    machine: MachineId,
    find: impl Fn(&HeadDisk) -> Option<String>,
) -> Result<Head, ReplicaError> {
    let mut file = SlotFile::open(engine, pool, volume, &paths::head(machine), of_machine(machine))?;
    let mut disks = file.head().disks.clone();
    for disk in &mut disks {
        disk.path = find(disk).unwrap_or_else(|| disk.path.clone());
    }
    let changed = disks != file.head().disks;
    let written = if changed { file.update(engine, |head| head.disks = disks) } else { Ok(()) };
    let head = file.head().clone();
    drop(engine.detach(file.slot()));
    written.map(|()| head)
}
