//! driver: what a disk may be used for, and the retention volume: made, recognised, adopted.
//!
//! *Invariants:* a refusal names the disk, the rule and the fix; nothing that holds data is made into a retention volume.
//! What this crate does not do: it keeps no history and opens no target disk.

/// Taking over the machines of another node.
mod adopt;
/// Errors of volumes, as operators read them.
mod failure;
/// Making a retention volume of an empty device.
mod make;
/// Other programs that are run.
mod program;
/// What a disk may be used for: a function of facts.
mod rules;
/// What is known of a disk, gathered.
mod verdict;

pub use adopt::{Adoption, FoundMachine, adopt, survey};
pub use failure::{code_of_volume, volume_error};
pub use make::{
    FileSystem, Made, Making, Stage, State, examine, make, mount_existing, mount_unit, take_directory,
};
pub use rules::{DiskFacts, Purpose, Refusal, Role, Rule, eligible};
pub use verdict::{judge, refusal};
