//! Where things are in a cluster, and how a value is written so that it is known to be as it was written.
//!
//! ```text
//! landfall/KEY                a record: its JSON, and a line with the hash that binds key, lease and JSON together
//! landfall/~form              which form this is, whether it is being filled, and from where revisions count
//! landfall/~writer/NAME       the last commit of a server, by which it knows what became of it
//! ```
//! No letter of a key sorts after `~`: what begins with it is no record, and stands behind all of them.

use inventory::{Key, Revision};
use serde::{Deserialize, Serialize};
use units::Hash;

use super::message::{Bytes, KeyValue};
use crate::{CatalogError, Entry, LeaseId, Place};

/// What every key begins with.
pub(super) const ROOT: &str = "landfall/";
/// Where the form is told.
pub(super) const FORM_KEY: &str = "landfall/~form";
/// What the keys of writers begin with.
const WRITER_ROOT: &str = "landfall/~writer/";
/// The version of this form. 1: a key for each record.
pub(super) const FORM: i64 = 1;

const LAST_WORD: &str = "blake3 ";

/// What stands under [`FORM_KEY`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Form {
    /// The version of the form.
    pub(super) form: i64,
    /// Revisions of the catalog are those of the cluster and this: a catalog that was filled from another one stands behind that.
    #[serde(default)]
    pub(super) base: u64,
    /// Who is filling it from elsewhere; until that is done it is no catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) filled_by: Option<String>,
}

/// A catalog in a cluster: where it is, and from where its revisions count.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) place: Place,
    pub(super) base: u64,
}

impl Layout {
    /// Returns the revision of the catalog that is this one of the cluster.
    pub(super) fn revision(&self, of_cluster: i64) -> Revision {
        Revision(u64::try_from(of_cluster).unwrap_or(0) + self.base)
    }

    /// Returns the revision of the cluster that is this one of the catalog; one that there never was, for one before it was filled.
    pub(super) fn of_cluster(&self, revision: Revision) -> i64 {
        let number = revision.0.checked_sub(self.base).filter(|number| *number > 0);
        number.and_then(|number| i64::try_from(number).ok()).unwrap_or(i64::MAX)
    }

    /// Returns the record that is kept so. Errors: it is not as it was written.
    pub(super) fn entry(&self, kept: &KeyValue) -> Result<Entry, CatalogError> {
        let key = self.key(&kept.key)?;
        let value = decode_value(&key, kept.lease.0, &kept.value.0)
            .ok_or_else(|| self.damaged(format!("the record {key} is not as it was written")))?;
        let lease = (kept.lease.0 != 0).then_some(LeaseId(kept.lease.0));
        Ok(Entry { key, value: value.to_owned(), revision: self.revision(kept.mod_revision.0), lease })
    }

    /// Returns the key of the record that is kept under this one. Errors: it is not one.
    pub(super) fn key(&self, kept: &Bytes) -> Result<Key, CatalogError> {
        let text = String::from_utf8_lossy(&kept.0);
        let key = text.strip_prefix(ROOT).and_then(|key| key.parse().ok());
        key.ok_or_else(|| {
            self.damaged(format!("{:?} is no key of a record", text.chars().take(64).collect::<String>()))
        })
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> CatalogError {
        CatalogError::Damaged { place: self.place.clone(), what: what.into() }
    }
}

/// Returns where a record is kept.
pub(super) fn place_of(key: &Key) -> Bytes {
    Bytes::from(format!("{ROOT}{key}").as_str())
}

/// Returns from where to where the records are kept whose keys begin like this.
pub(super) fn span_of(prefix: &str) -> (Bytes, Bytes) {
    (Bytes::from(format!("{ROOT}{prefix}").as_str()), Bytes::from(format!("{ROOT}{prefix}~").as_str()))
}

/// Returns where the last commit of a writer is noted.
pub(super) fn writer_key(name: &str) -> Bytes {
    Bytes::from(format!("{WRITER_ROOT}{name}").as_str())
}

/// Writes the value of a record that hangs on a lease, or on none: 0.
pub(super) fn encode_value(key: &Key, lease: i64, value: &str) -> Bytes {
    Bytes(format!("{value}\n{LAST_WORD}{}\n", hash(key, lease, value)).into_bytes())
}

/// Reads the value of a record. Nothing, if it is not as it was written.
pub(super) fn decode_value<'a>(key: &Key, lease: i64, bytes: &'a [u8]) -> Option<&'a str> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let (value, last) = text.rsplit_once('\n')?;
    let found = last.strip_prefix(LAST_WORD)?;
    // One hash has one text: digits are lower-case.
    (found == hash(key, lease, value).to_string()).then_some(value)
}

fn hash(key: &Key, lease: i64, value: &str) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("landfall 2026 record in a cluster");
    hasher.update(&lease.to_le_bytes());
    hasher.update(&(key.as_str().len() as u64).to_le_bytes());
    hasher.update(key.as_str().as_bytes());
    hasher.update(value.as_bytes());
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden_key() -> Key {
        "machine/home/web-01".parse().unwrap()
    }

    #[test]
    fn the_golden_value_is_read_and_written() {
        let value = encode_value(&golden_key(), 7, r#"{"name":"web-01"}"#);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/etcd-value");
        if std::env::var("LANDFALL_GOLDEN").as_deref() == Ok("write") {
            std::fs::write(path, &value.0).unwrap();
        }
        let golden = std::fs::read(path).unwrap();
        assert_eq!(golden, value.0);
        assert_eq!(decode_value(&golden_key(), 7, &golden), Some(r#"{"name":"web-01"}"#));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_of_a_value_is_found() {
        let value = encode_value(&golden_key(), 7, r#"{"name":"é"}"#).0;
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_value(&golden_key(), 7, &flipped), None, "bit {bit}");
        }
        for len in 0..value.len() {
            assert_eq!(decode_value(&golden_key(), 7, &value[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn a_value_under_another_key_or_lease_is_refused() {
        let value = encode_value(&golden_key(), 7, "{}").0;
        assert_eq!(decode_value(&"machine/home/web-02".parse().unwrap(), 7, &value), None);
        assert_eq!(decode_value(&golden_key(), 0, &value), None);
    }

    #[test]
    fn revisions_of_a_filled_catalog_stand_behind_those_it_was_filled_from() {
        let layout = Layout { place: Place::Cluster("c".to_owned()), base: 40 };
        assert_eq!(layout.revision(2), Revision(42));
        assert_eq!(layout.of_cluster(Revision(42)), 2);
        assert_eq!(layout.of_cluster(Revision(40)), i64::MAX, "a record of then is not expected to be found");
    }
}
