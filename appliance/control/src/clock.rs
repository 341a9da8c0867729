//! The wall clock.

use std::time::SystemTime;

use units::Timestamp;

/// Returns the wall clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}
