//! The head file of a machine: read at start, written at each change, two copies at a time.

use blockdev::{DeviceSlot, Engine, Operation, PageBuf, PagePool, Request, Volume};
use retention::{HEAD_COPIES, HEAD_LEN_MAX, Head, choose_head, head_slots};
use units::{ByteLen, ByteOffset, MachineId};

use super::error::ReplicaError;
use super::paths;
use super::transfer::{ReadAt, TRANSFER_LEN, first_failure, flush_all, read_each};

const FILE_LEN: ByteLen = ByteLen(HEAD_COPIES * HEAD_LEN_MAX as u64);
const _: () = assert!(HEAD_LEN_MAX <= TRANSFER_LEN, "a head is one transfer");

/// A machine's head, and the file it is kept in.
pub(crate) struct HeadFile {
    slot: DeviceSlot,
    head: Head,
}

impl HeadFile {
    /// Makes the file of a new machine; durable on return.
    pub(crate) fn create<E: Engine, V: Volume<Device = E::Device>>(
        engine: &mut E,
        volume: &V,
        head: Head,
    ) -> Result<Self, ReplicaError> {
        let slot = engine.attach(volume.create(&paths::head(head.machine), FILE_LEN)?)?;
        let mut file = Self { slot, head };
        // Both pairs of slots: a machine has a head from its first moment.
        file.update(engine, |_| ())?;
        file.update(engine, |_| ())?;
        Ok(file)
    }

    /// Reads the newest whole copy. Errors: none is whole.
    pub(crate) fn open<E: Engine, V: Volume<Device = E::Device>>(
        engine: &mut E,
        pool: &PagePool,
        volume: &V,
        machine: MachineId,
    ) -> Result<Self, ReplicaError> {
        let path = paths::head(machine);
        let slot = engine.attach(volume.open(&path)?)?;
        // What is read below may be in a cache only: it counts once it is durable.
        flush_all(engine, &[slot])?;
        let file_len = engine.geometry(slot).len.0;
        let slots = (0..HEAD_COPIES).map(|copy| copy * HEAD_LEN_MAX as u64);
        let copy = |at: u64| ReadAt { slot, at: ByteOffset(at), len: HEAD_LEN_MAX };
        let reads: Vec<_> = slots.filter(|at| at + HEAD_LEN_MAX as u64 <= file_len).map(copy).collect();
        let missing = retention::DecodeError::Short { found: 0, needed: HEAD_LEN_MAX };
        let mut copies = vec![Err(missing); HEAD_COPIES as usize];
        read_each(engine, pool, &reads, |copy, buffer| {
            copies[copy] = Head::decode(&buffer).and_then(|head| of_machine(head, machine));
            Ok(())
        })?;
        let damaged = |cause| ReplicaError::Damaged { file: path, at: ByteOffset(0), cause };
        let head = choose_head(copies.clone()).map_err(damaged)?;
        let mut file = Self { slot, head };
        if !file.is_whole(&copies) {
            // A crash in an update, or rot: written anew, the pair that is not in use first.
            file.update(engine, |_| ())?;
            file.update(engine, |_| ())?;
        }
        Ok(file)
    }

    /// Tells whether every copy is whole, and the newest there twice.
    fn is_whole(&self, copies: &[Result<Head, retention::DecodeError>]) -> bool {
        let newest = head_slots(self.head.revision).map(|at| (at.0 / HEAD_LEN_MAX as u64) as usize);
        copies.iter().all(Result::is_ok) && newest.iter().all(|copy| copies[*copy].as_ref() == Ok(&self.head))
    }

    pub(crate) fn slot(&self) -> DeviceSlot {
        self.slot
    }

    /// Returns the head as it is on the volume.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// Plants a mistake: the head changes in memory alone.
    pub(crate) fn forget_to_write(&mut self, change: impl FnOnce(&mut Head)) {
        change(&mut self.head);
    }

    /// Changes the head; durable on return. The order: two copies written, then flushed; the two copies of the
    /// revision before are not touched.
    pub(crate) fn update<E: Engine>(
        &mut self,
        engine: &mut E,
        change: impl FnOnce(&mut Head),
    ) -> Result<(), ReplicaError> {
        let mut head = self.head.clone();
        change(&mut head);
        head.revision = self.head.revision + 1;
        let bytes = head.encode();
        let len = bytes.len().next_multiple_of(retention::BLOCK_LEN);
        let writes = head_slots(head.revision).map(|at| {
            let mut from = PageBuf::zeroed(len);
            from[..bytes.len()].copy_from_slice(&bytes);
            Request { slot: self.slot, tag: 0, operation: Operation::Write { at, from } }
        });
        first_failure(engine.run(writes)?)?;
        flush_all(engine, &[self.slot])?;
        self.head = head;
        Ok(())
    }
}

fn of_machine(head: Head, machine: MachineId) -> Result<Head, retention::DecodeError> {
    let (found, expected) = (head.machine.to_string(), machine.to_string());
    if head.machine == machine {
        Ok(head)
    } else {
        Err(retention::DecodeError::Misplaced { what: "machine", found, expected })
    }
}
