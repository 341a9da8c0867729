//! A network that nobody keeps.

use std::time::Instant;

use landfall_control::api::{NetworkState, NetworkTrial};
use landfall_control::{ApiError, Code, NetworkService};
use netplan::Plan;

use super::Fake;

impl NetworkService for Fake {
    fn network_show(&self) -> Result<NetworkState, ApiError> {
        Ok(NetworkState { kept: None, trying: None, nics: Vec::new() })
    }

    fn network_try(&self, plan: Plan) -> Result<NetworkState, ApiError> {
        Ok(NetworkState {
            kept: None,
            trying: Some(NetworkTrial { plan, left_seconds: 30 }),
            nics: Vec::new(),
        })
    }

    /// Says for how long the connection was open.
    fn network_keep(&self, opened: Option<Instant>) -> Result<NetworkState, ApiError> {
        let open =
            opened.map_or_else(|| "unknown".to_owned(), |opened| opened.elapsed().as_millis().to_string());
        Err(ApiError::new(Code::NetworkNothing, "nothing was kept").because(open))
    }

    fn network_set(&self, plan: Plan) -> Result<NetworkState, ApiError> {
        Ok(NetworkState { kept: Some(plan), trying: None, nics: Vec::new() })
    }
}
