//! The network, and the thread that rolls a plan back by itself.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use netplan::{Checked, Plan, State, Step, Trial, Which};
use serde::{Deserialize, Serialize};

use crate::error::NetworkError;
use crate::plans::Plans;
use crate::system::System;

/// How long the thread sleeps at most before it looks whether anybody still wants it.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// What lies there and what is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The plan that is kept; none before the first one was.
    pub kept: Option<Plan>,
    /// The plan that is tried.
    pub trying: Option<Trying>,
}

/// A plan that is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trying {
    /// It.
    pub plan: Plan,
    /// How long until it is rolled back.
    pub left: Duration,
}

/// The network of this machine.
pub struct Network {
    inner: Mutex<Inner>,
    changed: Condvar,
    begun: Instant,
}

struct Inner {
    plans: Box<dyn Plans>,
    system: Box<dyn System>,
    trial: Trial,
    kept: Option<Checked>,
    tried: Option<Checked>,
}

impl Network {
    /// Brings the machine to the plan that is kept, and drops one that was tried when a program or the machine ended. Without a kept
    /// plan and a tried one nothing is touched. Errors: plans can't be read; the plan can't be applied.
    pub fn open(plans: Box<dyn Plans>, system: Box<dyn System>) -> Result<Arc<Self>, NetworkError> {
        let found_tried = plans.has_tried()?;
        let kept = plans.read(Which::Kept)?;
        let (trial, steps) = Trial::open(found_tried);
        let mut inner = Inner { plans, system, trial, kept, tried: None };
        if inner.kept.is_some() || found_tried {
            inner.perform(&steps, found_tried)?;
        }
        if found_tried {
            tracing::info!("network plan that was being tried is rolled back");
        }
        let network =
            Arc::new(Self { inner: Mutex::new(inner), changed: Condvar::new(), begun: Instant::now() });
        let weak = Arc::downgrade(&network);
        std::thread::Builder::new().name("network".to_owned()).spawn(move || watch(&weak)).map_err(
            |source| NetworkError::File { operation: "watched", path: "the network".into(), source },
        )?;
        Ok(network)
    }

    /// Says what is kept and what is tried.
    pub fn show(&self) -> Shown {
        let inner = self.lock();
        let trying = match (inner.trial.state(), &inner.tried) {
            (State::Trying { until, .. }, Some(plan)) => {
                Some(Trying { plan: plan.plan().clone(), left: until.saturating_sub(self.begun.elapsed()) })
            }
            _ => None,
        };
        Shown { kept: inner.kept.as_ref().map(|plan| plan.plan().clone()), trying }
    }

    /// Tries a plan: it is applied, and rolled back by itself after [`netplan::TRIAL`] unless it is kept. Errors: it can't work or
    /// another is being tried, and nothing was changed; it was not applied, and the kept one is back.
    pub fn begin(&self, plan: Plan) -> Result<(), NetworkError> {
        let mut inner = self.lock();
        let steps = inner.trial.begin(self.begun.elapsed())?;
        inner.tried = Some(plan.check()?);
        inner.perform_or_undo(&steps)?;
        let now = self.begun.elapsed();
        inner.trial.tried(now);
        tracing::info!("network plan is tried");
        self.changed.notify_all();
        Ok(())
    }

    /// Keeps the plan that is tried, for a wish that came by a connection opened at `opened`; durable on return. Errors: none is tried;
    /// the connection is older than the network it came by.
    pub fn keep(&self, opened: Instant) -> Result<(), NetworkError> {
        let mut inner = self.lock();
        let step = inner.trial.keep(opened.saturating_duration_since(self.begun))?;
        inner.perform(&[step], true)?;
        inner.trial.kept();
        tracing::info!("network plan is kept");
        Ok(())
    }

    /// Applies a plan and keeps it at once; durable on return. Errors: as [`Network::begin`].
    pub fn set(&self, plan: Plan) -> Result<(), NetworkError> {
        let mut inner = self.lock();
        let steps = inner.trial.begin(self.begun.elapsed())?;
        inner.tried = Some(plan.check()?);
        inner.perform_or_undo(&[&steps[..], &[Step::Promote]].concat())?;
        tracing::info!("network plan is set");
        Ok(())
    }

    /// Rolls the plan that is tried back now. Errors: none is tried; the kept one was not applied, and is again at the next start.
    pub fn cancel(&self) -> Result<(), NetworkError> {
        let mut inner = self.lock();
        if inner.trial.state() == State::Kept {
            return Err(netplan::Refusal::Nothing.into());
        }
        let steps = inner.trial.undo();
        inner.perform(&steps, true)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something changed, or a little, and rolls back what is due.
    fn look(&self) {
        let mut inner = self.lock();
        let pause = match inner.trial.state() {
            State::Kept => LOOK_PAUSE,
            State::Trying { until, .. } => until.saturating_sub(self.begun.elapsed()).min(LOOK_PAUSE),
        };
        inner = self.changed.wait_timeout(inner, pause).unwrap_or_else(PoisonError::into_inner).0;
        if let Some(steps) = inner.trial.at(self.begun.elapsed()) {
            match inner.perform(&steps, true) {
                Ok(()) => tracing::warn!("network plan was not kept, and is rolled back"),
                // What is left is found at the next start, and rolled back then.
                Err(error) => tracing::error!(%error, "network plan not rolled back"),
            }
        }
    }
}

fn watch(network: &Weak<Network>) {
    while let Some(network) = network.upgrade() {
        network.look();
    }
}

impl Inner {
    fn perform_or_undo(&mut self, steps: &[Step]) -> Result<(), NetworkError> {
        let Err(cause) = self.perform(steps, true) else { return Ok(()) };
        let steps = self.trial.undo();
        let back = self.perform(&steps, true).err().map(Box::new);
        Err(NetworkError::Apply { cause: Box::new(cause), back })
    }

    /// Does each step; the one before it is durable, or done.
    fn perform(&mut self, steps: &[Step], anew: bool) -> Result<(), NetworkError> {
        for step in steps {
            match step {
                Step::WriteTried => {
                    let tried = self.tried.as_ref().expect("what is written was checked before");
                    self.plans.write_tried(tried)?;
                }
                Step::Apply(Which::Tried) => {
                    assert!(self.tried.is_some(), "what is applied was written before");
                    self.system.apply(self.tried.as_ref(), anew)?;
                }
                Step::Apply(Which::Kept) => self.system.apply(self.kept.as_ref(), anew)?,
                Step::Promote => {
                    self.plans.promote()?;
                    self.kept = self.tried.take();
                    assert!(self.kept.is_some(), "what is kept was tried before");
                }
                Step::DropTried => {
                    self.plans.drop_tried()?;
                    self.tried = None;
                }
            }
        }
        Ok(())
    }
}
