//! Why an operator's request is not granted.

use blockdev::{DeviceError, EngineError, VolumeError};
use std::path::PathBuf;

use units::{MachineName, Sequence, Timestamp};

use crate::replica::{FailureKind, ReplicaError};

/// Why a request is not granted. Nothing has changed, unless the error says so.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The retention volume can't be used.
    #[error("the retention volume can't be used")]
    Volume(#[from] VolumeError),
    /// The directory can't be looked at.
    #[error("{} can't be used as a retention volume", .directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its file system can't keep a history safe.
    #[error("{} lies on a file system of kind {file_system}", .directory.display())]
    VolumeFileSystem {
        /// The directory.
        directory: PathBuf,
        /// The kind.
        file_system: &'static str,
    },
    /// It can't be written.
    #[error("{} is mounted read-only", .directory.display())]
    VolumeReadOnly {
        /// The directory.
        directory: PathBuf,
    },
    /// Its file system has no capacity.
    #[error("{} lies on a file system without capacity", .directory.display())]
    VolumeNoCapacity {
        /// The directory.
        directory: PathBuf,
    },
    /// Something else is in it.
    #[error("{} holds {found:?}, which is not a retention volume's", .directory.display())]
    VolumeOccupied {
        /// The directory.
        directory: PathBuf,
        /// What was found.
        found: String,
    },
    /// It is another node's.
    #[error("the retention volume in {} belongs to {owner}, and this is {node}", .directory.display())]
    VolumeOwned {
        /// The directory.
        directory: PathBuf,
        /// Whose it is.
        owner: MachineName,
        /// Who we are.
        node: MachineName,
    },
    /// What the volume says of itself can't be read or written.
    #[error("the superblock of the retention volume can't be used")]
    Superblock(#[source] ReplicaError),
    /// No engine can be had.
    #[error("no block engine can be had")]
    Engine(#[from] EngineError),
    /// A thread or socket can't be had.
    #[error("the system refused {what}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// No such machine.
    #[error("machine {name} is not known here")]
    UnknownMachine {
        /// The name.
        name: MachineName,
    },
    /// The name is taken.
    #[error("machine {name} exists already")]
    MachineExists {
        /// The name.
        name: MachineName,
    },
    /// The number of disks is not allowed.
    #[error("{found} disks were given; a machine has 1 to 256, each once")]
    DiskCount {
        /// How many.
        found: usize,
    },
    /// A disk can't be a target disk.
    #[error("the disk can't be used")]
    Disk(#[source] DeviceError),
    /// A disk has no identity by which it could be known again.
    #[error("{path} has neither serial number nor WWID, so that it could not be known again after a restart")]
    NoIdentity {
        /// The path.
        path: String,
    },
    /// The path or identity of a disk is too long to be recorded.
    #[error("{path} has a path or identity of more than {most} bytes")]
    LongPath {
        /// The path.
        path: String,
        /// The most allowed.
        most: usize,
    },
    /// A disk belongs to a machine already.
    #[error("{path} is a target disk of {machine} already")]
    DiskTaken {
        /// The path.
        path: String,
        /// Whose it is.
        machine: MachineName,
    },
    /// The source is connected.
    #[error("the source of {name} is connected from {peer}")]
    Connected {
        /// The machine.
        name: MachineName,
        /// From where.
        peer: std::net::SocketAddr,
    },
    /// A job of the machine is under way.
    #[error("job {job} of {name} is under way")]
    Busy {
        /// The machine.
        name: MachineName,
        /// The job.
        job: u64,
    },
    /// Not in this phase.
    #[error("{name} is {phase}, and must be {needed}")]
    Phase {
        /// The machine.
        name: MachineName,
        /// What it is.
        phase: &'static str,
        /// What it must be.
        needed: &'static str,
    },
    /// The machine is out.
    #[error("{name} is out: {why}")]
    Out {
        /// The machine.
        name: MachineName,
        /// What kind of failure it met.
        kind: FailureKind,
        /// Why.
        why: String,
    },
    /// There is no recovery point.
    #[error("{name} has no recovery point yet")]
    NoPoint {
        /// The machine.
        name: MachineName,
    },
    /// No point is that old, or the time has not come.
    #[error(
        "{name} has no consistent recovery point at or before {time}; the history reaches from {oldest} to {newest}"
    )]
    TimeOutside {
        /// The machine.
        name: MachineName,
        /// What was asked for.
        time: Timestamp,
        /// The oldest point.
        oldest: Timestamp,
        /// The newest point.
        newest: Timestamp,
    },
    /// A policy has a value out of bounds.
    #[error("the policy is not changed")]
    Policy(#[source] retention::PolicyError),
    /// A pin can't be made or taken away.
    #[error("point {sequence} of {name} can't be pinned or unpinned: {why}")]
    Pin {
        /// The machine.
        name: MachineName,
        /// The point.
        sequence: Sequence,
        /// Why.
        why: &'static str,
    },
    /// The sequence is not in the history.
    #[error("{name} has no sequence {sequence}; the history reaches from {oldest} to {newest}")]
    SequenceOutside {
        /// The machine.
        name: MachineName,
        /// What was asked for.
        sequence: Sequence,
        /// The oldest.
        oldest: Sequence,
        /// The newest.
        newest: Sequence,
    },
    /// The point is not consistent, and that was not accepted.
    #[error("sequence {sequence} of {name} {why}")]
    Inconsistent {
        /// The machine.
        name: MachineName,
        /// What was asked for.
        sequence: Sequence,
        /// In which way.
        why: &'static str,
    },
    /// Something that the point needs is lost.
    #[error("sequence {sequence} of {name} is spoilt")]
    Spoilt {
        /// The machine.
        name: MachineName,
        /// What was asked for.
        sequence: Sequence,
        /// What is lost.
        damage: retention::Damage,
        /// The nearest point before that is whole.
        before: Option<Sequence>,
        /// The nearest point after.
        after: Option<Sequence>,
    },
    /// A step on the volume or a disk failed.
    #[error("{name}: the request could not be carried out")]
    Replica {
        /// The machine.
        name: MachineName,
        /// Why.
        #[source]
        source: ReplicaError,
    },
    /// The server is stopping.
    #[error("the master target is stopping")]
    Stopping,
}
