//! How far a long piece of work is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use super::error::ReplicaError;

/// Bytes done of bytes to do, and the end. Shared between the worker and whoever watches.
#[derive(Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    end: Mutex<Option<Result<(), ReplicaError>>>,
    ended: Condvar,
}

impl Progress {
    /// Returns bytes done and bytes to do; 0 to do until that is known.
    pub fn bytes(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    /// Returns how it ended, if it has.
    pub fn ended(&self) -> Option<Result<(), ReplicaError>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the end, and returns it.
    pub fn wait(&self) -> Result<(), ReplicaError> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(result) = &*end {
                return result.clone();
            }
            end = self.ended.wait(end).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn expect(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn end(&self, result: Result<(), ReplicaError>) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(result);
        self.ended.notify_all();
    }
}
