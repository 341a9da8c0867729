//! A limit of what is sent: so many payload bytes a second.

use std::time::{Duration, Instant};

use crate::error::SourceError;
use crate::stop::Stop;

/// How often a wait looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// When the next payload may be sent.
#[derive(Debug)]
pub(crate) struct Throttle {
    free_at: Instant,
}

impl Throttle {
    /// Returns one that lets the first payload pass at once.
    pub(crate) fn new(now: Instant) -> Self {
        Self { free_at: now }
    }

    /// Waits until `len` bytes more may be sent at `rate` bytes a second; without a rate, not at all. Errors: the operator wants to stop.
    pub(crate) fn wait(&mut self, rate: Option<u64>, len: u64, stop: &Stop) -> Result<(), SourceError> {
        let Some(rate) = rate else { return Ok(()) };
        loop {
            let left = self.free_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if stop.asked() {
                return Err(SourceError::Stopped);
            }
            std::thread::sleep(left.min(LOOK));
        }
        self.free_at = after(self.free_at, Instant::now(), rate, len);
        Ok(())
    }
}

/// Returns when the payload after one of `len` bytes may be sent. Time that was not used is lost: there are no bursts.
fn after(free_at: Instant, now: Instant, rate: u64, len: u64) -> Instant {
    free_at.max(now) + Duration::from_secs_f64(len as f64 / rate as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_takes_its_time_and_idle_time_is_not_saved_up() {
        let start = Instant::now();
        let second = after(start, start, 1000, 500);
        assert_eq!(second - start, Duration::from_millis(500));
        assert_eq!(after(second, start, 1000, 250) - start, Duration::from_millis(750));
        let late = start + Duration::from_secs(10);
        assert_eq!(after(second, late, 1000, 1000) - start, Duration::from_secs(11));
    }

    #[test]
    fn without_a_limit_nothing_waits_and_a_wish_to_stop_ends_a_wait() {
        let (mut throttle, stop) = (Throttle::new(Instant::now()), Stop::default());
        throttle.wait(None, u64::MAX, &stop).unwrap();
        throttle.wait(Some(1), 1_000_000, &stop).unwrap();
        stop.ask();
        assert!(matches!(throttle.wait(Some(1), 1, &stop), Err(SourceError::Stopped)));
    }
}
