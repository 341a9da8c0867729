//! Random bytes from the kernel.

use std::fs::File;
use std::io::{self, Read};

/// Returns 16 random bytes. Errors: the kernel gives none.
pub(crate) fn random_bytes() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
