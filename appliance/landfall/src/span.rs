//! Spans of time and counts as people read them.

/// Writes seconds with their two largest units: `42 s`, `5 min 3 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let first = UNITS.iter().position(|(len, _)| seconds >= *len).unwrap_or(UNITS.len() - 1);
    let (len, unit) = UNITS[first];
    let lower = UNITS.get(first + 1).map(|(len, unit)| (seconds % UNITS[first].0 / len, unit));
    match lower {
        Some((count, lower)) if count > 0 => format!("{} {unit} {count} {lower}", seconds / len),
        _ => format!("{} {unit}", seconds / len),
    }
}

/// Writes a count with its noun: `1 disk`, `2 disks`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Writes which part of `total` is done, rounded down, so that 100 % means all.
pub(crate) fn percent(done: u64, total: u64) -> String {
    let part = (u128::from(done.min(total)) * 100).checked_div(u128::from(total)).unwrap_or(100);
    format!("{part} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        let shown = [0, 59, 60, 303, 3600, 7500, 273_600].map(span);
        assert_eq!(shown, ["0 s", "59 s", "1 min", "5 min 3 s", "1 h", "2 h 5 min", "3 d 4 h"]);
    }

    #[test]
    fn all_is_said_only_of_all() {
        assert_eq!(
            [percent(999, 1000), percent(1000, 1000), percent(0, 0), percent(u64::MAX, 1)],
            ["99 %", "100 %", "100 %", "100 %"]
        );
    }
}
