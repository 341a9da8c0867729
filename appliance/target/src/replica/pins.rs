//! What operators want of a machine's history: its policy, and the points that stay.

use blockdev::{Engine, Volume};
use retention::{PINS_MAX, Pin, Policy};
use units::{Sequence, Timestamp};

use super::apply::Applier;
use super::error::ReplicaError;

impl<V> Applier<V> {
    /// Gives the machine a policy of its own, or none.
    ///
    /// 1. The head says it, durable.
    /// 2. It is in force: the next look for what goes is by it.
    pub(crate) fn set_policy<E: Engine>(
        &mut self,
        engine: &mut E,
        policy: Option<Policy>,
    ) -> Result<(), ReplicaError> {
        self.head.update(engine, |head| head.policy = policy)?;
        tracing::info!(machine = %self.head.head().name, ?policy, "policy changes");
        self.shared.lock().policy = policy;
        Ok(())
    }

    /// Pins a point, or changes its pin. Errors: the history does not have it, or there are too many pins.
    ///
    /// 1. The point is in the history: only this applier lets any go.
    /// 2. The head names the pin, durable.
    /// 3. It holds.
    pub(crate) fn pin<E: Engine>(&mut self, engine: &mut E, pin: Pin) -> Result<(), ReplicaError> {
        {
            let state = self.shared.lock();
            let (oldest, newest) = (state.base, state.durable);
            if pin.sequence < oldest || pin.sequence > newest {
                let wanted = pin.sequence;
                return Err(retention::PlanError::OutOfWindow { wanted, oldest, newest }.into());
            }
            if let Some(thinned) = state.thinned_at(pin.sequence) {
                return Err(thinned.into());
            }
            let others = state.pins.iter().filter(|other| other.sequence != pin.sequence).count();
            if others >= PINS_MAX {
                let (wanted, allowed) = ("pin a point", "at most 64 pins; unpin one first");
                return Err(ReplicaError::Unfit { wanted, found: format!("{others} pins"), allowed });
            }
        }
        tracing::info!(machine = %self.head.head().name, sequence = %pin.sequence, expires = ?pin.expires, "point pinned");
        self.change_pins(engine, |pins| {
            pins.retain(|other| other.sequence != pin.sequence);
            pins.insert(pins.partition_point(|other| other.sequence < pin.sequence), pin);
        })
    }

    /// Lets a pinned point go. Errors: it is not pinned.
    pub(crate) fn unpin<E: Engine>(
        &mut self,
        engine: &mut E,
        sequence: Sequence,
    ) -> Result<(), ReplicaError> {
        if !self.head.head().pins.iter().any(|pin| pin.sequence == sequence) {
            let (wanted, found) = ("unpin a point", format!("no pin at {sequence}"));
            return Err(ReplicaError::Unfit { wanted, found, allowed: "a pinned point" });
        }
        tracing::info!(machine = %self.head.head().name, %sequence, "point unpinned");
        self.change_pins(engine, |pins| pins.retain(|pin| pin.sequence != sequence))
    }

    /// Lets go of the pins whose time has come. Returns whether there were any.
    pub(crate) fn expire_pins<E: Engine>(
        &mut self,
        engine: &mut E,
        now: Timestamp,
    ) -> Result<bool, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let expired = |pin: &Pin| pin.expires.is_some_and(|expires| expires <= now);
        let gone: Vec<_> = self.head.head().pins.iter().filter(|pin| expired(pin)).cloned().collect();
        for Pin { sequence, note, .. } in &gone {
            tracing::warn!(machine = %self.head.head().name, %sequence, note, "pin expires");
        }
        if !gone.is_empty() {
            self.change_pins(engine, |pins| pins.retain(|pin| !expired(pin)))?;
        }
        Ok(!gone.is_empty())
    }

    fn change_pins<E: Engine>(
        &mut self,
        engine: &mut E,
        change: impl FnOnce(&mut Vec<Pin>),
    ) -> Result<(), ReplicaError> {
        self.head.update(engine, |head| change(&mut head.pins))?;
        self.shared.lock().pins.clone_from(&self.head.head().pins);
        Ok(())
    }
}
