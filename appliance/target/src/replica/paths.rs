//! Where a machine's files lie on the retention volume. Paths are made of ids and numbers of ours alone.

use units::{EpochNumber, MachineId};

/// The directory of all machines.
pub(crate) const MACHINES: &str = "machines";
const INDEX: &str = "index";

pub(crate) fn machine(machine: MachineId) -> String {
    format!("{MACHINES}/{machine}")
}

pub(crate) fn head(machine: MachineId) -> String {
    format!("{MACHINES}/{machine}/head")
}

pub(crate) fn epoch(machine: MachineId, epoch: EpochNumber) -> String {
    format!("{MACHINES}/{machine}/epoch-{:08x}", epoch.0)
}

pub(crate) fn redo(machine: MachineId, epoch: EpochNumber) -> String {
    format!("{MACHINES}/{machine}/epoch-{:08x}/redo", epoch.0)
}

pub(crate) fn undo(machine: MachineId, epoch: EpochNumber) -> String {
    format!("{MACHINES}/{machine}/epoch-{:08x}/undo", epoch.0)
}

/// Returns the index of an epoch; of one that all up to `through` were joined into, that of all of them.
pub(crate) fn index(machine: MachineId, epoch: EpochNumber, through: EpochNumber) -> String {
    format!("{}/{}", self::epoch(machine, epoch), index_name(epoch, through))
}

/// Returns its name in the directory of its epoch.
pub(crate) fn index_name(epoch: EpochNumber, through: EpochNumber) -> String {
    if through == epoch { INDEX.to_owned() } else { format!("{INDEX}-{:08x}", through.0) }
}

/// Tells whether a file in the directory of an epoch is an index, if not the one that counts.
pub(crate) fn is_index(name: &str) -> bool {
    name.starts_with(INDEX)
}

pub(crate) fn manifests(machine: MachineId) -> String {
    format!("{MACHINES}/{machine}/manifests")
}

pub(crate) fn manifest(machine: MachineId, number: u64) -> String {
    format!("{MACHINES}/{machine}/manifests/{number:08}")
}

pub(crate) fn scrub(machine: MachineId) -> String {
    format!("{MACHINES}/{machine}/scrub")
}

pub(crate) fn leaves(machine: MachineId, file: u8) -> String {
    format!("{MACHINES}/{machine}/leaves-{file}")
}

/// Returns the number in the name of an epoch's directory.
pub(crate) fn parse_epoch(name: &str) -> Option<EpochNumber> {
    let digits = name.strip_prefix("epoch-").filter(|digits| digits.len() == 8)?;
    u64::from_str_radix(digits, 16).ok().map(EpochNumber)
}
