//! Beginning again: landfalld ends in order, and the same process runs it anew with the same arguments.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Error, Result};
use signal_hook::consts::SIGTERM;

/// How long whoever asked has to take the answer.
const ANSWER_WAIT: Duration = Duration::from_millis(500);

/// The wish to begin again. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Again(Arc<AtomicBool>);

impl Again {
    /// Has landfalld end soon, and begin again.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::SeqCst);
        std::thread::spawn(|| {
            std::thread::sleep(ANSWER_WAIT);
            if let Err(error) = signal_hook::low_level::raise(SIGTERM) {
                tracing::error!(%error, "landfalld can't end by itself; restart it");
            }
        });
    }

    /// Tells whether it is wished.
    pub(crate) fn is_wished(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Runs this program anew, with the same arguments, in the same process. Returns only if that fails.
pub(crate) fn run_anew() -> Result<()> {
    let program = std::env::current_exe().context("the program's file is not known")?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1));
    Err(Error::from(command.exec()).context("landfalld can't begin again"))
}
