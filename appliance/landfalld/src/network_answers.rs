//! The network, as operators see and change it: what is wished goes on to its keeper, who alone has the rights to it.

use std::path::Path;
use std::time::Instant;

use control::api::{NetworkNic, NetworkState, NetworkTrial};
use control::{ApiError, Code, NetworkService};
use netplan::{Plan, Refusal};
use network::{Keeper, NetworkError, Shown, list_nics};

use crate::answers::Answers;

/// Where the kernel lists interfaces.
const NICS: &str = "/sys/class/net";

impl NetworkService for Answers {
    fn network_show(&self) -> Result<NetworkState, ApiError> {
        self.wish("the network can't be shown", Keeper::show)
    }

    fn network_try(&self, plan: Plan) -> Result<NetworkState, ApiError> {
        self.wish("the network plan is not tried", |keeper| keeper.begin(plan))
    }

    fn network_keep(&self, opened: Option<Instant>) -> Result<NetworkState, ApiError> {
        let what = "the network plan is not kept";
        let opened = opened.ok_or_else(|| {
            ApiError::new(Code::NetworkOldConnection, what)
                .because("it is not known when the connection was opened that this came by")
        })?;
        self.wish(what, |keeper| keeper.keep(opened))
    }

    fn network_set(&self, plan: Plan) -> Result<NetworkState, ApiError> {
        self.wish("the network plan is not set", |keeper| keeper.set(plan))
    }
}

impl Answers {
    fn wish(
        &self,
        what: &str,
        wish: impl FnOnce(&Keeper) -> Result<Shown, NetworkError>,
    ) -> Result<NetworkState, ApiError> {
        let keeper = self.network.as_ref().ok_or_else(|| ApiError::new(Code::NetworkForeign, what))?;
        wish(keeper).map(state).map_err(|error| api_error(what, &error))
    }
}

fn state(shown: Shown) -> NetworkState {
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
        | NetworkError::Keeper { .. }
        | NetworkError::Program { .. } => Code::NetworkFailed,
    };
    match error {
        NetworkError::Plan(error) => ApiError::new(code, what).because(error),
        NetworkError::Refused(refusal) => ApiError::new(code, what).because(refusal),
        _ => ApiError::new(code, what).because(error.in_full()),
    }
}
