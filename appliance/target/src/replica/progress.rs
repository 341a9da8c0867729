//! How far a long piece of work is.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::ReplicaError;

/// Bytes done of bytes to do, and the end. Shared between the worker and whoever watches.
#[derive(Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    end: Mutex<Option<Result<(), ReplicaError>>>,
    at_end: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Progress {
    /// Has `at_end` called once, when it ends; on the thread that works, so it must not block.
    pub(crate) fn telling(at_end: impl Fn() + Send + Sync + 'static) -> Self {
        Self { at_end: Some(Box::new(at_end)), ..Self::default() }
    }

    /// Returns bytes done and bytes to do; 0 to do until that is known.
    pub fn bytes(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    /// Returns how it ended, if it has.
    pub fn ended(&self) -> Option<Result<(), ReplicaError>> {
        self.end.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(crate) fn expect(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn end(&self, result: Result<(), ReplicaError>) {
        let mut end = self.end.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let first = end.is_none();
        end.get_or_insert(result);
        // Told before anyone can see the end.
        if let Some(at_end) = self.at_end.as_ref().filter(|_| first) {
            at_end();
        }
    }
}
