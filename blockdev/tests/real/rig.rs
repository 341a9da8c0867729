//! What the tests on real devices share: files and loop devices that clean up after themselves.

use std::path::{Path, PathBuf};
use std::process::Command;

use landfall_blockdev::{
    Access, DeviceError, DeviceSlot, Engine, Expect, FilePolicy, OpenDevice, Operation, PageBuf, Request,
    open_device,
};
use units::{ByteLen, ByteOffset};

/// Expectations of a disk that may be a file.
pub(crate) fn any(access: Access) -> Expect {
    Expect { identity: None, len_min: ByteLen(1), files: FilePolicy::Allow, access }
}

/// Opens a disk to write to it.
pub(crate) fn open(path: &Path) -> OpenDevice {
    open_device(path, &any(Access::Exclusive)).expect("the disk is ours")
}

/// Makes a sparse file of `len` bytes.
pub(crate) fn sparse_file(directory: &Path, name: &str, len: u64) -> PathBuf {
    let path = directory.join(name);
    let file = std::fs::File::create_new(&path).expect("the directory is writable");
    file.set_len(len).expect("a sparse file takes no space");
    path
}

/// Runs a command; tells whether it succeeded, with its output.
pub(crate) fn run(command: &str, arguments: &[&str]) -> Result<String, String> {
    let output =
        Command::new(command).args(arguments).output().map_err(|error| format!("{command}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("{command}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// A loop device over a file; detached when dropped.
pub(crate) struct LoopDevice {
    pub(crate) path: PathBuf,
}

impl LoopDevice {
    /// Attaches `file` with sectors of `sector` bytes, or says why not here.
    pub(crate) fn attach(file: &Path, sector: u32) -> Option<Self> {
        let (file, sector) = (file.to_str().expect("a plain path"), sector.to_string());
        match run("losetup", &["--find", "--show", "--sector-size", &sector, file]) {
            Ok(path) => Some(Self { path: path.into() }),
            Err(reason) => {
                println!("skipped: no loop device here: {reason}");
                None
            }
        }
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = run("losetup", &["--detach", self.path.to_str().expect("a plain path")]);
    }
}

/// Something mounted; unmounted when dropped.
pub(crate) struct Mounted {
    pub place: PathBuf,
}

impl Mounted {
    /// Mounts, or says why not here.
    pub(crate) fn mount(arguments: &[&str], place: &Path) -> Option<Self> {
        let mut all = arguments.to_vec();
        all.push(place.to_str().expect("a plain path"));
        match run("mount", &all) {
            Ok(_) => Some(Self { place: place.to_owned() }),
            Err(reason) => {
                println!("skipped: nothing can be mounted here: {reason}");
                None
            }
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = run("umount", &[self.place.to_str().expect("a plain path")]);
    }
}

/// Makes a write of `len` bytes of `fill`.
pub(crate) fn write(slot: DeviceSlot, at: u64, len: usize, fill: u8) -> Request {
    let mut from = PageBuf::zeroed(len);
    from.fill(fill);
    Request { slot, tag: at, operation: Operation::Write { at: ByteOffset(at), from } }
}

/// Makes a read of `len` bytes.
pub(crate) fn read(slot: DeviceSlot, at: u64, len: usize) -> Request {
    Request { slot, tag: at, operation: Operation::Read { at: ByteOffset(at), into: PageBuf::zeroed(len) } }
}

/// Makes a flush.
pub(crate) fn flush(slot: DeviceSlot) -> Request {
    Request { slot, tag: u64::MAX, operation: Operation::Flush }
}

/// Runs one operation and returns its outcome and its buffer.
pub(crate) fn one<E: Engine>(engine: &mut E, request: Request) -> (Result<(), DeviceError>, Option<PageBuf>) {
    let mut done = engine.run([request]).expect("the engine works");
    assert_eq!(done.len(), 1, "one request, one completion");
    let ended = done.remove(0);
    (ended.outcome, ended.operation.into_buffer())
}
