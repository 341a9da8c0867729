//! The one place of this crate that reads the clock.

use std::time::SystemTime;

use units::Timestamp;

/// Returns the time by this machine's clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}
