//! What holds for the whole installation.

use serde::{Deserialize, Serialize};
use units::Rfc3339;

use crate::Record;

/// The installation itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// Its id, 32 hexadecimal digits, given once: a catalog with another id is of another installation.
    pub id: String,
    /// When it was made.
    pub created: Rfc3339,
    /// The SHA-256 of its authority's key, as join tokens name it, in hexadecimal digits; noted where several configuration servers share
    /// the catalog, which must all sign alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

impl Record for Installation {
    const KIND: &'static str = "settings";

    fn name(&self) -> String {
        "installation".to_owned()
    }
}
