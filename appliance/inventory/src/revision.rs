//! How often what is known has changed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number that rises with every change of the catalog; of a record, the one at its last change. 0 stands before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision(pub u64);

impl Revision {
    /// Returns the one that follows.
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("a revision never reaches 2^64"))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}
