//! Recovery plans: orders in which machines come home.

use serde::{Deserialize, Serialize};
use units::MachineName;

use crate::Record;

/// A recovery plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its name.
    pub name: MachineName,
    /// What fails back together, first things first.
    #[serde(default)]
    pub stages: Vec<Vec<MachineName>>,
}

impl Record for Plan {
    const KIND: &'static str = "plan";

    fn name(&self) -> String {
        self.name.to_string()
    }
}
