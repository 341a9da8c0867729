//! Opening and sealing epochs, and what they hold.

use blockdev::{Engine, Operation, PageBuf, Request, Volume};
use retention::{EpochIndex, GranuleSet, Log, Placement, Tail, TailScan};
use units::{ByteLen, ByteOffset, EpochNumber, Hash};

use super::apply::{Applier, OpenEpoch};
use super::error::ReplicaError;
use super::kept_index::KeptIndex;
use super::log_reader::LogReader;
use super::log_writer::{LogPosition, LogWriter};
use super::paths;
use super::shared::EpochInfo;
use super::transfer::{ReadAt, TRANSFER_LEN, first_failure, flush_all, read_each};

impl<V> Applier<V> {
    /// Ends every epoch before this one, and opens it: what its undo log holds already is captured already.
    pub(crate) fn open_epoch<E: Engine>(
        &mut self,
        engine: &mut E,
        epoch: EpochNumber,
    ) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        self.seal(engine)?;
        self.seal_left_over(engine, epoch)?;
        let (machine, generation) = (self.machine(), self.head.head().generation);
        let (path, position, previous) = (paths::undo(machine, epoch), ByteOffset(0), Hash::default());
        let slot = engine.attach(self.volume.open(&path)?)?;
        // What is read below may be in a cache only: it counts once it is durable.
        flush_all(engine, &[slot])?;
        let scan = TailScan::new(
            Placement { machine, generation, epoch, position, previous },
            Some(previous),
            ByteOffset(self.shared.lock().epoch_mut(epoch).undo.0),
        );
        let mut captured = GranuleSet::new(self.disks.len());
        let shared = &self.shared;
        let known = shared.lock().indexes.get(&epoch).is_some_and(KeptIndex::knows_undo);
        let log_end =
            LogReader::new(engine, &self.pool, slot, Log::Undo).walk(scan, None, |head, body| {
                body.extents().iter().for_each(|extent| captured.insert(&extent.span()));
                if !known {
                    shared.lock().index(epoch, Log::Undo, &head.place(), body);
                }
            })?;
        let end = match log_end.tail {
            Tail::At(end) => end,
            Tail::Damaged { at, cause } => return Err(ReplicaError::Damaged { file: path, at, cause }),
        };
        let previous = log_end.previous.unwrap_or_default();
        let position = LogPosition { machine, generation, epoch, end, previous };
        let undo = LogWriter::new(engine, slot, position, self.limits.log_chunk);
        let redo = engine.attach(self.volume.open(&paths::redo(machine, epoch))?)?;
        let mut state = self.shared.lock();
        state.epoch_mut(epoch).undo = ByteLen(end.0);
        state.indexes.get_mut(&epoch).into_iter().for_each(KeptIndex::learn_undo);
        drop(state);
        self.open = Some(OpenEpoch { epoch, redo, undo, captured });
        Ok(())
    }

    /// Seals epochs whose index was lost: everything before the epoch that is about to be opened was applied.
    fn seal_left_over<E: Engine>(&mut self, engine: &mut E, before: EpochNumber) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let lost = |info: &&EpochInfo| info.epoch < before && !info.sealed;
        let lost: Vec<_> = self.shared.lock().epochs.iter().filter(lost).map(|info| info.epoch).collect();
        for epoch in lost {
            let index = self.index_of(engine, epoch)?;
            self.save_index(engine, &index)?;
            self.shared.lock().seal(epoch);
        }
        Ok(())
    }

    /// Ends the open epoch, if there is one: everything of it is on the target disks.
    ///
    /// 1. A checkpoint: no later epoch is begun before this one is durable on the target.
    /// 2. The index is written and flushed.
    ///
    /// A crash before the end of 2 leaves an index that does not check: it is made again.
    pub(crate) fn seal<E: Engine>(&mut self, engine: &mut E) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let Some(epoch) = self.open.as_ref().map(|open| open.epoch) else { return Ok(()) };
        self.checkpoint(engine)?;
        let index = self.index_of(engine, epoch)?;
        self.save_index(engine, &index)?;
        let open = self.open.take().expect("the epoch is open");
        drop(engine.detach(open.redo));
        drop(engine.detach(open.undo.slot()));
        self.shared.lock().seal(epoch);
        self.give_back(epoch);
        Ok(())
    }

    /// Gives back what the logs of a sealed epoch were lengthened by and never used. Nothing depends on it.
    fn give_back(&self, epoch: EpochNumber)
    where
        V: Volume,
    {
        let (machine, info) = (self.machine(), *self.shared.lock().epoch_mut(epoch));
        for (path, used) in
            [(paths::redo(machine, epoch), info.redo), (paths::undo(machine, epoch), info.undo)]
        {
            let len = used.max(ByteLen(1)).round_up(retention::BLOCK_LEN as u64);
            if let Err(error) = self.volume.shorten(&path, len) {
                tracing::warn!(path, %error, "the unused end of a log is not given back");
            }
        }
    }

    /// Writes the index of a sealed epoch if there is room for it. It holds nothing that the logs do not, and an epoch
    /// without one can expire like any other: the want of room for it must not keep room from being made.
    pub(crate) fn save_index<E: Engine>(
        &mut self,
        engine: &mut E,
        index: &EpochIndex,
    ) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        match self.write_index(engine, index) {
            Ok(()) => {
                // While it is being recovered, it is not listed yet.
                let mut state = self.shared.lock();
                let listed = state.epochs.iter_mut().find(|info| info.epoch == index.epoch);
                listed.into_iter().for_each(|info| info.indexed = true);
                Ok(())
            }
            Err(ReplicaError::Full { what }) => {
                tracing::warn!(what, "no room for an index; it is made from the logs when it is needed");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn write_index<E: Engine>(&mut self, engine: &mut E, index: &EpochIndex) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let through = self.head.head().joined_through(index.epoch);
        self.write_index_through(engine, index, through)
    }

    /// Writes the index of an epoch for the time when all up to `through` are joined into it; durable on return. Errors: there is no
    /// room for it.
    pub(crate) fn write_index_through<E: Engine>(
        &mut self,
        engine: &mut E,
        index: &EpochIndex,
        through: EpochNumber,
    ) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let path = paths::index(self.machine(), index.epoch, through);
        let bytes = index.encode();
        self.volume.remove(&path)?;
        let len = ByteLen(bytes.len() as u64).round_up(retention::BLOCK_LEN as u64);
        let slot = engine.attach(self.volume.create(&path, len)?)?;
        let writes = bytes.chunks(TRANSFER_LEN).zip((0..).step_by(TRANSFER_LEN)).map(|(chunk, at)| {
            let mut from = PageBuf::zeroed(chunk.len().next_multiple_of(retention::BLOCK_LEN));
            from[..chunk.len()].copy_from_slice(chunk);
            Request { slot, tag: 0, operation: Operation::Write { at: ByteOffset(at), from } }
        });
        first_failure(engine.run(writes)?)?;
        flush_all(engine, &[slot])?;
        drop(engine.detach(slot));
        Ok(())
    }

    /// Makes the index of a sealed epoch again, from its logs. Errors: they are damaged, too.
    pub(crate) fn mend_index<E: Engine>(
        &mut self,
        engine: &mut E,
        epoch: EpochNumber,
    ) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let sealed = self.shared.lock().epochs.iter().any(|info| info.epoch == epoch && info.sealed);
        if sealed {
            let index = self.index_of(engine, epoch)?;
            self.save_index(engine, &index)?;
        }
        Ok(())
    }

    /// Returns the index of an epoch: as it is kept in memory, as it was written, or made from its logs.
    pub(crate) fn index_of<E: Engine>(
        &mut self,
        engine: &mut E,
        epoch: EpochNumber,
    ) -> Result<EpochIndex, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let mut state = self.shared.lock();
        let (info, kept) = (*state.epoch_mut(epoch), state.indexes.get(&epoch).and_then(KeptIndex::copy));
        drop(state);
        if let Some(index) = kept {
            assert!(!info.sealed, "an epoch that is sealed has its index on the volume");
            return Ok(index);
        }
        if let Some(mut index) = self.read_index(engine, epoch)? {
            if info.thinned {
                index.thin();
            }
            return Ok(index);
        }
        let head = self.head.head();
        let mut index = EpochIndex::empty(head.machine, head.generation, epoch, info.first);
        if info.thinned {
            (index.last, index.closed) = (info.last, info.closed);
        } else {
            self.add_log(engine, &mut index, Log::Redo)?;
        }
        self.add_log(engine, &mut index, Log::Undo)?;
        index.sort();
        let written = self.shared.lock().written;
        match index.uncaptured(written, self.disks.len()) {
            Some((disk, start)) => {
                Err(ReplicaError::Uncaptured { file: paths::undo(self.machine(), epoch), disk, start })
            }
            None => Ok(index),
        }
    }

    /// Reads an index file after a restart: it may be in a cache only, and counts once it is durable.
    pub(crate) fn recover_index<E: Engine>(
        &mut self,
        engine: &mut E,
        epoch: EpochNumber,
    ) -> Result<Option<EpochIndex>, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        match self.volume.open(&self.index_path(epoch)) {
            Err(blockdev::VolumeError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok(device) => {
                let slot = engine.attach(device)?;
                let flushed = flush_all(engine, &[slot]);
                drop(engine.detach(slot));
                flushed?;
            }
        }
        self.read_index(engine, epoch)
    }

    /// Reads an index file; `None` if it is missing or does not check.
    pub(crate) fn read_index<E: Engine>(
        &mut self,
        engine: &mut E,
        epoch: EpochNumber,
    ) -> Result<Option<EpochIndex>, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let path = self.index_path(epoch);
        let device = match self.volume.open(&path) {
            Ok(device) => device,
            Err(blockdev::VolumeError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let slot = engine.attach(device)?;
        let bytes = self.read_whole(engine, slot)?;
        drop(engine.detach(slot));
        let head = self.head.head();
        match EpochIndex::decode(&bytes) {
            Ok(index)
                if index.machine == head.machine
                    && index.epoch == epoch
                    && index.generation == head.generation =>
            {
                Ok(Some(index))
            }
            Ok(_) => Ok(None),
            Err(error) => {
                tracing::warn!(path, %error, "index does not check; made again from the logs");
                Ok(None)
            }
        }
    }

    fn read_whole<E: Engine>(
        &self,
        engine: &mut E,
        slot: blockdev::DeviceSlot,
    ) -> Result<Vec<u8>, ReplicaError> {
        let len = engine.geometry(slot).len.as_usize();
        let read = |at: usize| ReadAt { slot, at: ByteOffset(at as u64), len: TRANSFER_LEN.min(len - at) };
        let reads: Vec<_> = (0..len).step_by(TRANSFER_LEN).map(read).collect();
        let mut bytes = vec![0; len];
        read_each(engine, &self.pool, &reads, |index, buffer| {
            let at = index * TRANSFER_LEN;
            bytes[at..at + buffer.len()].copy_from_slice(&buffer);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Adds every record of a log to the index. Errors: damage, or a log that ends before it should.
    fn add_log<E: Engine>(
        &mut self,
        engine: &mut E,
        index: &mut EpochIndex,
        log: Log,
    ) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let path = match log {
            Log::Redo => paths::redo(index.machine, index.epoch),
            Log::Undo => paths::undo(index.machine, index.epoch),
        };
        let (machine, generation, epoch) = (index.machine, index.generation, index.epoch);
        let (position, previous) = (ByteOffset(0), Hash::default());
        let known = (log == Log::Undo).then_some(previous);
        let info = *self.shared.lock().epoch_mut(epoch);
        let durable = ByteOffset(if log == Log::Redo { info.redo.0 } else { info.undo.0 });
        // The redo log may be growing right now: it is read up to what is known to be durable. Of an undo log
        // that has not been opened since the start, the end is not known.
        let until = (log == Log::Redo || durable > ByteOffset(0)).then_some(durable);
        let scan =
            TailScan::new(Placement { machine, generation, epoch, position, previous }, known, durable);
        let slot = engine.attach(self.volume.open(&path)?)?;
        let end = LogReader::new(engine, &self.pool, slot, log)
            .walk(scan, until, |head, body| index.add(log, &head.place(), body));
        drop(engine.detach(slot));
        match end?.tail {
            Tail::At(_) => Ok(()),
            Tail::Damaged { at, cause } => Err(ReplicaError::Damaged { file: path, at, cause }),
        }
    }
}

impl<V: Volume> Applier<V> {
    /// Returns where the index of an epoch lies, whatever was joined into it.
    fn index_path(&self, epoch: EpochNumber) -> String {
        paths::index(self.machine(), epoch, self.head.head().joined_through(epoch))
    }

    /// Removes every index of an epoch but the one that counts.
    pub(crate) fn remove_other_indexes(&self, epoch: EpochNumber) -> Result<(), ReplicaError> {
        let (directory, counts) = (paths::epoch(self.machine(), epoch), self.index_path(epoch));
        let found = self.volume.list(&directory)?;
        let indexes =
            found.iter().filter(|name| paths::is_index(name)).map(|name| format!("{directory}/{name}"));
        Ok(indexes.filter(|path| *path != counts).try_for_each(|path| self.volume.remove(&path))?)
    }
}

/// Removes what is there of an epoch's files.
pub(crate) fn remove_epoch<V: Volume>(
    volume: &V,
    machine: units::MachineId,
    epoch: EpochNumber,
) -> Result<(), ReplicaError> {
    for name in volume.list(&paths::epoch(machine, epoch))?.iter().filter(|name| paths::is_index(name)) {
        volume.remove(&format!("{}/{name}", paths::epoch(machine, epoch)))?;
    }
    volume.remove(&paths::redo(machine, epoch))?;
    volume.remove(&paths::undo(machine, epoch))?;
    Ok(volume.remove(&paths::epoch(machine, epoch))?)
}
