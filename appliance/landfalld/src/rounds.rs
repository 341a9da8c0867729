//! Rounds: something that is done again and again, on a thread of its own.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

/// A thread that makes rounds, until it is dropped.
pub(crate) struct Rounds {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Rounds {
    /// Begins to make rounds, the first after one pause.
    pub(crate) fn start(
        name: &str,
        pause: Duration,
        mut round: impl FnMut() + Send + 'static,
    ) -> Result<Self> {
        let (stop, stopped) = channel::<()>();
        let run = move || {
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                round();
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        Ok(Self { stop: Some(stop), thread: Some(thread.context("no thread can be started")?) })
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What it met was told.
            let _ = thread.join();
        }
    }
}
