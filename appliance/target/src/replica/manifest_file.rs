//! The manifests of a machine on the retention volume: one file each, never changed once it is written.

use blockdev::{Engine, Operation, PageBuf, PagePool, Request, Volume};
use units::{ByteLen, ByteOffset, MachineId};

use super::error::ReplicaError;
use super::paths;
use super::transfer::{ReadAt, TRANSFER_LEN, first_failure, flush_all, read_each};

/// Manifests one machine keeps; the oldest goes when there would be more.
const MANIFESTS_MAX: usize = 256;
/// What fills the file behind the manifest, up to a whole block: the file stays a text.
const PADDING: u8 = b'\n';

/// Writes a new manifest; durable on return. Returns its number, from 1.
///
/// 1. The file is made, all zero: what a crash leaves here is no manifest, and its number is not given again.
/// 2. The text is written and flushed.
pub(crate) fn save_manifest<E: Engine, V: Volume<Device = E::Device>>(
    engine: &mut E,
    volume: &V,
    machine: MachineId,
    text: &str,
) -> Result<u64, ReplicaError> {
    let numbers = numbers(volume, machine)?;
    let number = numbers.last().map_or(1, |last| last + 1);
    let len = text.len().next_multiple_of(retention::BLOCK_LEN);
    let slot = engine.attach(volume.create(&paths::manifest(machine, number), ByteLen(len as u64))?)?;
    let mut padded = text.as_bytes().to_vec();
    padded.resize(len, PADDING);
    let writes = padded.chunks(TRANSFER_LEN).zip((0..).step_by(TRANSFER_LEN)).map(|(chunk, at)| {
        let mut from = PageBuf::zeroed(chunk.len());
        from.copy_from_slice(chunk);
        Request { slot, tag: 0, operation: Operation::Write { at: ByteOffset(at), from } }
    });
    let written = engine.run(writes).map_err(ReplicaError::from).and_then(first_failure);
    let written = written.and_then(|()| flush_all(engine, &[slot]));
    drop(engine.detach(slot));
    written?;
    for number in numbers.iter().rev().skip(MANIFESTS_MAX - 1) {
        volume.remove(&paths::manifest(machine, *number))?;
    }
    Ok(number)
}

/// Reads every manifest of a machine, oldest first, each with its number. What was never written is left out; what was written is
/// returned as it is, damaged or not.
pub(crate) fn load_manifests<E: Engine, V: Volume<Device = E::Device>>(
    engine: &mut E,
    pool: &PagePool,
    volume: &V,
    machine: MachineId,
) -> Result<Vec<(u64, Vec<u8>)>, ReplicaError> {
    let mut found = Vec::new();
    for number in numbers(volume, machine)? {
        let slot = engine.attach(volume.open(&paths::manifest(machine, number))?)?;
        let bytes = load(engine, pool, slot);
        drop(engine.detach(slot));
        let mut bytes = bytes?;
        if bytes.iter().any(|byte| *byte != 0) {
            let len = bytes.iter().rposition(|byte| *byte != PADDING).map_or(0, |last| last + 1);
            bytes.truncate(len);
            bytes.push(PADDING);
            found.push((number, bytes));
        }
    }
    Ok(found)
}

fn load<E: Engine>(
    engine: &mut E,
    pool: &PagePool,
    slot: blockdev::DeviceSlot,
) -> Result<Vec<u8>, ReplicaError> {
    let len = engine.geometry(slot).len.as_usize().min(manifest::FILE_LEN_MAX);
    let read = |at: usize| ReadAt { slot, at: ByteOffset(at as u64), len: TRANSFER_LEN.min(len - at) };
    let reads: Vec<_> = (0..len).step_by(TRANSFER_LEN).map(read).collect();
    let mut bytes = vec![0; len];
    read_each(engine, pool, &reads, |index, buffer| {
        bytes[index * TRANSFER_LEN..][..buffer.len()].copy_from_slice(&buffer);
        Ok(())
    })?;
    Ok(bytes)
}

/// Removes every manifest of a machine.
pub(crate) fn remove_manifests<V: Volume>(volume: &V, machine: MachineId) -> Result<(), ReplicaError> {
    for number in numbers(volume, machine)? {
        volume.remove(&paths::manifest(machine, number))?;
    }
    Ok(volume.remove(&paths::manifests(machine))?)
}

fn numbers<V: Volume>(volume: &V, machine: MachineId) -> Result<Vec<u64>, ReplicaError> {
    let names = volume.list(&paths::manifests(machine))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}
