//! driver: the network of the appliance: the plan that is kept, the one that is tried beside it, and bringing the machine to either.
//!
//! [`Network`] performs what `netplan`'s [`Trial`](netplan::Trial) says, and rolls a plan back by itself. *Invariants:* a plan is
//! durable before it is applied; the kept plan is replaced in one step, by one that was applied; whatever step a crash or a power cut
//! hits, the next start brings the kept plan back; a lock keeps a second program away. Programs without rights wish for plans over a socket
//! ([`serve`], [`Keeper`]), and for nothing else.

/// Which addresses interfaces have.
mod addresses;
/// Why something was not done.
mod error;
/// The way to the keeper.
mod keeper;
/// The network, and the thread that rolls back.
mod network;
/// Which interfaces the machine has.
mod nics;
/// Where plans lie.
mod plans;
/// The keeper.
mod serve;
/// Bringing the machine to a plan.
mod system;
/// What is said over the keeper's socket.
mod wish;

/// Which addresses interfaces have.
pub use addresses::list_addresses;
/// Why something was not done.
pub use error::NetworkError;
/// The way to the keeper.
pub use keeper::{KEEPER_SOCKET, Keeper};
/// The network.
pub use network::{Network, Shown, Trying};
/// Which interfaces the machine has.
pub use nics::{Nic, list_nics};
/// Where plans lie.
pub use plans::{Directory, Plans};
/// The keeper.
pub use serve::serve;
/// Bringing the machine to a plan.
pub use system::{Netplan, System};
