//! driver: the lab: real processes, real disks, real certificates, for the demo, the benchmark and the end-to-end tests.
//!
//! Everything the lab starts or makes is undone when its value is dropped, on a panic, and on SIGINT, SIGTERM or
//! SIGHUP (once [`cleanup::on_signals`] was called). Should the lab itself be killed with SIGKILL, its processes die
//! with it and its loop devices detach; only its directory stays.
//!
//! *Invariant:* the lab judges the programs from outside: by their command lines, their JSON and the bytes they
//! leave behind. It links none of their code but the protocol, for clients that misbehave on purpose, and the
//! shape of the replies.

/// `landfalld` as a child process, and `landfall` to talk to it.
pub mod appliance;
/// Where the programs under test are.
pub mod binaries;
/// What must be undone, however the lab ends.
pub mod cleanup;
/// A source of our own making that keeps to no rule.
pub mod client;
/// Other people's programs, run to their end.
pub mod command;
/// A SQLite database that is caught in the middle of a transaction.
pub mod database;
/// Disks: loop devices where the lab is root, files otherwise.
pub mod disk;
/// An ext4 file system on a disk, and changes to it.
pub mod filesystem;
/// Certificates for the lab's machines.
pub mod identity;
/// The lab's directory.
pub mod lab;
/// Files chosen from the machine's own `/usr`.
pub mod material;
/// Child processes with their cost.
pub mod process;
/// What proves a disk: `sha256sum`, `e2fsck`, SQLite's own check.
pub mod proof;
/// A source of our own making: pushes batches as told, over the real protocol.
pub mod pusher;
/// Sizes, rates and times as people read them.
pub mod report;
/// A running appliance with machines, ready for tests.
pub mod rig;
/// `landfall-source` as a child process.
pub mod source;
/// A network of its own, with networkd and a far end.
pub mod town;
/// A machine that boots the appliance's image.
pub mod vm;
