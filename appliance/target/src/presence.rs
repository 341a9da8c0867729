//! Target disks that vanish while they are in use, and come back.

use blockdev::{DeviceError, DeviceListing, Identity, medium_of};
use retention::HeadDisk;

use crate::machine::Machine;
use crate::node::MasterTarget;
use crate::replica::ReplicaError;

/// What was seen of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskSight {
    /// It is there.
    There,
    /// Its node is gone; who has it open goes on.
    NodeGone,
    /// It is gone, or its medium.
    Gone,
}

impl DiskSight {
    /// Says what became of a disk that is no longer listed: the kernel may still have it.
    pub fn of_removed(disk: &DeviceListing) -> Self {
        if medium_of(&disk.name) == Some(disk.medium) { Self::NodeGone } else { Self::Gone }
    }
}

impl MasterTarget {
    /// Takes note of what was seen of a disk: a machine whose target disk is gone is out at once, and says so; the others go on.
    pub fn disk_seen(&self, disk: &DeviceListing, sight: DiskSight) {
        for machine in self.machines() {
            for (index, own) in machine.disks.iter().enumerate() {
                // What is gone was listed before it got its label, perhaps: then its path tells.
                let by_path = sight != DiskSight::There && own.path == disk.path.to_string_lossy();
                if by_path || disk.identity.as_ref().is_some_and(|seen| is_on(own, seen)) {
                    note(&machine, index, own, disk, sight);
                }
            }
        }
    }
}

/// Tells whether a target disk is this disk, or a partition of it.
fn is_on(own: &HeadDisk, disk: &Identity) -> bool {
    let identity: Option<Identity> = own.identity.parse().ok();
    identity.is_some_and(|identity| identity.whole().is_same(&disk.whole()))
}

fn note(machine: &Machine, index: usize, own: &HeadDisk, disk: &DeviceListing, sight: DiskSight) {
    let (path, found) = (&own.path, disk.path.display());
    let out = machine.shared.lock().failure.is_some();
    let problem = match (sight, out) {
        (DiskSight::There, false) => None,
        (DiskSight::There, true) => {
            Some(format!("{path} is there again, as {found}: restart landfalld to go on"))
        }
        (DiskSight::NodeGone, _) => {
            Some(format!("{path}: its node {found} is gone; make it anew before landfalld is restarted"))
        }
        (DiskSight::Gone, _) => Some(format!("{path} is gone: attach it again, then restart landfalld")),
    };
    tracing::warn!(machine = %machine.name, disk = index, problem = problem.as_deref(), "target disk seen");
    {
        let mut state = machine.shared.lock();
        match problem {
            Some(problem) => drop(state.sights.insert(index, problem)),
            None => drop(state.sights.remove(&index)),
        }
    }
    if sight == DiskSight::Gone && !out {
        machine.shared.fail(&ReplicaError::Device(DeviceError::Vanished { path: path.into() }));
    }
    machine.shared.changed();
}
