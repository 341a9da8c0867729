//! Times that are told, never read: whoever has a clock passes the time in.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

const MICROS: u64 = 1_000_000;
const DAY_SECONDS: u64 = 86_400;
/// The last microsecond of the year 9999: what RFC 3339 can write.
const LAST: u64 = 253_402_300_800 * MICROS - 1;

/// Why a text is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is not a time; write it as 2026-11-20T14:03:07Z, with a fraction or an offset if you like"
)]
pub struct ParseTimestampError {
    /// The text that was given.
    pub found: String,
}

impl Timestamp {
    /// Returns the moment of a system time; before 1970 counts as 1970.
    pub fn from_system(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// Returns the time from `earlier` to here, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Returns the moment `span` after this one, the last that can be written at most.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Returns the moment `span` before this one, 1970 at the earliest.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC with microseconds, or whole seconds where there are none.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0 / MICROS, self.0 % MICROS);
        let (year, month, day) = civil_date(seconds / DAY_SECONDS);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if micros > 0 {
            write!(out, ".{micros:06}")?;
        }
        out.write_str("Z")
    }
}

impl std::str::FromStr for Timestamp {
    type Err = ParseTimestampError;

    /// Reads RFC 3339: a date, `T` or a space, a time with an optional fraction, then `Z` or an offset.
    fn from_str(text: &str) -> Result<Self, ParseTimestampError> {
        parse(text).ok_or_else(|| ParseTimestampError { found: text.chars().take(64).collect() })
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let mark = |at: usize, allowed: &[u8]| bytes.get(at).is_some_and(|byte| allowed.contains(byte));
    let marks = mark(4, b"-") && mark(7, b"-") && mark(10, b"Tt ") && mark(13, b":") && mark(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let lawful =
        (1970..=9999).contains(&year) && (1..=12).contains(&month) && hour < 24 && minute < 60 && second < 60;
    if !marks || !lawful {
        return None;
    }
    let days = days_from_civil(year, month, day);
    if civil_date(days) != (year, month, day) {
        return None;
    }
    let (micros, zone_at) = fraction(text, 19)?;
    let local = (days * DAY_SECONDS + hour * 3600 + minute * 60 + second) * MICROS + micros;
    let zone = text.get(zone_at..)?;
    if zone == "Z" || zone == "z" {
        return Some(Timestamp(local));
    }
    let (ahead, behind) = (zone.starts_with('+'), zone.starts_with('-'));
    if zone.len() != 6 || !mark(zone_at + 3, b":") || !(ahead || behind) {
        return None;
    }
    let (hours, minutes) = (number(zone_at + 1, zone_at + 3)?, number(zone_at + 4, zone_at + 6)?);
    let offset = (hours < 24 && minutes < 60).then_some((hours * 3600 + minutes * 60) * MICROS)?;
    let utc = if ahead { local.checked_sub(offset) } else { local.checked_add(offset) };
    utc.filter(|utc| *utc <= LAST).map(Timestamp)
}

/// Reads an optional `.digits` at `at`: its microseconds, and where the text goes on.
fn fraction(text: &str, at: usize) -> Option<(u64, usize)> {
    let Some(digits) = text.get(at..)?.strip_prefix('.') else { return Some((0, at)) };
    let len = digits.bytes().take_while(u8::is_ascii_digit).count();
    let micros = digits[..len].bytes().chain(std::iter::repeat(b'0')).take(6);
    (len > 0).then(|| (micros.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')), at + 1 + len))
}

/// Returns year, month and day of a day counted from 1970-01-01 (Gregorian, eras of 400 years).
fn civil_date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// The inverse of [`civil_date`], for years from 1970.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day.saturating_sub(1);
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_as_rfc_3339() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2024-02-29T23:59:59Z",
            "2026-11-20T14:03:07.000250Z",
            "9999-12-31T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>().map(|time| time.to_string()), Ok(text.to_owned()));
        }
        let offset: Timestamp = "2026-11-20T15:33:07.5+01:30".parse().expect("an offset is allowed");
        assert_eq!(offset.to_string(), "2026-11-20T14:03:07.500000Z");
    }

    #[test]
    fn what_is_no_time_is_refused_and_never_panics() {
        for text in [
            "",
            "now",
            "2026-02-30T00:00:00Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T00:00:00",
            "2026-11-20T00:00:00+25:00",
            "2026-00-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "0000-00-00T00:00:00Z",
            "2026-11-00T00:00:00Z",
            "1970-01-01T00:00:00+01:00",
            "é026-11-20T00:00:00Z",
            "2026-11-20T00:00:00.Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
