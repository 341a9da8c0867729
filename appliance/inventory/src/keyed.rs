//! Requests that came with a key: whoever does not know whether he was heard asks again with the same key, and it happens once.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{HexHash, Rfc3339, Timestamp};

use crate::Record;

/// How long what came of a request is kept.
pub const KEYED_FOR: Duration = Duration::from_secs(24 * 3600);
/// Requests that are kept; of more, the oldest go.
pub const KEYED_MAX: usize = 1024;
/// Bytes of an answer that is kept; of a longer one it is kept that there was one.
pub const ANSWER_KEPT_MAX: usize = 8 << 10;

/// A request that came with a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyed {
    /// The hash of who asked and of his key: what he chose is no part of a name.
    pub id: HexHash,
    /// The hash of the request.
    pub request: HexHash,
    /// When it came.
    pub at: Rfc3339,
    /// What came of it; nothing while it is under way, or if whoever was at it ended.
    #[serde(default)]
    pub outcome: Option<KeyedOutcome>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyedOutcome {
    /// It was answered with this JSON.
    Answered(String),
    /// It was answered, and the answer was too long to be kept.
    AnsweredAtLength,
    /// It was refused or failed; the error in JSON.
    Refused(String),
}

impl Keyed {
    /// Returns a request that is about to be carried out.
    pub fn begun(who: &str, key: &str, request: &[u8], now: Timestamp) -> Self {
        Self { id: Self::id_of(who, key), request: hash(&[request]), at: now.into(), outcome: None }
    }

    /// Tells whether the key stands for this request.
    pub fn is_of(&self, request: &[u8]) -> bool {
        self.request == hash(&[request])
    }

    /// Tells whether it need not be kept any more. A clock that was set back keeps it longer.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.at.0) >= KEYED_FOR
    }

    /// Returns the id of a key of somebody.
    pub fn id_of(who: &str, key: &str) -> HexHash {
        hash(&[who.as_bytes(), key.as_bytes()])
    }

    /// Returns the name under which a request is kept.
    pub fn name_of(id: HexHash) -> String {
        id.to_string()
    }
}

/// Hashes several parts, each with its length before it.
fn hash(parts: &[&[u8]]) -> HexHash {
    let mut hasher = blake3::Hasher::new_derive_key("landfall 2026 keyed request");
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    HexHash(hasher.finalize().into())
}

impl Record for Keyed {
    const KIND: &'static str = "keyed";

    fn name(&self) -> String {
        Self::name_of(self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_796_000_000_000_000);

    #[test]
    fn a_key_is_of_one_request_of_one_caller() {
        let keyed = Keyed::begun("operator ann", "k", b"{}", NOW);
        assert!(keyed.is_of(b"{}") && !keyed.is_of(b"{ }"));
        let others = [("operator ben", "k"), ("operator ann", "l"), ("operator an", "nk")];
        assert!(others.iter().all(|(who, key)| Keyed::id_of(who, key) != keyed.id));
    }

    #[test]
    fn it_is_kept_for_a_day_and_longer_by_a_clock_that_was_set_back() {
        let keyed = Keyed::begun("operator ann", "k", b"{}", NOW);
        let after = |seconds: u64| keyed.is_over(NOW.after(Duration::from_secs(seconds)));
        assert_eq!([after(0), after(86_399), after(86_400)], [false, false, true]);
        assert!(!keyed.is_over(Timestamp(0)));
    }

    #[test]
    fn it_reads_back_with_each_outcome() {
        let keyed = Keyed::begun("operator ann", "k", b"{}", NOW);
        let json = || r#"{"a":1}"#.to_owned();
        let outcomes =
            [KeyedOutcome::Answered(json()), KeyedOutcome::AnsweredAtLength, KeyedOutcome::Refused(json())];
        for outcome in outcomes.into_iter().map(Some).chain([None]) {
            let keyed = Keyed { outcome, ..keyed.clone() };
            assert_eq!(Keyed::decode(&keyed.key(), &keyed.encode()).unwrap(), keyed);
        }
    }
}
