//! The network, as operators see and change it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use control::api::{NetworkNic, NetworkState, NetworkTrial};
use control::{ApiError, Code, NetworkService};
use netplan::{Plan, Refusal};
use network::{Directory, Netplan, Network, NetworkError, list_nics};

use crate::answers::Answers;

/// Where the kernel lists interfaces.
const NICS: &str = "/sys/class/net";

/// Brings the network to the plan that is kept; one that was tried is rolled back.
pub(crate) fn open(state: &Path) -> Result<Arc<Network>> {
    let plans = Directory::open(&state.join("network")).context("the network plans can't be had")?;
    Network::open(Box::new(plans), Box::new(Netplan::default()))
        .context("the network can't be brought to its plan")
}

impl NetworkService for Answers {
    fn network_show(&self) -> Result<NetworkState, ApiError> {
        Ok(state(self.network("the network can't be shown")?))
    }

    fn network_try(&self, plan: Plan) -> Result<NetworkState, ApiError> {
        let what = "the network plan is not tried";
        let network = self.network(what)?;
        network.begin(plan).map_err(|error| api_error(what, &error))?;
        Ok(state(network))
    }

    fn network_keep(&self, opened: Option<Instant>) -> Result<NetworkState, ApiError> {
        let what = "the network plan is not kept";
        let network = self.network(what)?;
        let opened = opened.ok_or_else(|| {
            ApiError::new(Code::NetworkOldConnection, what)
                .because("it is not known when the connection was opened that this came by")
        })?;
        network.keep(opened).map_err(|error| api_error(what, &error))?;
        Ok(state(network))
    }

    fn network_set(&self, plan: Plan) -> Result<NetworkState, ApiError> {
        let what = "the network plan is not set";
        let network = self.network(what)?;
        network.set(plan).map_err(|error| api_error(what, &error))?;
        Ok(state(network))
    }
}

impl Answers {
    fn network(&self, what: &str) -> Result<&Network, ApiError> {
        self.network.as_deref().ok_or_else(|| ApiError::new(Code::NetworkForeign, what))
    }
}

fn state(network: &Network) -> NetworkState {
    let shown = network.show();
    let trying =
        shown.trying.map(|trying| NetworkTrial { plan: trying.plan, left_seconds: trying.left.as_secs() });
    let nics = list_nics(Path::new(NICS));
    let nic = |nic: network::Nic| NetworkNic {
        name: nic.name.to_string(),
        mac: nic.mac.to_string(),
        carrier: nic.carrier,
    };
    NetworkState { kept: shown.kept, trying, nics: nics.into_iter().map(nic).collect() }
}

fn api_error(what: &str, error: &NetworkError) -> ApiError {
    let code = match error {
        NetworkError::Plan(_) => Code::NetworkPlan,
        NetworkError::Refused(Refusal::Trying { .. }) => Code::NetworkTrying,
        NetworkError::Refused(Refusal::Nothing) => Code::NetworkNothing,
        NetworkError::Refused(Refusal::OldConnection) => Code::NetworkOldConnection,
        NetworkError::Apply { .. }
        | NetworkError::File { .. }
        | NetworkError::Locked { .. }
        | NetworkError::Damaged { .. }
        | NetworkError::Program { .. } => Code::NetworkFailed,
    };
    let cause = std::error::Error::source(error)
        .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    match error {
        NetworkError::Plan(error) => ApiError::new(code, what).because(error),
        _ => ApiError::new(code, what).because(cause),
    }
}
