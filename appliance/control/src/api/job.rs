//! Units of work with progress.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use units::{DiskIndex, Generation, MachineName};
use utoipa::ToSchema;

use super::{HexHash, Point, Rfc3339};

/// The number of a job, from 1, given once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct JobId(pub u64);

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Brings the target disks to a recovery point.
    Failback,
    /// Brings the target disks back to the latest, so that replication goes on.
    Cancel,
    /// Computes the roots of the target disks at a recovery point and compares them with the source's.
    Verify,
    /// Accepts the recovery point a machine stands at.
    Commit,
    /// Begins another generation of a committed machine.
    Reprotect,
    /// Has the source compare everything anew.
    Resync,
    /// Lets history go that the policy wants gone.
    Expire,
    /// Reads journal and target disks against their checksums.
    Scrub,
}

/// A job that can be asked for by its kind alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobWish {
    /// Has the source compare everything anew.
    Resync,
    /// Lets history go that the policy wants gone, and waits until it is.
    Expire,
    /// Reads journal and target disks against their checksums, from begin to end.
    Scrub,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Under way.
    Running,
    /// Ended as wanted.
    Done,
    /// Ended otherwise; the job says why.
    Failed,
    /// Ended by somebody between two steps; what was done before stays.
    Cancelled,
}

/// A part of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobStep {
    /// What is done in it.
    pub name: String,
    /// It is done.
    pub done: bool,
}

/// Something that happened in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobLine {
    /// When.
    pub time: Rfc3339,
    /// What.
    pub what: String,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// For which machine.
    pub machine: MachineName,
    /// The recovery point it is about.
    pub point: Option<Point>,
    /// How it stands.
    pub state: JobState,
    /// When it began.
    pub started: Rfc3339,
    /// When it ended.
    pub ended: Option<Rfc3339>,
    /// Bytes of work done.
    pub done_bytes: u64,
    /// Bytes of work in all.
    pub total_bytes: u64,
    /// Bytes per second since it began, or since landfalld took it up again.
    #[serde(default)]
    pub rate: u64,
    /// Seconds until the end at that rate, when it can be told.
    #[serde(default)]
    pub eta_seconds: Option<u64>,
    /// Its steps, in their order; after a restart of landfalld it goes on with the first that is not done.
    #[serde(default)]
    pub steps: Vec<JobStep>,
    /// What happened, oldest first; left out of lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<JobLine>,
    /// Why it failed.
    pub error: Option<crate::ErrorReply>,
    /// What came of it, once done.
    pub outcome: Option<JobOutcome>,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobOutcome {
    /// The target disks stand at the job's recovery point.
    Failback {
        /// Bytes written to the target disks.
        written_bytes: u64,
        /// Both roots of each disk; empty if they were not computed.
        #[serde(default)]
        disks: Vec<DiskProof>,
        /// The number of the manifest.
        #[serde(default)]
        manifest: Option<u64>,
        /// Why there is no manifest.
        #[serde(default)]
        manifest_problem: Option<String>,
    },
    /// The target disks are at the latest again.
    Cancel {
        /// Bytes written to the target disks.
        written_bytes: u64,
    },
    /// Both roots of each disk.
    Verify {
        /// By disk.
        disks: Vec<DiskProof>,
    },
    /// The point was accepted.
    Commit,
    /// Another generation began.
    Reprotect {
        /// Which.
        generation: Generation,
    },
    /// Everything was compared.
    Resync,
    /// What was to go is gone.
    Expire {
        /// Bytes of history that went.
        freed_bytes: u64,
    },
    /// Everything was read.
    Scrub {
        /// Bytes read.
        read_bytes: u64,
        /// Ranges that were found damaged.
        damaged: u32,
    },
}

/// The two roots of one disk at one recovery point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskProof {
    /// The disk.
    pub disk: DiskIndex,
    /// The root the source gave with the marker, if it did.
    pub source: Option<HexHash>,
    /// The root computed here from target disk and history.
    pub target: HexHash,
    /// What the two say together.
    pub verdict: Verdict,
}

/// What two roots say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The roots are equal: the disks are the same, byte for byte.
    Identical,
    /// The roots differ: so do the disks.
    Different,
    /// The source gave no root: nothing is proved.
    NotGiven,
}

/// A job that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobStarted {
    /// Its number; absent when nothing had to be done.
    pub job: Option<JobId>,
}

/// Jobs, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Jobs {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The jobs.
    pub jobs: Vec<Job>,
}

/// How far a watched job is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// The job.
    pub job: JobId,
    /// Bytes of work done.
    pub done_bytes: u64,
    /// Bytes of work in all.
    pub total_bytes: u64,
    /// Bytes per second of late.
    pub rate: u64,
    /// Seconds until the end at that rate, when it can be told.
    pub eta_seconds: Option<u64>,
}

impl DiskProof {
    /// Compares the two roots of `disk`.
    pub fn compare(disk: DiskIndex, source: Option<HexHash>, target: HexHash) -> Self {
        let verdict = match source {
            Some(root) if root == target => Verdict::Identical,
            Some(_) => Verdict::Different,
            None => Verdict::NotGiven,
        };
        Self { disk, source, target, verdict }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

impl FromStr for JobId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
