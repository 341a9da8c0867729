//! Applications that hold their writes while a point is read, and never longer than they may.

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::hook::{Hook, HookError, Verb};
use crate::state::StateDirectory;

/// Writes are held. Dropping it lets them go on, and so does the end of the time they may be held.
///
/// The order that leaves nothing held behind a crash: 1. a mark in the state directory is durable; 2. `freeze`; 3. `thaw`; 4. the mark is
/// gone. An agent that finds the mark when it starts thaws first: see [`thaw_after_crash`].
pub(crate) struct Frozen {
    hook: Hook,
    thaw: Option<(Sender<()>, JoinHandle<bool>)>,
    held: bool,
}

impl Frozen {
    /// Has the hook hold every write, for `limit` at the most. Errors: it did not; then nothing is held.
    pub(crate) fn new(hook: &Hook, state: &StateDirectory, limit: Duration) -> Result<Self, String> {
        state.mark_frozen().map_err(|error| error.to_string())?;
        let frozen = hook.run(Verb::Freeze);
        let (sender, receiver) = channel();
        let (thawing, mark) = (hook.clone(), state.frozen_path());
        let keeper = move || {
            let held = receiver.recv_timeout(limit) != Err(RecvTimeoutError::Timeout);
            let_go(&thawing, &mark);
            held
        };
        let keeper = std::thread::Builder::new().name("freeze".to_owned()).spawn(keeper);
        let keeper = keeper.expect("the kernel gives one more thread");
        let frozen_state = Self { hook: hook.clone(), thaw: Some((sender, keeper)), held: false };
        // A hook that failed may have held some of the writes: dropping it lets them go.
        frozen.map(|_| frozen_state).map_err(|error| describe(&error))
    }

    /// Asks what to read instead of the disks. Errors: the hook fails; writes are still held.
    pub(crate) fn snapshots(&self, disks: usize) -> Result<Option<Vec<PathBuf>>, String> {
        self.hook.snapshots(disks).map_err(|error| describe(&error))
    }

    /// Lets writes go on, and returns whether they were held until now.
    pub(crate) fn thaw(&mut self) -> bool {
        if let Some((sender, keeper)) = self.thaw.take() {
            // One that has let go by itself is not there to hear it.
            let _ = sender.send(());
            self.held = keeper.join().unwrap_or(false);
        }
        self.held
    }

    /// Tells whether writes were held until they were let go on purpose.
    pub(crate) fn was_held(&self) -> bool {
        self.held
    }

    /// Gives the snapshots back.
    pub(crate) fn release(&self) {
        if let Err(error) = self.hook.run(Verb::Release) {
            tracing::warn!(error = %describe(&error), "snapshots not given back");
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.thaw();
    }
}

/// Lets go what an agent that was killed has held. Errors: the hook fails; the mark stays, and the next start tries again.
pub(crate) fn thaw_after_crash(hook: &Hook, state: &StateDirectory) -> Result<bool, String> {
    if !state.is_marked_frozen() {
        return Ok(false);
    }
    hook.run(Verb::Thaw).map_err(|error| describe(&error))?;
    // Whether there were snapshots is not known; to give back none is harmless.
    if let Err(error) = hook.run(Verb::Release) {
        tracing::warn!(error = %describe(&error), "snapshots not given back");
    }
    drop(std::fs::remove_file(state.frozen_path()));
    Ok(true)
}

fn let_go(hook: &Hook, mark: &PathBuf) {
    match hook.run(Verb::Thaw) {
        // A mark that stays costs a needless thaw at the next start.
        Ok(_) => drop(std::fs::remove_file(mark)),
        Err(error) => {
            tracing::error!(error = %describe(&error), "writes may still be held: thaw them by hand")
        }
    }
}

fn describe(error: &HookError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
