//! Recovery points drawn as one line of text.

use control::api::{Consistency, GapKind, Point, Points};
use units::Timestamp;

/// What the marks mean, in one line.
pub(crate) const LEGEND: &str =
    "| crash  A application  G group  ~ fuzzy  P pinned  T target disks  _ silent  = thinned";

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
    for gap in &points.gaps {
        let line = match gap.kind {
            GapKind::Silent => '_',
            GapKind::Thinned => '=',
        };
        // Only what lies between the points; a gap that goes on shows at the end of the line.
        let (from, to) = (cell(gap.from.0.max(oldest.time.0)), cell(gap.to.0));
        cells[(from + 1).min(to)..to].fill(line);
    }
    for point in &points.points {
        let (at, mark) = (cell(point.time.0), mark(point));
        if rank(mark) > rank(cells[at]) {
            cells[at] = mark;
        }
    }
    for pin in &points.pins {
        let shown = (oldest.time..=newest.time).contains(&pin.point.time);
        if shown {
            cells[cell(pin.point.time.0)] = 'P';
        }
    }
    if let Some(stands) = points.points.iter().rev().find(|point| point.sequence <= points.at) {
        cells[cell(stands.time.0)] = 'T';
    }
    cells.into_iter().collect()
}

fn mark(point: &Point) -> char {
    match point.consistency {
        Consistency::Fuzzy => '~',
        _ if point.group.is_some() => 'G',
        Consistency::Crash => '|',
        Consistency::Application => 'A',
    }
}

fn rank(mark: char) -> u8 {
    match mark {
        'G' => 4,
        'A' => 3,
        '|' => 2,
        '~' => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use control::api::{Gap, GroupMark, Pin, Rfc3339};
    use units::Sequence;

    use super::*;

    fn points(at: u64, list: &[(u64, Consistency)]) -> Points {
        let point = |(index, (second, consistency)): (usize, &(u64, Consistency))| Point {
            sequence: Sequence(index as u64 + 1),
            time: Rfc3339(Timestamp(1_000_000_000_000 + second * 1_000_000)),
            consistency: *consistency,
            label: String::new(),
            proof: false,
            spoilt: false,
            group: None,
        };
        Points {
            machine: "a".parse().unwrap(),
            time: Rfc3339::default(),
            total: list.len() as u64,
            at: Sequence(at),
            points: list.iter().enumerate().map(point).collect(),
            resync: None,
            gaps: Vec::new(),
            pins: Vec::new(),
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
    fn a_group_point_shows_above_the_others_unless_it_is_fuzzy() {
        use Consistency::{Application, Crash, Fuzzy};
        let mut all = points(0, &[(0, Crash), (50, Application), (51, Crash), (100, Fuzzy)]);
        for index in [2, 3] {
            all.points[index].group = Some(GroupMark { group: "shop".parse().unwrap(), number: 7 });
        }
        assert_eq!(draw(&all, 5), "|·G·~");
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
    fn silence_what_was_thinned_and_pins_show_on_the_line() {
        use Consistency::Crash;
        let mut all = points(0, &[(0, Crash), (20, Crash), (60, Crash), (100, Crash)]);
        let gap =
            |from: usize, to: usize, kind| Gap { from: all.points[from].time, to: all.points[to].time, kind };
        let gaps = vec![gap(0, 1, GapKind::Thinned), gap(2, 3, GapKind::Silent)];
        let pins = vec![Pin { point: all.points[1].clone(), until: None, note: String::new() }];
        (all.gaps, all.pins) = (gaps, pins);
        assert_eq!(draw(&all, 11), "|=P···|___|");
        assert_eq!(draw(&all, 3).chars().count(), 3);
    }
}
