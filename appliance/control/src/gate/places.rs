//! How many connections may be in the handshake at once, from one address and from all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places of those who shake hands.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    taken: Arc<Mutex<Taken>>,
    all_max: usize,
    each_max: usize,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    each: HashMap<IpAddr, usize>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    whose: IpAddr,
}

impl Places {
    pub(crate) fn new(all_max: usize, each_max: usize) -> Self {
        Self { taken: Arc::default(), all_max, each_max }
    }

    /// Takes a place, if there is one for this address.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        let whose = neighbourhood(address);
        let mut taken = self.lock();
        let own = taken.each.get(&whose).copied().unwrap_or(0);
        if taken.all >= self.all_max || own >= self.each_max {
            return None;
        }
        taken.all += 1;
        taken.each.insert(whose, own + 1);
        Some(Place { places: self.clone(), whose })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all -= 1;
        let own = taken.each.get_mut(&self.whose).expect("a place that was taken is counted");
        *own -= 1;
        if *own == 0 {
            taken.each.remove(&self.whose);
        }
    }
}

/// Returns what counts as one address: of IPv6 the /64, which one machine can use up at will.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_can_not_take_the_places_of_all() {
        let places = Places::new(3, 2);
        let first = places.take(address("::ffff:192.0.2.1")).expect("a place");
        let second = places.take(address("192.0.2.1")).expect("a place");
        assert!(places.take(address("192.0.2.1")).is_none());
        let other = places.take(address("2001:db8::1")).expect("a place for another");
        assert!(places.take(address("192.0.2.2")).is_none(), "all are taken");
        drop((first, other));
        let held = [places.take(address("2001:db8::1")), places.take(address("2001:db8::2"))];
        assert!(held.iter().all(Option::is_some));
        assert!(places.take(address("2001:db8::3")).is_none(), "of one /64");
        drop((second, held));
        let taken = places.lock();
        assert_eq!((taken.all, taken.each.len()), (0, 0));
    }
}
