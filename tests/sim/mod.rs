//! The simulator: the real replica over simulated disks, crashed in every way that can be thought of.
//!
//! One thread drives both halves of a replica step by step. An oracle knows the exact image of every disk at every
//! sequence and what was acked; after each recovery everything that was promised is compared with it.

pub(crate) mod check;
pub(crate) mod drive;
pub(crate) mod explore;
pub(crate) mod faults;
pub(crate) mod fleet;
pub(crate) mod judge;
pub(crate) mod material;
pub(crate) mod ops;
pub(crate) mod oracle;
pub(crate) mod outage;
pub(crate) mod plan;
#[cfg(feature = "planted-bugs")]
pub(crate) mod planted;
pub(crate) mod random;
pub(crate) mod raw;
pub(crate) mod rig;
pub(crate) mod rot;
pub(crate) mod runs;
pub(crate) mod seeding;
pub(crate) mod seen;
pub(crate) mod shapes;
pub(crate) mod swarm;
pub(crate) mod views;
pub(crate) mod weave;
pub(crate) mod witness;
