//! What can go wrong: on a device, in an engine, on a volume.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use thiserror::Error;
use units::{ByteLen, ByteOffset};

use crate::{FileKind, OperationKind};

/// Why a device could not be opened, or an operation on it was refused or failed.
///
/// After [`DeviceError::TimedOut`], and after [`DeviceError::Failed`] or [`DeviceError::Short`] of anything but a read, the device is
/// out; a refusal
/// (`Misaligned`, `PastEnd`, `ReadOnly`) touched nothing and leaves it as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// There is nothing at the path. Nothing was created.
    #[error("{}: there is no such device; nothing was created: check the path", .path.display())]
    Missing {
        /// The path that was to be opened.
        path: PathBuf,
    },
    /// One step of opening failed.
    #[error("{}: {step} failed", .path.display())]
    Open {
        /// The path that was to be opened.
        path: PathBuf,
        /// What was tried, as a noun.
        step: &'static str,
        /// What the kernel said.
        source: Errno,
    },
    /// The path is of the wrong kind.
    #[error("{}: found {found}, allowed is {allowed}: give the path of the disk itself", .path.display())]
    WrongKind {
        /// The path that was to be opened.
        path: PathBuf,
        /// What it is.
        found: FileKind,
        /// What it may be.
        allowed: &'static str,
    },
    /// The device was in use, and vanished.
    #[error("{}: the disk vanished while it was in use: attach it again", .path.display())]
    Vanished {
        /// The path it was opened at.
        path: PathBuf,
    },
    /// The device is smaller than what is to go on it.
    #[error("{}: found {} bytes, at least {} are needed: give a larger disk", .path.display(), .found.0, .needed.0)]
    TooSmall {
        /// The path that was to be opened.
        path: PathBuf,
        /// Its size.
        found: ByteLen,
        /// The least size allowed.
        needed: ByteLen,
    },
    /// The size or the sectors of the device are of no use to us.
    #[error("{}: found {found}, allowed is {allowed}", .path.display())]
    Unfit {
        /// The path that was to be opened.
        path: PathBuf,
        /// What it has.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Somebody else uses the device.
    #[error("{}: in use: {}; only an unused device is opened: free it, or give another", .path.display(), .reasons.join("; "))]
    InUse {
        /// The path that was to be opened.
        path: PathBuf,
        /// Each use that was found.
        reasons: Vec<String>,
    },
    /// The device at the path is another one than expected.
    #[error("{}: found the disk {found}, expected the disk {expected}: give the right disk, or register this one", .path.display())]
    WrongIdentity {
        /// The path that was to be opened.
        path: PathBuf,
        /// The identity of what is there.
        found: String,
        /// The identity that was asked for.
        expected: String,
    },
    /// A position, length or buffer that does not fit the device's sectors. Nothing was done.
    #[error("{device}: {kind} of {} at {at} is not in whole units of {alignment} bytes", .len)]
    Misaligned {
        /// The device.
        device: Arc<str>,
        /// What was asked.
        kind: OperationKind,
        /// Where it was to start.
        at: ByteOffset,
        /// How much it was to cover.
        len: ByteLen,
        /// What both have to be multiples of, in bytes.
        alignment: u32,
    },
    /// A range that is not wholly on the device. Nothing was done.
    #[error("{device}: {kind} of {} at {at} goes past the end at byte {}", .len, .end.0)]
    PastEnd {
        /// The device.
        device: Arc<str>,
        /// What was asked.
        kind: OperationKind,
        /// Where it was to start.
        at: ByteOffset,
        /// How much it was to cover.
        len: ByteLen,
        /// Size of the device.
        end: ByteLen,
    },
    /// A change of a device that was opened for reading. Nothing was done.
    #[error("{device}: {kind} refused: the device was opened for reading only")]
    ReadOnly {
        /// The device.
        device: Arc<str>,
        /// What was asked.
        kind: OperationKind,
    },
    /// The kernel reported a failure.
    #[error("{device}: {kind} of {} at {at} failed", .len)]
    Failed {
        /// The device.
        device: Arc<str>,
        /// What was asked.
        kind: OperationKind,
        /// Where it started.
        at: ByteOffset,
        /// How much it was to cover; zero for a flush.
        len: ByteLen,
        /// What the kernel said.
        source: Errno,
    },
    /// The device ended an operation early without saying why.
    #[error("{device}: {kind} of {} at {at} ended after {} bytes", .len, .done.0)]
    Short {
        /// The device.
        device: Arc<str>,
        /// What was asked.
        kind: OperationKind,
        /// Where it started.
        at: ByteOffset,
        /// How much it was to cover.
        len: ByteLen,
        /// How much was done.
        done: ByteLen,
    },
    /// The operation has not ended in time: the device hangs, and is out. The operation may still be done, at any time.
    #[error("{device}: {kind} of {} at {at} has not ended within {} s: the device hangs", .len, .after.as_secs_f32())]
    TimedOut {
        /// The device.
        device: Arc<str>,
        /// What was asked.
        kind: OperationKind,
        /// Where it started.
        at: ByteOffset,
        /// How much it was to cover.
        len: ByteLen,
        /// The deadline.
        after: Duration,
    },
    /// There is no space to lengthen a file. It is as before and stays usable.
    #[error("{device}: no space to grow to {len}")]
    NoSpace {
        /// The device.
        device: Arc<str>,
        /// The length that was asked for.
        len: ByteLen,
    },
    /// The device cannot be lengthened: it is not a file, or it is longer already.
    #[error("{device}: cannot grow to {len}: {reason}")]
    NotGrowable {
        /// The device.
        device: Arc<str>,
        /// The length that was asked for.
        len: ByteLen,
        /// Why not.
        reason: &'static str,
    },
    /// An earlier change of the device failed, so that nobody knows what is on it. Nothing was done.
    #[error("{device}: out since an earlier failure ({first}): open it anew after a check")]
    FailedStop {
        /// The device.
        device: Arc<str>,
        /// The first failure, with its cause.
        first: Arc<str>,
    },
    /// The simulated world has crashed.
    #[error("the simulated world crashed at step {step}")]
    Crashed {
        /// The step inside which it stopped.
        step: u64,
    },
}

/// Why an engine cannot be had or cannot go on. After an error of [`crate::Engine::wait`] an engine is of no further use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EngineError {
    /// The kernel refuses a ring, or a step of its making.
    #[error("the kernel refused to {step}")]
    Setup {
        /// What was tried, as a verb.
        step: &'static str,
        /// What the kernel said.
        source: Errno,
    },
    /// The kernel's ring lacks an operation we need.
    #[error("this kernel's io_uring has no {missing}; use the plain engine")]
    Unsupported {
        /// The missing operation.
        missing: &'static str,
    },
    /// A number outside what an engine can do.
    #[error("{what}: found {found}, allowed is 1 to {most}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// What was asked for.
        found: usize,
        /// The most allowed.
        most: usize,
    },
    /// The engine holds as many devices as it can.
    #[error("the engine holds {most} devices already, its limit")]
    DevicesFull {
        /// The most it can hold.
        most: usize,
    },
    /// Too many operations have not ended: there is no room in the ring for more.
    #[error("{operations} operations hang in the kernel: the engine takes no more")]
    Hung {
        /// How many.
        operations: usize,
    },
    /// Waiting for the kernel failed.
    #[error("waiting for completions failed")]
    Wait {
        /// What the kernel said.
        source: Errno,
    },
    /// The simulated world has crashed.
    #[error("the simulated world crashed at step {step}")]
    Crashed {
        /// The step inside which it stopped.
        step: u64,
    },
}

/// Why a call on a volume failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VolumeError {
    /// A path that is not of our own making.
    #[error("the volume path {path:?} is refused: {reason}")]
    Path {
        /// The path as given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file to be made exists already; it was left alone.
    #[error("{path} exists already on the volume")]
    Exists {
        /// The path on the volume.
        path: String,
    },
    /// A file to be opened is not there.
    #[error("{path} is missing on the volume")]
    Missing {
        /// The path on the volume.
        path: String,
    },
    /// The path is something else than a regular file.
    #[error("{path} on the volume is not a regular file")]
    NotAFile {
        /// The path on the volume.
        path: String,
    },
    /// A directory to be removed holds something; it was left alone.
    #[error("the directory {path} on the volume is not empty")]
    NotEmpty {
        /// The path on the volume.
        path: String,
    },
    /// The volume has no space for a new file; nothing was left behind.
    #[error("the volume has no space for {path} of {len}")]
    NoSpace {
        /// The path on the volume.
        path: String,
        /// The length that was asked for.
        len: ByteLen,
    },
    /// Another process has the volume.
    #[error("{}: another process holds this volume ({holder}): stop it first", .directory.display())]
    Locked {
        /// The volume's directory.
        directory: PathBuf,
        /// Who, as far as it is known.
        holder: String,
    },
    /// The kernel reported a failure.
    #[error("{path}: {step} failed")]
    Failed {
        /// The path on the volume, or of the volume.
        path: String,
        /// What was tried, as a noun.
        step: &'static str,
        /// What the kernel said.
        source: Errno,
    },
    /// The file of the volume could not be taken as a device.
    #[error("{path} on the volume cannot be used")]
    Device {
        /// The path on the volume.
        path: String,
        /// Why not.
        source: DeviceError,
    },
    /// The simulated world has crashed.
    #[error("the simulated world crashed at step {step}")]
    Crashed {
        /// The step inside which it stopped.
        step: u64,
    },
}
