//! Disks that are pulled out, put back under another name, and opened by what they are.

use std::path::{Path, PathBuf};

use units::ByteLen;

use super::world::{DiskId, Name, World};
use super::{SimDevice, SimWorld, lock};
use crate::open::check_identity;
use crate::{DeviceError, Expect, Identity};

impl SimWorld {
    /// Pulls a disk out: whoever has it open gets errors, and its name is free. Panics if there is none of this name.
    pub fn pull_out(&self, name: &str) {
        let mut world = lock(&self.shared);
        let id = world.names.remove(&Name::Disk(name.to_owned())).expect("the world has a disk of this name");
        world.names.insert(pulled(name), id);
        world.set_gone(id, true);
    }

    /// Puts a disk back that was pulled out as `name`, under another name or the same. Panics if there is none, or the name is taken.
    pub fn put_back(&self, name: &str, new_name: &str) {
        let mut world = lock(&self.shared);
        let id = world.names.remove(&pulled(name)).expect("a disk of this name was pulled out");
        let taken = world.names.insert(Name::Disk(new_name.to_owned()), id);
        assert!(taken.is_none(), "a name is given once");
        world.set_gone(id, false);
    }

    /// Returns what a disk is, whatever its name; `None` if there is none of this name.
    pub fn identity(&self, name: &str) -> Option<Identity> {
        let id = *lock(&self.shared).names.get(&Name::Disk(name.to_owned()))?;
        Some(Identity::Disk { name: format!("sim-{}", id.0), partition: None })
    }

    /// Opens the disk of this name if it is what is expected, by the rules of [`open_device`](crate::open_device); nothing is ever
    /// created.
    pub fn open_expected(&self, name: &str, expect: &Expect) -> Result<SimDevice, DeviceError> {
        let path = || PathBuf::from(name);
        let Some(found) = self.identity(name) else { return Err(DeviceError::Missing { path: path() }) };
        check_identity(Path::new(name), Some(&found), expect.identity.as_ref())?;
        let device = self.open_disk(name);
        let (found, needed) = (device.len, expect.len_min);
        if found < needed { Err(DeviceError::TooSmall { path: path(), found, needed }) } else { Ok(device) }
    }

    /// Gives a disk another length; what is cut off is gone. Panics if there is none of this name.
    pub fn resize_disk(&self, name: &str, len: ByteLen) {
        let mut world = lock(&self.shared);
        let id = *world.names.get(&Name::Disk(name.to_owned())).expect("the world has a disk of this name");
        world.disk_mut(id).len = len.0;
    }
}

impl World {
    fn set_gone(&mut self, id: DiskId, is_gone: bool) {
        self.stores.get_mut(&id).expect("a named disk exists").is_gone = is_gone;
    }
}

fn pulled(name: &str) -> Name {
    Name::Disk(format!("pulled out: {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, Engine, FilePolicy, Operation, Request};

    #[test]
    fn a_disk_is_known_by_what_it_is_and_dead_while_it_is_out() {
        let world = SimWorld::new(1);
        let device = world.add_disk("a", ByteLen::kib(8));
        let expect = Expect {
            identity: world.identity("a"),
            len_min: ByteLen::kib(8),
            files: FilePolicy::Refuse,
            access: Access::Exclusive,
        };
        let mut engine = world.engine(1);
        let slot = engine.attach(device).unwrap();
        world.pull_out("a");
        let done = engine.run([Request { slot, tag: 0, operation: Operation::Flush }]).unwrap();
        assert!(matches!(done[0].outcome, Err(DeviceError::Failed { .. })));
        assert!(matches!(world.open_expected("a", &expect), Err(DeviceError::Missing { .. })));
        world.add_disk("a", ByteLen::kib(8));
        assert!(matches!(world.open_expected("a", &expect), Err(DeviceError::WrongIdentity { .. })));
        world.put_back("a", "b");
        assert!(world.open_expected("b", &expect).is_ok());
        world.resize_disk("b", ByteLen::kib(4));
        assert!(matches!(world.open_expected("b", &expect), Err(DeviceError::TooSmall { .. })));
    }
}
