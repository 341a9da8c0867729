//! Addresses with the length of their prefix.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::names::shortened;

/// Why a text is not an address with a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not an address with a prefix, as in 192.0.2.10/24 or 2001:db8::10/64")]
pub struct ParseCidrError {
    /// What was given, at most 64 characters of it.
    pub found: String,
}

/// An address and the length of its prefix: `192.0.2.10/24`. The prefix is never longer than the address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Returns an address with its prefix, or `None` if the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        (prefix <= bits(address)).then_some(Self { address, prefix })
    }

    /// Returns the address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Returns the length of the prefix.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Returns the range the address lies in: its bits beyond the prefix are 0.
    pub fn range(self) -> Self {
        let address = match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
            }
        };
        Self { address, prefix: self.prefix }
    }

    /// Tells whether an address lies in the range.
    pub fn contains(self, address: IpAddr) -> bool {
        let same_family = self.address.is_ipv4() == address.is_ipv4();
        same_family && Self { address, prefix: self.prefix }.range().address == self.range().address
    }

    /// Tells whether two ranges have addresses in common.
    pub fn overlaps(self, other: Self) -> bool {
        let wider = if self.prefix <= other.prefix { self } else { other };
        wider.contains(self.address) && wider.contains(other.address)
    }

    /// Returns the address to all in the range, which no host can have; only ranges of IPv4 with four or more addresses have one.
    pub fn broadcast(self) -> Option<IpAddr> {
        match self.range().address {
            IpAddr::V4(address) if self.prefix <= 30 => {
                let rest = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
                Some(IpAddr::V4(Ipv4Addr::from(u32::from(address) | rest)))
            }
            _ => None,
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Cidr {
    type Err = ParseCidrError;

    fn from_str(text: &str) -> Result<Self, ParseCidrError> {
        let read = || {
            let (address, prefix) = text.split_once('/')?;
            let plain = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
            let prefix = plain.then(|| prefix.parse().ok())??;
            Self::new(address.parse().ok()?, prefix)
        };
        read().ok_or_else(|| ParseCidrError { found: shortened(text) })
    }
}

impl TryFrom<String> for Cidr {
    type Error = ParseCidrError;

    fn try_from(text: String) -> Result<Self, ParseCidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().expect("written in this test")
    }

    #[test]
    fn ranges_have_their_ends() {
        for (text, range, broadcast) in [
            ("10.1.2.3/8", "10.0.0.0/8", Some("10.255.255.255")),
            ("10.1.2.3/30", "10.1.2.0/30", Some("10.1.2.3")),
            ("10.1.2.3/31", "10.1.2.2/31", None),
            ("10.1.2.3/32", "10.1.2.3/32", None),
            ("10.1.2.3/0", "0.0.0.0/0", Some("255.255.255.255")),
            ("2001:db8::7/64", "2001:db8::/64", None),
            ("2001:db8::7/0", "::/0", None),
        ] {
            assert_eq!(cidr(text).range(), cidr(range), "{text}");
            assert_eq!(
                cidr(text).broadcast().map(|address| address.to_string()).as_deref(),
                broadcast,
                "{text}"
            );
        }
    }

    #[test]
    fn ranges_overlap_where_one_holds_the_other() {
        assert!(cidr("10.0.0.1/8").overlaps(cidr("10.200.0.1/16")));
        assert!(cidr("10.200.0.1/16").overlaps(cidr("10.0.0.1/8")));
        assert!(!cidr("10.0.0.1/16").overlaps(cidr("10.1.0.1/16")));
        assert!(!cidr("10.0.0.1/8").overlaps(cidr("::a00:1/0")));
    }

    #[test]
    fn only_whole_addresses_with_a_prefix_are_read() {
        for text in [
            "",
            "10.0.0.1",
            "10.0.0.1/",
            "10.0.0.1/33",
            "10.0.0/8",
            "10.0.0.1/+8",
            "::1/129",
            "10.0.0.1/8/8",
            "10.0.0.01/8",
        ] {
            assert!(text.parse::<Cidr>().is_err(), "{text:?}");
        }
    }
}
