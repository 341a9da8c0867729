//! Kinds of operations and of files, for messages.

use std::fmt;

/// The kind of an operation, for messages and for planting faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationKind {
    /// A read.
    Read,
    /// A write.
    Write,
    /// A write of zeroes.
    WriteZeroes,
    /// A discard.
    Discard,
    /// A flush.
    Flush,
    /// The lengthening of a file.
    Grow,
}

impl OperationKind {
    /// Tells whether a failure leaves the device's contents unknown, so that the device has to stop.
    pub fn stops_device(self) -> bool {
        match self {
            Self::Read | Self::Grow => false,
            Self::Write | Self::WriteZeroes | Self::Discard | Self::Flush => true,
        }
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::WriteZeroes => "write of zeroes",
            Self::Discard => "discard",
            Self::Flush => "flush",
            Self::Grow => "growing",
        })
    }
}

/// What a path turned out to be when a device was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A block device.
    BlockDevice,
    /// A regular file.
    RegularFile,
    /// A directory.
    Directory,
    /// A character device.
    CharacterDevice,
    /// A pipe, a socket or something else.
    Other,
}

impl fmt::Display for FileKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::BlockDevice => "a block device",
            Self::RegularFile => "a regular file",
            Self::Directory => "a directory",
            Self::CharacterDevice => "a character device",
            Self::Other => "neither file nor device",
        })
    }
}
