//! Names of interfaces, hardware addresses, names of hosts.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Bytes the name of an interface may have: the kernel's limit.
const NIC_NAME_LEN_MAX: usize = 15;
/// Bytes the name of a host may have (RFC 1035).
const HOST_NAME_LEN_MAX: usize = 253;
/// Bytes one part of the name of a host may have (RFC 1035).
const LABEL_LEN_MAX: usize = 63;

/// Why a text is not a name or an address of this kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {wanted}")]
pub struct ParseNameError {
    /// What was given, at most 64 characters of it.
    pub found: String,
    /// What it should have been, with what is allowed.
    pub wanted: &'static str,
}

/// The name of an interface: 1 to 15 letters, digits, `-`, `_` or `.`, beginning with a letter; not `lo`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String, max_length = 15, pattern = "^[A-Za-z][A-Za-z0-9._-]{0,14}$"))]
#[serde(try_from = "String", into = "String")]
pub struct NicName(String);

/// A hardware address of one interface; neither all zero nor of a group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String, pattern = "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$"))]
#[serde(try_from = "String", into = "String")]
pub struct Mac([u8; 6]);

/// The name of a host or of a domain: labels of letters, digits and `-`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String, max_length = 253))]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

/// A server, by its address or by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Server {
    /// By its address.
    Address(IpAddr),
    /// By its name.
    Name(HostName),
}

pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

pub(crate) fn refuse<T>(text: &str, wanted: &'static str) -> Result<T, ParseNameError> {
    Err(ParseNameError { found: shortened(text), wanted })
}

impl NicName {
    /// Returns the name as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NicName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let lawful = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let begins = text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
        if begins && text.len() <= NIC_NAME_LEN_MAX && text.bytes().all(lawful) && text != "lo" {
            return Ok(Self(text.to_owned()));
        }
        refuse(
            text,
            "the name of an interface: 1 to 15 letters, digits, '-', '_' or '.', beginning with a letter, and not lo",
        )
    }
}

impl FromStr for Mac {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let wanted =
            "the hardware address of an interface: six pairs of hexadecimal digits, as in 00:50:56:01:02:03";
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2 && !part.starts_with('+'));
            let Some(Ok(value)) = part.map(|part| u8::from_str_radix(part, 16)) else {
                return refuse(text, wanted);
            };
            *byte = value;
        }
        let of_a_group = bytes[0] & 1 == 1;
        if parts.next().is_some() || of_a_group || bytes == [0; 6] {
            return refuse(text, wanted);
        }
        Ok(Self(bytes))
    }
}

impl HostName {
    /// Returns the name as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let lower = text.to_ascii_lowercase();
        let label = |label: &str| {
            let lawful = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=LABEL_LEN_MAX).contains(&label.len())
                && label.bytes().all(lawful)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // What ends in a number is an address, or one that was mistyped (RFC 3696).
        let number =
            lower.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if lower.len() <= HOST_NAME_LEN_MAX && lower.split('.').all(label) && !number {
            return Ok(Self(lower));
        }
        refuse(
            text,
            "the name of a host or domain: parts of 1 to 63 letters, digits or '-', joined by '.', as in ntp.example.com",
        )
    }
}

impl FromStr for Server {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            if address.is_unspecified() || address.is_multicast() {
                return refuse(text, "the address of a server");
            }
            return Ok(Self::Address(address));
        }
        text.parse().map(Self::Name)
    }
}

impl fmt::Display for NicName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(out),
            Self::Name(name) => name.fmt(out),
        }
    }
}

macro_rules! as_string {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = ParseNameError;

            fn try_from(text: String) -> Result<Self, ParseNameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }
    )*};
}

as_string!(NicName, Mac, HostName, Server);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_file_or_a_shell_could_mistake_are_refused() {
        for text in ["", "lo", "a/b", "..", "eth0 ", "-x", "0a", "é", "a\n", &"a".repeat(16)] {
            assert!(text.parse::<NicName>().is_err(), "{text:?}");
        }
        for text in ["eth0", "ens192", "vlan.100", "a"] {
            assert_eq!(text.parse::<NicName>().map(String::from), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_hardware_address_is_of_one_interface() {
        assert_eq!("00-50-56-AB-cd-01".parse::<Mac>().map(String::from), Ok("00:50:56:ab:cd:01".to_owned()));
        for text in [
            "",
            "00:50:56:ab:cd",
            "00:00:00:00:00:00",
            "01:00:5e:00:00:01",
            "00:50:56:ab:cd:01:02",
            "0:50:56:ab:cd:01",
            "+0:50:56:ab:cd:01",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_mistyped_address_is_no_name() {
        for text in
            ["", "10.0.0.300", "10.0.0", "-a", "a-", "a..b", "a_b", "0.0.0.0", "224.0.0.1", &"a.".repeat(200)]
        {
            assert!(text.parse::<Server>().is_err(), "{text:?}");
        }
        assert!(
            matches!("NTP.example.com".parse(), Ok(Server::Name(name)) if name.as_str() == "ntp.example.com")
        );
        assert!(matches!("2001:db8::1".parse(), Ok(Server::Address(_))));
    }
}
