//! The simulator: the real replica over simulated disks, crashed in every way that can be thought of.
//!
//! One thread drives both halves of a replica step by step. An oracle knows the exact image of every disk at every
//! sequence and what was acked; after each recovery everything that was promised is compared with it.

pub mod check;
pub mod drive;
pub mod explore;
pub mod faults;
pub mod material;
pub mod ops;
pub mod oracle;
pub mod plan;
#[cfg(feature = "planted-bugs")]
pub mod planted;
pub mod random;
pub mod raw;
pub mod rig;
pub mod rot;
pub mod seen;
pub mod shapes;
pub mod swarm;
pub mod weave;
pub mod witness;
