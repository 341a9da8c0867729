//! The header of a backup. FORMAT.md 9 draws it.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{BackupError, Cost};

/// Bytes of the header.
pub const HEADER_LEN: usize = 64;
/// The newest version of the file. 1: the first.
pub(crate) const VERSION: u16 = 1;
pub(crate) const MAGIC: [u8; 8] = *b"LFBACKUP";

/// What stands before what is sealed; it is sealed with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    pub(crate) magic: [u8; 8],
    pub(crate) version: U16,
    /// Passes and lanes of Argon2id, and its memory in KiB.
    pub(crate) passes: u8,
    pub(crate) lanes: u8,
    pub(crate) memory_kib: U32,
    pub(crate) salt: [u8; 16],
    pub(crate) nonce: [u8; 12],
    pub(crate) reserved: [u8; 4],
    /// Bytes that follow, those of the tag included.
    pub(crate) body_len: U64,
    pub(crate) reserved_too: [u8; 8],
}

const _: () = assert!(size_of::<Header>() == HEADER_LEN);

impl Header {
    /// Reads the header of a file, and checks it against all that follows. Errors: it is none; it is newer; it asks for too much.
    pub fn read(bytes: &[u8]) -> Result<(Self, &[u8]), BackupError> {
        let (header, body) = Self::read_from_prefix(bytes).map_err(|_| BackupError::Kind)?;
        if header.magic != MAGIC {
            return Err(BackupError::Kind);
        }
        if header.version.get() > VERSION {
            return Err(BackupError::Newer { found: header.version.get().into(), known: VERSION.into() });
        }
        let reserved = header.reserved == [0; 4] && header.reserved_too == [0; 8];
        if header.version.get() != VERSION || !reserved || header.body_len.get() != body.len() as u64 {
            return Err(BackupError::Kind);
        }
        header.cost().check()?;
        Ok((header, body))
    }

    pub(crate) fn cost(&self) -> Cost {
        Cost { memory_kib: self.memory_kib.get(), passes: self.passes, lanes: self.lanes }
    }
}
