//! Sizes and spans of time as people write them.

use std::str::FromStr;
use std::time::Duration;

use crate::ByteLen;

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a size; write it as 512MiB, 2GiB or a number of bytes")]
pub struct ParseSizeError {
    /// The text that was given.
    pub found: String,
}

/// Why a text is not a span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a span of time; write it as 500ms, 30s, 15m, 24h or 7d, above zero")]
pub struct ParseSpanError {
    /// The text that was given.
    pub found: String,
}

impl FromStr for ByteLen {
    type Err = ParseSizeError;

    /// Reads a number of bytes, or one with `K`, `M`, `G`, `T` or `P` (powers of 1024), with or without `iB`.
    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        let refused = || ParseSizeError { found: text.chars().take(64).collect() };
        let upper = text.trim().to_ascii_uppercase();
        let (digits, unit) = split(&upper);
        let letter = unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(unit);
        let powers = ["", "K", "M", "G", "T", "P"];
        let power = powers.iter().position(|power| *power == letter).ok_or_else(refused)?;
        let number: u64 = digits.parse().map_err(|_| refused())?;
        number.checked_mul(1 << (10 * power)).map(Self).ok_or_else(refused)
    }
}

/// Reads a whole number with `ms`, `s`, `m`, `h` or `d`; above zero.
pub fn parse_span(text: &str) -> Result<Duration, ParseSpanError> {
    let refused = || ParseSpanError { found: text.chars().take(64).collect() };
    let (digits, unit) = split(text.trim());
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(refused()),
    };
    let number: u64 = digits.parse().map_err(|_| refused())?;
    let total = number.checked_mul(millis).filter(|total| *total > 0).ok_or_else(refused)?;
    Ok(Duration::from_millis(total))
}

/// Splits behind the last leading digit.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Why a text is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not an address: expected host:port, as in home.example:443 or [2001:db8::7]:443")]
pub struct ParseAddressError {
    /// The text that was given, at most 64 characters of it.
    pub found: String,
}

/// Reads the address of a server: `host:port`, or a host alone for the usual port. An IPv6 address stands in brackets.
pub fn parse_address(text: &str, usual_port: u16) -> Result<String, ParseAddressError> {
    let bracketed = text.starts_with('[');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !bracketed || host.ends_with(']') => (host, port.parse::<u16>().ok()),
        _ => (text, Some(usual_port)),
    };
    let lawful = !host.is_empty() && !host.contains(char::is_whitespace) && bracketed == host.contains(':');
    match port.filter(|port| *port > 0 && lawful) {
        Some(port) => Ok(format!("{host}:{port}")),
        None => Err(ParseAddressError { found: text.chars().take(64).collect() }),
    }
}

/// Reads the address of a configuration server: as [`parse_address`], usually on port 443.
pub fn parse_controller(text: &str) -> Result<String, ParseAddressError> {
    parse_address(text, 443)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in
            [("512", 512), ("2G", 2 << 30), ("64mib", 64 << 20), ("1KB", 1024), ("1PiB", 1 << 50)]
        {
            assert_eq!(text.parse(), Ok(ByteLen(bytes)), "{text}");
        }
        for text in ["", "G", "2X", "-1", "99999999999T", "1.5G", "1 G"] {
            assert!(text.parse::<ByteLen>().is_err(), "{text}");
        }
    }

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("15m", 900_000), ("24h", 86_400_000), ("7d", 604_800_000)]
        {
            assert_eq!(parse_span(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "30", "0s", "s", "1.5h", "-1s", "9999999999999999d"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }
}
