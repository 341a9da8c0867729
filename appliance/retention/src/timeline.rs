//! The recovery points of a machine.

use serde::{Deserialize, Serialize};
use units::{Hash, Sequence, Timestamp};
use wire::{Consistency, Marker};

/// One recovery point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Its position in the machine's stream.
    pub sequence: Sequence,
    /// The moment it stands for: the source's clock, but never before an earlier point's.
    pub time: Timestamp,
    /// How far it can be trusted.
    pub consistency: Consistency,
    /// A word for people.
    pub label: String,
    /// The source's root of each disk, by disk; empty if it gave none.
    pub roots: Vec<Hash>,
}

/// The recovery points in the history, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    points: std::collections::VecDeque<Point>,
}

impl From<&Marker> for Point {
    fn from(marker: &Marker) -> Self {
        Self {
            sequence: marker.sequence,
            time: marker.time,
            consistency: marker.consistency,
            label: marker.label.as_str().to_owned(),
            roots: marker.roots.to_vec(),
        }
    }
}

impl Timeline {
    /// Adds the newest point. A clock that went back does not make the list go back. Panics if the sequence is not the highest: a
    /// bug of ours.
    pub fn push(&mut self, mut point: Point) {
        if let Some(newest) = self.points.back() {
            assert!(newest.sequence < point.sequence, "points arrive in the order of sequences");
            point.time = point.time.max(newest.time);
        }
        self.points.push_back(point);
    }

    /// Drops every point before `oldest`.
    pub fn expire(&mut self, oldest: Sequence) {
        while self.points.front().is_some_and(|point| point.sequence < oldest) {
            self.points.pop_front();
        }
    }

    /// Returns the points, oldest first.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = &Point> {
        self.points.iter()
    }

    /// Returns the newest point that is no worse than `floor`.
    pub fn latest(&self, floor: Consistency) -> Option<&Point> {
        self.points.iter().rev().find(|point| point.consistency >= floor)
    }

    /// Returns the newest point at or before `time` that is no worse than `floor`.
    pub fn at(&self, time: Timestamp, floor: Consistency) -> Option<&Point> {
        self.points.iter().rev().find(|point| point.time <= time && point.consistency >= floor)
    }

    /// Returns the point with this sequence, if it is one.
    pub fn get(&self, sequence: Sequence) -> Option<&Point> {
        let at = self.points.binary_search_by_key(&sequence, |point| point.sequence).ok()?;
        self.points.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(sequence: u64, time: u64, consistency: Consistency) -> Point {
        let (sequence, time) = (Sequence(sequence), Timestamp(time));
        Point { sequence, time, consistency, label: String::new(), roots: Vec::new() }
    }

    #[test]
    fn a_time_finds_the_newest_point_at_or_before_it_and_skips_fuzzy_ones() {
        let mut timeline = Timeline::default();
        timeline.push(point(2, 100, Consistency::Crash));
        timeline.push(point(5, 200, Consistency::Fuzzy));
        timeline.push(point(9, 150, Consistency::Crash));
        let at = |time| timeline.at(Timestamp(time), Consistency::Crash).map(|point| point.sequence.0);
        assert_eq!([at(99), at(100), at(199), at(200)], [None, Some(2), Some(2), Some(9)]);
        assert_eq!(timeline.latest(Consistency::Application), None);
        timeline.expire(Sequence(3));
        assert_eq!(timeline.get(Sequence(2)), None);
        assert!(timeline.get(Sequence(5)).is_some());
    }
}
