//! Damage that is confined: what it spoils is refused, everything else goes on.
//!
//! | what is damaged | what follows |
//! |---|---|
//! | payload in the redo or undo log of any epoch | the points that need it are refused, until they leave the window |
//! | redo payload that only the target disk has too | points before are refused until the source has sent it again |
//! | header or body of a record in a sealed epoch | nothing is lost: the index says the same; noted until the epoch leaves |
//! | index of a sealed epoch | made again from the logs |
//! | index and a record of one epoch | the machine is out at its next start: which points were written can't be told |
//! | header or body of a record in the open epoch | the machine is out when the epoch ends or at its next start |
//! | redo that was not applied | the machine is out: the source has to send anew |
//! | a target disk | the points that need it are refused; the source is asked for the range again, and points after that are good |
//! | head, scrub record | of four copies one is enough |
//! | table of leaf hashes | the next pass makes a new one, and compares with the source's roots alone |
//!
//! *Invariant:* damage is durable in the head before anyone is told; it is forgotten only when nothing it spoilt can be asked for.

use blockdev::Engine;
use retention::{DAMAGE_MAX, Damage};
use units::{EpochNumber, Sequence};

use super::apply::Applier;
use super::error::ReplicaError;
use super::shared::State;

/// Changes what is known to be damaged.
pub type DamageChange = Box<dyn FnOnce(&mut Vec<Damage>) + Send>;

impl<V> Applier<V> {
    /// Changes what is known to be damaged, forgets what is of no concern any more, and shows it; durable on return.
    pub(crate) fn change_damage<E: Engine>(
        &mut self,
        engine: &mut E,
        change: DamageChange,
    ) -> Result<(), ReplicaError> {
        let head = self.head.head();
        let (base, oldest) = (head.base, head.oldest_epoch);
        let mut damage = head.damage.clone();
        change(&mut damage);
        damage.retain(|each| !each.has_left(base, oldest));
        join_until(&mut damage, DAMAGE_MAX);
        if damage != head.damage {
            self.head.update(engine, |head| head.damage.clone_from(&damage))?;
        }
        self.shared.lock().damage = damage;
        self.shared.changed();
        Ok(())
    }
}

impl State {
    /// Returns the damage that spoils a point, if any does.
    pub fn spoils(&self, point: Sequence) -> Option<&Damage> {
        self.damage.iter().find(|damage| damage.spoils(point))
    }

    /// Returns the nearest recovery points before and after `point` that nothing spoils.
    pub fn good_around(&self, point: Sequence) -> (Option<Sequence>, Option<Sequence>) {
        let good = || self.timeline.points().filter(|each| self.spoils(each.sequence).is_none());
        let before = good().rfind(|each| each.sequence < point).map(|each| each.sequence);
        (before, good().find(|each| each.sequence > point).map(|each| each.sequence))
    }

    /// Tells whether some of the damage could be forgotten.
    pub(crate) fn damage_has_left(&self) -> bool {
        let oldest = self.epochs.front().map_or(EpochNumber(0), |info| info.epoch);
        self.damage.iter().any(|damage| damage.has_left(self.base, oldest))
    }
}

/// Joins damage until at most `most` are told apart: two of one disk and one place become one that covers both. What is spoilt only
/// grows by that.
fn join_until(damage: &mut Vec<Damage>, most: usize) {
    while damage.len() > most {
        let last = damage.pop().expect("there is more than none");
        let same = |each: &&mut Damage| each.disk == last.disk && each.last.is_none() == last.last.is_none();
        let Some(other) = damage.iter_mut().rev().find(same) else {
            damage.insert(0, last);
            continue;
        };
        let end = (other.start.0 + other.len.0).max(last.start.0 + last.len.0);
        other.start = other.start.min(last.start);
        other.len = units::ByteLen(end - other.start.0);
        other.first = other.first.min(last.first);
        other.last = other.last.max(last.last);
    }
}

#[cfg(test)]
mod tests {
    use retention::DamagedPlace;
    use units::{ByteLen, ByteOffset, DiskIndex, Timestamp};

    use super::*;

    #[test]
    fn damage_that_is_too_much_to_tell_apart_is_joined_and_never_dropped() {
        let each = |at: u64, last: Option<u64>| Damage {
            disk: DiskIndex((at % 2) as u16),
            start: ByteOffset(at * 4096),
            len: ByteLen(4096),
            place: DamagedPlace::Target,
            first: Sequence(at),
            last: last.map(Sequence),
            found: Timestamp(1),
        };
        let all: Vec<_> = (0..20).map(|at| each(at, (at % 3 > 0).then_some(at + 5))).collect();
        let mut joined = all.clone();
        join_until(&mut joined, 6);
        assert!(joined.len() <= 6);
        for damage in &all {
            let covers = |other: &Damage| {
                other.disk == damage.disk
                    && other.start <= damage.start
                    && other.start.0 + other.len.0 >= damage.start.0 + damage.len.0
                    && other.first <= damage.first
                    && (other.last.is_none() || damage.last.is_some() && other.last >= damage.last)
            };
            assert!(joined.iter().any(covers), "{damage:?} of {joined:?}");
        }
    }
}
