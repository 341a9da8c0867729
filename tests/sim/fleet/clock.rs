//! Time in an installation: what really passes, and the clocks that people set.

use std::time::{Duration, Instant};

use units::Timestamp;

/// How far a clock is set on or back.
const TEN_YEARS: u64 = 10 * 365 * 86_400 * 1_000_000;
/// 2026-01-01, far enough from 1970 to jump there and back.
const BEGIN: u64 = 1_767_225_600_000_000;

/// The clocks.
pub(crate) struct Clock {
    /// What really passed since the run began.
    pub elapsed: Duration,
    /// What the wall clock says.
    pub wall: u64,
    /// How often it was set.
    pub jumps: u32,
    base: Instant,
    /// What the wall clock said when the target's process started, and what had passed by then.
    started: (u64, Duration),
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            elapsed: Duration::ZERO,
            wall: BEGIN,
            jumps: 0,
            base: Instant::now(),
            started: (BEGIN, Duration::ZERO),
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.elapsed += time;
        self.wall += time.as_micros() as u64;
    }

    /// Sets the wall clock ten years on or back.
    pub(crate) fn jump(&mut self, forward: bool) {
        self.jumps += 1;
        self.wall = if forward { self.wall + TEN_YEARS } else { self.wall.saturating_sub(TEN_YEARS) };
    }

    /// Starts the target's process: it reads the wall clock anew.
    pub(crate) fn restart_target(&mut self) {
        self.started = (self.wall, self.elapsed);
    }

    pub(crate) fn instant(&self) -> Instant {
        self.base + self.elapsed
    }

    /// Returns the time the target's process tells spans by: the wall clock when it started, and what passed since.
    pub(crate) fn steady(&self) -> Timestamp {
        let (wall, elapsed) = self.started;
        Timestamp(wall + (self.elapsed - elapsed).as_micros() as u64)
    }

    /// Returns how far the wall clock is ahead of that.
    pub(crate) fn ahead(&self) -> i64 {
        self.wall as i64 - self.steady().0 as i64
    }
}
