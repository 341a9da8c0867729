//! The door on 443.

use std::sync::Arc;

use anyhow::{Context, Result};
use control::{Gate, GateLimits};

use crate::enrolment::Counter;
use crate::house::Office;

/// Listens on 443, for everything that is served there; nobody is let in before it runs.
pub(crate) fn gate(address: &str, office: &Office) -> Result<Gate> {
    let gate = Gate::bind(address, office.credentials.clone(), GateLimits::default())?;
    gate.with_enrolment(Arc::new(Counter(office.registrar.clone()))).context("enrolment can't be served")
}
