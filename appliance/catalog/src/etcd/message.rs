//! What etcd's JSON gateway is asked and answers: bytes in base64, numbers of 64 bits as texts, zeroes left out.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes, as base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

/// A number of 64 bits, as a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(pub(super) i64);

/// Asks for the records of a span of keys.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Range {
    pub(super) key: Bytes,
    #[serde(skip_serializing_if = "Bytes::is_empty")]
    pub(super) range_end: Bytes,
    #[serde(skip_serializing_if = "Number::is_zero")]
    pub(super) limit: Number,
    #[serde(skip_serializing_if = "Number::is_zero")]
    pub(super) revision: Number,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) keys_only: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) count_only: bool,
}

/// Records of a span of keys.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Ranged {
    #[serde(default)]
    pub(super) header: Header,
    #[serde(default)]
    pub(super) kvs: Vec<KeyValue>,
    #[serde(default)]
    pub(super) more: bool,
    #[serde(default)]
    pub(super) count: Number,
}

/// What every answer begins with.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Header {
    #[serde(default)]
    pub(super) revision: Number,
}

/// A record, as etcd has it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct KeyValue {
    #[serde(default)]
    pub(super) key: Bytes,
    #[serde(default)]
    pub(super) value: Bytes,
    #[serde(default)]
    pub(super) mod_revision: Number,
    #[serde(default)]
    pub(super) lease: Number,
}

/// Asks for changes, all or none, if everything compares as said; for something else otherwise.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Txn {
    pub(super) compare: Vec<Compare>,
    pub(super) success: Vec<Operation>,
    pub(super) failure: Vec<Operation>,
}

/// A record must have been changed last at this revision; never, if that is 0.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Compare {
    pub(super) key: Bytes,
    target: &'static str,
    mod_revision: Number,
}

/// One step of a transaction.
#[derive(Clone, Debug, Serialize)]
pub(super) enum Operation {
    #[serde(rename = "request_put")]
    Put(Put),
    #[serde(rename = "request_delete_range")]
    Delete(Delete),
    #[serde(rename = "request_range")]
    Range(Range),
}

/// Makes a record what it is now.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Put {
    pub(super) key: Bytes,
    pub(super) value: Bytes,
    #[serde(skip_serializing_if = "Number::is_zero")]
    pub(super) lease: Number,
}

/// Ends records.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Delete {
    pub(super) key: Bytes,
    #[serde(skip_serializing_if = "Bytes::is_empty")]
    pub(super) range_end: Bytes,
}

/// What became of a transaction.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Transacted {
    #[serde(default)]
    pub(super) header: Header,
    #[serde(default)]
    pub(super) succeeded: bool,
    #[serde(default)]
    responses: Vec<Answer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Answer {
    #[serde(default)]
    response_range: Option<Ranged>,
}

/// Asks for a lease.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Grant {
    #[serde(rename = "TTL")]
    pub(super) ttl: Number,
}

/// Names a lease.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Named {
    #[serde(rename = "ID")]
    pub(super) id: Number,
}

/// A lease; one without a life has ended.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Granted {
    #[serde(rename = "ID", default)]
    pub(super) id: Number,
    #[serde(rename = "TTL", default)]
    pub(super) ttl: Number,
}

/// One line of a stream: what was asked for, or why it ends.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Streamed<T> {
    pub(super) result: Option<T>,
    pub(super) error: Option<StreamError>,
}

/// Why a stream ends.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct StreamError {
    #[serde(default)]
    pub(super) message: String,
}

/// Asks for every change of a span of keys, from a revision on.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Watching {
    pub(super) create_request: Create,
}

/// What is to be watched.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Create {
    pub(super) key: Bytes,
    pub(super) range_end: Bytes,
    pub(super) start_revision: Number,
}

/// Changes, as they come: all of one revision in one.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Watched {
    #[serde(default)]
    pub(super) canceled: bool,
    #[serde(default)]
    pub(super) compact_revision: Number,
    #[serde(default)]
    pub(super) cancel_reason: String,
    #[serde(default)]
    pub(super) events: Vec<WatchEvent>,
}

/// One change.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct WatchEvent {
    #[serde(rename = "type", default)]
    pub(super) kind: EventKind,
    #[serde(default)]
    pub(super) kv: KeyValue,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum EventKind {
    #[default]
    #[serde(rename = "PUT")]
    Put,
    #[serde(rename = "DELETE")]
    Delete,
}

/// Why nothing was done.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) code: i64,
}

impl Compare {
    /// Compares the revision of a record's last change.
    pub(super) fn modified(key: Bytes, revision: i64) -> Self {
        Self { key, target: "MOD", mod_revision: Number(revision) }
    }
}

impl Transacted {
    /// Returns the record of each range that was asked for, in their order.
    pub(super) fn found(self) -> impl Iterator<Item = Option<KeyValue>> {
        let ranges = self.responses.into_iter().filter_map(|answer| answer.response_range);
        ranges.map(|range| range.kvs.into_iter().next())
    }
}

impl Bytes {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Number {
    fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Self).map_err(de::Error::custom)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Number;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a number of 64 bits, as a text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                i64::try_from(number).map(Number).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}
