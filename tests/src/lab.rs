//! The lab's directory.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

use crate::cleanup::{Action, Undo};

/// A directory of its own, on a real disk, removed with everything in it at the end.
#[derive(Debug)]
pub struct Lab {
    path: PathBuf,
    undo: Option<Undo>,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Lab {
    /// Makes a new directory in `parent`, or in `/var/tmp` (which, unlike `/tmp`, is never in memory). Errors: it can't be
    /// made.
    pub fn new(parent: Option<&Path>) -> Result<Self> {
        let parent = parent.unwrap_or(Path::new("/var/tmp"));
        let name = format!("landfall-lab-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = parent.join(name);
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        let path = fs::canonicalize(&path).with_context(|| format!("resolving {}", path.display()))?;
        let undo = Some(Undo::new(Action::Remove(path.clone())));
        Ok(Self { path, undo })
    }

    /// Leaves the directory where it is at the end.
    pub fn keep(&mut self) {
        if let Some(undo) = self.undo.take() {
            undo.forget();
        }
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a file of the lab; nothing is made.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a directory of the lab, if it is missing. Errors: it can't be made.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    }
}

/// Returns a port of 127.0.0.1 that was free a moment ago. Errors: none is.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
    Ok(listener.local_addr().context("reading the free port")?.port())
}
