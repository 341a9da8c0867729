//! What an agent is started with.

use std::path::PathBuf;

use wire::heartbeat::{AlarmReport, Answer, JobReport, MachineReport, Statement};

/// Where the controller is, and where the agent keeps what it must not forget.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// `host:port` of the controller's 443.
    pub controller: String,
    /// Directory of `ca.pem`, `cert.pem`, `key.pem`; read again for each connection.
    pub identity: PathBuf,
    /// Directory of the ledger of commands; made if it is missing.
    pub state: PathBuf,
    /// The program's name and version, for people; 32 bytes of it are told.
    pub software: String,
}

/// What is reported besides the agent's own clock and uptime. What is over the limits of a report is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The port of the replication door, if there is one.
    pub door: Option<u16>,
    /// How the machines are.
    pub machines: Vec<MachineReport>,
    /// What is being done.
    pub jobs: Vec<JobReport>,
    /// What a person must look at.
    pub alarms: Vec<AlarmReport>,
}

/// Tells how the program is. Called from the agent's thread every few seconds; it must not block.
pub trait Reporter: Send + Sync + 'static {
    /// Returns what is true now.
    fn report(&self) -> Facts;
}

/// Carries commands out.
pub trait Executor: Send + Sync + 'static {
    /// Says what a command would destroy for good, if anything: it then waits for somebody at this server, or 24 hours.
    fn destroys(&self, statement: &Statement) -> Option<String>;

    /// Carries a command out. Called once for each, on a thread of its own, in the order of their sequences; several may be under way
    /// at once.
    ///
    /// # Errors
    /// What was tried and failed, or was refused: an error of the control API, in JSON.
    fn execute(&self, statement: &Statement) -> Result<Done, Vec<u8>>;
}

/// What a command has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What kind of answer.
    pub answer: Answer,
    /// The result in JSON where the answer is a reply; empty otherwise.
    pub reply: Vec<u8>,
}

impl Done {
    /// Returns the answer that there is nothing to tell.
    pub fn nothing() -> Self {
        Self { answer: Answer::Nothing, reply: Vec::new() }
    }
}
