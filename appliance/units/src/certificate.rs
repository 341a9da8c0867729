//! The number of a certificate.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;

/// The number of a certificate: when it was issued, in microseconds, then random bits. Of two certificates of one holder the
/// later one has the greater number. Written as 32 hexadecimal digits, it is the serial number in the certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateId([u8; 16]);

/// Set in every number, so that its bytes are those of a positive serial number in DER, without a zero before them.
const TOP: u8 = 0x40;

/// Why a text or a serial number is not the number of a certificate of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is not the number of a certificate of ours: 32 hexadecimal digits, the first of them 4 to 7"
)]
pub struct ParseCertificateIdError {
    /// What was given, at most 64 characters of it.
    pub found: String,
}

impl CertificateId {
    /// Returns the number of a certificate that is issued at this time.
    pub fn new(issued: Timestamp, random: [u8; 8]) -> Self {
        let moment = u128::from(issued.0) & (u128::from(u64::MAX) >> 2);
        let mut bytes = ((moment << 64) | u128::from(u64::from_be_bytes(random))).to_be_bytes();
        bytes[0] |= TOP;
        Self(bytes)
    }

    /// Reads the serial number of a certificate, as the bytes of its DER integer.
    ///
    /// # Errors
    /// It is not one of ours.
    pub fn from_serial(bytes: &[u8]) -> Result<Self, ParseCertificateIdError> {
        let refused = || {
            let digits = bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
            ParseCertificateIdError { found: digits }
        };
        let bytes: [u8; 16] = bytes.try_into().map_err(|_| refused())?;
        if bytes[0] & !(TOP - 1) == TOP { Ok(Self(bytes)) } else { Err(refused()) }
    }

    /// Returns the bytes of the serial number.
    pub fn serial(&self) -> &[u8; 16] {
        &self.0
    }

    /// Returns when it was issued.
    pub fn issued(&self) -> Timestamp {
        let moment = u128::from_be_bytes(self.0) >> 64;
        Timestamp(u64::try_from(moment).expect("64 bits are left") & (u64::MAX >> 2))
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for CertificateId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for CertificateId {
    type Err = ParseCertificateIdError;

    fn from_str(text: &str) -> Result<Self, ParseCertificateIdError> {
        let refused = || ParseCertificateIdError { found: text.chars().take(64).collect() };
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).map_err(|_| refused())?;
        if digits { Self::from_serial(&number.to_be_bytes()) } else { Err(refused()) }
    }
}

impl Serialize for CertificateId {
    /// As text where people read it, as bytes where programs do.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() { out.collect_str(self) } else { self.0.serialize(out) }
    }
}

impl<'de> Deserialize<'de> for CertificateId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            String::deserialize(from)?.parse().map_err(D::Error::custom)
        } else {
            Self::from_serial(&<[u8; 16]>::deserialize(from)?).map_err(D::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_tells_when_it_was_issued_and_survives_being_written() {
        let time = Timestamp(1_796_000_000_123_456);
        let id = CertificateId::new(time, [0xff; 8]);
        assert_eq!(id.issued(), time);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(CertificateId::from_serial(id.serial()), Ok(id));
        assert!(id < CertificateId::new(Timestamp(time.0 + 1), [0; 8]));
    }

    #[test]
    fn what_is_no_number_of_ours_is_refused() {
        for bytes in [&[0x80; 16][..], &[0x3f; 16], &[0; 16], &[0x40; 15], &[0x40; 17], &[]] {
            assert!(CertificateId::from_serial(bytes).is_err(), "{bytes:x?}");
        }
        for text in ["", "+0000000000000000000000000000001", "zz", &"80".repeat(16), &"40".repeat(17)] {
            assert!(text.parse::<CertificateId>().is_err(), "{text}");
        }
    }
}
