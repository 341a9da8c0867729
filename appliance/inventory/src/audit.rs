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

/// Entries that are kept; of more, the oldest go.
pub const AUDIT_KEPT: u64 = 20_000;

/// Where the log begins and ends. It changes in one commit with the entries, so that a log that was cut at either end is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// The number of the first entry that is kept.
    pub first: u64,
    /// The hash of the entry before it.
    pub before: HexHash,
    /// The number of the last entry; one below the first of an empty log.
    pub last: u64,
    /// Its hash.
    pub hash: HexHash,
}

/// Something somebody did, as the log takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditDeed {
    /// Who, as in `operator anna`.
    pub who: String,
    /// What, as in `machine-remove`.
    pub action: String,
    /// With what.
    pub subject: String,
    /// What came of it.
    pub outcome: AuditOutcome,
}

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFlaw {
    /// There are entries, and nothing says where they begin and end.
    #[error("nothing says where the log begins and ends")]
    Headless,
    /// An entry is not there.
    #[error("entry {number} is missing")]
    Missing {
        /// Its number.
        number: u64,
    },
    /// An entry is not as it was written, or does not follow the one before.
    #[error("entry {number} is not as it was written, or not in its place")]
    Changed {
        /// Its number.
        number: u64,
    },
    /// An entry that was written down elsewhere is another here.
    #[error("entry {number} is not the one that is known: the log was replaced from there or before")]
    Replaced {
        /// Its number.
        number: u64,
    },
}

impl Record for AuditHead {
    const KIND: &'static str = "log";

    fn name(&self) -> String {
        "audit".to_owned()
    }
}

impl Default for AuditHead {
    /// Returns the head of an empty log.
    fn default() -> Self {
        Self { first: 1, before: HexHash::default(), last: 0, hash: HexHash::default() }
    }
}

impl AuditHead {
    /// Returns the entry that follows, and the head with it.
    pub fn append(&self, deed: AuditDeed, time: Rfc3339) -> (AuditEntry, Self) {
        let AuditDeed { who, action, subject, outcome } = deed;
        let number = self.last + 1;
        let open = AuditEntry {
            number,
            time,
            who,
            action,
            subject,
            outcome,
            before: self.hash,
            hash: HexHash::default(),
        };
        let entry = open.sealed();
        let head = Self { last: number, hash: entry.hash, ..self.clone() };
        (entry, head)
    }

    /// Returns the number of the entry that is given up for the next one, if one is.
    pub fn surplus(&self) -> Option<u64> {
        (self.last + 1 - self.first >= AUDIT_KEPT).then_some(self.first)
    }

    /// Returns the head without the first entry, which is this one.
    #[must_use]
    pub fn without(&self, first: &AuditEntry) -> Self {
        assert_eq!(first.number, self.first, "the oldest entry goes first");
        Self { first: first.number + 1, before: first.hash, ..self.clone() }
    }

    /// Checks a whole log: no gap, no change, no cut; and, if an entry is known from elsewhere, that it is the same here.
    pub fn check(
        head: Option<&Self>,
        entries: &[AuditEntry],
        known: Option<(u64, HexHash)>,
    ) -> Result<(), AuditFlaw> {
        let empty = Self::default();
        let head = match head {
            None if !entries.is_empty() || known.is_some() => return Err(AuditFlaw::Headless),
            head => head.unwrap_or(&empty),
        };
        let mut before = head.before;
        for (number, at) in (head.first..=head.last).zip(0..) {
            let entry = entries.get(at).filter(|entry| entry.number == number);
            let entry = entry.ok_or(AuditFlaw::Missing { number })?;
            if !entry.follows(before) {
                return Err(AuditFlaw::Changed { number });
            }
            if known.is_some_and(|(known, hash)| known == number && hash != entry.hash) {
                return Err(AuditFlaw::Replaced { number });
            }
            before = entry.hash;
        }
        let surplus = entries.get((head.last + 1 - head.first) as usize);
        match (surplus, known) {
            (Some(surplus), _) => Err(AuditFlaw::Changed { number: surplus.number }),
            (None, _) if before != head.hash => Err(AuditFlaw::Changed { number: head.last }),
            (None, Some((number, _))) if number > head.last => Err(AuditFlaw::Missing { number }),
            _ => Ok(()),
        }
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

    fn log(count: u64) -> (AuditHead, Vec<AuditEntry>) {
        let mut head = AuditHead::default();
        let mut entries = Vec::new();
        for number in 0..count {
            let deed = AuditDeed {
                who: "operator anna".into(),
                action: "policy-set".into(),
                subject: format!("web-{number}"),
                outcome: AuditOutcome::Done,
            };
            let (entry, after) = head.append(deed, Rfc3339::default());
            head = after;
            entries.push(entry);
        }
        (head, entries)
    }

    #[test]
    fn a_log_that_was_cut_or_changed_anywhere_is_found() {
        let (head, entries) = log(6);
        assert_eq!(AuditHead::check(Some(&head), &entries, None), Ok(()));
        assert_eq!(AuditHead::check(None, &[], None), Ok(()), "a new one");
        for at in 0..entries.len() {
            let mut cut = entries.clone();
            cut.remove(at);
            assert!(AuditHead::check(Some(&head), &cut, None).is_err(), "without entry {at}");
            let mut changed = entries.clone();
            changed[at].who = "operator eve".into();
            assert!(AuditHead::check(Some(&head), &changed, None).is_err(), "entry {at}");
            changed[at] = changed[at].clone().sealed();
            assert!(AuditHead::check(Some(&head), &changed, None).is_err(), "entry {at}, sealed anew");
        }
        let (_, longer) = log(7);
        assert!(AuditHead::check(Some(&head), &longer, None).is_err(), "an entry behind the end");
        assert_eq!(AuditHead::check(None, &entries, None), Err(AuditFlaw::Headless));
    }

    #[test]
    fn a_log_that_was_written_anew_from_somewhere_is_known_by_what_was_noted_elsewhere() {
        let (head, mut entries) = log(6);
        let known = Some((4, entries[3].hash));
        assert_eq!(AuditHead::check(Some(&head), &entries, known), Ok(()));
        let (mut forged, kept) = (log(2).0, entries.drain(..2).collect::<Vec<_>>());
        let mut anew = kept;
        for entry in entries {
            let AuditEntry { action, subject, outcome, .. } = entry;
            let deed = AuditDeed { who: "operator eve".into(), action, subject, outcome };
            let (entry, head) = forged.append(deed, Rfc3339::default());
            forged = head;
            anew.push(entry);
        }
        assert_eq!(AuditHead::check(Some(&forged), &anew, None), Ok(()), "it is whole in itself");
        assert_eq!(AuditHead::check(Some(&forged), &anew, known), Err(AuditFlaw::Replaced { number: 4 }));
        let shorter = log(3);
        assert_eq!(
            AuditHead::check(Some(&shorter.0), &shorter.1, known),
            Err(AuditFlaw::Missing { number: 4 })
        );
    }

    #[test]
    fn the_oldest_entries_go_and_the_rest_still_follow() {
        let (head, entries) = log(3);
        assert_eq!(head.surplus(), None);
        let shorter = head.without(&entries[0]);
        assert_eq!(AuditHead::check(Some(&shorter), &entries[1..], None), Ok(()));
        assert!(AuditHead::check(Some(&shorter), &entries[2..], None).is_err());
        assert_eq!(AuditHead { last: AUDIT_KEPT, ..head }.surplus(), Some(1));
    }
}
