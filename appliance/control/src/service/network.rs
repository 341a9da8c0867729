//! The network of the appliance.

use std::time::Instant;

use netplan::Plan;

use crate::api::NetworkState;
use crate::error::ApiError;

/// The answers about the network. As for [`Service`](crate::Service), methods block, and one that returns an error has changed nothing,
/// unless the error says so.
pub trait NetworkService {
    /// Returns the network.
    fn network_show(&self) -> Result<NetworkState, ApiError>;

    /// Applies a plan, to be rolled back by itself unless it is kept.
    fn network_try(&self, plan: Plan) -> Result<NetworkState, ApiError>;

    /// Keeps the plan that is tried; durable on return. `opened` is when the connection was opened that the wish came by, if that is known.
    fn network_keep(&self, opened: Option<Instant>) -> Result<NetworkState, ApiError>;

    /// Applies a plan and keeps it; durable on return. The wish was confirmed.
    fn network_set(&self, plan: Plan) -> Result<NetworkState, ApiError>;
}
