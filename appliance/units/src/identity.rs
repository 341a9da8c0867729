//! Names and ids of machines and disks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Disks one machine may have.
pub const DISKS_MAX: usize = 256;

const NAME_LEN_MAX: usize = 63;

/// The id of a machine: 16 random bytes, given once, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MachineId(pub [u8; 16]);

/// The id of a retention volume: 16 random bytes, given once, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VolumeId(pub [u8; 16]);

/// The position of a disk among the disks of its machine, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DiskIndex(pub u16);

/// The name of a machine: 1 to 63 of `a-z 0-9 . -`, starting and ending with a letter or digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "heapless::String<63>", into = "heapless::String<63>")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String, max_length = 63, pattern = "^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"))]
pub struct MachineName(heapless::String<NAME_LEN_MAX>);

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is not a machine name; use 1 to 63 of a-z, 0-9, '.' and '-', letters or digits at both ends"
)]
pub struct NameError {
    /// The text that was given, at most 64 characters of it.
    pub found: String,
}

impl MachineName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MachineName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let lawful = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
        let bytes = text.as_bytes();
        let valid = ends(bytes.first()) && ends(bytes.last()) && text.bytes().all(lawful);
        match heapless::String::try_from(text) {
            Ok(name) if valid => Ok(Self(name)),
            _ => Err(NameError { found: text.chars().take(64).collect() }),
        }
    }
}

impl TryFrom<heapless::String<NAME_LEN_MAX>> for MachineName {
    type Error = NameError;

    fn try_from(text: heapless::String<NAME_LEN_MAX>) -> Result<Self, NameError> {
        text.as_str().parse()
    }
}

impl From<MachineName> for heapless::String<NAME_LEN_MAX> {
    fn from(name: MachineName) -> Self {
        name.0
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for MachineName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, out)
    }
}

impl fmt::Display for VolumeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, out)
    }
}

impl fmt::Debug for VolumeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

fn hexadecimal(bytes: &[u8], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

impl fmt::Debug for MachineId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for MachineId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let refused = || NameError { found: text.chars().take(64).collect() };
        let hexadecimal = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u128::from_str_radix(text, 16).map_err(|_| refused())?;
        if hexadecimal { Ok(Self(id.to_be_bytes())) } else { Err(refused()) }
    }
}

impl fmt::Display for DiskIndex {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "disk {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_never_be_a_path() {
        for text in ["", ".", "..", "a/b", "-a", "a-", "A", "é", &"a".repeat(64), "a\0b"] {
            assert!(text.parse::<MachineName>().is_err(), "{text}");
        }
        for text in ["a", "web-01.example", &"a".repeat(63)] {
            assert_eq!(text.parse::<MachineName>().map(|name| name.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn an_id_survives_being_written() {
        let id = MachineId([0xa5; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("+0000000000000000000000000000001".parse::<MachineId>().is_err());
    }
}
