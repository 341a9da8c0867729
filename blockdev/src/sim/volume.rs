//! The volume of a simulated world.

use units::ByteLen;

use super::world::{Name, Undecided, World};
use super::{Shared, SimDevice, lock, open};
use crate::volume_path::{check_directory, check_path};
use crate::{Volume, VolumeError, VolumeUsage};

/// The one volume of a simulated world.
#[derive(Clone)]
pub struct SimVolume {
    pub(super) world: Shared,
}

impl World {
    /// Takes a step; if the world stops inside it, `undecided` is what may have happened.
    fn name_step(&mut self, undecided: Undecided) -> Result<(), VolumeError> {
        self.alive().map_err(|step| VolumeError::Crashed { step })?;
        self.step().map_err(|step| {
            self.undecided.push(undecided);
            VolumeError::Crashed { step }
        })
    }

    fn is_parent(&self, directory: &str) -> bool {
        let inside = |path: &str| path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
        self.directories.iter().any(|path| inside(path))
            || self.names.keys().any(|name| matches!(name, Name::File(path) if inside(path)))
    }
}

impl Volume for SimVolume {
    type Device = SimDevice;

    fn create(&self, path: &str, len: ByteLen) -> Result<SimDevice, VolumeError> {
        check_path(path)?;
        let mut world = lock(&self.world);
        let name = Name::File(path.to_owned());
        let parent_is_file =
            |(end, _): (usize, &str)| world.names.contains_key(&Name::File(path[..end].to_owned()));
        if world.names.contains_key(&name) || world.directories.contains(path) {
            return Err(VolumeError::Exists { path: path.to_owned() });
        }
        if path.match_indices('/').any(parent_is_file) {
            return Err(VolumeError::NotAFile { path: path.to_owned() });
        }
        if len == ByteLen::ZERO || !len.0.is_multiple_of(u64::from(world.alignment)) {
            return Err(VolumeError::Path {
                path: path.to_owned(),
                reason: "its length is not in whole sectors",
            });
        }
        if len.0 > world.free().0 {
            return Err(VolumeError::NoSpace { path: path.to_owned(), len });
        }
        world.name_step(Undecided::Create { path: path.to_owned(), len: len.0 })?;
        world.create(path.to_owned(), len.0);
        Ok(open(&self.world, &world, &name).expect("the file was just made"))
    }

    fn open(&self, path: &str) -> Result<SimDevice, VolumeError> {
        check_path(path)?;
        let world = lock(&self.world);
        world.alive().map_err(|step| VolumeError::Crashed { step })?;
        if world.directories.contains(path) {
            return Err(VolumeError::NotAFile { path: path.to_owned() });
        }
        let name = Name::File(path.to_owned());
        open(&self.world, &world, &name).ok_or_else(|| VolumeError::Missing { path: path.to_owned() })
    }

    fn remove(&self, path: &str) -> Result<(), VolumeError> {
        check_path(path)?;
        let mut world = lock(&self.world);
        if world.is_parent(path) {
            return Err(VolumeError::NotEmpty { path: path.to_owned() });
        }
        world.name_step(Undecided::Remove { path: path.to_owned() })?;
        world.remove(path);
        Ok(())
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, VolumeError> {
        check_directory(directory)?;
        let world = lock(&self.world);
        world.alive().map_err(|step| VolumeError::Crashed { step })?;
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let files = world.names.keys().filter_map(|name| match name {
            Name::File(path) => Some(path),
            Name::Disk(_) => None,
        });
        let inside = files.chain(&world.directories).filter_map(|path| path.strip_prefix(&prefix));
        let mut names: Vec<String> = inside.filter(|rest| !rest.contains('/')).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    fn usage(&self) -> Result<VolumeUsage, VolumeError> {
        let world = lock(&self.world);
        world.alive().map_err(|step| VolumeError::Crashed { step })?;
        Ok(VolumeUsage { capacity: ByteLen(world.capacity), free: world.free() })
    }
}
