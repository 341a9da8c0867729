//! Errors of volumes, as operators read them.

use blockdev::VolumeError;
use control::{ApiError, Code};
use target::TargetError;
use target::replica::chain;

/// Returns the code of an error about a retention volume, or `None` if it is about something else.
pub fn code_of_volume(error: &TargetError) -> Option<Code> {
    Some(match error {
        TargetError::Volume(VolumeError::NoSpace { .. }) => Code::VolumeFull,
        TargetError::Volume(VolumeError::Locked { .. }) => Code::VolumeLocked,
        TargetError::Volume(_) => Code::VolumeFailed,
        TargetError::Directory { .. } => Code::VolumeMissing,
        TargetError::VolumeFileSystem { .. } => Code::VolumeFileSystem,
        TargetError::VolumeReadOnly { .. } => Code::VolumeReadOnly,
        TargetError::VolumeNoCapacity { .. } => Code::DiskNoCapacity,
        TargetError::VolumeOccupied { .. } => Code::VolumeOccupied,
        TargetError::VolumeOwned { .. } => Code::VolumeOwned,
        TargetError::Superblock(_) => Code::VolumeSuperblock,
        _ => return None,
    })
}

/// Returns an error about a retention volume as operators read it.
pub fn volume_error(error: &TargetError) -> ApiError {
    let made = ApiError::new(code_of_volume(error).unwrap_or(Code::Internal), error.to_string());
    match std::error::Error::source(error) {
        Some(source) => made.because(chain(source)),
        None => made,
    }
}
