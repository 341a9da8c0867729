//! Lines for people. Functions of values: nothing here reads a clock or knows a terminal.

use std::time::Duration;

use source::{Point, Progress, Stage};
use units::ByteLen;
use wire::Consistency;

/// Returns a word for how far a point can be trusted.
pub(crate) fn consistency(consistency: Consistency) -> &'static str {
    match consistency {
        Consistency::Fuzzy => "fuzzy",
        Consistency::Crash => "crash",
        Consistency::Application => "application",
        Consistency::Resync => "resync",
    }
}

/// Returns a word for what is being done.
pub(crate) fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Seed => "seed",
        Stage::Round => "scan",
    }
}

/// Returns disk bytes read per second.
pub(crate) fn rate(point: &Point) -> f64 {
    point.counters.read.0 as f64 / point.took.as_secs_f64().max(1e-6)
}

/// Says how far a stage is.
pub(crate) fn progress(progress: &Progress) -> String {
    let percent = progress.done.0 as f64 * 100.0 / progress.total.0.max(1) as f64;
    let left = progress.left.map(|left| format!(", {} left", span(left))).unwrap_or_default();
    let Progress { done, total, sent, .. } = progress;
    format!(
        "{} {percent:3.0} %  {done} of {total}, {sent} sent, {}{left}",
        stage(progress.stage),
        per_second(progress.rate)
    )
}

/// Says what one recovery point took.
pub(crate) fn point(point: &Point) -> String {
    let counters = &point.counters;
    format!(
        "point {} at {}  {}  read {}, changed {}, sent {} (ratio {:.2}) in {}, {}",
        point.sequence,
        point.time,
        consistency(point.consistency),
        counters.read,
        counters.changed,
        counters.sent,
        counters.ratio(),
        span(point.took),
        per_second(rate(point)),
    )
}

/// Returns the lines with the root of each disk.
pub(crate) fn roots(point: &Point) -> Vec<String> {
    point.roots.iter().enumerate().map(|(disk, root)| format!("  disk {disk} root {root}")).collect()
}

fn per_second(rate: f64) -> String {
    format!("{:.0} MiB/s", rate / ByteLen::mib(1).0 as f64)
}

fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", span.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use source::Counters;
    use units::{Generation, Hash, Sequence, Timestamp};

    use super::*;

    #[test]
    fn a_point_is_one_readable_line() {
        let counters = Counters { read: ByteLen::gib(4), changed: ByteLen::mib(64), sent: ByteLen::mib(16) };
        let value = Point {
            sequence: Sequence(17),
            generation: Generation(1),
            time: Timestamp(1_000_000),
            consistency: Consistency::Crash,
            roots: vec![Hash([0xab; 32])],
            counters,
            took: Duration::from_secs(4),
        };
        assert_eq!(
            point(&value),
            "point 17 at 1970-01-01T00:00:01Z  crash  read 4 GiB, changed 64 MiB, sent 16 MiB (ratio 0.25) in 4.0 s, 1024 MiB/s"
        );
        assert_eq!(roots(&value), [format!("  disk 0 root {}", "ab".repeat(32))]);
    }

    #[test]
    fn progress_shows_share_rate_and_time_left() {
        let value = Progress {
            stage: Stage::Seed,
            total: ByteLen::gib(4),
            done: ByteLen::gib(1),
            sent: ByteLen::mib(512),
            rate: 1024.0 * 1024.0 * 512.0,
            left: Some(Duration::from_secs(126)),
        };
        assert_eq!(progress(&value), "seed  25 %  1 GiB of 4 GiB, 512 MiB sent, 512 MiB/s, 2 min 6 s left");
    }
}
