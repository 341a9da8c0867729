//! Why a plan is refused.

use std::fmt;

use crate::names::shortened;

/// One thing that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `interfaces[1].ipv4.gateway`.
    pub place: String,
    /// What was found there, at most 64 characters of it.
    pub found: String,
    /// What is wrong with it, and what is allowed.
    pub allowed: String,
}

/// Why a plan is refused: everything that is wrong with it, at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PlanError {
    /// What is wrong, in the order of the plan.
    pub faults: Vec<Fault>,
}

impl Fault {
    pub(crate) fn new(
        place: impl Into<String>,
        found: impl fmt::Display,
        allowed: impl Into<String>,
    ) -> Self {
        Self { place: place.into(), found: shortened(&found.to_string()), allowed: allowed.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, found, allowed } = self;
        write!(out, "{place}: found {found}: {allowed}")
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.faults.iter().enumerate() {
            let gap = if at == 0 { "" } else { "; " };
            write!(out, "{gap}{fault}")?;
        }
        Ok(())
    }
}
