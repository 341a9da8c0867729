//! The way to the network: `landfalld`, where it has it; else the plans themselves, as at first boot.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use control::api::{Call, NetworkKeep, NetworkSet, NetworkShow, NetworkTry};
use control::{Code, ErrorReply};
use netplan::Plan;
use network::{Directory, Netplan, Network, NetworkError};

use crate::reach::Reach;

/// The way to the network.
pub(super) struct NetworkWay {
    reach: Reach,
    directory: PathBuf,
    /// The plans themselves, while one is tried from here.
    own: Mutex<Option<Arc<Network>>>,
}

/// What is kept, and for how long another is tried.
pub(super) struct Standing {
    pub(super) kept: Option<Plan>,
    pub(super) trial_left: Option<u64>,
}

impl NetworkWay {
    /// Returns the way; nothing is opened yet.
    pub(super) fn new(reach: Reach, state: &Path) -> Self {
        Self { reach, directory: state.join("network"), own: Mutex::default() }
    }

    /// Brings the network to the plan that is kept, where nobody else does: at a boot, before `landfalld`.
    pub(super) fn restore(&self) -> Result<(), String> {
        if self.ask(NetworkShow {}).is_some() {
            return Ok(());
        }
        self.with_own(|_| Ok(()))
    }

    /// Says what is kept and tried. Errors: plans can't be read.
    pub(super) fn show(&self) -> Result<Standing, String> {
        if let Some(state) = self.ask(NetworkShow {}) {
            let state = state?;
            let trial_left = state.trying.map(|trying| trying.left_seconds);
            return Ok(Standing { kept: state.kept, trial_left });
        }
        let mut own = self.lock();
        if let Some(network) = &*own {
            let shown = network.show();
            let trial_left = shown.trying.map(|trying| trying.left.as_secs());
            if trial_left.is_none() {
                *own = None;
            }
            return Ok(Standing { kept: shown.kept, trial_left });
        }
        Ok(Standing { kept: Directory::peek(&self.directory).map_err(said)?, trial_left: None })
    }

    /// Tries a plan.
    pub(super) fn begin(&self, plan: Plan) -> Result<(), String> {
        match self.ask(NetworkTry { plan: plan.clone() }) {
            Some(done) => done.map(drop),
            None => self.with_own(|network| network.begin(plan)),
        }
    }

    /// Keeps the plan that is tried. Whoever sits at the console needs no network to come here: the wish is as new as it can be.
    pub(super) fn keep(&self) -> Result<(), String> {
        match self.ask(NetworkKeep { opened: None }) {
            Some(done) => done.map(drop),
            None => self.with_own(|network| network.keep(Instant::now())),
        }
    }

    /// Applies a plan and keeps it.
    pub(super) fn set(&self, plan: Plan) -> Result<(), String> {
        match self.ask(NetworkSet { plan: plan.clone(), confirm: "network".to_owned() }) {
            Some(done) => done.map(drop),
            None => self.with_own(|network| network.set(plan)),
        }
    }

    /// Rolls the plan that is tried back.
    pub(super) fn roll_back(&self) -> Result<(), String> {
        match self.ask(NetworkShow {}) {
            // It does so by itself, and is not told to hurry.
            Some(_) => Err("it is rolled back by itself when its time is over".to_owned()),
            None => self.with_own(Network::cancel),
        }
    }

    /// Asks `landfalld`, if it has the network.
    fn ask<C: Call>(&self, call: C) -> Option<Result<C::Reply, String>> {
        let answer = self.reach.connect().and_then(|mut client| client.ask(call));
        match answer {
            Err(error) if is_elsewhere(&error) => None,
            answer => Some(answer.map_err(|error| format!("{}: {}", error.what, error.cause))),
        }
    }

    /// Does something with the plans themselves; others have to wait until a trial is over.
    fn with_own<T>(&self, work: impl FnOnce(&Network) -> Result<T, NetworkError>) -> Result<T, String> {
        let mut own = self.lock();
        let network = match own.take() {
            Some(network) => network,
            None => {
                let plans = Box::new(Directory::open(&self.directory).map_err(said)?);
                Network::open(plans, Box::new(Netplan::default())).map_err(said)?
            }
        };
        let done = work(&network).map_err(said);
        if network.show().trying.is_some() {
            *own = Some(network);
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Network>>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether an error means that `landfalld` has no network to give.
fn is_elsewhere(error: &ErrorReply) -> bool {
    matches!(
        Code::find(&error.code),
        Some(
            Code::NetworkForeign
                | Code::NotReachable
                | Code::Disconnected
                | Code::Stopping
                | Code::NotAuthorised
        )
    )
}

fn said(error: NetworkError) -> String {
    match std::error::Error::source(&error) {
        Some(source) if !matches!(error, NetworkError::Plan(_) | NetworkError::Refused(_)) => {
            format!("{error}: {source}")
        }
        _ => error.to_string(),
    }
}
