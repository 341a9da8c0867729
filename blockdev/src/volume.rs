//! The retention volume's files, as whoever keeps a journal sees them.

use units::ByteLen;

use crate::VolumeError;

/// Size and free space of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeUsage {
    /// What the volume can hold, without blocks kept back for the superuser.
    pub capacity: ByteLen,
    /// What is free.
    pub free: ByteLen,
}

/// A directory tree of preallocated files. Paths are relative, of `a-z 0-9 - . /`, and made by our own code, never by a
/// peer. Every change of a name is durable when the call returns.
pub trait Volume {
    /// What an engine attaches.
    type Device;

    /// Makes a new file of `len` bytes, allocated, reading as zero; makes missing directories. Errors: it exists, no space
    /// (then nothing is left behind).
    fn create(&self, path: &str, len: ByteLen) -> Result<Self::Device, VolumeError>;

    /// Opens an existing file. Errors: it is missing, it is not a regular file.
    fn open(&self, path: &str) -> Result<Self::Device, VolumeError>;

    /// Gives back what lies behind the first `len` bytes of a file that nobody has open. A volume may also keep it; a crash
    /// may undo it.
    fn shorten(&self, path: &str, len: ByteLen) -> Result<(), VolumeError> {
        let _ = (path, len);
        Ok(())
    }

    /// Removes a file, or an empty directory. One that is missing already is no error.
    fn remove(&self, path: &str) -> Result<(), VolumeError>;

    /// Returns the names in a directory, sorted; none if the directory is missing.
    fn list(&self, directory: &str) -> Result<Vec<String>, VolumeError>;

    /// Returns size and free space.
    fn usage(&self) -> Result<VolumeUsage, VolumeError>;
}
