//! The recovery points of a machine.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{Hash, Sequence, Timestamp};
use wire::{Consistency, GroupMark, Marker};

use crate::resync::Resync;

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
    /// Which point of its consistency group it is, if it is one.
    pub group: Option<GroupMark>,
}

/// Memory the points of one machine take at the most: of more, those nearest to their neighbours go, and their moments are
/// named by sequence or time alone.
pub const TIMELINE_LEN_MAX: usize = 8 << 20;
/// How near points must be for the older to go, in seconds, one after the other until enough have gone.
const NEAR: [u64; 6] = [1, 10, 60, 600, 3600, 86_400];

/// The recovery points in the history, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    points: VecDeque<Point>,
    /// Memory they take.
    len: usize,
    resync: Option<Resync>,
}

/// A span of the history without recovery points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The point it begins with.
    pub from: Timestamp,
    /// The point it ends with, or now.
    pub to: Timestamp,
    /// Why.
    pub kind: GapKind,
}

/// Why there are no points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapKind {
    /// The source gave none.
    Silent,
    /// They were given up to make room: only the start and the end are kept.
    Thinned,
}

impl Point {
    fn len(&self) -> usize {
        size_of::<Self>() + self.label.len() + size_of::<Hash>() * self.roots.len()
    }
}

impl From<&Marker> for Point {
    fn from(marker: &Marker) -> Self {
        Self {
            sequence: marker.sequence,
            time: marker.time,
            consistency: marker.consistency,
            label: marker.label.as_str().to_owned(),
            roots: marker.roots.to_vec(),
            group: marker.group.clone(),
        }
    }
}

impl Timeline {
    /// Adds the newest point, or notes that a resync begins. A clock that went back does not make the list go back. Panics if the
    /// sequence is not the highest: a bug of ours.
    pub fn push(&mut self, mut point: Point) {
        let newest = self.points.back();
        if let Some(newest) = newest {
            assert!(newest.sequence < point.sequence, "points arrive in the order of sequences");
            point.time = point.time.max(newest.time);
        }
        if point.consistency == Consistency::Resync {
            self.resync.get_or_insert(Resync::begin(&point, newest));
            return;
        }
        self.resync.take_if(|resync| resync.is_completed_by(&point));
        self.len += point.len();
        self.points.push_back(point);
        if self.len > TIMELINE_LEN_MAX {
            self.spread();
        }
    }

    /// Returns the resync that has begun and not completed.
    pub fn resync(&self) -> Option<Resync> {
        self.resync
    }

    /// Returns the newest consistent point from before the resync under way, if there is a resync: no policy may let it go. `base`,
    /// what the disks held at first, if there was no point.
    pub fn kept_by_resync(&self, base: Sequence) -> Option<Sequence> {
        let floor = self.resync?.needs.min(Consistency::Crash);
        let good = self.latest(Consistency::Crash).or(self.latest(floor));
        Some(good.map_or(base, |point| point.sequence))
    }

    /// Drops every point before `oldest`.
    pub fn expire(&mut self, oldest: Sequence) {
        while let Some(gone) = self.points.pop_front_if(|point| point.sequence < oldest) {
            self.len -= gone.len();
        }
    }

    /// Drops every point from `first` on and before `last`: they can't be had any more.
    pub fn thin(&mut self, first: Sequence, last: Sequence) {
        self.retain(|point, _| !(first..last).contains(&point.sequence));
    }

    /// Makes room for more points: of those nearest to one another the older goes, unless it is the better.
    fn spread(&mut self) {
        let enough = TIMELINE_LEN_MAX / 4 * 3;
        for seconds in NEAR {
            let near = |time: Timestamp| time.0 / (seconds * 1_000_000);
            // What is worse than its neighbour goes first; then neighbours are as good as one another.
            for _ in 0..2 {
                let mut excess = self.len.saturating_sub(enough);
                self.retain(|point, next| {
                    let goes = next.is_some_and(|next| {
                        near(point.time) == near(next.time) && point.consistency <= next.consistency
                    });
                    let goes = goes && excess > 0;
                    excess = if goes { excess.saturating_sub(point.len()) } else { excess };
                    !goes
                });
                if self.len <= enough {
                    return;
                }
            }
        }
        while self.len > enough {
            let gone = self.points.pop_front().expect("points that take memory are there");
            self.len -= gone.len();
        }
    }

    /// Keeps the points for which `keep`, given each and the one behind it, says so.
    fn retain(&mut self, mut keep: impl FnMut(&Point, Option<&Point>) -> bool) {
        let mut rest = std::mem::take(&mut self.points);
        while let Some(point) = rest.pop_front() {
            if keep(&point, rest.front()) {
                self.points.push_back(point);
            } else {
                self.len -= point.len();
            }
        }
    }

    /// Returns the spans without points: longer than `rpo`, up to `now`; and those that were thinned, where `thinned` says of
    /// a point that the epoch it ended was.
    pub fn gaps(&self, rpo: Duration, now: Timestamp, thinned: impl Fn(Sequence) -> bool) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let mut add = |from: Timestamp, to: Timestamp, kind| match gaps.last_mut() {
            Some(Gap { to: end, kind: GapKind::Thinned, .. }) if *end == from && kind == GapKind::Thinned => {
                *end = to
            }
            _ => gaps.push(Gap { from, to, kind }),
        };
        for (before, point) in self.points.iter().zip(self.points.iter().skip(1)) {
            if thinned(point.sequence) {
                add(before.time, point.time, GapKind::Thinned);
            } else if point.time.since(before.time) > rpo {
                add(before.time, point.time, GapKind::Silent);
            }
        }
        if let Some(newest) = self.points.back().filter(|newest| now.since(newest.time) > rpo) {
            add(newest.time, now, GapKind::Silent);
        }
        gaps
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

    fn timeline(points: &[(u64, Consistency)]) -> Timeline {
        let mut timeline = Timeline::default();
        points
            .iter()
            .for_each(|(sequence, consistency)| timeline.push(point(*sequence, *sequence, *consistency)));
        timeline
    }

    #[test]
    fn a_resync_is_no_point_and_completes_with_one_that_is_as_good_as_before_it() {
        use Consistency::{Crash, Fuzzy, Resync as Begins};
        let open = timeline(&[(3, Crash), (5, Begins), (6, Begins), (9, Fuzzy)]);
        assert_eq!(open.resync().map(|resync| resync.since), Some(Sequence(5)));
        assert_eq!(open.points().map(|point| point.sequence.0).collect::<Vec<_>>(), [3, 9]);
        assert_eq!(open.latest(Crash).map(|point| point.sequence), Some(Sequence(3)));
        assert_eq!(timeline(&[(3, Crash), (5, Begins), (9, Fuzzy), (12, Crash)]).resync(), None);
        assert_eq!(timeline(&[(1, Crash), (3, Fuzzy), (5, Begins), (9, Fuzzy)]).resync(), None, "as before");
        assert!(
            timeline(&[(5, Begins), (9, Fuzzy)]).resync().is_some(),
            "nothing but the disks' first state"
        );
    }

    #[test]
    fn the_last_good_point_is_kept_while_a_resync_is_under_way() {
        use Consistency::{Crash, Fuzzy, Resync as Begins};
        let kept = |points: &[_]| timeline(points).kept_by_resync(Sequence(2)).map(|sequence| sequence.0);
        assert_eq!(kept(&[]), None);
        assert_eq!(kept(&[(3, Crash), (7, Fuzzy)]), None);
        assert_eq!(kept(&[(3, Crash), (5, Begins)]), Some(3));
        assert_eq!(kept(&[(3, Crash), (5, Begins), (8, Fuzzy)]), Some(3));
        assert_eq!(kept(&[(3, Crash), (5, Begins), (8, Fuzzy), (9, Crash)]), None);
        assert_eq!(kept(&[(3, Crash), (4, Fuzzy), (5, Begins)]), Some(3));
        assert_eq!(kept(&[(4, Fuzzy), (5, Begins)]), Some(4));
        assert_eq!(kept(&[(5, Begins), (8, Fuzzy)]), Some(2), "what the disks held at first");
    }

    fn point(sequence: u64, time: u64, consistency: Consistency) -> Point {
        let (sequence, time) = (Sequence(sequence), Timestamp(time));
        Point { sequence, time, consistency, label: String::new(), roots: Vec::new(), group: None }
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

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_flood_of_markers_takes_no_more_memory_and_the_best_and_the_newest_stay() {
        let mut timeline = Timeline::default();
        let count = 3 * TIMELINE_LEN_MAX as u64 / size_of::<Point>() as u64;
        // A thousand in each second, every hundredth second one of them application-consistent.
        for sequence in 1..=count {
            let application = sequence % 100_000 == 500;
            let consistency = if application { Consistency::Application } else { Consistency::Crash };
            timeline.push(point(sequence, sequence * SECOND / 1000, consistency));
            assert!(timeline.len <= TIMELINE_LEN_MAX);
        }
        assert_eq!(timeline.len, timeline.points().map(Point::len).sum::<usize>());
        assert_eq!(timeline.points().next_back().map(|newest| newest.sequence), Some(Sequence(count)));
        for sequence in (500..=count).step_by(100_000) {
            assert!(timeline.get(Sequence(sequence)).is_some(), "application-consistent point {sequence}");
        }
        // Every second can be named still.
        let seconds: std::collections::BTreeSet<_> =
            timeline.points().map(|point| point.time.0 / SECOND).collect();
        assert_eq!(seconds.len() as u64, count / 1000 + 1);
    }

    #[test]
    fn points_that_lie_far_apart_are_bounded_too() {
        let mut timeline = Timeline::default();
        let roots = vec![Hash::default(); 256];
        let year = 365 * 86_400 * SECOND;
        for sequence in 1..=2000 {
            let crash = point(sequence, sequence * year, Consistency::Crash);
            timeline.push(Point { roots: roots.clone(), ..crash });
            assert!(timeline.len <= TIMELINE_LEN_MAX);
        }
        assert!(timeline.get(Sequence(2000)).is_some() && timeline.get(Sequence(1)).is_none());
    }

    #[test]
    fn silence_and_what_was_thinned_are_gaps() {
        let mut timeline = Timeline::default();
        for (sequence, second) in [(10, 0), (20, 100), (30, 110), (40, 115), (50, 200)] {
            timeline.push(point(sequence, second * SECOND, Consistency::Crash));
        }
        let thinned = |sequence: Sequence| sequence == Sequence(30) || sequence == Sequence(40);
        let gaps = timeline.gaps(Duration::from_secs(60), Timestamp(261 * SECOND), thinned);
        let found: Vec<_> =
            gaps.iter().map(|gap| (gap.from.0 / SECOND, gap.to.0 / SECOND, gap.kind)).collect();
        let (silent, lost) = (GapKind::Silent, GapKind::Thinned);
        assert_eq!(found, [(0, 100, silent), (100, 115, lost), (115, 200, silent), (200, 261, silent)]);
        timeline.thin(Sequence(11), Sequence(40));
        let left: Vec<_> = timeline.points().map(|point| point.sequence.0).collect();
        assert_eq!(left, [10, 40, 50]);
    }
}
