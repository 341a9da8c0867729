//! Looks at the link now and then, for the choice of compression.

use std::time::{Duration, Instant};

use crate::compress::Interval;
use crate::exchange::LinkUse;

/// Disk bytes sent between two looks.
const LOOK_EVERY: u64 = 64 << 20;
/// A look comes no sooner than this, so that what buffers swallow does not count as speed.
const LOOK_AFTER: Duration = Duration::from_millis(250);

/// What was seen at the last look.
#[derive(Debug)]
pub(crate) struct Pace {
    at: Instant,
    link: LinkUse,
    covered: u64,
}

impl Pace {
    /// Starts to watch a session.
    pub(crate) fn new(now: Instant) -> Self {
        Self { at: now, link: LinkUse::default(), covered: 0 }
    }

    /// Notes disk bytes that were sent; tells whether it is time for a look.
    pub(crate) fn covered(&mut self, len: u64, now: Instant) -> bool {
        self.covered += len;
        self.covered >= LOOK_EVERY && now.saturating_duration_since(self.at) >= LOOK_AFTER
    }

    /// Returns what happened since the last look, and starts the next interval.
    pub(crate) fn look(&mut self, link: LinkUse, lanes: usize, now: Instant) -> Interval {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64().max(1e-6);
        let busy = link.busy.saturating_sub(self.link.busy).as_secs_f64();
        let sent = link.sent.saturating_sub(self.link.sent) as f64;
        let lanes = lanes as f64;
        let interval = Interval {
            disk_rate: self.covered as f64 / seconds,
            link_rate: lanes * sent / busy.max(1e-6),
            link_bound: busy > 0.5 * seconds * lanes,
        };
        *self = Self { at: now, link, covered: 0 };
        interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_links_rate_counts_only_the_time_it_had_something_to_do() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert!(!pace.covered(LOOK_EVERY, start));
        let now = start + Duration::from_secs(2);
        assert!(pace.covered(0, now));
        let interval = pace.look(LinkUse { sent: 100, busy: Duration::from_secs(1) }, 2, now);
        assert_eq!(interval.link_rate, 200.0);
        assert!(!interval.link_bound, "one second of twice two");
        assert_eq!(interval.disk_rate, LOOK_EVERY as f64 / 2.0);
        assert!(!pace.covered(1, now + Duration::from_secs(9)));
    }
}
