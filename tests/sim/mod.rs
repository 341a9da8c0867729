//! The simulator: the product's own code over simulated disks, networks and clocks, broken in every way that can be thought of.
//!
//! One thread drives everything step by step; one seed decides whose turn it is, what fails, and what a crash leaves. An
//! oracle knows the exact image of every disk at every sequence and what was acked; after each recovery everything that
//! was promised is compared with it. Every seed runs twice and must come to the same. Seeds that failed are kept.
//!
//! | part | what it tries |
//! |---|---|
//! | [`explore`] | every short sequence of operations, cut at every step, in every way a crash can leave |
//! | [`swarm`] | long random runs of one target: operations, crashes, devices that fail, hang or are slow |
//! | [`fleet`] | installations: sources, network, clocks, one target for two to four machines |
//! | [`views`] | views while everything else goes on |
//! | [`keeping`] | pins, policies and resyncs: what must be there, and what may go |
//! | [`bounded`] | long epochs, crashed: little is replayed |
//! | [`faults`], [`hotplug`] | each operation failing or hanging once; disks that vanish or are others |
//! | [`rot`], [`lies`] | bits that flip, blocks in the wrong place; writes that were reported and never done, or went astray |
//! | [`wrap`] | a small volume that wraps thousands of times |
//! | [`planted`] | mistakes made on purpose, each found by the check it breaks |
//!
//! Each check begins its message with the invariant it stands for, and can fail:
//!
//! | invariant | checked by | the planted mistake that it finds |
//! |---|---|---|
//! | I1 ack = durable | `check::found`, `judge::i1_ack` | AckBeforeFlush, AckOfReceived, AckOfAnother, SeedUnsettled, RemovedBeforeHead |
//! | I2 order | `check::disks_are` after a recovery, `judge::i2_listed` | OldestWins, PointsByClock, TornGroupKept, RewindUnrecorded, CheckpointUnflushed |
//! | I3 exact point | `check::history`, `keeping`, `judge::i3_kept`, the roots of each recovery point | NoBeforeImage, UndoNotFlushed, PinUnheld, ThinnedUnsaved |
//! | I4 no silent lie | `rot`, `lies`, `views` | PlaceUnchecked, ViewsToldLate, CaptureUntold |
//! | I5 tail ≠ rot | `rot` | DamageIsTail |
//! | I6 containment | `check::disks_are` (what lies behind a disk), `hotplug` | DiskMade |
//! | I7 once | `check::once`, `judge::i7_nothing_on_its_way` | DuplicateTaken, ResumeUnsettled |
//! | I8 bounded | `judge::i8_bounded` | CreditUnchecked |
//! | I9 bounded recovery | `check::found`, `bounded` | CheckpointNever |
//! | I11 fencing | `judge::i11_fencing` | GenerationUnchecked |
//! | I12 fail-stop | `faults::stays_out`, `swarm` | FlushRetried, HangRetried |

pub(crate) mod bounded;
pub(crate) mod check;
pub(crate) mod drive;
pub(crate) mod explore;
pub(crate) mod faults;
pub(crate) mod fleet;
pub(crate) mod hotplug;
pub(crate) mod judge;
pub(crate) mod keeping;
pub(crate) mod lies;
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
pub(crate) mod wrap;
