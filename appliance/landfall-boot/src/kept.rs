//! What is remembered from one boot to the next: small files of JSON on STATE.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Returns what was kept under a name, or nothing. Errors: it can't be read, or is something else.
pub(crate) fn read<T: DeserializeOwned>(memory: &Path, name: &str) -> Result<Option<T>> {
    let path = memory.join(name);
    match fs::read(&path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).with_context(|| format!("{} is damaged", path.display()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
    }
}

/// Keeps a value under a name, durable on return. The order: 1. a draft, durable; 2. it gets the name; 3. the directory, durable. A power
/// cut leaves what was there or what is new, whole. Errors: a step fails.
pub(crate) fn write(memory: &Path, name: &str, value: &impl Serialize) -> Result<()> {
    let (path, draft) = (memory.join(name), memory.join(format!("{name}.new")));
    let written = || -> std::io::Result<()> {
        fs::create_dir_all(memory)?;
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(memory)?.sync_all()
    };
    written().with_context(|| format!("{} can't be written", path.display()))
}
