//! The network of the appliance.

use netplan::Plan;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The network: what is kept, and what is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkState {
    /// The plan that is kept; none before the first one was.
    pub kept: Option<Plan>,
    /// The plan that is tried, if one is.
    pub trying: Option<NetworkTrial>,
    /// The interfaces there are.
    pub nics: Vec<NetworkNic>,
}

/// A plan that is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkTrial {
    /// It.
    pub plan: Plan,
    /// Seconds until it is rolled back by itself.
    pub left_seconds: u64,
}

/// An interface that the machine has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkNic {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: String,
    /// A cable, or what stands for one, is plugged in; only known of one that is up.
    pub carrier: bool,
}
