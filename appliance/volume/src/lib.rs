//! driver: what a disk may be used for, and the retention volume: made, recognised, adopted.
//!
//! *Invariants:* a refusal names the disk, the rule and the fix; nothing that holds data is made into a retention volume.
//! What this crate does not do: it keeps no history and opens no target disk.

/// What a disk may be used for: a function of facts.
mod rules;
/// What is known of a disk, gathered.
mod verdict;

pub use rules::{DiskFacts, Purpose, Refusal, Role, Rule, eligible};
pub use verdict::{judge, refusal};
