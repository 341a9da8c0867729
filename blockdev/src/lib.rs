//! driver: block devices and the files of a volume.
mod engine;
mod error;
mod page;
mod sim;
mod slots;
mod volume;
mod volume_path;

/// The interface to devices.
pub use engine::{Completion, DeviceSlot, Engine, Geometry, Operation, Request};
/// What can go wrong.
pub use error::{DeviceError, EngineError, FileKind, OperationKind, VolumeError};
/// Aligned buffers and the pool that lends them.
pub use page::{PAGE_LEN, POOL_PAGES_MAX, PageBuf, PagePool};
/// A world in which crashes and faults can be tried.
pub use sim::{CrashChoice, Fault, SimDevice, SimEngine, SimVolume, SimWorld};
/// The interface to the files of a retention volume.
pub use volume::{Volume, VolumeUsage};
