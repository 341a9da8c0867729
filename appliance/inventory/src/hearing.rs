//! Which configuration server hears a server, where several share one catalog.

use serde::{Deserialize, Serialize};
use units::{MachineName, Rfc3339, as_text};
use wire::Identity;

use crate::{Holder, Record};

/// A server's heartbeat, as one configuration server hears it. The record lives as long as both do: it hangs on a lease of the one that
/// hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hearing {
    /// Who is heard.
    #[serde(with = "as_text")]
    pub identity: Identity,
    /// The configuration server that hears it.
    pub by: MachineName,
    /// Since when.
    pub since: Rfc3339,
}

impl Record for Hearing {
    const KIND: &'static str = "heard";

    /// One who is heard by several, on the way from one to another, has a record of each.
    fn name(&self) -> String {
        format!("{}/{}", Holder::name_of(&self.identity), self.by)
    }
}

#[cfg(test)]
mod tests {
    use units::Timestamp;

    use super::*;

    #[test]
    fn it_is_known_who_hears_whom() {
        let hearing = Hearing {
            identity: "landfall:source:web-01".parse().unwrap(),
            by: "home".parse().unwrap(),
            since: Timestamp(1_700_000_000_000_000).into(),
        };
        assert_eq!(hearing.key().as_str(), "heard/source/web-01/home");
        assert_eq!(Hearing::decode(&hearing.key(), &hearing.encode()).unwrap(), hearing);
    }
}
