//! Who vouches for what, and until when. Kept in memory: whoever held a lease before a restart holds none, and what hangs on it goes
//! one life later.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::{CatalogError, LeaseId};

#[derive(Clone, Copy, Debug)]
struct Held {
    life: Duration,
    until: Instant,
}

/// The leases that live.
#[derive(Debug)]
pub(super) struct Leases {
    held: BTreeMap<LeaseId, Held>,
    last: i64,
}

impl Leases {
    /// Returns the leases that records hang on, each at the beginning of its life.
    pub(super) fn of(found: Vec<(LeaseId, Duration)>, now: Instant) -> Self {
        let held: BTreeMap<_, _> =
            found.into_iter().map(|(id, life)| (id, Held { life, until: now + life })).collect();
        let last = held.last_key_value().map_or(0, |(id, _)| id.0);
        Self { held, last }
    }

    /// Grants a new one.
    pub(super) fn grant(&mut self, life: Duration, now: Instant) -> LeaseId {
        self.last += 1;
        let id = LeaseId(self.last);
        self.held.insert(id, Held { life, until: now + life });
        id
    }

    /// Begins the life of one anew. Errors: it has ended.
    pub(super) fn keep_alive(&mut self, lease: LeaseId, now: Instant) -> Result<(), CatalogError> {
        let held = self.held.get_mut(&lease).ok_or(CatalogError::LeaseUnknown { lease })?;
        held.until = now + held.life;
        Ok(())
    }

    /// Returns one and how long it lives. Errors: it has ended.
    pub(super) fn life(&self, lease: LeaseId) -> Result<(LeaseId, Duration), CatalogError> {
        let held = self.held.get(&lease).ok_or(CatalogError::LeaseUnknown { lease })?;
        Ok((lease, held.life))
    }

    /// Forgets one.
    pub(super) fn end(&mut self, lease: LeaseId) {
        self.held.remove(&lease);
    }

    /// Returns those whose life is over.
    pub(super) fn due(&self, now: Instant) -> Vec<LeaseId> {
        self.held.iter().filter(|(_, held)| held.until <= now).map(|(id, _)| *id).collect()
    }

    /// Returns when the next life is over.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.held.values().map(|held| held.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(15);

    #[test]
    fn a_lease_lives_as_long_as_it_is_kept_alive() {
        let start = Instant::now();
        let mut leases = Leases::of(Vec::new(), start);
        let id = leases.grant(LIFE, start);
        leases.keep_alive(id, start + Duration::from_secs(10)).unwrap();
        assert_eq!(leases.due(start + Duration::from_secs(24)), []);
        assert_eq!(leases.due(start + Duration::from_secs(25)), [id]);
        leases.end(id);
        assert!(leases.keep_alive(id, start).is_err());
    }

    #[test]
    fn a_lease_found_at_the_start_has_a_life_left_and_its_number_is_not_given_again() {
        let start = Instant::now();
        let mut leases = Leases::of(vec![(LeaseId(7), LIFE)], start);
        assert_eq!(leases.next_due(), Some(start + LIFE));
        assert_eq!(leases.grant(LIFE, start), LeaseId(8));
    }
}
