//! Times, hashes and whatever else has a text form, as JSON writes them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Hash, Timestamp};

/// A moment, written in JSON as an RFC 3339 text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String, format = DateTime))]
pub struct Rfc3339(pub Timestamp);

/// A blake3 hash, written in JSON as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String, pattern = "^[0-9a-f]{64}$"))]
pub struct HexHash(pub Hash);

impl From<Timestamp> for Rfc3339 {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

impl From<Hash> for HexHash {
    fn from(hash: Hash) -> Self {
        Self(hash)
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

impl fmt::Display for HexHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Rfc3339 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        as_text::deserialize(deserializer).map(Self)
    }
}

impl Serialize for HexHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for HexHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        as_text::deserialize(deserializer).map(Self)
    }
}

/// Writes a field as the text that `Display` gives and `FromStr` reads: `#[serde(with = "units::as_text")]`.
pub mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes the text.
    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads the text. Errors: it is not a text, or not one of these.
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_hashes_are_texts_and_survive_the_trip() {
        let time = Rfc3339("2026-11-20T14:03:07.000250Z".parse().unwrap());
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-11-20T14:03:07.000250Z\"");
        let hash = HexHash(Hash(std::array::from_fn(|at| at as u8 * 7)));
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(text.len(), 66);
        assert_eq!(serde_json::from_str::<HexHash>(&text).unwrap(), hash);
    }

    #[test]
    fn what_is_no_time_or_hash_is_refused() {
        assert!(serde_json::from_str::<Rfc3339>("\"yesterday\"").is_err());
        assert!(serde_json::from_str::<Rfc3339>("5").is_err());
        for text in ["", "00", &"g".repeat(64), &"0".repeat(63), &"é".repeat(32), &"+".repeat(64)] {
            assert!(serde_json::from_str::<HexHash>(&format!("\"{text}\"")).is_err(), "{text}");
        }
    }
}
