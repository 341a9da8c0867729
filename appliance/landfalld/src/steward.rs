//! The steward: every few seconds, and whenever something was changed, what is on record is brought up to what is.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::answers::Answers;

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(5);

/// A thread that makes rounds, until it is dropped.
pub(crate) struct Steward {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Steward {
    /// Makes the first round, and begins to make others.
    pub(crate) fn start(answers: Arc<Answers>) -> Result<Self> {
        answers.look_after();
        let (stop, stopped) = channel::<()>();
        let run = move || {
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                answers.look_after();
            }
        };
        let thread = std::thread::Builder::new().name("steward".to_owned()).spawn(run);
        Ok(Self { stop: Some(stop), thread: Some(thread.context("no thread can be started")?) })
    }
}

impl Drop for Steward {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What it met was told.
            let _ = thread.join();
        }
    }
}
