//! blockdev
mod engine;
mod error;
mod page;
mod sim;
mod volume;

/// The interface to devices.
pub use engine::{Completion, DeviceSlot, Engine, Geometry, Operation, Request};
/// What can go wrong.
pub use error::{DeviceError, EngineError, FileKind, OperationKind, VolumeError};
/// Aligned buffers and the pool that lends them.
pub use page::{PAGE_LEN, POOL_PAGES_MAX, PageBuf, PagePool};
/// The interface to the files of a retention volume.
pub use volume::{Volume, VolumeUsage};
