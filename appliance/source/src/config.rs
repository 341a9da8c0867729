//! What the operator asked for, checked.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use heapless::String as Bounded;
use units::MachineName;

use crate::hook::Hook;
use crate::orders::Orders;

/// What to protect, where to, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// The machine; its certificate must carry the same name.
    pub machine: MachineName,
    /// Its disks, in the order the target knows them.
    pub disks: Vec<PathBuf>,
    /// Whether a regular file may stand for a disk.
    pub files_allowed: bool,
    /// The target, as `host:port`.
    pub target: String,
    /// The directory with `ca.pem`, `cert.pem` and `key.pem`.
    pub identity: PathBuf,
    /// The directory the leaf table is kept in.
    pub state: PathBuf,
    /// When to make recovery points.
    pub schedule: Schedule,
    /// Connections of one session, 1 to [`wire::CONNECTIONS_MAX`].
    pub connections: u8,
    /// How payload travels.
    pub compression: Compression,
    /// Whether to trust no leaf table and compare every leaf by its hash.
    pub resync: bool,
    /// A word for people at every recovery point.
    pub label: Label,
    /// Whether the operator vouches that the applications were asked to be consistent.
    pub application_consistent: bool,
    /// Asks the applications to be consistent.
    pub hook: Option<Hook>,
    /// Where orders come from.
    pub orders: Orders,
}

/// When to make recovery points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// One, then end; give up if the target cannot be reached for this long.
    Once {
        /// How long to keep trying; for ever if there is none.
        timeout: Option<Duration>,
    },
    /// One after the other, this long from start to start.
    Every(Duration),
}

/// How payload travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Whatever the measured link and processor make fastest.
    Auto,
    /// As it is.
    None,
    /// zstd at level −5.
    Fast,
    /// zstd at level 1.
    Zstd1,
}

/// A word for people: at most 64 bytes.
pub type Label = Bounded<64>;

/// Why a text given by the operator is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found:?}, allowed is {allowed}")]
pub struct ConfigError {
    /// The text, at most 80 characters of it.
    pub found: String,
    /// What may be given instead.
    pub allowed: &'static str,
}

fn refused(found: &str, allowed: &'static str) -> ConfigError {
    ConfigError { found: found.chars().take(80).collect(), allowed }
}

impl FromStr for Compression {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            "fast" => Ok(Self::Fast),
            "zstd1" => Ok(Self::Zstd1),
            _ => Err(refused(text, "auto, none, fast or zstd1")),
        }
    }
}

/// Reads a span of time as [`units::parse_span`] does. Errors: none, or more than 31 days.
pub fn parse_span(text: &str) -> Result<Duration, ConfigError> {
    const LONGEST: Duration = Duration::from_secs(31 * 86_400);
    let span = units::parse_span(text).ok().filter(|span| *span <= LONGEST);
    span.ok_or_else(|| {
        refused(text, "a whole number with ms, s, m, h or d, above zero and at most 31d, as in 30s or 5m")
    })
}

/// Reads a label. Errors: more than 64 bytes, control characters.
pub fn parse_label(text: &str) -> Result<Label, ConfigError> {
    let plain = !text.chars().any(char::is_control);
    Label::try_from(text)
        .ok()
        .filter(|_| plain)
        .ok_or_else(|| refused(text, "at most 64 bytes without control characters"))
}

/// Reads the address of a target: `host:port`, or a host alone for port 9443. An IPv6 address stands in brackets.
pub fn parse_target(text: &str) -> Result<String, ConfigError> {
    const ALLOWED: &str = "host:port, as in appliance.example:9443 or [2001:db8::7]:9443";
    units::parse_address(text, 9443).map_err(|_| refused(text, ALLOWED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_unit_or_refused() {
        assert_eq!(parse_span("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_span("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_span("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "30", "s", "0s", "-1s", "1.5s", "30 s", "32d", "18446744073709551615d"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn targets_get_the_port_of_the_protocol() {
        for (text, whole) in
            [("box", "box:9443"), ("box:1", "box:1"), ("[::1]", "[::1]:9443"), ("[::1]:99", "[::1]:99")]
        {
            assert_eq!(parse_target(text).as_deref(), Ok(whole));
        }
        for text in ["", ":9443", "box:0", "box:70000", "::1", "a b:1", "box:"] {
            assert!(parse_target(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_label_is_short_and_plain() {
        assert_eq!(parse_label("before the upgrade").unwrap(), "before the upgrade");
        assert!(parse_label(&"x".repeat(65)).is_err());
        assert!(parse_label("a\nb").is_err());
    }
}
