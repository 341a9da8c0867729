//! The one place of this crate that reads the clock.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use units::Timestamp;

/// Returns the time by this machine's clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

/// Returns a time that never jumps: this machine's clock when it was first asked, and what has passed since. For spans, never
/// for people.
pub(crate) fn steady() -> Timestamp {
    static BEGAN: OnceLock<(Timestamp, Instant)> = OnceLock::new();
    let (time, instant) = BEGAN.get_or_init(|| (now(), Instant::now()));
    let passed = u64::try_from(instant.elapsed().as_micros()).unwrap_or(u64::MAX);
    Timestamp(time.0.saturating_add(passed))
}
