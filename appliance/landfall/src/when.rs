//! How a recovery point is named on the command line.

use std::str::FromStr;
use std::time::Duration;

use control::api::{FailbackTo, Rfc3339};
use units::{MachineName, Sequence, Timestamp};

/// A recovery point as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// `latest`
    Latest,
    /// `#812` or `812`
    Sequence(Sequence),
    /// RFC 3339
    Time(Timestamp),
    /// `10m ago`, `1h30m ago`, `2 days ago`
    Ago(Duration),
}

/// `MACHINE@POINT`, or `MACHINE` for its latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PointName {
    pub(crate) machine: MachineName,
    pub(crate) point: When,
}

impl When {
    /// Returns what to ask for, when it is `now`.
    pub(crate) fn resolve(self, now: Timestamp) -> FailbackTo {
        match self {
            Self::Latest => FailbackTo::Latest,
            Self::Sequence(sequence) => FailbackTo::Sequence(sequence),
            Self::Time(time) => FailbackTo::Time(Rfc3339(time)),
            Self::Ago(span) => FailbackTo::Time(Rfc3339(now.before(span))),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.strip_prefix('#').unwrap_or(text);
        if text.eq_ignore_ascii_case("latest") {
            return Ok(Self::Latest);
        }
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match digits.parse() {
                Ok(0) | Err(_) => Err(format!("{digits} is not a sequence; the first is 1")),
                Ok(number) => Ok(Self::Sequence(Sequence(number))),
            };
        }
        if let Some(spans) = text.strip_suffix("ago") {
            let refused =
                || format!("{text:?} is not a time; write it as `90s ago`, `10m ago` or `1h30m ago`");
            return spans_sum(spans).map(Self::Ago).ok_or_else(refused);
        }
        text.parse().map(Self::Time).map_err(|_| {
            format!("{text:?} is not a point; write latest, 2026-11-20T14:03:07Z, `10m ago`, or a sequence such as 812")
        })
    }
}

impl FromStr for PointName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (machine, point) = text.split_once('@').unwrap_or((text, "latest"));
        let machine = machine.parse().map_err(|error: units::NameError| error.to_string())?;
        Ok(Self { machine, point: point.parse()? })
    }
}

/// Adds up `1h 30m`: numbers with units, spaces anywhere between.
fn spans_sum(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text.trim(), None::<u64>);
    while !rest.is_empty() {
        let number_len = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..number_len].parse().ok()?;
        rest = rest[number_len..].trim_start();
        let unit_len = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let seconds = number.checked_mul(unit_seconds(&rest[..unit_len])?)?;
        sum = Some(sum.unwrap_or(0).checked_add(seconds)?);
        rest = rest[unit_len..].trim_start();
    }
    sum.map(Duration::from_secs)
}

fn unit_seconds(unit: &str) -> Option<u64> {
    match unit {
        "s" | "sec" | "second" | "seconds" => Some(1),
        "m" | "min" | "minute" | "minutes" => Some(60),
        "h" | "hour" | "hours" => Some(3600),
        "d" | "day" | "days" => Some(86_400),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(seconds: u64) -> Result<When, String> {
        Ok(When::Ago(Duration::from_secs(seconds)))
    }

    #[test]
    fn every_way_to_name_a_point_is_read() {
        assert_eq!("Latest".parse(), Ok(When::Latest));
        assert_eq!("#812".parse(), Ok(When::Sequence(Sequence(812))));
        assert_eq!("812".parse(), Ok(When::Sequence(Sequence(812))));
        assert_eq!("2026-11-20T14:03:07Z".parse(), Ok(When::Time(Timestamp(1_795_183_387_000_000))));
        assert_eq!("10m ago".parse(), ago(600));
        assert_eq!("1h30m ago".parse(), ago(5400));
        assert_eq!("2 days 1 hour ago".parse(), ago(176_400));
        assert_eq!("90sago".parse(), ago(90));
    }

    #[test]
    fn what_names_no_point_is_refused() {
        for text in [
            "",
            "#",
            "0",
            "#0",
            "-5",
            "ago",
            "m ago",
            "5 ago",
            "5w ago",
            "é ago",
            "99999999999999999999",
            "99999999999999999d ago",
            "now",
            "2026-11-20",
            "1969-01-01T00:00:00Z",
        ] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_machine_without_a_point_means_its_latest() {
        let name: PointName = "web-01".parse().unwrap();
        assert_eq!((name.machine.as_str(), name.point), ("web-01", When::Latest));
        assert_eq!("web-01@#7".parse::<PointName>().unwrap().point, When::Sequence(Sequence(7)));
        assert!("@7".parse::<PointName>().is_err() && "web-01@".parse::<PointName>().is_err());
    }

    #[test]
    fn a_relative_time_is_counted_from_now() {
        let now = Timestamp(1_000_000_000);
        assert_eq!(
            When::Ago(Duration::from_secs(1)).resolve(now),
            FailbackTo::Time(Rfc3339(Timestamp(999_000_000)))
        );
    }
}
