//! The memory that machines share: payloads until they are destaged, the buffers they came in, and lists of extents.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use retention::Body;
use units::ByteLen;

/// A bound on memory that several share.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    used: Arc<AtomicUsize>,
    most: usize,
}

/// A part of an allowance that is in use; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Share {
    of: Allowance,
    len: usize,
}

impl Allowance {
    /// Returns an allowance of `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self { used: Arc::default(), most }
    }

    /// Takes `len` bytes if there are as many.
    pub(crate) fn take(&self, len: usize) -> Option<Share> {
        let mut share = Share { of: self.clone(), len: 0 };
        share.grow(len).then_some(share)
    }
}

impl Share {
    /// Takes `more` bytes besides if there are as many. Returns whether there were.
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let before = self.of.used.fetch_add(more, Ordering::Relaxed);
        let fits = before + more <= self.of.most;
        if fits {
            self.len += more;
        } else {
            self.of.used.fetch_sub(more, Ordering::Relaxed);
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let before = self.of.used.fetch_sub(self.len, Ordering::Relaxed);
        assert!(before >= self.len, "nothing is given back twice");
    }
}

/// A bound on memory. Payloads above it are dropped and read again from the redo log, and so are lists of extents.
#[derive(Clone, Debug)]
pub struct ResidentBudget {
    payloads: Allowance,
    indexes: Allowance,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// Buffers kept for the next payloads; more are given back to the system.
const SPARE_MAX: usize = 32;

impl ResidentBudget {
    /// Returns a budget of `most` bytes of payload, and a third as much for lists of extents: of items without their payload, and
    /// the indexes of open epochs.
    pub fn new(most: ByteLen) -> Self {
        let (payloads, indexes) = (most.as_usize(), most.as_usize() / 3);
        Self { payloads: Allowance::new(payloads), indexes: Allowance::new(indexes), spare: Arc::default() }
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

    /// Returns the allowance for lists of extents.
    pub(crate) fn indexes(&self) -> Allowance {
        self.indexes.clone()
    }

    /// Keeps a body and payload if there is room, or else the body alone.
    pub(crate) fn keep(&self, body: Body, payload: Vec<u8>) -> Option<Arc<Resident>> {
        let list = ITEM + size_of_val(body.extents());
        if let Some(share) = self.payloads.take(list + payload.len()) {
            let held = Some((self.clone(), share));
            return Some(Arc::new(Resident { body, payload: Some(payload), held }));
        }
        self.give_back(payload);
        let held = Some((self.clone(), self.indexes.take(list)?));
        Some(Arc::new(Resident { body, payload: None, held }))
    }
}

/// What any item takes; one of many small extents, or of zeroes, is mostly its list of extents.
const ITEM: usize = 512;

/// A body, and perhaps its payload, in memory; gives back its part of the budget when it is dropped, whoever drops it.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) body: Body,
    /// `None` if it must be read again from the redo log.
    pub(crate) payload: Option<Vec<u8>>,
    held: Option<(ResidentBudget, Share)>,
}

impl Resident {
    /// Returns a body that was read again for one round, outside the budget.
    pub(crate) fn passing(body: Body) -> Arc<Self> {
        Arc::new(Self { body, payload: None, held: None })
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        if let Some(((budget, _), payload)) = self.held.as_ref().zip(self.payload.take()) {
            budget.give_back(payload);
        }
    }
}
