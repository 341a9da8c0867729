//! What a cut-over to the latest would take: the source is stopped, what it has not sent yet is sent, and the machine runs at home.
//!
//! Told from what was received over the last hour: how fast it came while it came, and how much came in all.

use std::collections::VecDeque;
use std::time::Duration;

/// Between two looks at what was received.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// Looks that are kept: an hour.
const SAMPLES_MAX: usize = 720;
/// Spans in which something came, below which nothing is foretold.
const ACTIVE_MIN: usize = 3;

/// What was received, as it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Time since some moment, and bytes received since some other.
    samples: VecDeque<(Duration, u64)>,
}

/// What is known of a machine when a cut-over is foretold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// Bytes that are durable and not on the target disks yet.
    pub lag: u64,
    /// Bytes of seed or resync that are still to come.
    pub remaining: u64,
    /// How old the newest point is.
    pub age: Duration,
}

/// What a cut-over would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutover {
    /// Bytes that are still to come or to be written.
    pub outstanding: u64,
    /// Bytes a second that came while something came: the median.
    pub rate: u64,
    /// Bytes a second that change at the source.
    pub dirty_rate: u64,
    /// What is outstanding gets less: more comes than changes.
    pub converging: bool,
    /// How long nothing runs.
    pub downtime: Duration,
    /// If it goes as fast as in the fastest tenth of the time.
    pub least: Duration,
    /// If it goes as slowly as in the slowest tenth.
    pub most: Duration,
}

impl Received {
    /// Takes one look: `total` bytes were received since the session began. A total that is less than before is of another session.
    pub fn look(&mut self, at: Duration, total: u64) {
        if self.samples.back().is_some_and(|(_, before)| *before > total) {
            self.samples.clear();
        }
        self.samples.push_back((at, total));
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    /// Foretells a cut-over; nothing while too little was received to tell how fast it comes.
    pub fn foretell(&self, outstanding: Outstanding) -> Option<Cutover> {
        let rates = self.rates();
        let ((from, first), (to, last)) = (*self.samples.front()?, *self.samples.back()?);
        if rates.len() < ACTIVE_MIN {
            return None;
        }
        let dirty_rate = per_second(last - first, to.saturating_sub(from));
        let quantile = |tenths: usize| rates[(rates.len() - 1) * tenths / 10];
        let [slow, rate, fast] = [1, 5, 9].map(quantile);
        let changed = u128::from(dirty_rate) * outstanding.age.as_millis() / 1000;
        let changed = u64::try_from(changed).unwrap_or(u64::MAX);
        let bytes = outstanding.lag.saturating_add(outstanding.remaining).saturating_add(changed);
        let [most, downtime, least] = [slow, rate, fast].map(|rate| time_for(bytes, rate));
        Some(Cutover {
            outstanding: bytes,
            rate,
            dirty_rate,
            converging: rate > dirty_rate,
            downtime,
            least,
            most,
        })
    }

    /// Returns the rates of the spans in which something came, the slowest first.
    fn rates(&self) -> Vec<u64> {
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        let active = pairs.filter(|((_, before), (_, after))| after > before);
        let mut rates: Vec<u64> = active
            .map(|((from, before), (to, after))| per_second(after - before, to.saturating_sub(*from)).max(1))
            .collect();
        rates.sort_unstable();
        rates
    }
}

fn per_second(bytes: u64, over: Duration) -> u64 {
    let rate = (u128::from(bytes) * 1000).checked_div(over.as_millis()).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

fn time_for(bytes: u64, rate: u64) -> Duration {
    assert!(rate > 0, "something came in each span that counts");
    let millis = u128::from(bytes) * 1000 / u128::from(rate);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every five seconds at what came in each.
    fn received(spans: &[u64]) -> Received {
        let (mut received, mut total) = (Received::default(), 0);
        received.look(Duration::ZERO, 0);
        for (at, bytes) in spans.iter().enumerate() {
            total += bytes;
            received.look(SAMPLE_EVERY * (at as u32 + 1), total);
        }
        received
    }

    #[test]
    fn what_is_outstanding_takes_as_long_as_it_came_before() {
        // 5000 bytes in every second span: 1000 a second while it comes, 500 a second in all.
        let received = received(&[5000, 0, 5000, 0, 5000, 0, 5000, 0]);
        let outstanding = Outstanding { lag: 1000, remaining: 4000, age: Duration::from_secs(10) };
        let cutover = received.foretell(outstanding).unwrap();
        assert_eq!((cutover.rate, cutover.dirty_rate, cutover.converging), (1000, 500, true));
        assert_eq!((cutover.outstanding, cutover.downtime), (10_000, Duration::from_secs(10)));
        assert_eq!(
            (cutover.least, cutover.most),
            (cutover.downtime, cutover.downtime),
            "it was always as fast"
        );
    }

    #[test]
    fn the_band_is_as_wide_as_the_rates_were_apart() {
        let received = received(&[500, 5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000, 50_000, 50_000]);
        let cutover = received.foretell(Outstanding { lag: 100_000, ..Outstanding::default() }).unwrap();
        assert!(
            cutover.least < cutover.downtime && cutover.downtime < cutover.most
                || cutover.most == cutover.downtime
        );
        assert_eq!((cutover.rate, cutover.downtime.as_secs(), cutover.least.as_secs()), (1000, 100, 10));
    }

    #[test]
    fn a_source_that_always_sends_does_not_converge_and_one_that_never_sent_is_not_foretold() {
        let always = received(&[5000; 10]).foretell(Outstanding::default()).unwrap();
        assert!(!always.converging, "all that could be sent was sent all the time");
        assert_eq!(received(&[0; 10]).foretell(Outstanding::default()), None);
        assert_eq!(received(&[5000, 5000]).foretell(Outstanding::default()), None, "too little is known");
        assert_eq!(Received::default().foretell(Outstanding::default()), None);
    }

    #[test]
    fn another_session_begins_anew_and_an_hour_is_kept() {
        let mut long = received(&[1000; 2000]);
        assert_eq!(long.samples.len(), SAMPLES_MAX);
        long.look(Duration::from_secs(20_000), 7);
        assert_eq!(long.samples.len(), 1);
    }
}
