//! What one connection has under way: payload, against its credit, and the memory its messages take besides.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use units::Sequence;
use wire::{Extent, RefusalCode};

use crate::refusal::SessionEnd;

/// Memory that messages under way may take besides their payload. Zeroes and questions have no payload, so that credit does not
/// bound them: above this nothing more is read from the connection until something is done.
const HELD_MAX: u64 = 4 << 20;
/// What any message takes.
const MESSAGE_COST: u64 = 512;

/// Returns the memory a list of extents takes while it is under way.
pub(crate) fn extents_cost(extents: usize) -> u64 {
    (extents * size_of::<Extent>()) as u64 + MESSAGE_COST
}

/// The account of one connection.
pub(crate) struct Account {
    window: u64,
    /// Payload bytes received.
    received: u64,
    /// Payload bytes that are done with, of items.
    released: u64,
    credited: u64,
    /// Items that are not acked.
    unacked: VecDeque<Unacked>,
    /// What `unacked` takes besides payload.
    held: u64,
    lent: Arc<Lent>,
}

struct Unacked {
    sequence: Sequence,
    payload: u64,
    cost: u64,
}

/// What was handed to the applier.
#[derive(Default)]
struct Lent {
    held: AtomicU64,
    released: AtomicU64,
}

/// Something handed to the applier: no longer held once this is dropped.
pub(crate) struct Loan {
    lent: Arc<Lent>,
    payload: u64,
    cost: u64,
}

impl Loan {
    /// Says that it was done: its payload is credited again.
    pub(crate) fn settle(self) {
        self.lent.released.fetch_add(self.payload, Ordering::Relaxed);
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.lent.held.fetch_sub(self.cost, Ordering::Relaxed);
    }
}

impl Account {
    /// Opens the account of a connection that was granted `window` bytes.
    pub(crate) fn new(window: u64) -> Self {
        let (received, released, held) = (0, 0, 0);
        let (unacked, lent) = (VecDeque::new(), Arc::default());
        Self { window, received, released, credited: window, unacked, held, lent }
    }

    /// Counts payload against the credit. Errors: there was none for it.
    pub(crate) fn receive(&mut self, payload: usize) -> Result<(), SessionEnd> {
        self.received += payload as u64;
        if self.received <= self.credited {
            return Ok(());
        }
        let detail = format!("{} payload bytes came, {} were credited", self.received, self.credited);
        Err(SessionEnd::refused(RefusalCode::OverCredit, detail))
    }

    /// Notes an item that waits for its ack.
    pub(crate) fn hold(&mut self, sequence: Sequence, payload: usize, cost: u64) {
        self.held += cost;
        self.unacked.push_back(Unacked { sequence, payload: payload as u64, cost });
    }

    /// Releases every item that was acked.
    pub(crate) fn release(&mut self, durable: Sequence) {
        while let Some(item) = self.unacked.pop_front_if(|item| item.sequence <= durable) {
            self.released += item.payload;
            self.held -= item.cost;
        }
    }

    /// Notes something that is handed to the applier.
    pub(crate) fn lend(&self, payload: usize, cost: u64) -> Loan {
        self.lent.held.fetch_add(cost, Ordering::Relaxed);
        Loan { lent: self.lent.clone(), payload: payload as u64, cost }
    }

    /// Tells whether something must be done before more is read.
    pub(crate) fn is_full(&self) -> bool {
        self.held + self.lent.held.load(Ordering::Relaxed) >= HELD_MAX
    }

    /// Returns the new grant, once an eighth of the window is free again, or all of it.
    pub(crate) fn grant(&mut self) -> Option<u64> {
        let released = self.released + self.lent.released.load(Ordering::Relaxed);
        let upto = self.window + released;
        let idle = released == self.received;
        if upto >= self.credited + self.window / 8 || (idle && upto > self.credited) {
            self.credited = upto;
            return Some(upto);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_is_used_up_and_comes_back_with_the_ack() {
        let mut account = Account::new(1000);
        account.receive(900).unwrap();
        account.hold(Sequence(1), 900, MESSAGE_COST);
        assert_eq!(account.grant(), None);
        account.release(Sequence(1));
        assert_eq!(account.grant(), Some(1900));
        account.receive(1000).unwrap();
        assert!(account.receive(1).is_err());
    }

    #[test]
    fn what_has_no_payload_is_bounded_too() {
        let mut account = Account::new(1000);
        let cost = extents_cost(256);
        let most = HELD_MAX / cost + 1;
        for sequence in 1..=most {
            assert!(!account.is_full());
            account.hold(Sequence(sequence), 0, cost);
        }
        assert!(account.is_full());
        account.release(Sequence(most));
        assert!(!account.is_full());
        let loan = account.lend(0, HELD_MAX);
        assert!(account.is_full());
        loan.settle();
        assert!(!account.is_full());
    }
}
