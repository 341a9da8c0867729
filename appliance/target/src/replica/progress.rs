//! How far a long piece of work is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::error::ReplicaError;

/// Bytes done of bytes to do, and the end. Shared between the worker and whoever watches.
#[derive(Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    end: Mutex<Option<Result<(), ReplicaError>>>,
    ended: Condvar,
    at_end: Option<Box<dyn Fn() + Send + Sync>>,
    /// The work this is a part of: its bytes are counted there too, its end is not that of the whole.
    whole: Option<Arc<Progress>>,
}

impl Progress {
    /// Has `at_end` called once, when it ends; on the thread that works, so it must not block.
    pub(crate) fn telling(at_end: impl Fn() + Send + Sync + 'static) -> Self {
        Self { at_end: Some(Box::new(at_end)), ..Self::default() }
    }

    /// Begins a part of `whole`, of which `total` bytes are expected.
    pub(crate) fn part_of(whole: &Arc<Self>, total: u64) -> Arc<Self> {
        let part = Self { whole: Some(whole.clone()), ..Self::default() };
        part.expect(total);
        Arc::new(part)
    }

    /// Returns bytes done and bytes to do; 0 to do until that is known.
    pub fn bytes(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    /// Returns how it ended, if it has.
    pub fn ended(&self) -> Option<Result<(), ReplicaError>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the end, and returns it.
    pub(crate) fn wait(&self) -> Result<(), ReplicaError> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(result) = &*end {
                return result.clone();
            }
            end = self.ended.wait(end).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn expect(&self, total: u64) {
        let before = self.total.swap(total, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.total.fetch_add(total.wrapping_sub(before), Ordering::Relaxed);
        }
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.advance(bytes);
        }
    }

    pub(crate) fn end(&self, result: Result<(), ReplicaError>) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let first = end.is_none();
        end.get_or_insert(result);
        // Told before anyone can see the end.
        if let Some(at_end) = self.at_end.as_ref().filter(|_| first) {
            at_end();
        }
        self.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_the_end_of_one_is_not_the_end() {
        let whole = Arc::new(Progress::default());
        let (first, second) = (Progress::part_of(&whole, 0), Progress::part_of(&whole, 100));
        first.expect(40);
        second.expect(90);
        first.advance(40);
        second.advance(5);
        first.end(Ok(()));
        assert_eq!((first.wait(), first.bytes()), (Ok(()), (40, 40)));
        assert_eq!((whole.bytes(), whole.ended()), ((45, 130), None));
    }
}
