//! driver: the network of the appliance: the plan that is kept, the one that is tried beside it, and bringing the machine to either.
//!
//! [`Network`] performs what `netplan`'s [`Trial`](netplan::Trial) says, and rolls a plan back by itself. *Invariants:* a plan is
//! durable before it is applied; the kept plan is replaced in one step, by one that was applied; whatever step a crash or a power cut
//! hits, the next start brings the kept plan back; a lock keeps a second program away.

/// Which addresses interfaces have.
mod addresses;
/// Why something was not done.
mod error;
/// The network, and the thread that rolls back.
mod network;
/// Which interfaces the machine has.
mod nics;
/// Where plans lie.
mod plans;
/// Bringing the machine to a plan.
mod system;

/// Which addresses interfaces have.
pub use addresses::list_addresses;
/// Why something was not done.
pub use error::NetworkError;
/// The network.
pub use network::{Network, Shown, Trying};
/// Which interfaces the machine has.
pub use nics::{Nic, list_nics};
/// Where plans lie.
pub use plans::{Directory, Plans};
/// Bringing the machine to a plan.
pub use system::{Netplan, System};
