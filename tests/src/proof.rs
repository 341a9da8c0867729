//! What proves a disk: `sha256sum`, `e2fsck`, SQLite's own check (in [`crate::database`]).

use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result};

use crate::command::{command, run};

/// Returns the SHA-256 of a device or file, as `sha256sum` prints it. Errors: it can't be read.
pub fn sha256(path: &Path) -> Result<String> {
    let text = run(command("sha256sum").arg("--").arg(path))?;
    Ok(text.split_whitespace().next().context("sha256sum prints a hash")?.to_owned())
}

/// Returns the SHA-256 of two devices or files, read at the same time. Errors: one can't be read.
pub fn sha256_of_both(one: &Path, other: &Path) -> Result<(String, String)> {
    thread::scope(|scope| {
        let second = scope.spawn(|| sha256(other));
        Ok((sha256(one)?, second.join().expect("hashing does not panic")?))
    })
}

/// Checks the ext4 file system on a device or image, changing nothing. Errors: it has the least flaw.
pub fn e2fsck(path: &Path) -> Result<()> {
    run(command("e2fsck").arg("-fn").arg(path)).map(drop)
}
