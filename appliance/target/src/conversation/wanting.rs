//! When the source is asked for a recovery point that it would not make by itself: an application-consistent one, as often as the
//! policy says.
//!
//! All by the source's own clock, as its points tell it: no clock of ours decides.

use std::time::Duration;

use retention::{Policy, Timeline};
use units::{Sequence, Timestamp};
use wire::{Consistency, PointWanted};

/// How long after a question that came to nothing the next may follow.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What was looked at, and what was asked for.
#[derive(Debug, Default)]
pub(super) struct Wanting {
    looked_at: Sequence,
    asked_at: Option<Timestamp>,
}

impl Wanting {
    /// Returns what is to be asked for now. It is looked at once for each new point.
    pub(super) fn look(&mut self, timeline: &Timeline, policy: &Policy) -> Option<PointWanted> {
        let newest = timeline.points().next_back()?;
        if std::mem::replace(&mut self.looked_at, newest.sequence) == newest.sequence {
            return None;
        }
        let every = Duration::from_secs(policy.application_seconds.into());
        let consistency = Consistency::Application;
        let last = timeline.latest(consistency).map_or(Timestamp(0), |point| point.time);
        let due = !every.is_zero() && newest.time.since(last) >= every;
        let asked_lately =
            self.asked_at.is_some_and(|asked| newest.time.since(asked) < AGAIN_AFTER.min(every));
        if !due || asked_lately {
            return None;
        }
        self.asked_at = Some(newest.time);
        Some(PointWanted { consistency })
    }
}

#[cfg(test)]
mod tests {
    use retention::Point;

    use super::*;

    fn point(sequence: u64, seconds: u64, consistency: Consistency) -> Point {
        let (sequence, time) = (Sequence(sequence), Timestamp(1_000_000_000_000 + seconds * 1_000_000));
        Point { sequence, time, consistency, label: String::new(), roots: Vec::new(), group: None }
    }

    #[test]
    fn an_application_consistent_point_is_asked_for_when_the_policy_says_and_not_again_at_once() {
        use Consistency::{Application, Crash};
        let policy = Policy { application_seconds: 3600, ..Policy::default() };
        let (mut timeline, mut wanting) = (Timeline::default(), Wanting::default());
        assert_eq!(wanting.look(&timeline, &policy), None, "a machine without points is left alone");
        let points = [
            (0, Crash, true, "there is none"),
            (30, Crash, false, "it was just asked"),
            (60, Crash, true, "nothing came of it"),
            (70, Application, false, "there is one"),
            (3669, Crash, false, "it is not old enough"),
            (3670, Crash, true, "an hour has passed"),
            (3671, Application, false, "there is a new one"),
        ];
        for (sequence, (second, consistency, asks, why)) in (1..).zip(points) {
            timeline.push(point(sequence, second, consistency));
            let asked = wanting.look(&timeline, &policy);
            assert_eq!(asked, asks.then_some(PointWanted { consistency: Application }), "{second} s: {why}");
            assert_eq!(wanting.look(&timeline, &policy), None, "one look at each point");
        }
        timeline.push(point(9, 99_999, Crash));
        let never = Policy { application_seconds: 0, ..policy };
        assert_eq!(wanting.look(&timeline, &never), None);
    }
}
