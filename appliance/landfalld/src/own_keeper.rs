//! Renews the certificates of a server that signs its own, at half their life.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use link::Credentials;
use registrar::Registrar;
use units::Timestamp;
use wire::Identity;

/// A certificate that is kept good.
pub(crate) struct Kept {
    pub(crate) identity: Identity,
    pub(crate) place: PathBuf,
    pub(crate) credentials: Credentials,
}

/// A thread that renews, until it is dropped.
pub(crate) struct OwnKeeper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl OwnKeeper {
    /// Starts to keep certificates good that live so long.
    pub(crate) fn start(registrar: Arc<Registrar>, kept: Vec<Kept>, life: Duration) -> Result<Self> {
        let (stop, stopped) = channel::<()>();
        let pause = crate::house::pause(life);
        let run = move || {
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                kept.iter().for_each(|kept| renew_if_due(&registrar, kept));
            }
        };
        let thread = std::thread::Builder::new().name("keeper".to_owned()).spawn(run);
        Ok(Self { stop: Some(stop), thread: Some(thread.context("no thread can be started")?) })
    }
}

impl Drop for OwnKeeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has said what it had to say.
            let _ = thread.join();
        }
    }
}

fn renew_if_due(registrar: &Registrar, kept: &Kept) {
    let now = Timestamp::from_system(SystemTime::now());
    let renewed = registrar.enrol_own(&kept.identity, &kept.place, now).map_err(anyhow::Error::from);
    let used = renewed.and_then(|renewed| if renewed { Ok(kept.credentials.reload()?) } else { Ok(()) });
    if let Err(error) = used {
        tracing::error!(identity = %kept.identity, error = %format!("{error:#}"), "own certificate not renewed");
    }
}
