//! Keeps a certificate good, and hears of revocations, for as long as the program runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use link::Credentials;
use pki::CertificateFacts;
use units::Timestamp;

use crate::{EnrolError, Revocations, renew};

/// Between two rounds of asking whose certificates were revoked: in force well within a minute.
const REVOCATIONS_EVERY: Duration = Duration::from_secs(20);
/// Between two attempts to renew, at most.
const ATTEMPT_EVERY_MAX: Duration = Duration::from_secs(60);
/// Parts of a certificate's life that an attempt may wait.
const LIFE_PARTS: u32 = 20;

/// A thread that renews a certificate at half its life, until it is dropped.
#[derive(Debug)]
pub struct Keeper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread works on.
struct Kept {
    controller: String,
    credentials: Credentials,
    place: PathBuf,
    revocations: Option<Arc<Revocations>>,
    /// The last failure that was told; it is told once.
    told: Option<String>,
}

impl Keeper {
    /// Starts to keep the certificate of a place good. With `revocations` it asks for those too.
    ///
    /// # Errors
    /// No thread is left.
    pub fn start(
        controller: String,
        credentials: Credentials,
        place: &Path,
        revocations: Option<Arc<Revocations>>,
    ) -> Result<Self, EnrolError> {
        let (stop, stopped) = channel::<()>();
        let mut kept = Kept { controller, credentials, place: place.to_owned(), revocations, told: None };
        let run = move || {
            while stopped.recv_timeout(kept.round()) == Err(RecvTimeoutError::Timeout) {}
        };
        let thread = std::thread::Builder::new().name("keeper".to_owned()).spawn(run);
        Ok(Self { stop: Some(stop), thread: Some(thread.map_err(EnrolError::Thread)?) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has said what it had to say.
            let _ = thread.join();
        }
    }
}

impl Kept {
    /// Does what is due; returns how long to wait.
    fn round(&mut self) -> Duration {
        let kept = self.renew_if_due().and_then(|()| self.hear());
        match kept {
            Ok(()) => self.told = None,
            Err(error) => self.tell(&error),
        }
        let pause = CertificateFacts::read(&self.place)
            .map_or(ATTEMPT_EVERY_MAX, |own| own.not_after.since(own.number.issued()) / LIFE_PARTS);
        let most = if self.revocations.is_some() { REVOCATIONS_EVERY } else { ATTEMPT_EVERY_MAX };
        pause.clamp(Duration::from_millis(100), most)
    }

    fn renew_if_due(&self) -> Result<(), EnrolError> {
        let failed = |source| EnrolError::Place { path: self.place.clone(), source };
        let own = CertificateFacts::read(&self.place).map_err(failed)?;
        if own.number != self.credentials.certificate() {
            // Somebody else has renewed it, or joined again.
            self.credentials.reload().map_err(EnrolError::Own)?;
        }
        if Timestamp::from_system(SystemTime::now()) >= own.half_life() {
            renew(&self.controller, &self.credentials, &self.place)?;
            tracing::info!(identity = %own.identity, "certificate renewed");
        }
        Ok(())
    }

    fn hear(&self) -> Result<(), EnrolError> {
        let heard = self.revocations.as_ref().map(|heard| heard.refresh(&self.controller, &self.credentials));
        heard.unwrap_or(Ok(()))
    }

    fn tell(&mut self, error: &EnrolError) {
        let words = error.to_string();
        if self.told.as_ref() != Some(&words) {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(controller = %self.controller, error = %words, cause, "the certificate is not kept; trying on");
            self.told = Some(words);
        }
    }
}
