//! Keeps a copy of a catalog current: on a thread, a moment after each change.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use inventory::Revision;

use crate::{Catalog, Snapshot, write_copy};

/// Between two looks whether the catalog has changed; also what further changes are waited for before a copy is written.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// After a copy that could not be written.
const FAILED_PAUSE: Duration = Duration::from_secs(10);
/// Writing copies takes at most one part in so many of the time.
const SHARE: u32 = 20;

/// A thread that copies a catalog, until it is dropped; then the copy is as the catalog is.
#[derive(Debug)]
pub struct Copier {
    shared: Arc<Shared>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How a copy stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The revision that was copied last.
    pub revision: Option<Revision>,
    /// Why the last attempt failed, if it did.
    pub problem: Option<String>,
}

#[derive(Debug)]
struct Shared {
    catalog: Arc<dyn Catalog>,
    directory: PathBuf,
    copied: Mutex<Copied>,
}

impl Copier {
    /// Writes a copy into a directory, and keeps it current. Whatever copy is there is written over.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(catalog: Arc<dyn Catalog>, directory: &Path) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let shared = Arc::new(Shared { catalog, directory: directory.to_owned(), copied: Mutex::default() });
        let work = shared.clone();
        let thread =
            std::thread::Builder::new().name("copier".to_owned()).spawn(move || work.run(&stopped))?;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns how the copy stands.
    pub fn copied(&self) -> Copied {
        self.shared.copied().clone()
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has said what it had to say.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, stopped: &Receiver<()>) {
        let mut pause = Duration::ZERO;
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let begun = Instant::now();
            pause = match self.copy() {
                Ok(()) => LOOK_PAUSE.max(begun.elapsed() * SHARE),
                Err(()) => FAILED_PAUSE,
            };
        }
        // The last changes, before somebody else may open the volume. What went wrong was told.
        let _ = self.copy();
    }

    /// Copies the catalog, if it has changed.
    fn copy(&self) -> Result<(), ()> {
        let copied = self.copied().clone();
        let copy = || -> Result<Option<Revision>, Box<dyn std::error::Error>> {
            // No change is no commit: this asks where the catalog stands, and no more.
            if Some(self.catalog.commit(&[])?) == copied.revision {
                return Ok(None);
            }
            let snapshot = Snapshot::of(self.catalog.list("")?);
            write_copy(&self.directory, &snapshot)?;
            Ok(Some(snapshot.revision()))
        };
        match copy() {
            Ok(None) => Ok(()),
            Ok(revision) => {
                *self.copied() = Copied { revision, problem: None };
                Ok(())
            }
            Err(error) => {
                let problem = match error.source() {
                    Some(source) => format!("{error}: {source}"),
                    None => error.to_string(),
                };
                if copied.problem.as_ref() != Some(&problem) {
                    tracing::error!(directory = %self.directory.display(), %problem, "catalog not copied");
                }
                self.copied().problem = Some(problem);
                Err(())
            }
        }
    }

    fn copied(&self) -> MutexGuard<'_, Copied> {
        self.copied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
