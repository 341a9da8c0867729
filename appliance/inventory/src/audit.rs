//! The audit log: who did what, each entry bound to the one before.

use serde::{Deserialize, Serialize};
use units::{Hash, HexHash, Rfc3339};

use crate::Record;

/// One thing that somebody did, or tried to. A field that is added later is left out of its JSON while it has its default, so that
/// older entries keep their hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When.
    pub time: Rfc3339,
    /// Who, as in `operator:anna`.
    pub who: String,
    /// What, as in `machine-remove`.
    pub action: String,
    /// With what: the name of a machine, a server, a token; empty if with nothing in particular.
    #[serde(default)]
    pub subject: String,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// The hash of the entry before; zeroes before the first.
    pub before: HexHash,
    /// The hash of this entry: of the one before and everything above.
    pub hash: HexHash,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// It is about to be tried.
    Begun,
    /// It was done.
    Done,
    /// It was refused or failed; why.
    Refused(String),
}

impl AuditEntry {
    /// Returns the entry with its hash.
    pub fn sealed(self) -> Self {
        let hash = HexHash(self.computed());
        Self { hash, ..self }
    }

    /// True if the entry is what it was when it was sealed, and follows the one with this hash.
    pub fn follows(&self, before: HexHash) -> bool {
        self.before == before && self.hash.0 == self.computed()
    }

    fn computed(&self) -> Hash {
        let open = Self { hash: HexHash::default(), ..self.clone() };
        let mut hasher = blake3::Hasher::new_derive_key("landfall 2026 audit entry");
        hasher.update(open.encode().as_bytes());
        hasher.finalize().into()
    }
}

impl Record for AuditEntry {
    const KIND: &'static str = "audit";

    /// Digits enough that the order of keys is the order of numbers.
    fn name(&self) -> String {
        format!("{:012}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, before: HexHash) -> AuditEntry {
        let (who, action, subject) = ("operator:anna".into(), "machine-remove".into(), "web-01".into());
        let (time, outcome) = (Rfc3339::default(), AuditOutcome::Refused("busy".into()));
        AuditEntry { number, time, who, action, subject, outcome, before, hash: HexHash::default() }.sealed()
    }

    #[test]
    fn an_entry_follows_only_the_one_it_was_sealed_after() {
        let first = entry(1, HexHash::default());
        let second = entry(2, first.hash);
        assert!(first.follows(HexHash::default()) && second.follows(first.hash));
        assert!(!second.follows(HexHash::default()));
    }

    #[test]
    fn an_entry_that_was_changed_is_found() {
        let before = entry(1, HexHash::default()).hash;
        let sealed = entry(2, before);
        let changed = [
            AuditEntry { who: "operator:eve".into(), ..sealed.clone() },
            AuditEntry { outcome: AuditOutcome::Done, ..sealed.clone() },
            AuditEntry { number: 3, ..sealed.clone() },
        ];
        assert!(changed.iter().all(|entry| !entry.follows(before)));
    }
}
