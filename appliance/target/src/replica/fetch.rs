//! The payloads of pieces, read from the logs they lie in.

use std::collections::BTreeMap;

use blockdev::{DeviceSlot, Engine, Volume};
use retention::{DecodeError, ExtentDecoder, IndexEntry, Log, Piece, encoded_len};
use units::{ByteLen, EpochNumber, MachineId};

use super::apply::Applier;
use super::error::ReplicaError;
use super::log_reader::{PayloadReads, PayloadSource};
use super::paths;
use super::transfer::read_each;

/// The logs a plan reads from, opened as they are needed.
#[derive(Default)]
pub(crate) struct OpenLogs {
    slots: BTreeMap<(EpochNumber, Log), DeviceSlot>,
}

/// The payloads of some pieces.
pub(crate) struct Payloads {
    /// Verified, not decoded.
    pub(crate) bytes: Vec<Vec<u8>>,
    /// For each piece, which of `bytes` is its extent's.
    pub(crate) of_piece: Vec<usize>,
}

impl<V> Applier<V> {
    /// Says how the payloads of some pieces are read.
    pub(crate) fn group<'p, E: Engine>(
        &self,
        engine: &mut E,
        logs: &mut OpenLogs,
        pieces: &'p [Piece],
    ) -> Result<Group<'p>, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let same = |one: &Piece, other: &Piece| (one.epoch, &one.entry) == (other.epoch, &other.entry);
        let sharing: Vec<&[Piece]> = pieces.chunk_by(same).collect();
        let mut sources: Vec<PayloadSource<'_>> = Vec::with_capacity(sharing.len());
        for Piece { epoch, entry, .. } in sharing.iter().map(|pieces| &pieces[0]) {
            let slot = logs.slot(engine, &self.volume, self.machine(), *epoch, entry.log)?;
            sources.push((slot, entry.payload_at, &entry.extent));
        }
        Ok(Group { machine: self.machine(), reads: PayloadReads::new(&sources), sharing })
    }

    /// Reads and verifies the payload of every piece; neighbours that come from one extent share it.
    pub(crate) fn payloads<E: Engine>(
        &mut self,
        engine: &mut E,
        logs: &mut OpenLogs,
        pieces: &[Piece],
    ) -> Result<Payloads, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let group = self.group(engine, logs, pieces)?;
        let mut bytes = vec![Vec::new(); group.sharing.len()];
        read_each(engine, &self.pool, &group.reads.reads, |read, buffer| {
            group.deliver(read, &buffer, |number, _, payload| {
                bytes[number] = payload.to_vec();
                Ok(())
            })
        })?;
        let shared = group.sharing.iter().enumerate();
        let of_piece = shared.flat_map(|(number, pieces)| pieces.iter().map(move |_| number)).collect();
        Ok(Payloads { bytes, of_piece })
    }
}

/// Pieces whose payloads are read together.
pub(crate) struct Group<'p> {
    machine: MachineId,
    pub(crate) reads: PayloadReads,
    /// Neighbours that come from one extent.
    sharing: Vec<&'p [Piece]>,
}

impl<'p> Group<'p> {
    /// Gives `take` each payload that a read brought, verified, with the number of its extent and the pieces that come from it.
    pub(crate) fn deliver(
        &self,
        read: usize,
        bytes: &[u8],
        mut take: impl FnMut(usize, &'p [Piece], &[u8]) -> Result<(), ReplicaError>,
    ) -> Result<(), ReplicaError> {
        self.reads.deliver(read, bytes, |number, payload| {
            let Piece { epoch, entry, .. } = &self.sharing[number][0];
            let file = || log_path(self.machine, *epoch, entry.log);
            let damaged = |cause| ReplicaError::Damaged { file: file(), at: entry.payload_at, cause };
            ExtentDecoder::verify(&entry.extent, payload).map_err(damaged)?;
            take(number, self.sharing[number], payload)
        })
    }

    /// Gives `take` the pieces of each extent that has no payload, with its number.
    pub(crate) fn deliver_empty(
        &self,
        mut take: impl FnMut(usize, &'p [Piece], &[u8]) -> Result<(), ReplicaError>,
    ) -> Result<(), ReplicaError> {
        self.reads.deliver_empty(|number, payload| take(number, self.sharing[number], payload))
    }
}

impl OpenLogs {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Opens the log of an entry so that its payload lies inside what was opened: a log may have grown since it was opened
    /// first. Slots of that log that were returned before are void.
    pub(crate) fn cover<E: Engine, V: Volume<Device = E::Device>>(
        &mut self,
        engine: &mut E,
        volume: &V,
        machine: MachineId,
        epoch: EpochNumber,
        entry: &IndexEntry,
    ) -> Result<(), ReplicaError> {
        let needed = entry.payload_at.0 + encoded_len(&entry.extent) as u64;
        let slot = self.slot(engine, volume, machine, epoch, entry.log)?;
        if engine.geometry(slot).len.0 >= needed {
            return Ok(());
        }
        self.slots.remove(&(epoch, entry.log));
        drop(engine.detach(slot));
        let slot = self.slot(engine, volume, machine, epoch, entry.log)?;
        let found = engine.geometry(slot).len.as_usize();
        if (found as u64) < needed {
            let cause = DecodeError::Short { found, needed: ByteLen(needed).as_usize() };
            let (file, at) = (log_path(machine, epoch, entry.log), entry.payload_at);
            return Err(ReplicaError::Damaged { file, at, cause });
        }
        Ok(())
    }

    pub(crate) fn slot<E: Engine, V: Volume<Device = E::Device>>(
        &mut self,
        engine: &mut E,
        volume: &V,
        machine: MachineId,
        epoch: EpochNumber,
        log: Log,
    ) -> Result<DeviceSlot, ReplicaError> {
        if let Some(slot) = self.slots.get(&(epoch, log)) {
            return Ok(*slot);
        }
        let slot = engine.attach(volume.open(&log_path(machine, epoch, log))?)?;
        self.slots.insert((epoch, log), slot);
        Ok(slot)
    }

    pub(crate) fn close<E: Engine>(&mut self, engine: &mut E) {
        std::mem::take(&mut self.slots).into_values().for_each(|slot| drop(engine.detach(slot)));
    }
}

pub(crate) fn log_path(machine: MachineId, epoch: EpochNumber, log: Log) -> String {
    match log {
        Log::Redo => paths::redo(machine, epoch),
        Log::Undo => paths::undo(machine, epoch),
    }
}
