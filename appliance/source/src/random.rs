//! Random numbers from the kernel.

use std::fs::File;
use std::io::Read;

use crate::error::SourceError;

fn fill(bytes: &mut [u8]) -> Result<(), SourceError> {
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(bytes));
    read.map_err(|error| SourceError::Random(error.into()))
}

/// Returns a random id of a session. Errors: the kernel gives none.
pub(crate) fn id() -> Result<[u8; 16], SourceError> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Returns 32 random bits. Errors: the kernel gives none.
pub(crate) fn word() -> Result<u32, SourceError> {
    let mut bytes = [0; 4];
    fill(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}
