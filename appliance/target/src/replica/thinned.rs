//! Epochs that have lost their redo: found again, and left only after what they alone account for was captured.

use blockdev::{Engine, Volume};
use retention::{EpochIndex, Log, Placement, TailScan, unsaved};
use units::{ByteLen, ByteOffset, EpochNumber, Hash, Sequence, Timestamp};

use super::apply::Applier;
use super::error::ReplicaError;
use super::log_reader::LogReader;
use super::paths;
use super::planted::Planted;
use super::recover::Found;
use super::round::portions;

impl<V: Volume> Applier<V> {
    /// Finds a thinned epoch by its index; or, if that was lost, by its undo log and what comes behind it.
    pub(crate) fn recover_thinned<E: Engine<Device = V::Device>>(
        &mut self,
        engine: &mut E,
        epoch: EpochNumber,
        found: &mut Found,
    ) -> Result<(), ReplicaError> {
        let (index, given_up) = match self.recover_index(engine, epoch)? {
            Some(mut index) => {
                let given_up = ByteLen(index.redo_len.0);
                index.thin();
                (index, given_up)
            }
            None => (self.remake_thinned(engine, epoch, found.last.next())?, ByteLen::ZERO),
        };
        found.epoch = self.head.head().joined_through(epoch);
        let known = index.last_checksum != Hash::default();
        let previous = known.then_some(index.last_checksum);
        self.take_index(index, found)?;
        self.shared.lock().epoch_mut(epoch).given_up = given_up;
        // A lost index leaves the predecessor of the next epoch's first record unknown: any is taken.
        found.previous = previous;
        Ok(())
    }

    fn remake_thinned<E: Engine<Device = V::Device>>(
        &mut self,
        engine: &mut E,
        epoch: EpochNumber,
        first: Sequence,
    ) -> Result<EpochIndex, ReplicaError> {
        tracing::warn!(%epoch, "the index of a thinned epoch is lost; made again from its before-images");
        let behind = self.head.head().joined_through(epoch).next();
        let last = Sequence(self.first_of(engine, behind)?.0 - 1);
        let (machine, generation) = (self.machine(), self.head.head().generation);
        let mut index = EpochIndex::empty(machine, generation, epoch, first);
        index.last = last;
        let position = ByteOffset(0);
        let previous = Hash::default();
        let placement = Placement { machine, generation, epoch, position, previous };
        let slot = engine.attach(self.volume.open(&paths::undo(machine, epoch))?)?;
        let scan = TailScan::new(placement, Some(previous), ByteOffset(0));
        let end = LogReader::new(engine, &self.pool, slot, Log::Undo)
            .walk(scan, None, |head, body| index.add(Log::Undo, &head.place(), body));
        drop(engine.detach(slot));
        if let retention::Tail::Damaged { at, cause } = end?.tail {
            return Err(ReplicaError::Damaged { file: paths::undo(machine, epoch), at, cause });
        }
        index.sort();
        self.save_index(engine, &index)?;
        Ok(index)
    }

    /// Returns the first sequence of an epoch, as its index or its first record tells it.
    fn first_of<E: Engine<Device = V::Device>>(
        &mut self,
        engine: &mut E,
        epoch: EpochNumber,
    ) -> Result<Sequence, ReplicaError> {
        if let Some(index) = self.read_index(engine, epoch)? {
            return Ok(index.first);
        }
        let (machine, generation) = (self.machine(), self.head.head().generation);
        let (position, previous) = (ByteOffset(0), Hash::default());
        let placement = Placement { machine, generation, epoch, position, previous };
        let file = paths::redo(machine, epoch);
        let slot = engine.attach(self.volume.open(&file)?)?;
        let scan = TailScan::new(placement, None, position);
        let record = LogReader::new(engine, &self.pool, slot, Log::Redo).record_at(&scan);
        drop(engine.detach(slot));
        match record? {
            Ok((head, _)) => Ok(head.sequence),
            Err(cause) => Err(ReplicaError::Damaged { file, at: position, cause }),
        }
    }
}

impl<V> Applier<V> {
    /// Captures what thinned epochs wrote last: it is on the target disks alone, and a rewind to `to` overwrites it. It goes to
    /// the undo log of the open epoch, which then tells of it like of what it will write. Durable on return. Returns whether
    /// there was any.
    pub(crate) fn save_thinned<E: Engine>(
        &mut self,
        engine: &mut E,
        indexes: &[EpochIndex],
        to: Sequence,
    ) -> Result<bool, ReplicaError> {
        if !indexes.iter().any(EpochIndex::is_thinned) || self.limits.plants(Planted::ThinnedUnsaved) {
            return Ok(false);
        }
        let written = self.shared.lock().written;
        let open = self.open.as_ref().expect("a machine with a history has an epoch open");
        let (epoch, spans) = (open.epoch, unsaved(indexes, to, &open.captured));
        let now: Timestamp = self.last_round;
        for portion in portions(&spans) {
            self.append_before_images(engine, portion, written, now)?;
            let open = self.open.as_mut().expect("the epoch is open");
            portion.iter().for_each(|span| open.captured.insert(span));
            let end = open.undo.position().end.0;
            self.shared.lock().epoch_mut(epoch).undo = ByteLen(end);
        }
        Ok(!spans.is_empty())
    }
}
