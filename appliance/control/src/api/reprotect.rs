//! Protecting a machine again, and resyncs.

use serde::{Deserialize, Serialize};
use units::{Generation, MachineName, Sequence};
use utoipa::ToSchema;

use super::{Machine, Point, Rfc3339};

/// A resync under way: the target disks are being brought from an earlier state to the present one. Until it completes, the last
/// consistent point from before it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resync {
    /// The sequence it began at.
    pub from: Sequence,
    /// When it began, by the source's clock.
    pub since: Rfc3339,
    /// Bytes of the disks that the source has compared, in this session.
    pub compared_bytes: u64,
    /// Bytes of all disks.
    pub total_bytes: u64,
    /// Payload bytes received for it, in this session.
    pub received_bytes: u64,
    /// Bytes compared in a second; absent while nothing is being compared.
    pub rate: Option<u64>,
    /// Seconds left at this rate.
    pub eta_seconds: Option<u64>,
}

/// What a reprotect gives up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReprotectPlan {
    /// The machine.
    pub machine: MachineName,
    /// The generation that is over for good; absent for a machine that was not known.
    pub generation: Option<Generation>,
    /// How many recovery points are dropped.
    pub points: u64,
    /// The oldest of them.
    pub oldest: Option<Point>,
    /// The newest of them.
    pub newest: Option<Point>,
    /// Bytes of history that are given back.
    pub journal_bytes: u64,
    /// The target disks: what they hold now becomes the first recovery point.
    pub disks: Vec<String>,
}

/// A reprotect that was planned, or done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reprotected {
    /// What it gives up.
    pub plan: ReprotectPlan,
    /// The machine as it is now; absent if only the plan was asked for.
    pub machine: Option<Machine>,
}

impl Resync {
    /// Fills in rate and time left, from how long it has been comparing.
    #[must_use]
    pub fn timed(mut self, compared_for: std::time::Duration) -> Self {
        let rate = self.compared_bytes as f64 / compared_for.as_secs_f64().max(1e-3);
        let left = self.total_bytes.saturating_sub(self.compared_bytes) as f64;
        self.rate = (rate >= 1.0).then_some(rate as u64);
        self.eta_seconds = (rate >= 1.0).then(|| (left / rate).ceil() as u64);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use units::Timestamp;

    use super::*;

    #[test]
    fn the_time_left_follows_from_what_was_compared() {
        let resync = |compared_bytes| Resync {
            from: Sequence(2),
            since: Rfc3339(Timestamp(0)),
            compared_bytes,
            total_bytes: 1000,
            received_bytes: 0,
            rate: None,
            eta_seconds: None,
        };
        let timed = |compared| {
            let resync = resync(compared).timed(Duration::from_secs(2));
            (resync.rate, resync.eta_seconds)
        };
        assert_eq!(timed(500), (Some(250), Some(2)));
        assert_eq!(timed(1000), (Some(500), Some(0)));
        assert_eq!(timed(0), (None, None));
    }
}
