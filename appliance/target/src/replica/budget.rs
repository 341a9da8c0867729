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
    pub(crate) fn keep(&self, body: Body, payload: Vec<u8>) -> Option<Arc<(Body, Vec<u8>)>> {
        let cost = cost(&payload);
        let before = self.used.fetch_add(cost, Ordering::Relaxed);
        if before + cost > self.most {
            self.used.fetch_sub(cost, Ordering::Relaxed);
            return None;
        }
        Some(Arc::new((body, payload)))
    }

    /// Gives back what was kept.
    pub(crate) fn release(&self, kept: Arc<(Body, Vec<u8>)>) {
        let before = self.used.fetch_sub(cost(&kept.1), Ordering::Relaxed);
        assert!(before >= cost(&kept.1), "nothing is given back twice");
    }
}

fn cost(payload: &[u8]) -> usize {
    const BODY: usize = 8 << 10;
    payload.len() + BODY
}
