//! How long commands that would destroy something wait.

use std::time::{Duration, Instant};

use crate::ledger::{Ledger, State};

/// How long a command that would destroy something waits for somebody at this server.
pub(crate) const LOCK: Duration = Duration::from_secs(24 * 3600);
/// The time that has passed is made durable this often.
const STEP: Duration = Duration::from_secs(60);

/// Counts the time that passes while the program runs.
#[derive(Debug)]
pub(crate) struct Countdown {
    last: Instant,
}

impl Countdown {
    pub(crate) fn new(now: Instant) -> Self {
        Self { last: now }
    }

    /// Takes what has passed off what is left, once a minute. Tells whether the ledger has changed.
    pub(crate) fn pass(&mut self, now: Instant, ledger: &mut Ledger) -> bool {
        let passed = now.saturating_duration_since(self.last);
        if passed < STEP {
            return false;
        }
        self.last = now;
        let mut waits = false;
        for entry in &mut ledger.entries {
            if let State::Waiting { seconds_left } = &mut entry.state {
                *seconds_left = seconds_left.saturating_sub(passed.as_secs());
                waits = true;
            }
        }
        waits
    }
}
