//! core: the network plan: which interfaces there are, which addresses they get, and how that is told to netplan.
//!
//! A [`Plan`] is what somebody wishes, as JSON or as netplan YAML. [`Plan::check`] refuses what can't work, naming each fault with its
//! place, and gives a [`Checked`] plan, which alone can be rendered. [`Trial`] is how a plan is tried, kept and rolled back.
//!
//! *Invariants:* no file, socket or clock is touched; a checked plan renders to YAML that reads back as the same plan; what is rendered is
//! the same bytes for the same plan. What this crate does not do: it neither looks at the interfaces of a machine nor applies anything.

/// What a plan must be like.
mod check;
/// Addresses with the length of their prefix.
mod cidr;
/// Why a plan is refused.
mod error;
/// Names of interfaces, hardware addresses, domains.
mod names;
/// The model.
mod plan;
/// Which source takes which way, where ranges overlap.
mod policy;
/// Netplan YAML, read.
mod read;
/// Netplan YAML, written.
mod render;
/// Trying a plan before it is kept.
mod trial;
/// Values as a person writes them.
mod words;

/// A checked plan.
pub use check::{Checked, NTP_MAX};
/// Addresses with the length of their prefix.
pub use cidr::{Cidr, ParseCidrError};
/// Why a plan is refused.
pub use error::{Fault, PlanError};
/// Names of interfaces, hardware addresses, domains.
pub use names::{HostName, Mac, NicName, ParseNameError, Server};
/// The model.
pub use plan::{Addressing, Interface, Kind, Plan, Route, Static, Tag};
/// Which source takes which way.
pub use policy::{SourceTable, TABLE_FIRST, source_tables};
/// What reads and writes YAML.
pub use read::{DECODERS, Decoder, ReadError, read_yaml};
/// Trying a plan before it is kept.
pub use trial::{Refusal, State, Step, TRIAL, Trial, Which};
/// Values as a person writes them.
pub use words::{read_address, read_list};
