//! driver: block devices and the files of a volume, behind one interface for io_uring, plain system calls and simulation.
//!
//! *Invariants:* no path is ever created, nor a disk opened that is not the one expected or that somebody uses; a buffer belongs
//! to the kernel from its submission to its completion; after a failed change a device takes nothing more; a failed flush is never
//! retried; nothing short is taken for whole. This is the only crate with `unsafe`.
//!
//! It knows nothing of what is written, keeps no history and reads no environment.

mod background;
mod device;
mod dir_volume;
mod discover;
mod engine;
mod error;
mod host;
mod identity;
mod in_use;
mod kind;
mod open;
mod page;
mod plain;
mod ring;
mod sim;
mod slots;
mod sysfs;
mod volume;
mod volume_path;

/// Reading beside the main work.
pub use background::{BackgroundDone, BackgroundRead, BackgroundReader, ReaderSlot, start_background_reader};
/// A device that was opened and checked.
pub use device::{ActivityStamp, OpenDevice};
/// A volume in a directory.
pub use dir_volume::DirVolume;
/// The disks of this machine.
pub use discover::{DeviceListing, Eligibility, list_devices};
/// The interface to devices.
pub use engine::{Completion, DeviceSlot, Engine, Geometry, Operation, Request};
/// What can go wrong.
pub use error::{DeviceError, EngineError, VolumeError};
/// The engine of this host, and its limits.
pub use host::{DEPTH_MAX, DEVICES_MAX, EngineChoice, HostEngine, open_engine};
/// Which disk it is, whatever its path.
pub use identity::{FileIdentity, Identity, LABEL_ATTRIBUTE, ParseIdentityError};
/// Kinds of operations and of files.
pub use kind::{FileKind, OperationKind};
/// Opening a disk by what it is.
pub use open::{Access, Expect, FilePolicy, open_device};
/// Aligned buffers and the pool that lends them.
pub use page::{PAGE_LEN, POOL_PAGES_MAX, PageBuf, PagePool};
/// The engine of plain system calls.
pub use plain::PlainEngine;
/// The io_uring engine.
pub use ring::RingEngine;
/// A world in which crashes and faults can be tried.
pub use sim::{CrashChoice, Fault, SimDevice, SimEngine, SimVolume, SimWorld};
/// The interface to the files of a retention volume.
pub use volume::{Volume, VolumeUsage};
