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
}

impl Record for Installation {
    const KIND: &'static str = "settings";

    fn name(&self) -> String {
        "installation".to_owned()
    }
}
