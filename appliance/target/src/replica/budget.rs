//! The memory that payloads may keep until they are destaged, over all machines, and the buffers they came in.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use retention::Body;
use units::ByteLen;

/// A bound on memory. Payloads above it are dropped and read again from the redo log.
#[derive(Clone, Debug)]
pub struct ResidentBudget {
    used: Arc<AtomicUsize>,
    most: usize,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// Buffers kept for the next payloads; more are given back to the system.
const SPARE_MAX: usize = 32;

impl ResidentBudget {
    /// Returns a budget of `most` bytes.
    pub fn new(most: ByteLen) -> Self {
        Self { used: Arc::default(), most: most.as_usize(), spare: Arc::default() }
    }

    /// Returns a buffer for the next payload: one that was used before, if there is one.
    pub fn buffer(&self) -> Vec<u8> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.capacity() > 0 && spare.len() < SPARE_MAX {
            spare.push(buffer);
        }
    }

    /// Keeps a body and payload if there is room.
    pub(crate) fn keep(&self, body: Body, payload: Vec<u8>) -> Option<Arc<Resident>> {
        let cost = cost(&body, &payload);
        let before = self.used.fetch_add(cost, Ordering::Relaxed);
        if before + cost > self.most {
            self.used.fetch_sub(cost, Ordering::Relaxed);
            self.give_back(payload);
            return None;
        }
        Some(Arc::new(Resident { body, payload, held: Some((self.clone(), cost)) }))
    }
}

/// A body and payload in memory; gives back its part of the budget when it is dropped, whoever drops it.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) body: Body,
    pub(crate) payload: Vec<u8>,
    held: Option<(ResidentBudget, usize)>,
}

impl Resident {
    /// Returns what was read again for one round, outside the budget.
    pub(crate) fn passing(body: Body, payload: Vec<u8>) -> Arc<Self> {
        Arc::new(Self { body, payload, held: None })
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        if let Some((budget, cost)) = self.held.take() {
            let before = budget.used.fetch_sub(cost, Ordering::Relaxed);
            assert!(before >= cost, "nothing is given back twice");
            budget.give_back(std::mem::take(&mut self.payload));
        }
    }
}

/// What an item takes: a batch of many small extents, or of zeroes, is mostly its list of extents.
fn cost(body: &Body, payload: &[u8]) -> usize {
    const ITEM: usize = 512;
    payload.len() + size_of_val(body.extents()) + ITEM
}
