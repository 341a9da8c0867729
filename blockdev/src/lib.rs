//! driver: block devices and the files of a volume.
mod device;
mod dir_volume;
mod discover;
mod engine;
mod error;
mod host;
mod identity;
mod in_use;
mod open;
mod page;
mod plain;
mod ring;
mod sim;
mod slots;
mod sysfs;
mod volume;
mod volume_path;

/// A device that was opened and checked.
pub use device::{ActivityStamp, OpenDevice};
/// A volume in a directory.
pub use dir_volume::DirVolume;
/// The disks of this machine.
pub use discover::{DeviceListing, Eligibility, list_devices};
/// The interface to devices.
pub use engine::{Completion, DeviceSlot, Engine, Geometry, Operation, Request};
/// What can go wrong.
pub use error::{DeviceError, EngineError, FileKind, OperationKind, VolumeError};
/// The engine of this host, and its limits.
pub use host::{DEPTH_MAX, DEVICES_MAX, EngineChoice, HostEngine, open_engine};
/// Which disk it is, whatever its path.
pub use identity::{FileIdentity, Identity, LABEL_ATTRIBUTE, ParseIdentityError};
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
