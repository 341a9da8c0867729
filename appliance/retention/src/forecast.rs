//! How fast a journal grows, and how far back it will reach at that.

use std::time::Duration;

use units::{ByteLen, Timestamp};

use crate::Policy;
use crate::expiry::GAP_MAX;

/// Churn is measured over this much time, looking back, if the history is that long.
pub const CHURN_SPAN: Duration = Duration::from_secs(2 * 3600);

/// An epoch, for measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grown {
    /// When its last record was received.
    pub closed: Timestamp,
    /// What it holds.
    pub size: ByteLen,
}

/// What was added to a journal, and in which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Churn {
    /// What was added.
    pub bytes: ByteLen,
    /// In which time; above zero.
    pub over: Duration,
}

impl Churn {
    /// Measures the newest epochs, as many as [`CHURN_SPAN`] needs. `began` is when the first of all was begun, as far as that is
    /// known; `idle` how long ago the newest record was received. Nothing, if that is no time at all.
    pub fn measure(epochs: &[Grown], began: Timestamp, idle: Duration) -> Option<Self> {
        let (mut over, mut bytes) = (idle, ByteLen::ZERO);
        for (index, epoch) in epochs.iter().enumerate().rev() {
            if over >= CHURN_SPAN {
                break;
            }
            let before = index.checked_sub(1).map_or(began, |before| epochs[before].closed);
            over += epoch.closed.since(before).min(GAP_MAX);
            bytes += epoch.size;
        }
        (over >= Duration::from_secs(1)).then_some(Self { bytes, over })
    }

    /// Returns how much is added in an hour.
    pub fn per_hour(&self) -> ByteLen {
        let bytes = u128::from(self.bytes.0) * 3_600_000 / self.over.as_millis().max(1);
        ByteLen(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// Returns how long it takes to add `bytes`; nothing if nothing is added.
    pub fn time_for(&self, bytes: ByteLen) -> Option<Duration> {
        let millis = (u128::from(bytes.0) * self.over.as_millis()).checked_div(u128::from(self.bytes.0))?;
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

/// Returns how far back the history will reach at this churn: what the journal and its share of the free space hold, at most
/// the policy's budget and window.
pub fn history_left(churn: Option<Churn>, journal: ByteLen, free: ByteLen, policy: &Policy) -> Duration {
    let room = ByteLen(journal.0.saturating_add(free.0)).min(policy.budget);
    let reach = churn.and_then(|churn| churn.time_for(room));
    reach.map_or(policy.window(), |reach| reach.min(policy.window()))
}

/// Returns the share of the free space that a machine will take, as its churn is to that of all.
pub fn free_share(free: ByteLen, own: ByteLen, all: ByteLen) -> ByteLen {
    let share = (u128::from(free.0) * u128::from(own.0)).checked_div(u128::from(all.0));
    share.map_or(free, |share| ByteLen(u64::try_from(share).unwrap_or(free.0).min(free.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn minute(minute: u64) -> Timestamp {
        Timestamp(minute * 60_000_000)
    }

    fn grown(closed: u64, mib: u64) -> Grown {
        Grown { closed: minute(closed), size: ByteLen::mib(mib) }
    }

    #[test]
    fn churn_is_that_of_the_last_two_hours() {
        let epochs: Vec<_> =
            (1..=20).map(|quarter| grown(quarter * 15, if quarter < 12 { 900 } else { 30 })).collect();
        let churn = Churn::measure(&epochs, minute(0), Duration::from_secs(900)).unwrap();
        assert_eq!((churn.bytes, churn.over), (ByteLen::mib(7 * 30), Duration::from_secs(7200)));
        assert_eq!(churn.per_hour(), ByteLen::mib(105));
    }

    #[test]
    fn a_short_history_is_measured_from_its_beginning_and_no_time_tells_nothing() {
        let churn = Churn::measure(&[grown(10, 50)], minute(5), Duration::ZERO).unwrap();
        assert_eq!((churn.bytes, churn.over), (ByteLen::mib(50), Duration::from_secs(300)));
        assert_eq!(Churn::measure(&[grown(10, 50)], minute(10), Duration::ZERO), None);
        assert_eq!(Churn::measure(&[], minute(0), Duration::ZERO), None);
    }

    #[test]
    fn history_left_is_what_the_room_holds_but_no_more_than_is_wanted() {
        let churn = Some(Churn { bytes: ByteLen::mib(100), over: Duration::from_secs(3600) });
        let policy = Policy { window_seconds: 10 * 3600, budget: ByteLen::mib(500), ..Policy::default() };
        let hours = |journal, free| {
            history_left(churn, ByteLen::mib(journal), ByteLen::mib(free), &policy).as_secs() / 3600
        };
        assert_eq!([hours(100, 200), hours(400, 200), hours(0, 0)], [3, 5, 0]);
        let wide = Policy { budget: ByteLen::gib(10), ..policy };
        assert_eq!(history_left(churn, ByteLen::gib(5), ByteLen::gib(5), &wide), wide.window());
        assert_eq!(history_left(None, ByteLen::ZERO, ByteLen::ZERO, &policy), policy.window());
    }

    #[test]
    fn free_space_is_shared_by_churn() {
        let [free, own, all] = [1000, 10, 40].map(ByteLen);
        assert_eq!(free_share(free, own, all), ByteLen(250));
        assert_eq!(free_share(free, ByteLen(0), ByteLen(0)), free);
    }
}
