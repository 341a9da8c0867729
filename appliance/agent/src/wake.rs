//! What wakes the agent's thread: a stop, or an outcome that is ready; while it is connected, and while it waits to connect again.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use link::Waker;

/// Wakes the agent's thread.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    /// Of the connection, while there is one.
    waker: Option<Waker>,
}

impl Wake {
    /// Tells the thread to end.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        self.stopped.notify_all();
        state.waker.iter().for_each(Waker::wake);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Tells the connection that there is something to send.
    pub(crate) fn wake(&self) {
        self.lock().waker.iter().for_each(Waker::wake);
    }

    /// Names the connection that is to be woken, or that there is none.
    pub(crate) fn attach(&self, waker: Option<Waker>) {
        self.lock().waker = waker;
    }

    /// Waits, unless or until the agent is to stop.
    pub(crate) fn pause(&self, span: Duration) {
        let state = self.lock();
        drop(self.stopped.wait_timeout_while(state, span, |state| !state.stopping));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
