//! Sealing and expiring whole epochs.

use blockdev::{Engine, Operation, PageBuf, Request, Volume};
use retention::{EpochIndex, EpochSummary, GranuleSet, Log, Placement, Tail, TailScan, plan_expiry};
use units::{ByteLen, ByteOffset, EpochNumber, Hash, Timestamp};

use super::apply::{Applier, OpenEpoch, Step};
use super::error::ReplicaError;
use super::limits::ReplicaLimits;
use super::log_reader::LogReader;
use super::log_writer::{LogPosition, LogWriter};
use super::paths;
use super::planted::Planted;
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
        let log_end = LogReader::new(engine, &self.pool, slot, Log::Undo).walk(scan, None, |_, body| {
            body.extents().iter().for_each(|extent| captured.insert(&extent.span()));
        })?;
        let end = match log_end.tail {
            Tail::At(end) => end,
            Tail::Damaged { at, cause } => return Err(ReplicaError::Damaged { file: path, at, cause }),
        };
        let previous = log_end.previous.unwrap_or_default();
        let position = LogPosition { machine, generation, epoch, end, previous };
        let undo = LogWriter::new(engine, slot, position, self.limits.log_chunk);
        let redo = engine.attach(self.volume.open(&paths::redo(machine, epoch))?)?;
        self.shared.lock().epoch_mut(epoch).undo = ByteLen(end.0);
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
            self.shared.lock().epoch_mut(epoch).sealed = true;
        }
        Ok(())
    }

    /// Ends the open epoch, if there is one: everything of it is on the target disks.
    ///
    /// 1. A checkpoint: no later epoch is begun before this one is durable on the target.
    /// 2. The index, made from the logs, is written and flushed.
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
        self.shared.lock().epoch_mut(epoch).sealed = true;
        Ok(())
    }

    /// Writes the index of a sealed epoch if there is room for it. It holds nothing that the logs do not, and an epoch
    /// without one can expire like any other: the want of room for it must not keep room from being made.
    fn save_index<E: Engine>(&mut self, engine: &mut E, index: &EpochIndex) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        match self.write_index(engine, index) {
            Err(ReplicaError::Full { what }) => {
                tracing::warn!(what, "no room for an index; it is made from the logs when it is needed");
                Ok(())
            }
            other => other,
        }
    }

    fn write_index<E: Engine>(&mut self, engine: &mut E, index: &EpochIndex) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let path = paths::index(self.machine(), index.epoch);
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

    /// Returns the index of an epoch: as it was written, or made from its logs.
    pub(crate) fn index_of<E: Engine>(
        &mut self,
        engine: &mut E,
        epoch: EpochNumber,
    ) -> Result<EpochIndex, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        if let Some(index) = self.read_index(engine, epoch)? {
            return Ok(index);
        }
        let first = self.shared.lock().epoch_mut(epoch).first;
        let head = self.head.head();
        let mut index = EpochIndex::empty(head.machine, head.generation, epoch, first);
        self.add_log(engine, &mut index, Log::Redo)?;
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

    /// Reads an index file; `None` if it is missing or does not check.
    pub(crate) fn read_index<E: Engine>(
        &mut self,
        engine: &mut E,
        epoch: EpochNumber,
    ) -> Result<Option<EpochIndex>, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let path = paths::index(self.machine(), epoch);
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
            .walk(scan, until, |head, body| index.add(log, head, body));
        drop(engine.detach(slot));
        match end?.tail {
            Tail::At(_) => Ok(()),
            Tail::Damaged { at, cause } => Err(ReplicaError::Damaged { file: path, at, cause }),
        }
    }

    /// Lets old epochs go, as the policy says.
    pub(crate) fn expire<E: Engine>(&mut self, engine: &mut E, now: Timestamp) -> Result<Step, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        if self.head.head().lifecycle != retention::Lifecycle::Protected {
            return Ok(Step::Idle);
        }
        let (sealed, open) = self.epoch_summaries();
        let Some(expired) = plan_expiry(&sealed, open, self.limits.retention, now).first().copied() else {
            return Ok(Step::Idle);
        };
        if self.is_viewed(expired.epoch.epoch) {
            return Ok(Step::Idle);
        }
        tracing::info!(epoch = %expired.epoch.epoch, reason = ?expired.reason, "epoch expires");
        self.drop_epoch(engine, expired.epoch)?;
        Ok(Step::Worked)
    }

    /// Makes room on a full volume: the oldest epoch goes, if there is one that may.
    pub(crate) fn relieve<E: Engine>(&mut self, engine: &mut E) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        if self.shared.lock().full.is_none() {
            return Ok(());
        }
        let (sealed, _) = self.epoch_summaries();
        let oldest =
            sealed.first().copied().filter(|_| self.head.head().lifecycle == retention::Lifecycle::Protected);
        if let Some(epoch) = oldest {
            tracing::warn!(epoch = %epoch.epoch, size = %epoch.size, "retention volume is full: the oldest epoch goes");
            self.end_views_from(
                epoch.epoch,
                "the retention volume is full, and the history it shows had to go",
            );
            self.drop_epoch(engine, epoch)?;
        } else if self.volume.usage()?.free >= self.room_for_a_group() {
            // Somebody made room: the appender may try again.
            self.shared.lock().full = None;
            self.shared.committer.ring();
        }
        Ok(())
    }

    /// Returns how much must be free for a group, whatever is in it: a new epoch, or both logs longer by as much.
    fn room_for_a_group(&self) -> ByteLen {
        let ReplicaLimits { log_chunk, group_len, .. } = self.limits;
        log_chunk + log_chunk + group_len + ByteLen(retention::RECORD_LEN_MAX as u64)
    }

    fn epoch_summaries(&self) -> (Vec<EpochSummary>, ByteLen) {
        let state = self.shared.lock();
        let summary = |info: &EpochInfo| EpochSummary {
            epoch: info.epoch,
            last: info.last,
            closed: info.closed,
            size: info.redo + info.undo,
        };
        let sealed: Vec<_> = state.epochs.iter().take_while(|info| info.sealed).map(summary).collect();
        let open = state.epochs.iter().skip(sealed.len()).map(|info| info.redo + info.undo).sum();
        (sealed, open)
    }

    /// 1. The head says that the history begins after this epoch, durable.
    /// 2. Its files are removed.
    ///
    /// A crash between leaves files that recovery removes.
    fn drop_epoch<E: Engine>(&mut self, engine: &mut E, epoch: EpochSummary) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        if self.limits.plants(Planted::RemovedBeforeHead) {
            remove_epoch(&self.volume, self.machine(), epoch.epoch)?;
        }
        self.head.update(engine, |head| {
            head.oldest_epoch = epoch.epoch.next();
            head.base = epoch.last;
        })?;
        remove_epoch(&self.volume, self.machine(), epoch.epoch)?;
        let mut state = self.shared.lock();
        let gone = state.epochs.pop_front();
        assert!(
            gone.is_some_and(|info| info.epoch == epoch.epoch && info.sealed),
            "the oldest sealed epoch goes"
        );
        state.base = epoch.last;
        state.timeline.expire(epoch.last.next());
        state.full = None;
        drop(state);
        self.shared.committer.ring();
        Ok(())
    }
}

/// Removes what is there of an epoch's files.
pub(crate) fn remove_epoch<V: Volume>(
    volume: &V,
    machine: units::MachineId,
    epoch: EpochNumber,
) -> Result<(), ReplicaError> {
    volume.remove(&paths::index(machine, epoch))?;
    volume.remove(&paths::redo(machine, epoch))?;
    volume.remove(&paths::undo(machine, epoch))?;
    Ok(volume.remove(&paths::epoch(machine, epoch))?)
}
