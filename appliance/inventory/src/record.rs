//! What every record is.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Key;

/// One thing that is known, kept under a key of its own.
///
/// A field that is added has a default, so that a record that was written before it can still be read.
pub trait Record: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The first part of the key of each record of its kind.
    const KIND: &'static str;

    /// Returns its name among its kind: lawful as a part of a [`Key`], the same for as long as it lives.
    fn name(&self) -> String;

    /// Returns where it is kept.
    fn key(&self) -> Key {
        Key::new(Self::KIND, &self.name()).expect("a record's name is lawful in a key")
    }

    /// Returns it as JSON.
    fn encode(&self) -> String {
        serde_json::to_string(self).expect("a record has only text keys, so that it can be written as JSON")
    }

    /// Reads it from JSON. Errors: it is not a record of this kind, or belongs under another key.
    fn decode(key: &Key, text: &str) -> Result<Self, RecordError> {
        let unreadable = |source| RecordError::Unreadable { key: key.clone(), source };
        let record: Self = serde_json::from_str(text).map_err(unreadable)?;
        let own = Key::new(Self::KIND, &record.name()).map_err(RecordError::Name)?;
        if own == *key { Ok(record) } else { Err(RecordError::Misplaced { key: key.clone(), own }) }
    }
}

/// Why a text is not the record it should be.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Its JSON is of another kind or version.
    #[error("the record {key} can't be read")]
    Unreadable {
        /// Where it is kept.
        key: Key,
        /// Why not.
        source: serde_json::Error,
    },
    /// It belongs elsewhere.
    #[error("the record kept as {key} is {own}")]
    Misplaced {
        /// Where it is kept.
        key: Key,
        /// Where it belongs.
        own: Key,
    },
    /// Its name can't be part of a key.
    #[error("a record has a name that is none")]
    Name(#[source] crate::KeyError),
}
