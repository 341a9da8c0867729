//! Reads and writes of a world's disks and files behind the back of the code under test.

use blockdev::{Engine, Operation, PageBuf, Request, SimDevice, SimWorld, Volume};
use units::{ByteLen, ByteOffset};

use super::rig::GUARD;

/// Makes a disk of `len` zero bytes with `guard` bytes behind them that must never change.
pub(crate) fn make_disk(world: &SimWorld, name: &str, len: u64, guard: u64) {
    let device = world.add_disk(name, ByteLen(len + guard));
    write_device(world, device, len, &vec![GUARD; guard as usize]);
}

/// Writes bytes to a file of the volume, durably.
pub(crate) fn write_file(world: &SimWorld, path: &str, at: u64, bytes: &[u8]) {
    write_device(world, world.volume().open(path).unwrap(), at, bytes);
}

fn write_device(world: &SimWorld, device: SimDevice, at: u64, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let mut engine = world.engine(1);
    let slot = engine.attach(device).unwrap();
    let write = Operation::Write { at: ByteOffset(at), from: PageBuf::copy_of(bytes) };
    for operation in [write, Operation::Flush] {
        let done = engine.run([Request { slot, tag: 0, operation }]).unwrap();
        done.into_iter().for_each(|completion| completion.outcome.unwrap());
    }
}

/// Returns the paths of every file of the volume below a directory.
pub(crate) fn files_below(world: &SimWorld, directory: &str) -> Vec<String> {
    let mut files = Vec::new();
    for name in world.volume().list(directory).unwrap() {
        let path = format!("{directory}/{name}");
        match world.volume().list(&path).unwrap() {
            inside if inside.is_empty() => files.push(path),
            _ => files.extend(files_below(world, &path)),
        }
    }
    files
}
