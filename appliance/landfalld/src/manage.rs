//! The door on 443.

use std::sync::Arc;

use anyhow::{Context, Result};
use catalog::Catalog;
use control::http::{ALPN, Api, Operators};
use control::{Desk, Gate, GateLimits};
use link::Role;

use crate::enrolment::Counter;
use crate::house::Office;

/// Listens on 443, for everything that is served there; nobody is let in before it runs.
pub(crate) fn gate(address: &str, office: &Office) -> Result<Gate> {
    let gate = Gate::bind(address, office.credentials.clone(), GateLimits::default())?;
    gate.with_enrolment(Arc::new(Counter(office.registrar.clone()))).context("enrolment can't be served")
}

/// Serves operators what the desk answers.
pub(crate) fn with_api(gate: Gate, desk: Arc<Desk>, catalog: Arc<dyn Catalog>) -> Result<Gate> {
    let api = Api::new(desk, catalog).context("the keys of requests can't be read")?;
    let api = Arc::new(Operators(api));
    gate.with(ALPN, &[Role::Operator], api).context("the API can't be served")
}
