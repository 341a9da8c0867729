//! Wakes a link that waits, from another thread.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use crate::LinkError;

/// Wakes the [`crate::Link`] it came from: its next or present `receive` returns `Received::Woken`, once for any number of
/// calls before. Cheap while a wake is pending already.
#[derive(Clone, Debug)]
pub struct Waker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pending: AtomicBool,
    event: OwnedFd,
}

impl Waker {
    pub(crate) fn new() -> Result<Self, LinkError> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| LinkError::Socket(error.into()))?;
        Ok(Self { shared: Arc::new(Shared { pending: AtomicBool::new(false), event }) })
    }

    /// Wakes the link. Never blocks.
    pub fn wake(&self) {
        if !self.shared.pending.swap(true, Ordering::AcqRel) {
            // The counter can't overflow: it is written once between two reads, and a full one would wake as well.
            let _ = rustix::io::write(&self.shared.event, &1_u64.to_ne_bytes());
        }
    }

    /// Tells whether a wake is pending, without a system call.
    pub(crate) fn is_pending(&self) -> bool {
        self.shared.pending.load(Ordering::Acquire)
    }

    /// Takes the pending wakes together. A wake after this is seen by the next wait, at the cost of a spurious one at most.
    pub(crate) fn take(&self) {
        self.shared.pending.store(false, Ordering::Release);
        // An empty counter means that the waker has not come to writing yet: it will, and wake once more.
        let _ = rustix::io::read(&self.shared.event, &mut [0_u8; 8]);
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.shared.event.as_fd()
    }
}
