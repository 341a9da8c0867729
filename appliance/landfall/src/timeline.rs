//! Recovery points drawn as one line of text.

use control::api::{Consistency, Point, Points};
use units::Timestamp;

/// What the marks mean, in one line.
pub(crate) const LEGEND: &str = "| crash  A application  ~ fuzzy  T the target disks";

/// Draws `points` on a line of `width` cells, oldest to newest: `··|··A··|··T`. Where several fall into one cell, the best
/// shows; `T` shows above all.
pub(crate) fn draw(points: &Points, width: usize) -> String {
    let mut cells = vec!['·'; width];
    let (Some(oldest), Some(newest)) = (points.points.first(), points.points.last()) else {
        return cells.into_iter().collect();
    };
    let cell = |time: Timestamp| {
        let (passed, whole) =
            (time.since(oldest.time.0).as_micros(), newest.time.0.since(oldest.time.0).as_micros());
        let last = width.saturating_sub(1);
        (passed * last as u128)
            .checked_div(whole)
            .map_or(last, |at| usize::try_from(at).unwrap_or(last).min(last))
    };
    for point in &points.points {
        let (at, mark) = (cell(point.time.0), mark(point));
        if rank(mark) > rank(cells[at]) {
            cells[at] = mark;
        }
    }
    if let Some(stands) = points.points.iter().rev().find(|point| point.sequence <= points.at) {
        cells[cell(stands.time.0)] = 'T';
    }
    cells.into_iter().collect()
}

/// Returns, for each point but the first, the seconds without a point before it, where that is a gap: more than three times the
/// usual distance, and a minute at least.
pub(crate) fn gaps(points: &[Point]) -> Vec<Option<u64>> {
    let seconds = |pair: &[Point]| pair[1].time.0.since(pair[0].time.0).as_secs();
    let mut sorted: Vec<_> = points.windows(2).map(seconds).collect();
    sorted.sort_unstable();
    let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
    let limit = usual.saturating_mul(3).max(60);
    let found = points.windows(2).map(|pair| Some(seconds(pair)).filter(|distance| *distance > limit));
    points.first().map(|_| None).into_iter().chain(found).collect()
}

fn mark(point: &Point) -> char {
    match point.consistency {
        Consistency::Fuzzy => '~',
        Consistency::Crash => '|',
        Consistency::Application => 'A',
    }
}

fn rank(mark: char) -> u8 {
    match mark {
        'A' => 3,
        '|' => 2,
        '~' => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use control::api::Rfc3339;
    use units::Sequence;

    use super::*;

    fn points(at: u64, list: &[(u64, Consistency)]) -> Points {
        let point = |(index, (second, consistency)): (usize, &(u64, Consistency))| Point {
            sequence: Sequence(index as u64 + 1),
            time: Rfc3339(Timestamp(1_000_000_000_000 + second * 1_000_000)),
            consistency: *consistency,
            label: String::new(),
            proof: false,
        };
        Points {
            machine: "a".parse().unwrap(),
            time: Rfc3339::default(),
            total: list.len() as u64,
            at: Sequence(at),
            points: list.iter().enumerate().map(point).collect(),
            resync: None,
        }
    }

    #[test]
    fn the_line_shows_points_in_time_and_the_target() {
        use Consistency::{Application, Crash, Fuzzy};
        let all = [(0, Crash), (30, Application), (50, Fuzzy), (90, Crash), (100, Crash)];
        assert_eq!(draw(&points(5, &all), 11), "|··A·~···|T");
        assert_eq!(draw(&points(2, &all), 11), "|··T·~···||");
        assert_eq!(draw(&points(0, &all), 11), "|··A·~···||", "the target stands before all of them");
    }

    #[test]
    fn few_points_and_narrow_lines_are_drawn_too() {
        use Consistency::{Application, Crash};
        assert_eq!(draw(&points(0, &[]), 4), "····");
        assert_eq!(draw(&points(0, &[(5, Crash)]), 4), "···|");
        assert_eq!(draw(&points(0, &[(0, Crash), (0, Application), (0, Crash)]), 1), "A");
        assert_eq!(draw(&points(9, &[(0, Crash)]), 1), "T");
    }

    #[test]
    fn a_gap_is_told_from_the_usual_distance() {
        use Consistency::Crash;
        let regular = [(0, Crash), (300, Crash), (600, Crash), (2400, Crash), (2700, Crash)];
        assert_eq!(gaps(&points(0, &regular).points), [None, None, None, Some(1800), None]);
        assert!(gaps(&[]).is_empty());
    }
}
