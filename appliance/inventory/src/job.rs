//! Units of work that survive the program that carries them out.

use serde::{Deserialize, Serialize};
use units::{MachineName, Rfc3339};

use crate::Record;

/// A unit of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its number, from 1.
    pub id: u64,
    /// The machine it is about, if it is about one.
    #[serde(default)]
    pub machine: Option<MachineName>,
    /// How it stands.
    pub state: JobState,
    /// When it was started.
    pub started: Rfc3339,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It is being carried out, or will be when its server runs.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed,
}

impl Record for Job {
    const KIND: &'static str = "job";

    /// Digits enough that the order of keys is the order of numbers.
    fn name(&self) -> String {
        format!("{:012}", self.id)
    }
}
