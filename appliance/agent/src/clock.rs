//! The controller's clock, as its answers tell it. A jump of our own clock changes nothing here.

use std::time::{Duration, Instant};

use units::Timestamp;
use wire::heartbeat::ClockReading;

/// What is known of the controller's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ControllerClock {
    /// Its time at a moment of ours.
    known: Option<(Timestamp, Instant)>,
    /// Our wall clock against it, as last measured.
    reading: Option<ClockReading>,
}

/// When a report was sent, by both of our clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) time: Timestamp,
    pub(crate) at: Instant,
}

impl ControllerClock {
    pub(crate) fn unknown() -> Self {
        Self { known: None, reading: None }
    }

    /// Takes a time of the controller that came at `now` as the answer to what was sent.
    pub(crate) fn learn(&mut self, theirs: Timestamp, sent: Sent, now: Instant) {
        let round_trip = now.saturating_duration_since(sent.at);
        let half = u64::try_from(round_trip.as_micros() / 2).unwrap_or(u64::MAX);
        self.known = Some((Timestamp(theirs.0.saturating_add(half)), now));
        let ours = i128::from(sent.time.0) + i128::from(half);
        let ahead = ours - i128::from(theirs.0);
        self.reading = Some(ClockReading {
            ahead_micros: i64::try_from(ahead).unwrap_or(if ahead > 0 { i64::MAX } else { i64::MIN }),
            round_trip_micros: u32::try_from(round_trip.as_micros()).unwrap_or(u32::MAX),
        });
    }

    /// Returns our clock against it.
    pub(crate) fn reading(&self) -> Option<ClockReading> {
        self.reading
    }

    /// Returns its time at `now`, once it was heard.
    pub(crate) fn time(&self, now: Instant) -> Option<Timestamp> {
        let (time, at) = self.known?;
        let passed = u64::try_from(now.saturating_duration_since(at).as_micros()).unwrap_or(u64::MAX);
        Some(Timestamp(time.0.saturating_add(passed)))
    }

    /// Returns how far our wall clock is from it now, either way, once it was heard.
    pub(crate) fn distance(&self, ours: Timestamp, now: Instant) -> Option<Duration> {
        let theirs = self.time(now)?;
        Some(Duration::from_micros(ours.0.abs_diff(theirs.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn the_offset_is_taken_in_the_middle_of_the_round_trip() {
        let mut clock = ControllerClock::unknown();
        let at = Instant::now();
        let now = at + Duration::from_millis(200);
        clock.learn(Timestamp(1000 * SECOND), Sent { time: Timestamp(1010 * SECOND), at }, now);
        let reading = clock.reading().expect("it was heard");
        assert_eq!((reading.ahead_micros, reading.round_trip_micros), (10_100_000, 200_000));
        assert_eq!(clock.time(now), Some(Timestamp(1000 * SECOND + 100_000)));
    }

    #[test]
    fn a_jump_of_our_clock_changes_the_distance_and_not_the_controllers_time() {
        let mut clock = ControllerClock::unknown();
        let at = Instant::now();
        assert_eq!(clock.time(at), None);
        clock.learn(Timestamp(1000 * SECOND), Sent { time: Timestamp(1000 * SECOND), at }, at);
        let later = at + Duration::from_secs(60);
        assert_eq!(clock.time(later), Some(Timestamp(1060 * SECOND)));
        let jumped = Timestamp(1060 * SECOND + 7200 * SECOND);
        assert_eq!(clock.distance(jumped, later), Some(Duration::from_secs(7200)));
    }

    #[test]
    fn times_at_their_limits_do_not_overflow() {
        let mut clock = ControllerClock::unknown();
        let at = Instant::now();
        clock.learn(Timestamp(u64::MAX), Sent { time: Timestamp(0), at }, at + Duration::from_secs(1));
        assert_eq!(clock.reading().map(|reading| reading.ahead_micros), Some(i64::MIN));
        clock.learn(Timestamp(0), Sent { time: Timestamp(u64::MAX), at }, at);
        assert_eq!(clock.reading().map(|reading| reading.ahead_micros), Some(i64::MAX));
    }
}
