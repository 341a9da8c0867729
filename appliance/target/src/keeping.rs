//! What operators want kept: policies, pins, and what follows from them.

use std::time::Duration;

use retention::{
    CHURN_SPAN, Churn, ExpiryPlan, Grown, PIN_NOTE_LEN_MAX, PINS_MAX, Pin, Policy, free_share, history_left,
};
use units::{ByteLen, MachineName, Sequence, Timestamp};

use crate::clock::now;
use crate::error::TargetError;
use crate::machine::{Machine, lock};
use crate::node::MasterTarget;
use crate::replica::{State, Work};
use crate::volume_file::set_defaults;

/// How fast a machine's journal grows, and how far back it will reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// What is added in an hour, as far as it is known.
    pub churn_per_hour: Option<ByteLen>,
    /// How far back the history will reach at that.
    pub history_left: Duration,
}

impl MasterTarget {
    /// Returns the policy of machines that have none of their own.
    pub fn defaults(&self) -> Policy {
        *lock(&self.defaults)
    }

    /// Changes the policy of machines that have none of their own; durable on return. Errors: a value out of bounds.
    ///
    /// 1. The superblock says it, durable.
    /// 2. It is in force for those machines, and for new ones.
    pub fn set_defaults(&self, policy: Policy) -> Result<(), TargetError> {
        policy.check().map_err(TargetError::Policy)?;
        // Held until the end: of two changes, the one that is durable last is in force.
        let mut defaults = lock(&self.defaults);
        set_defaults(&self.volume, self.config.engine, policy)?;
        *defaults = policy;
        tracing::info!(?policy, "default policy changes");
        self.machines().iter().for_each(|machine| machine.shared.lock().defaults = policy);
        Ok(())
    }

    /// Gives a machine a policy of its own, or none; durable on return. Errors: a value out of bounds.
    pub fn set_policy(&self, name: &MachineName, policy: Option<Policy>) -> Result<(), TargetError> {
        policy.map_or(Ok(()), |policy| policy.check()).map_err(TargetError::Policy)?;
        let machine = self.in_service(name)?;
        self.ask(&machine, |then| Work::SetPolicy { policy, then })
    }

    /// Says what would go of a machine's history now, by its policy or another one; touches nothing.
    pub fn expiry_plan(&self, name: &MachineName, policy: Option<Policy>) -> Result<ExpiryPlan, TargetError> {
        let machine = self.in_service(name)?;
        self.ask(&machine, |then| Work::PlanExpiry { policy, then })
    }

    /// Keeps a point beyond the policy; durable on return. Errors: it is not in the history, it is in the past already, too many
    /// pins, too long a note.
    pub fn pin(&self, name: &MachineName, pin: Pin) -> Result<(), TargetError> {
        let machine = self.in_service(name)?;
        let refused = |why| Err(TargetError::Pin { name: name.clone(), sequence: pin.sequence, why });
        if pin.note.len() > PIN_NOTE_LEN_MAX {
            return refused("its note is longer than 128 bytes");
        }
        if pin.expires.is_some_and(|expires| expires <= now()) {
            return refused("it would expire at once");
        }
        let others = machine.shared.lock().pins.iter().filter(|other| other.sequence != pin.sequence).count();
        if others >= PINS_MAX {
            return refused("the machine has 64 pins already");
        }
        self.ask(&machine, |then| Work::Pin { pin, then })
    }

    /// Keeps a point no longer; durable on return. Errors: it is not pinned.
    pub fn unpin(&self, name: &MachineName, sequence: Sequence) -> Result<(), TargetError> {
        let machine = self.in_service(name)?;
        if !machine.shared.lock().pins.iter().any(|pin| pin.sequence == sequence) {
            return Err(TargetError::Pin { name: name.clone(), sequence, why: "it is not pinned" });
        }
        self.ask(&machine, |then| Work::Unpin { sequence, then })
    }

    /// Says how far back the history of a machine will reach: its journal and its share of `free`, by its churn.
    pub fn forecast(&self, machine: &Machine, free: ByteLen) -> Forecast {
        let all: ByteLen = self
            .machines()
            .iter()
            .filter_map(|each| Some(churn(&each.shared.lock(), now())?.per_hour()))
            .sum();
        let state = machine.shared.lock();
        let churn = churn(&state, now());
        let own = churn.map(|churn| churn.per_hour());
        let share = free_share(free, own.unwrap_or_default(), all);
        let history_left = history_left(churn, state.journal_len(), share, &state.policy());
        Forecast { churn_per_hour: own, history_left }
    }
}

/// Measures how fast a journal grows. What a thinned epoch has given up was added too.
fn churn(state: &State, now: Timestamp) -> Option<Churn> {
    let with_records = state.epochs.iter().filter(|info| info.last >= info.first);
    let grown = |info: &crate::replica::EpochInfo| Grown {
        closed: info.closed,
        size: info.redo + info.undo + info.given_up,
    };
    let epochs: Vec<Grown> = with_records.map(grown).collect();
    let newest = epochs.last()?.closed;
    let began = state.moments.first().map_or(newest, |moment| moment.time);
    Churn::measure(&epochs, began, now.since(newest).min(CHURN_SPAN))
}
