//! A small file in four copies: read at start, written at each change, two copies at a time.

use blockdev::{DeviceSlot, Engine, Operation, PageBuf, PagePool, Request, Volume};
use retention::{COPIES, DecodeError, Head, SmallFile};
use units::{ByteLen, ByteOffset};

use super::error::ReplicaError;
use super::transfer::{ReadAt, TRANSFER_LEN, first_failure, flush_all, read_each};

/// The record of a small file, and the file it is kept in.
pub(crate) struct SlotFile<T> {
    slot: DeviceSlot,
    record: T,
}

impl<T: SmallFile> SlotFile<T> {
    const FITS: () = assert!(T::LEN_MAX <= TRANSFER_LEN, "a copy is one transfer");

    /// Makes the file at `path`; durable on return.
    pub(crate) fn create<E: Engine, V: Volume<Device = E::Device>>(
        engine: &mut E,
        volume: &V,
        path: &str,
        record: T,
    ) -> Result<Self, ReplicaError> {
        let () = Self::FITS;
        let slot = engine.attach(volume.create(path, ByteLen(COPIES * T::LEN_MAX as u64))?)?;
        let mut file = Self { slot, record };
        // Both pairs of slots: the file has a record from its first moment.
        file.update(engine, |_| ())?;
        file.update(engine, |_| ())?;
        Ok(file)
    }

    /// Reads the newest whole copy that `belongs` here. Errors: none is whole.
    pub(crate) fn open<E: Engine, V: Volume<Device = E::Device>>(
        engine: &mut E,
        pool: &PagePool,
        volume: &V,
        path: &str,
        belongs: impl Fn(T) -> Result<T, DecodeError>,
    ) -> Result<Self, ReplicaError> {
        let () = Self::FITS;
        let slot = engine.attach(volume.open(path)?)?;
        // What is read below may be in a cache only: it counts once it is durable.
        flush_all(engine, &[slot])?;
        let file_len = engine.geometry(slot).len.0;
        let slots = (0..COPIES).map(|copy| copy * T::LEN_MAX as u64);
        let copy = |at: u64| ReadAt { slot, at: ByteOffset(at), len: T::LEN_MAX };
        let reads: Vec<_> = slots.filter(|at| at + T::LEN_MAX as u64 <= file_len).map(copy).collect();
        let missing = DecodeError::Short { found: 0, needed: T::LEN_MAX };
        let mut copies = vec![Err(missing); COPIES as usize];
        read_each(engine, pool, &reads, |copy, buffer| {
            copies[copy] = T::decode(&buffer).and_then(&belongs);
            Ok(())
        })?;
        let damaged = |cause| ReplicaError::Damaged { file: path.to_owned(), at: ByteOffset(0), cause };
        let record = T::choose(copies.clone()).map_err(damaged)?;
        let mut file = Self { slot, record };
        if !file.is_whole(&copies) {
            // A crash in an update, or rot: written anew, the pair that is not in use first.
            file.update(engine, |_| ())?;
            file.update(engine, |_| ())?;
        }
        Ok(file)
    }

    /// Tells whether every copy is whole, and the newest there twice.
    fn is_whole(&self, copies: &[Result<T, DecodeError>]) -> bool {
        let newest = T::slots(self.record.revision()).map(|at| (at.0 / T::LEN_MAX as u64) as usize);
        copies.iter().all(Result::is_ok)
            && newest.iter().all(|copy| copies[*copy].as_ref() == Ok(&self.record))
    }

    pub(crate) fn slot(&self) -> DeviceSlot {
        self.slot
    }

    /// Returns the record as it is on the volume.
    pub(crate) fn record(&self) -> &T {
        &self.record
    }

    /// Plants a mistake: the record changes in memory alone.
    pub(crate) fn forget_to_write(&mut self, change: impl FnOnce(&mut T)) {
        change(&mut self.record);
    }

    /// Changes the record; durable on return. The order: two copies written, then flushed; the two copies of the
    /// revision before are not touched.
    pub(crate) fn update<E: Engine>(
        &mut self,
        engine: &mut E,
        change: impl FnOnce(&mut T),
    ) -> Result<(), ReplicaError> {
        let mut record = self.record.clone();
        change(&mut record);
        record.set_revision(self.record.revision() + 1);
        let bytes = record.encode();
        let len = bytes.len().next_multiple_of(retention::BLOCK_LEN);
        let writes = T::slots(record.revision()).map(|at| {
            let mut from = PageBuf::zeroed(len);
            from[..bytes.len()].copy_from_slice(&bytes);
            Request { slot: self.slot, tag: 0, operation: Operation::Write { at, from } }
        });
        first_failure(engine.run(writes)?)?;
        flush_all(engine, &[self.slot])?;
        self.record = record;
        Ok(())
    }
}

impl SlotFile<Head> {
    /// Returns the head as it is on the volume.
    pub(crate) fn head(&self) -> &Head {
        self.record()
    }
}
