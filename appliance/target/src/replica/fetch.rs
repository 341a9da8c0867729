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
        let mut firsts: Vec<&Piece> = Vec::new();
        let mut of_piece = Vec::with_capacity(pieces.len());
        let mut sources: Vec<PayloadSource<'_>> = Vec::with_capacity(pieces.len());
        for piece in pieces {
            if firsts.last().is_none_or(|last| (last.epoch, &last.entry) != (piece.epoch, &piece.entry)) {
                let slot = logs.slot(engine, &self.volume, self.machine(), piece.epoch, piece.entry.log)?;
                sources.push((slot, piece.entry.payload_at, &piece.entry.extent));
                firsts.push(piece);
            }
            of_piece.push(firsts.len() - 1);
        }
        Ok(Group { pieces, reads: PayloadReads::new(&sources), firsts, of_piece })
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
        let mut found = Vec::with_capacity(group.reads.reads.len());
        read_each(engine, &self.pool, &group.reads.reads, |read, buffer| {
            found.push((read, buffer.to_vec()));
            Ok(())
        })?;
        let bytes = group.payloads(self.machine(), found)?;
        Ok(Payloads { bytes, of_piece: group.of_piece })
    }
}

/// Pieces whose payloads are read together.
pub(crate) struct Group<'p> {
    pub(crate) pieces: &'p [Piece],
    pub(crate) reads: PayloadReads,
    /// Of neighbours that come from one extent, the first.
    firsts: Vec<&'p Piece>,
    /// For each piece, which of `firsts` has its extent.
    pub(crate) of_piece: Vec<usize>,
}

impl Group<'_> {
    /// Takes the payloads out of what was read, and verifies each.
    pub(crate) fn payloads(
        &self,
        machine: MachineId,
        found: Vec<(usize, Vec<u8>)>,
    ) -> Result<Vec<Vec<u8>>, ReplicaError> {
        let mut bytes = vec![Vec::new(); self.firsts.len()];
        let mut take = |index: usize, payload: &[u8]| {
            let piece = self.firsts[index];
            let damaged = |cause| ReplicaError::Damaged {
                file: log_path(machine, piece.epoch, piece.entry.log),
                at: piece.entry.payload_at,
                cause,
            };
            ExtentDecoder::verify(&piece.entry.extent, payload).map_err(damaged)?;
            bytes[index] = payload.to_vec();
            Ok(())
        };
        self.reads.deliver_empty(&mut take)?;
        found.iter().try_for_each(|(read, found)| self.reads.deliver(*read, found, &mut take))?;
        Ok(bytes)
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
