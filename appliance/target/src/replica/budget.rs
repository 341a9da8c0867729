//! The memory that durable payloads may keep until they are destaged, over all machines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use retention::Body;
use units::ByteLen;

/// A bound on memory. Payloads above it are dropped and read again from the redo log.
#[derive(Clone, Debug)]
pub struct ResidentBudget {
    used: Arc<AtomicUsize>,
    most: usize,
}

impl ResidentBudget {
    /// Returns a budget of `most` bytes.
    pub fn new(most: ByteLen) -> Self {
        Self { used: Arc::default(), most: most.as_usize() }
    }

    /// Keeps a body and payload if there is room.
    pub(crate) fn keep(&self, body: Body, payload: Vec<u8>) -> Option<Arc<Resident>> {
        let cost = cost(&payload);
        let before = self.used.fetch_add(cost, Ordering::Relaxed);
        if before + cost > self.most {
            self.used.fetch_sub(cost, Ordering::Relaxed);
            return None;
        }
        Some(Arc::new(Resident { body, payload, held: Some((self.used.clone(), cost)) }))
    }
}

/// A body and payload in memory; gives back its part of the budget when it is dropped, whoever drops it.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) body: Body,
    pub(crate) payload: Vec<u8>,
    held: Option<(Arc<AtomicUsize>, usize)>,
}

impl Resident {
    /// Returns what was read again for one round, outside the budget.
    pub(crate) fn passing(body: Body, payload: Vec<u8>) -> Arc<Self> {
        Arc::new(Self { body, payload, held: None })
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        if let Some((used, cost)) = &self.held {
            let before = used.fetch_sub(*cost, Ordering::Relaxed);
            assert!(before >= *cost, "nothing is given back twice");
        }
    }
}

fn cost(payload: &[u8]) -> usize {
    const BODY: usize = 8 << 10;
    payload.len() + BODY
}
