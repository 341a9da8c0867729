//! Why an agent can't start, and why a command can't be approved.

use std::io;
use std::path::PathBuf;

use link::LinkError;
use wire::heartbeat::CommandId;

/// Why an agent can't start, and why a command can't be approved.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A file of the state directory can't be read or written.
    #[error("can't {step} {path}")]
    State {
        /// What was tried.
        step: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The ledger of commands is not what was written. Nothing is begun as long as it is there.
    #[error("{path} is damaged ({what}); nobody knows which commands were done: move it away to begin anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Another program has the state directory.
    #[error("another program uses {path}")]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// Our own certificate can't be used.
    #[error("the certificate of this server can't be used")]
    Identity(#[from] LinkError),
    /// A thread can't be started.
    #[error("the system starts no thread")]
    Thread(#[source] io::Error),
    /// No such command waits.
    #[error("no command {0} waits for approval here")]
    NotWaiting(CommandId),
}
