//! Which sequence a second ended with: so that any second can be named, not only recovery points.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use units::{Sequence, Timestamp};

use crate::Body;

/// Seconds of one machine that are told apart; of a longer history the older half loses every other.
pub const MOMENTS_MAX: usize = 1 << 17;

const MICROS: u64 = 1_000_000;

/// The last batch or marker of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Its time: the source's clock, but never before an earlier one's.
    pub time: Timestamp,
    /// Its sequence.
    pub last: Sequence,
}

/// The seconds in which something came, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments(VecDeque<Moment>);

/// Adds a moment to those of an epoch; one of the same second takes the place of the one before.
pub(crate) fn note(moments: &mut Vec<Moment>, moment: Moment) {
    let newest = moments.last().copied();
    let moment = after(newest, moment);
    if newest.is_some_and(|newest| same_second(newest, moment)) {
        moments.pop();
    }
    moments.push(moment);
}

fn after(newest: Option<Moment>, moment: Moment) -> Moment {
    Moment { time: newest.map_or(moment.time, |newest| newest.time.max(moment.time)), ..moment }
}

fn same_second(a: Moment, b: Moment) -> bool {
    a.time.0 / MICROS == b.time.0 / MICROS
}

impl Moment {
    /// Returns the moment of a batch or marker; before-images have none.
    pub fn of(body: &Body) -> Option<Self> {
        match body {
            Body::Batch(batch) => Some(Self { time: batch.time, last: batch.sequence }),
            Body::Marker(marker) => Some(Self { time: marker.time, last: marker.sequence }),
            Body::Before(_) => None,
        }
    }
}

impl Moments {
    /// Adds the newest. Panics if its sequence is not the highest: a bug of ours.
    pub fn push(&mut self, moment: Moment) {
        let newest = self.0.back().copied();
        assert!(
            newest.is_none_or(|newest| newest.last < moment.last),
            "moments arrive in the order of sequences"
        );
        let moment = after(newest, moment);
        if newest.is_some_and(|newest| same_second(newest, moment)) {
            self.0.pop_back();
        }
        self.0.push_back(moment);
        if self.0.len() > MOMENTS_MAX {
            let mut place = 0;
            self.0.retain(|_| {
                place += 1;
                place > MOMENTS_MAX / 2 || place % 2 == 0
            });
        }
    }

    /// Returns the last sequence at or before `time`, to the second.
    pub fn at(&self, time: Timestamp) -> Option<Sequence> {
        let behind = self.0.partition_point(|moment| moment.time <= time);
        behind.checked_sub(1).map(|index| self.0[index].last)
    }

    /// Drops what is before `oldest`.
    pub fn expire(&mut self, oldest: Sequence) {
        while self.0.front().is_some_and(|moment| moment.last < oldest) {
            self.0.pop_front();
        }
    }

    /// Drops what lies from `first` on and before `last`: only `last` can be had still.
    pub fn thin(&mut self, first: Sequence, last: Sequence) {
        self.0.retain(|moment| !(first..last).contains(&moment.last));
    }

    /// Returns the oldest.
    pub fn first(&self) -> Option<Moment> {
        self.0.front().copied()
    }

    /// Returns how many seconds are told apart.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(micros: u64, last: u64) -> Moment {
        Moment { time: Timestamp(micros), last: Sequence(last) }
    }

    #[test]
    fn a_second_is_named_by_its_last_and_a_clock_that_goes_back_stays() {
        let mut moments = Moments::default();
        for (index, micros) in [10, 500_000, 999_999, 1_500_000, 700_000, 9_000_000].into_iter().enumerate() {
            moments.push(moment(micros, index as u64 + 1));
        }
        let at = |micros| moments.at(Timestamp(micros)).map(|sequence| sequence.0);
        assert_eq!([at(5), at(999_998), at(999_999), at(1_400_000)], [None, None, Some(3), Some(3)]);
        assert_eq!([at(1_500_000), at(8_999_999), at(u64::MAX)], [Some(5), Some(5), Some(6)]);
    }

    #[test]
    fn what_expired_or_was_thinned_is_not_named() {
        let mut moments = Moments::default();
        (1..=6).for_each(|second| moments.push(moment(second * MICROS, second)));
        moments.expire(Sequence(2));
        moments.thin(Sequence(3), Sequence(5));
        let at = |second: u64| moments.at(Timestamp(second * MICROS)).map(|sequence| sequence.0);
        assert_eq!([1, 2, 3, 4, 5, 6].map(at), [None, Some(2), Some(2), Some(2), Some(5), Some(6)]);
    }

    #[test]
    fn however_long_a_history_is_its_moments_are_bounded_and_the_newest_are_all_there() {
        let mut moments = Moments::default();
        let most = 3 * MOMENTS_MAX as u64;
        (1..=most).for_each(|second| moments.push(moment(second * MICROS, second)));
        assert!(moments.count() <= MOMENTS_MAX);
        let newest = most - MOMENTS_MAX as u64 / 4..=most;
        assert!(
            newest.into_iter().all(|second| moments.at(Timestamp(second * MICROS)) == Some(Sequence(second)))
        );
    }

    #[test]
    fn an_epoch_keeps_one_for_each_second() {
        let mut list = Vec::new();
        for (index, micros) in [0, 1, 2_000_000, 1, 3_000_000].into_iter().enumerate() {
            note(&mut list, moment(micros, index as u64 + 1));
        }
        assert_eq!(list, [moment(1, 2), moment(2_000_000, 4), moment(3_000_000, 5)]);
    }
}
