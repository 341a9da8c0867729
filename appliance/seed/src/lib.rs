//! core: what an appliance is told before its first boot: the properties of an OVF, as the hypervisor hands them to the guest.
//!
//! *Invariants:* every property is optional, an empty one and one that says `null` count as not told (hypervisors do both); what is told is
//! checked like anything a person types. What this crate does not do: it fetches nothing and keeps nothing.

/// The document a hypervisor hands to a guest.
mod environment;
/// The properties there are.
mod properties;
/// What was told, checked.
mod told;

pub use environment::{DECODERS, Decoder, ENVIRONMENT_LEN_MAX, EnvironmentError, read_environment};
pub use properties::{CLASS, Kind, PROPERTIES, Property};
pub use told::{PropertyError, Retention, Seed};
