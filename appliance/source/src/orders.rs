//! Orders of the configuration server: given by one thread, carried out by the agent between two rounds.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use units::{Sequence, Timestamp};
use wire::{Consistency, GroupMark};

use crate::config::Label;

/// Orders that may wait at once.
const WAITING_MAX: usize = 16;

/// What the agent is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Make a recovery point now.
    Point {
        /// Ask the applications to be consistent first; without a hook that can, the order fails.
        application: bool,
        /// A word for people; empty for the usual one.
        label: Label,
    },
    /// Hold every write for a point of the group, until it is taken or released, for so long at the most.
    Hold(GroupMark, Duration),
    /// Every member holds its writes: make the point.
    Take(GroupMark),
    /// The point of the group comes to nothing: let writes go on.
    Release(GroupMark),
    /// Trust nothing remembered: compare every leaf in the next round.
    Resync,
    /// Make no more recovery points until told to resume.
    Pause,
    /// Go on after a pause.
    Resume,
}

/// What came of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// The recovery point that was made, durable at the target.
    pub point: Option<CarriedPoint>,
}

/// A recovery point that an order brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarriedPoint {
    /// Where it stands in the stream.
    pub sequence: Sequence,
    /// The moment it stands for, by the source's clock.
    pub time: Timestamp,
    /// How far it can be trusted.
    pub consistency: Consistency,
}

/// Why an order came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Too many wait.
    #[error("{WAITING_MAX} orders wait already")]
    TooMany,
    /// It was not carried out in time; what has begun ends by itself.
    #[error("not carried out within {} s", .0.as_secs_f64())]
    Late(Duration),
    /// The agent stopped, or lost its session, before it was carried out.
    #[error("the session with the target ended first")]
    Ended,
    /// It can't be carried out.
    #[error("{0}")]
    Refused(String),
}

/// An order and where its outcome goes.
pub(crate) struct Given {
    pub(crate) order: Order,
    outcome: Sender<Result<Carried, OrderError>>,
}

/// Hands orders to an agent. Clones hand them to the same one.
#[derive(Clone, Debug, Default)]
pub struct Orders(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<VecDeque<Given>>,
    /// Payload bytes a second; 0 for no limit.
    rate: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Shared").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Orders {
    /// Gives an order and waits until it is carried out, `within` at the most. Errors: see [`OrderError`].
    pub fn give(&self, order: Order, within: Duration) -> Result<Carried, OrderError> {
        let (outcome, carried) = channel();
        let mut waiting = self.lock();
        if waiting.len() >= WAITING_MAX {
            return Err(OrderError::TooMany);
        }
        waiting.push_back(Given { order, outcome });
        drop(waiting);
        match carried.recv_timeout(within) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(OrderError::Late(within)),
            Err(RecvTimeoutError::Disconnected) => Err(OrderError::Ended),
        }
    }

    /// Returns how many payload bytes a second may be sent; none for no limit.
    pub fn rate(&self) -> Option<u64> {
        Some(self.0.rate.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }

    /// Limits how many payload bytes a second are sent; 0 for no limit.
    pub fn throttle(&self, rate: u64) {
        self.0.rate.store(rate, Ordering::Relaxed);
    }

    /// Tells whether an order waits.
    pub(crate) fn waits(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Takes the order that has waited longest.
    pub(crate) fn take(&self) -> Option<Given> {
        self.lock().pop_front()
    }

    /// Drops what waits: whoever gave it is told that the session ended.
    pub(crate) fn drop_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Given>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Given {
    /// Says what came of it.
    pub(crate) fn done(self, result: Result<Carried, OrderError>) {
        // Whoever gave it may have given up waiting.
        let _ = self.outcome.send(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINT: CarriedPoint =
        CarriedPoint { sequence: Sequence(7), time: Timestamp(5), consistency: Consistency::Crash };

    #[test]
    fn an_order_is_carried_out_once_and_its_outcome_told() {
        let orders = Orders::default();
        let agent = orders.clone();
        let worker = std::thread::spawn(move || {
            while !agent.waits() {
                std::thread::yield_now();
            }
            let given = agent.take().unwrap();
            assert_eq!((&given.order, agent.waits()), (&Order::Pause, false));
            given.done(Ok(Carried { point: Some(POINT) }));
        });
        let carried = orders.give(Order::Pause, Duration::from_secs(60)).unwrap();
        assert_eq!(carried.point, Some(POINT));
        worker.join().unwrap();
    }

    #[test]
    fn an_order_that_nobody_carries_out_is_told_so() {
        let orders = Orders::default();
        let wait = Duration::from_millis(1);
        for _ in 0..WAITING_MAX {
            assert_eq!(orders.give(Order::Resync, wait), Err(OrderError::Late(wait)));
        }
        assert_eq!(orders.give(Order::Resync, wait), Err(OrderError::TooMany));
        orders.drop_all();
        assert!(!orders.waits());
        orders.throttle(5);
        assert_eq!(orders.rate(), Some(5));
        orders.throttle(0);
        assert_eq!(orders.rate(), None);
    }
}
