//! How long to wait before the next attempt.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

/// Returns the wait after failed attempt number `failed` (from 0): doubling from 0.2 s to at most 10 s, less up to half of it by
/// `random`, so that many sources do not come back in step.
pub(crate) fn delay(failed: u32, random: u32) -> Duration {
    let whole = FIRST.saturating_mul(1_u32.checked_shl(failed).unwrap_or(u32::MAX)).min(LONGEST);
    let jitter = whole.mul_f64(0.5 * f64::from(random) / f64::from(u32::MAX));
    (whole - jitter).max(FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_ten_seconds_and_no_further() {
        let waits: Vec<_> = (0..8).map(|failed| delay(failed, 0).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(delay(u32::MAX, 0), LONGEST);
    }

    #[test]
    fn jitter_takes_at_most_half_and_never_goes_below_the_first_wait() {
        assert_eq!(delay(6, u32::MAX), Duration::from_secs(5));
        assert_eq!(delay(0, u32::MAX), FIRST);
    }
}
