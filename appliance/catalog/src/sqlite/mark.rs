//! The mark beside a catalog: whose it is while it is open, and the last revision that was committed.
//!
//! A file `NAME.mark`: the revision, 8 bytes, then the first 8 bytes of the hash of those, all little-endian. It is written after each
//! commit and never flushed: it is at or before what is durable, so that a catalog found below it has lost something. One that is
//! missing or damaged says nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use inventory::Revision;

use crate::CatalogError;

const MARK_LEN: usize = 16;

/// The mark of an open catalog; it is locked until this is dropped.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    file: File,
}

/// Returns where the mark of a catalog is.
pub(crate) fn path_of(catalog: &Path) -> PathBuf {
    catalog.with_extension("mark")
}

impl Mark {
    /// Opens the mark of a catalog, or makes an empty one, and locks it. Errors: another program has it.
    pub(super) fn take(catalog: &Path) -> Result<Self, CatalogError> {
        let path = path_of(catalog);
        let failed = |source: std::io::Error| {
            CatalogError::failed(format!("opening {}", path.display()))(source.into())
        };
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, file }),
            Err(TryLockError::WouldBlock) => Err(CatalogError::Taken { place: catalog.into() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Returns the revision that was marked last, if that can be read.
    pub(super) fn get(&self) -> Option<Revision> {
        let mut bytes = [0; MARK_LEN];
        self.file.read_exact_at(&mut bytes, 0).ok()?;
        decode(bytes)
    }

    /// Marks a revision that is durable. A mark that can't be written only finds less later.
    pub(super) fn set(&self, revision: Revision) {
        if let Err(error) = self.file.write_all_at(&encode(revision), 0) {
            tracing::warn!(path = %self.path.display(), %error, "catalog not marked");
        }
    }
}

fn encode(revision: Revision) -> [u8; MARK_LEN] {
    let number = revision.0.to_le_bytes();
    let mut bytes = [0; MARK_LEN];
    bytes[..8].copy_from_slice(&number);
    bytes[8..].copy_from_slice(&blake3::hash(&number).as_bytes()[..8]);
    bytes
}

fn decode(bytes: [u8; MARK_LEN]) -> Option<Revision> {
    let number = bytes.first_chunk::<8>().expect("a mark begins with its number");
    let revision = Revision(u64::from_le_bytes(*number));
    (encode(revision) == bytes).then_some(revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_written_or_not_at_all() {
        let bytes = encode(Revision(0x0102_0304));
        assert_eq!(decode(bytes), Some(Revision(0x0102_0304)));
        for bit in 0..MARK_LEN * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(flipped), None, "bit {bit}");
        }
    }
}
