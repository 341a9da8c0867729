//! How fast work goes and when it will be done: a pure function of samples.

use std::collections::VecDeque;
use std::time::Duration;

use crate::api::{Job, Progress};

/// The rate is that of this much time, looking back.
const SPAN: Duration = Duration::from_secs(5);
const SAMPLES_MAX: usize = 256;

/// Turns looks at a job into progress.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    samples: VecDeque<(Duration, u64)>,
}

impl Meter {
    /// Takes one look at a job, `elapsed` after the first, and returns how far it is.
    pub(crate) fn look(&mut self, elapsed: Duration, job: &Job) -> Progress {
        self.samples.push_back((elapsed, job.done_bytes));
        while self.samples.len() > SAMPLES_MAX
            || self.samples.get(1).is_some_and(|(at, _)| elapsed.saturating_sub(*at) >= SPAN)
        {
            self.samples.pop_front();
        }
        let rate = self.rate();
        let left = job.total_bytes.saturating_sub(job.done_bytes);
        let eta_seconds = (rate > 0).then(|| left.div_ceil(rate));
        Progress { job: job.id, done_bytes: job.done_bytes, total_bytes: job.total_bytes, rate, eta_seconds }
    }

    fn rate(&self) -> u64 {
        let (Some((from, before)), Some((to, after))) = (self.samples.front(), self.samples.back()) else {
            return 0;
        };
        let micros = to.saturating_sub(*from).as_micros();
        let moved = u128::from(after.saturating_sub(*before)) * 1_000_000;
        moved.checked_div(micros).map_or(0, |rate| u64::try_from(rate).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{JobId, JobKind, JobState, Rfc3339};

    fn job(done_bytes: u64) -> Job {
        Job {
            id: JobId(1),
            kind: JobKind::Failback,
            machine: "a".parse().unwrap(),
            point: None,
            state: JobState::Running,
            started: Rfc3339::default(),
            ended: None,
            done_bytes,
            total_bytes: 1000,
            rate: 0,
            eta_seconds: None,
            steps: Vec::new(),
            log: Vec::new(),
            error: None,
            outcome: None,
        }
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds_and_the_end_follows_from_it() {
        let mut meter = Meter::default();
        let at = |tenths: u64| Duration::from_millis(tenths * 100);
        assert_eq!(meter.look(at(0), &job(0)).eta_seconds, None);
        assert_eq!(meter.look(at(10), &job(100)).rate, 100);
        assert_eq!(meter.look(at(10), &job(100)).eta_seconds, Some(9));
        for second in 2..20 {
            meter.look(at(second * 10), &job(100));
        }
        assert_eq!(meter.look(at(200), &job(100)).rate, 0, "it has stalled");
        assert!(meter.samples.len() < 10);
    }
}
