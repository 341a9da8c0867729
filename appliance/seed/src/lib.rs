//! core: what an appliance is told before its first boot, or at its console: the properties of an OVF as the hypervisor hands them to the
//! guest, and the same as the person at the console answers it.
//!
//! *Invariants:* every property is optional, an empty one and one that says `null` count as not told (hypervisors do both); what is told is
//! checked by the same code as what a person types. What this crate does not do: it fetches nothing, keeps nothing and knows no password.

/// The document a hypervisor hands to a guest.
mod environment;
/// The password, as a hash.
mod password;
/// The properties there are.
mod properties;
/// What was told, checked.
mod told;
/// The network that was told.
mod wiring;

pub use environment::{DECODERS, Decoder, ENVIRONMENT_LEN_MAX, EnvironmentError, read_environment};
pub use password::{PASSWORD_LEN_MIN, PasswordError, PasswordHash};
pub use properties::{CLASS, Kind, PROPERTIES, Property};
pub use told::{Asked, PropertyError, Retention, Seed};
pub use wiring::{NICS_MAX, Wiring, WiringError};
