//! Sizes, rates and times as people read them.

use std::time::Duration;

const STEP: f64 = 1024.0;
const NAMES: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// Returns a size with its unit, such as `1.5 GiB`.
pub fn size(len: u64) -> String {
    let mut value = len as f64;
    let mut name = 0;
    while value >= STEP && name + 1 < NAMES.len() {
        value /= STEP;
        name += 1;
    }
    if name == 0 || value >= 100.0 {
        format!("{value:.0} {}", NAMES[name])
    } else {
        format!("{value:.1} {}", NAMES[name])
    }
}

/// Returns bytes over time in decimal megabytes, such as `640 MB/s`.
pub fn rate(len: u64, time: Duration) -> String {
    format!("{:.0} MB/s", megabytes_per_second(len, time))
}

/// Returns bytes over time in decimal megabytes per second.
pub fn megabytes_per_second(len: u64, time: Duration) -> f64 {
    len as f64 / 1e6 / time.as_secs_f64().max(1e-9)
}

/// Returns a time in the unit that suits it, such as `51 µs` or `3.4 s`.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds >= 1.0 => format!("{seconds:.1} s"),
        _ if seconds >= 1e-3 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{:.0} µs", seconds * 1e6),
    }
}

/// Returns the middle of some measurements (the mean of the middle two). Panics: there are none.
pub fn median(values: &[f64]) -> f64 {
    assert!(!values.is_empty(), "a median is of something");
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_people_read_them() {
        assert_eq!(
            [size(512), size(1536), size(2 << 30), size(200 << 20)],
            ["512 B", "1.5 KiB", "2.0 GiB", "200 MiB"]
        );
        assert_eq!(rate(1_000_000_000, Duration::from_millis(500)), "2000 MB/s");
        assert_eq!(time(Duration::from_micros(51)), "51 µs");
    }

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
