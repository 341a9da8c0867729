//! How much is tried in every run of the tests.

use super::explore::Effort;
use super::ops::Op;

/// What happens before each sequence: two epochs, a group that is half applied, writes that are not flushed.
pub(crate) const PREFIX: [Op; 8] =
    [Op::Begin, Op::SeedSync, Op::EndSeeding, Op::Write, Op::Settle, Op::Rotate, Op::Group, Op::Step];

/// What sequences are made of.
pub(crate) const ALPHABET: [Op; 11] = [
    Op::Write,
    Op::Group,
    Op::Weave,
    Op::Step,
    Op::Settle,
    Op::Rotate,
    Op::Back(1),
    Op::Forward,
    Op::Expire,
    Op::Accept,
    Op::Restart,
];

/// What sequences that begin with a blank disk are made of.
pub(crate) const SEEDING: [Op; 6] =
    [Op::Begin, Op::Seed, Op::SeedSync, Op::EndSeeding, Op::Write, Op::Restart];

/// How hard each cut is looked at. scripts/soak leaves none of the longest sequences out, by `LANDFALL_SIM_WHOLE`.
pub(crate) const EFFORT: Effort =
    Effort { length: 3, thin: THIN, images_per_cut: 170, repeats: 20, thorough: 8, again: 6 };

/// Of the longest sequences one in so many is tried in every run of the tests.
pub(crate) const THIN: usize = 7;

/// Threads' worth of exhaustive work.
pub(crate) const SHARDS: usize = 4;

/// Distinct crash images that all shards together must try, with all of the longest sequences.
pub(crate) const IMAGES_MIN: usize = 200_000;

/// Bytes from one flipped bit to the next.
pub(crate) const FLIP_STRIDE: usize = 37;

/// Blocks put where they do not belong.
pub(crate) const MISPLACED: u64 = 1000;

/// Random runs with views.
pub(crate) const VIEW_SEEDS: u64 = 200;

/// Random runs of a replica,
pub(crate) const SEEDS: u64 = 600;

/// and of an installation.
pub(crate) const FLEETS: u64 = 400;

/// Long runs that are crashed.
pub(crate) const LONG_RUNS: u64 = 40;

/// Epochs that come and go on a small volume.
pub(crate) const EPOCHS: u64 = 4000;

/// Seeds of installations that find every planted mistake of sessions.
#[cfg(feature = "planted-bugs")]
pub(crate) const PLANTED_FLEETS: u64 = 1500;
