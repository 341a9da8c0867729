//! Which versions of the protocol two ends have in common.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The versions this program speaks.
///
/// - 1: the first.
pub const VERSIONS: Versions = Versions { oldest: 1, newest: 1 };

/// A run of versions of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest that is spoken.
    pub oldest: u16,
    /// The newest that is spoken.
    pub newest: u16,
}

/// Two ends have no version in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer speaks heartbeat {theirs}, this program {ours}: update the older of the two")]
pub struct VersionSkew {
    /// What the peer speaks.
    pub theirs: Versions,
    /// What this program speaks.
    pub ours: Versions,
}

impl Versions {
    /// Returns the newest version that both ends speak.
    ///
    /// # Errors
    /// There is none.
    pub fn agree(self, theirs: Self) -> Result<u16, VersionSkew> {
        let newest = self.newest.min(theirs.newest);
        let oldest = self.oldest.max(theirs.oldest);
        if oldest <= newest { Ok(newest) } else { Err(VersionSkew { theirs, ours: self }) }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.oldest == self.newest {
            write!(out, "version {}", self.oldest)
        } else {
            write!(out, "versions {} to {}", self.oldest, self.newest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(oldest: u16, newest: u16) -> Versions {
        Versions { oldest, newest }
    }

    #[test]
    fn the_newest_common_version_is_agreed_by_both_ends() {
        for (ours, theirs, agreed) in [
            (versions(1, 1), versions(1, 9), 1),
            (versions(2, 4), versions(3, 7), 4),
            (versions(5, 5), versions(1, 5), 5),
        ] {
            assert_eq!(ours.agree(theirs), Ok(agreed));
            assert_eq!(theirs.agree(ours), Ok(agreed));
        }
    }

    #[test]
    fn ends_without_a_common_version_are_told_what_the_other_speaks() {
        let skew = versions(1, 2).agree(versions(3, 4)).expect_err("nothing in common");
        assert_eq!(
            skew.to_string(),
            "the peer speaks heartbeat versions 3 to 4, this program versions 1 to 2: update the older of the two"
        );
        assert!(versions(3, 4).agree(versions(1, 2)).is_err());
    }
}
