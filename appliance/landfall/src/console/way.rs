//! The way to the network: its keeper, who lets the console say everything.

use std::path::Path;
use std::time::{Duration, Instant};

use netplan::Plan;
use network::{Keeper, NetworkError, Shown};

/// How long the keeper may take to begin, at a boot.
const KEEPER_WAIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The way to the network.
pub(super) struct NetworkWay {
    keeper: Keeper,
}

/// What is kept, and for how long another is tried.
#[derive(Default)]
pub(super) struct Standing {
    pub(super) kept: Option<Plan>,
    pub(super) trial_left: Option<u64>,
}

impl NetworkWay {
    /// Returns the way, once the keeper answers: before that nobody knows what to ask at first boot. One that does not answer in time is
    /// seen by what the first screen shows.
    pub(super) fn open(socket: &Path) -> Self {
        let keeper = Keeper::at(socket);
        let begun = Instant::now();
        while keeper.show().is_err() && begun.elapsed() < KEEPER_WAIT {
            std::thread::sleep(LOOK_EVERY);
        }
        Self { keeper }
    }

    /// Says what is kept and tried; nothing while the keeper does not answer.
    pub(super) fn show(&self) -> Standing {
        let Ok(shown) = self.keeper.show() else { return Standing::default() };
        Standing { kept: shown.kept, trial_left: shown.trying.map(|trying| trying.left.as_secs()) }
    }

    /// Tries a plan.
    pub(super) fn begin(&self, plan: Plan) -> Result<(), String> {
        said(self.keeper.begin(plan))
    }

    /// Keeps the plan that is tried. Whoever sits at the console needs no network to come here: the wish is as new as it can be.
    pub(super) fn keep(&self) -> Result<(), String> {
        said(self.keeper.keep(Instant::now()))
    }

    /// Applies a plan and keeps it.
    pub(super) fn set(&self, plan: Plan) -> Result<(), String> {
        said(self.keeper.set(plan))
    }

    /// Rolls the plan that is tried back.
    pub(super) fn roll_back(&self) -> Result<(), String> {
        said(self.keeper.cancel())
    }
}

fn said(done: Result<Shown, NetworkError>) -> Result<(), String> {
    done.map(drop).map_err(|error| error.in_full())
}
