//! Consistency groups: machines whose recovery points share one order.

use serde::{Deserialize, Serialize};
use units::MachineName;

use crate::Record;

/// A consistency group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: MachineName,
    /// Its members, by name.
    #[serde(default)]
    pub machines: Vec<MachineName>,
}

impl Record for Group {
    const KIND: &'static str = "group";

    fn name(&self) -> String {
        self.name.to_string()
    }
}
