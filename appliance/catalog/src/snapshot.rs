//! A whole catalog as a text: what a copy and a backup hold.
//!
//! ```text
//! landfall catalog snapshot 1
//! 1204 3                                     its revision, and how many records follow
//! machine/web-01 1204 {"name":"web-01",…}    each record: key, revision, JSON; by key
//! …
//! blake3 4c1f…                               the hash of all bytes before this line
//! ```
//! What hangs on a lease is left out: it lives as long as its holder, who is not in the text.

use std::fmt::Write;

use inventory::{Key, Record, Revision};
use units::Hash;

use crate::{Entry, Listing};

const FIRST_LINE: &str = "landfall catalog snapshot 1";
const LAST_WORD: &str = "blake3 ";

/// A whole catalog, as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    revision: Revision,
    records: Vec<Entry>,
}

/// Why bytes are not a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// They are something else, or of a version that is not known.
    #[error("it does not begin with {FIRST_LINE:?}")]
    Kind,
    /// They are not as they were written: damaged, or cut off.
    #[error("its hash is not that of its content")]
    Hash,
    /// A line is not what it should be.
    #[error("its line {line} can't be read")]
    Line {
        /// Which line, from 1.
        line: usize,
    },
}

impl Snapshot {
    /// Takes everything that was listed, but for what hangs on a lease.
    pub fn of(listing: Listing) -> Self {
        let mut records = listing.entries;
        records.retain(|entry| entry.lease.is_none());
        let lawful = records.iter().all(|entry| !entry.value.contains('\n'));
        assert!(lawful, "a record is JSON on one line");
        Self { revision: listing.revision, records }
    }

    /// Returns the revision of the catalog it was taken of.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns its records, by key.
    pub fn records(&self) -> &[Entry] {
        &self.records
    }

    /// Returns its records of one kind. Errors: one is none of its kind.
    pub fn table<R: Record>(&self) -> Result<Vec<R>, inventory::RecordError> {
        let prefix = format!("{}/", R::KIND);
        let ours = self.records.iter().filter(|entry| entry.key.as_str().starts_with(&prefix));
        ours.map(|entry| R::decode(&entry.key, &entry.value)).collect()
    }

    /// Leaves out the records of one kind.
    #[must_use]
    pub fn without<R: Record>(mut self) -> Self {
        let prefix = format!("{}/", R::KIND);
        self.records.retain(|entry| !entry.key.as_str().starts_with(&prefix));
        self
    }

    /// Returns it as a text.
    pub fn encode(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n{} {}\n", self.revision, self.records.len());
        for Entry { key, value, revision, .. } in &self.records {
            writeln!(text, "{key} {revision} {value}").expect("a text takes text");
        }
        let hash: Hash = blake3::hash(text.as_bytes()).into();
        writeln!(text, "{LAST_WORD}{hash}").expect("a text takes text");
        text
    }

    /// Reads it from a text. Errors: it is not one, or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        if !bytes.starts_with(format!("{FIRST_LINE}\n").as_bytes()) {
            return Err(SnapshotError::Kind);
        }
        let content = verified(bytes).ok_or(SnapshotError::Hash)?;
        let mut lines = content.lines().enumerate().skip(1);
        let (revision, count) =
            lines.next().and_then(|(_, line)| header(line)).ok_or(SnapshotError::Line { line: 2 })?;
        let mut records: Vec<Entry> = Vec::new();
        for (at, line) in lines {
            let entry = record(line).filter(|entry| {
                let follows = records.last().is_none_or(|before| before.key < entry.key);
                follows && entry.revision <= revision
            });
            records.push(entry.ok_or(SnapshotError::Line { line: at + 1 })?);
        }
        if records.len() == count {
            Ok(Self { revision, records })
        } else {
            Err(SnapshotError::Line { line: 2 })
        }
    }
}

/// Returns what comes before the last line, if its hash is the one that the last line says.
fn verified(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let at = text.strip_suffix('\n')?.rfind('\n')? + 1;
    let (content, last) = text.split_at(at);
    let hash: Hash = last.strip_suffix('\n')?.strip_prefix(LAST_WORD)?.parse().ok()?;
    // One hash has one text: digits are lower-case.
    (last == format!("{LAST_WORD}{hash}\n") && hash == blake3::hash(content.as_bytes()).into())
        .then_some(content)
}

fn header(line: &str) -> Option<(Revision, usize)> {
    let (revision, count) = line.split_once(' ')?;
    Some((Revision(revision.parse().ok()?), count.parse().ok()?))
}

fn record(line: &str) -> Option<Entry> {
    let mut words = line.splitn(3, ' ');
    let key: Key = words.next()?.parse().ok()?;
    let revision = Revision(words.next()?.parse().ok()?);
    Some(Entry { key, revision, value: words.next()?.to_owned(), lease: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LeaseId;

    fn entry(key: &str, revision: u64, lease: Option<LeaseId>) -> Entry {
        let value = r#"{"name":"é"}"#.to_owned();
        Entry { key: key.parse().unwrap(), value, revision: Revision(revision), lease }
    }

    fn snapshot() -> Snapshot {
        let entries = vec![
            entry("group/a", 3, None),
            entry("liveness/b", 4, Some(LeaseId(1))),
            entry("machine/c", 7, None),
        ];
        Snapshot::of(Listing { entries, revision: Revision(9) })
    }

    #[test]
    fn a_snapshot_is_the_text_it_always_was() {
        let text = "landfall catalog snapshot 1\n9 2\ngroup/a 3 {\"name\":\"é\"}\nmachine/c 7 {\"name\":\"é\"}\n\
                    blake3 HASH\n";
        let content = &text[..text.len() - "blake3 HASH\n".len()];
        let hash: Hash = blake3::hash(content.as_bytes()).into();
        assert_eq!(snapshot().encode(), text.replace("HASH", &hash.to_string()));
        assert_eq!(Snapshot::decode(snapshot().encode().as_bytes()), Ok(snapshot()));
    }

    #[test]
    fn the_golden_snapshot_is_read() {
        let machine = r#"{"name":"web-01","id":"abababababababababababababababab","server":"home","generation":2,"disks":[{"path":"/dev/sdb","len_bytes":1073741824}],"registered":"2026-11-20T14:03:07Z"}"#;
        let installation = r#"{"id":"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b","created":"2026-11-20T14:00:00Z"}"#;
        let entries = vec![
            Entry { value: machine.to_owned(), ..entry("machine/web-01", 1204, None) },
            Entry { value: installation.to_owned(), ..entry("settings/installation", 1, None) },
        ];
        let snapshot = Snapshot::of(Listing { entries, revision: Revision(1204) });
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/snapshot");
        if std::env::var("LANDFALL_GOLDEN").as_deref() == Ok("write") {
            std::fs::write(path, snapshot.encode()).unwrap();
        }
        let golden = std::fs::read(path).unwrap();
        assert_eq!(golden, snapshot.encode().as_bytes());
        assert_eq!(Snapshot::decode(&golden), Ok(snapshot));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_found() {
        let bytes = snapshot().encode().into_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Snapshot::decode(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Snapshot::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn what_is_well_hashed_but_makes_no_sense_is_refused() {
        for (content, line) in [
            ("9\n", 2),
            ("9 2\na/b 1 {}\n", 2),
            ("9 1\na/b 10 {}\n", 3),
            ("9 2\na/b 1 {}\na/b 1 {}\n", 4),
            ("9 2\na/c 1 {}\na/b 1 {}\n", 4),
            ("9 1\nA 1 {}\n", 3),
            ("9 1\na/b {}\n", 3),
        ] {
            let content = format!("{FIRST_LINE}\n{content}");
            let hash: Hash = blake3::hash(content.as_bytes()).into();
            let found = Snapshot::decode(format!("{content}blake3 {hash}\n").as_bytes());
            assert_eq!(found, Err(SnapshotError::Line { line }), "{content}");
        }
    }
}
