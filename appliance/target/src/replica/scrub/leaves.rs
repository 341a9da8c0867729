//! The table of leaf hashes of a machine's target disks: two files, of which the scrub record says which one counts.

use blockdev::{DeviceSlot, Engine, Operation, PageBuf, PagePool, Request, Volume, VolumeError};
use retention::{LeafPage, PAGE_LEAVES, PAGE_LEN};
use units::{ByteLen, ByteOffset, MachineId};

use super::super::error::ReplicaError;
use super::super::paths;
use super::super::transfer::{ReadAt, first_failure, flush_all, read_each};

/// One of the two files, open.
pub(crate) struct LeafFile {
    slot: DeviceSlot,
}

impl LeafFile {
    /// Makes the file anew for `pages` pages.
    pub(crate) fn create<E: Engine, V: Volume<Device = E::Device>>(
        engine: &mut E,
        volume: &V,
        machine: MachineId,
        file: u8,
        pages: u64,
    ) -> Result<Self, ReplicaError> {
        let path = paths::leaves(machine, file);
        volume.remove(&path)?;
        Ok(Self { slot: engine.attach(volume.create(&path, ByteLen(pages * PAGE_LEN as u64))?)? })
    }

    /// Opens the file, if it is there.
    pub(crate) fn open<E: Engine, V: Volume<Device = E::Device>>(
        engine: &mut E,
        volume: &V,
        machine: MachineId,
        file: u8,
    ) -> Result<Option<Self>, ReplicaError> {
        match volume.open(&paths::leaves(machine, file)) {
            Err(VolumeError::Missing { .. }) => Ok(None),
            device => Ok(Some(Self { slot: engine.attach(device?)? })),
        }
    }

    /// Reads a page; `None` if it is damaged or was never written. The caller compares what it is of.
    pub(crate) fn read<E: Engine>(
        &self,
        engine: &mut E,
        pool: &PagePool,
        page: u64,
    ) -> Result<Option<LeafPage>, ReplicaError> {
        let at = ByteOffset(page * PAGE_LEN as u64);
        if at.0 + PAGE_LEN as u64 > engine.geometry(self.slot).len.0 {
            return Ok(None);
        }
        let mut found = None;
        read_each(engine, pool, &[ReadAt { slot: self.slot, at, len: PAGE_LEN }], |_, buffer| {
            found = LeafPage::decode(&buffer).ok();
            Ok(())
        })?;
        Ok(found)
    }

    /// Writes a page, not yet durable.
    pub(crate) fn write<E: Engine>(
        &self,
        engine: &mut E,
        page: u64,
        content: &LeafPage,
    ) -> Result<(), ReplicaError> {
        let bytes = content.encode();
        let mut from = PageBuf::zeroed(PAGE_LEN);
        from[..bytes.len()].copy_from_slice(&bytes);
        let operation = Operation::Write { at: ByteOffset(page * PAGE_LEN as u64), from };
        first_failure(engine.run([Request { slot: self.slot, tag: 0, operation }])?)
    }

    /// Makes what was written durable.
    pub(crate) fn flush<E: Engine>(&self, engine: &mut E) -> Result<(), ReplicaError> {
        flush_all(engine, &[self.slot])
    }

    /// Makes what was written durable, and closes the file.
    pub(crate) fn finish<E: Engine>(self, engine: &mut E) -> Result<(), ReplicaError> {
        let done = flush_all(engine, &[self.slot]);
        drop(engine.detach(self.slot));
        done
    }

    pub(crate) fn close<E: Engine>(self, engine: &mut E) {
        drop(engine.detach(self.slot));
    }
}

/// Returns the pages that disks of these sizes need.
pub(crate) fn pages(lens: &[ByteLen]) -> u64 {
    lens.iter().map(|len| len.leaves().div_ceil(PAGE_LEAVES)).sum()
}

/// Removes what scrubbing has left of a machine.
pub(crate) fn remove_leaves<V: Volume>(volume: &V, machine: MachineId) -> Result<(), ReplicaError> {
    for file in 0..2 {
        volume.remove(&paths::leaves(machine, file))?;
    }
    Ok(volume.remove(&paths::scrub(machine))?)
}
