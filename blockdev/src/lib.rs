//! driver: block devices and the files of a volume, behind one interface for io_uring, plain system calls and simulation.
//!
//! *Invariants:* no path is ever created, nor a disk opened that is not the one expected or that somebody uses; a buffer belongs
//! to the kernel from its submission to its completion; after a failed change, or an operation that does not end, a device takes
//! nothing more; a failed flush is never retried; nothing short is taken for whole. This is the only crate with `unsafe`.
//!
//! It knows nothing of what is written, keeps no history and reads no environment.

mod background;
mod background_engine;
mod content;
mod device;
mod dir_volume;
mod directory;
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
mod probe;
mod ring;
mod sim;
mod slots;
mod sysfs;
mod uevent;
mod volume;
mod volume_path;
mod watch;

/// Reading beside the main work.
pub use background::{BackgroundDone, BackgroundRead, BackgroundReader, ReaderSlot, start_background_reader};
/// An engine over a background reader.
pub use background_engine::BackgroundEngine;
/// What is on a disk.
pub use content::{Content, ContentKind, DiskEnds, recognise};
/// A device that was opened and checked.
pub use device::{ActivityStamp, OpenDevice};
/// A volume in a directory.
pub use dir_volume::DirVolume;
/// What a directory lies on.
pub use directory::{DirectoryFacts, directory_facts};
/// The disks of this machine.
pub use discover::{DeviceListing, device_at, find_devices, list_devices, medium_of};
/// The interface to devices.
pub use engine::{Completion, DeviceSlot, Engine, Geometry, Operation, Request};
/// What can go wrong.
pub use error::{DeviceError, EngineError, VolumeError};
/// The engine of this host, and its limits.
pub use host::{DEADLINE, DEPTH_MAX, DEVICES_MAX, EngineChoice, HostEngine, open_engine};
/// Which disk it is, whatever its path.
pub use identity::{FileIdentity, Identity, LABEL_ATTRIBUTE, ParseIdentityError, identity_at};
/// Who uses a disk.
pub use in_use::{DiskUse, UseKind};
/// Kinds of operations and of files.
pub use kind::{FileKind, OperationKind};
/// Opening a disk by what it is.
pub use open::{Access, Expect, FilePolicy, open_device};
/// Aligned buffers and the pool that lends them.
pub use page::{PAGE_LEN, POOL_PAGES_MAX, PageBuf, PagePool};
/// The engine of plain system calls.
pub use plain::PlainEngine;
/// Looking at a disk, without disturbing anybody.
pub use probe::{DiskLook, look_at, read_ends};
/// The io_uring engine.
pub use ring::RingEngine;
/// A world in which crashes and faults can be tried.
pub use sim::{CrashChoice, Fault, SimDevice, SimEngine, SimVolume, SimWorld};
/// What the kernel says of devices.
pub use uevent::{Uevent, UeventAction, UeventError, decode_uevent};
/// The interface to the files of a retention volume.
pub use volume::{Volume, VolumeUsage};
/// Which disks come, change and go.
pub use watch::{DeviceChange, Watch, WatchBy};

/// A decoder that is given any bytes: it may refuse, and must not panic.
pub type Decoder = fn(&[u8]);

/// Every decoder of this crate, by name: each must have golden bytes and a fuzz target.
pub const DECODERS: &[(&str, Decoder)] = &[
    ("uevent", |bytes| drop(decode_uevent(bytes))),
    ("disk_content", |bytes| drop(content::recognise_any(bytes))),
];
