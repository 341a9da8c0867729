//! Long work that operators started: who, what, how far.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use units::{Hash, MachineName, Sequence, Timestamp};

use crate::clock;
use crate::machine::lock;
use crate::replica::Progress;

/// Jobs that are remembered after their end.
const REMEMBERED: usize = 256;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Brings the disks to a point.
    Failback,
    /// Brings them back to the newest, so that replication goes on.
    Cancel,
    /// Computes the roots at a point.
    Verify,
}

/// One job.
pub struct Job {
    /// Its number, from 1.
    pub id: u64,
    /// What it does.
    pub kind: JobKind,
    /// For which machine.
    pub machine: MachineName,
    /// The point.
    pub to: Sequence,
    /// When it was started.
    pub started: Timestamp,
    /// How far it is, and its end.
    pub progress: Arc<Progress>,
    /// What a verification, or the proof of a failback, has found: the root of each disk.
    pub roots: Mutex<Option<Vec<Hash>>>,
    /// Bytes a failback has written to the target disks.
    pub written: AtomicU64,
    /// The number of the manifest of a failback, or why there is none.
    pub manifest: Mutex<Option<Result<u64, String>>>,
    /// When it ended; told as soon as `progress` tells the end.
    pub ended: Arc<OnceLock<Timestamp>>,
}

/// The jobs of this server.
#[derive(Default)]
pub(crate) struct Jobs {
    jobs: Mutex<(u64, VecDeque<Arc<Job>>)>,
}

impl Jobs {
    pub(crate) fn start(
        &self,
        kind: JobKind,
        machine: &MachineName,
        to: Sequence,
        now: Timestamp,
    ) -> Arc<Job> {
        let mut jobs = lock(&self.jobs);
        jobs.0 += 1;
        let ended = Arc::new(OnceLock::new());
        let told = ended.clone();
        let progress = Arc::new(Progress::telling(move || _ = told.set(clock::now())));
        let job = Arc::new(Job {
            id: jobs.0,
            kind,
            machine: machine.clone(),
            to,
            started: now,
            progress,
            roots: Mutex::default(),
            written: AtomicU64::new(0),
            manifest: Mutex::default(),
            ended,
        });
        jobs.1.push_back(job.clone());
        if jobs.1.len() > REMEMBERED {
            jobs.1.pop_front();
        }
        job
    }

    pub(crate) fn all(&self) -> Vec<Arc<Job>> {
        lock(&self.jobs).1.iter().rev().cloned().collect()
    }
}
