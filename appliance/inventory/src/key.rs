//! Where a record is kept: its kind, and its name among its kind.

use std::fmt;
use std::str::FromStr;

/// Bytes of the longest key.
pub const KEY_LEN_MAX: usize = 200;

/// Where a record is kept, as in `machine/web-01`: parts of `a-z 0-9 . _ -`, with a `/` between each two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is not a key; use at most {KEY_LEN_MAX} of a-z, 0-9, '.', '_' and '-', in parts with '/' between"
)]
pub struct KeyError {
    /// The text that was given, at most 64 characters of it.
    pub found: String,
}

impl Key {
    /// Makes the key of a record of this kind. Errors: the name is not lawful in a key.
    pub fn new(kind: &str, name: &str) -> Result<Self, KeyError> {
        format!("{kind}/{name}").parse()
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the kind.
    pub fn kind(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(kind, _)| kind)
    }

    /// Returns the name, without the kind.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, name)| name)
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        let lawful = |part: &str| !part.is_empty() && part.bytes().all(letter);
        if text.len() <= KEY_LEN_MAX && text.contains('/') && text.split('/').all(lawful) {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyError { found: text.chars().take(64).collect() })
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_kind_and_a_name() {
        let key = Key::new("machine", "web-01.example").unwrap();
        assert_eq!((key.as_str(), key.name()), ("machine/web-01.example", "web-01.example"));
        assert_eq!(Key::new("command", "mt1/7").unwrap().name(), "mt1/7");
    }

    #[test]
    fn what_another_database_could_misread_is_no_key() {
        for text in
            ["", "machine", "machine/", "/a", "a//b", "a/B", "a/b c", "a/%", "a/\0", &"a/".repeat(101)]
        {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
        }
    }
}
