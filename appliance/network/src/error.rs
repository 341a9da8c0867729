//! Why something was not done.

use std::io;
use std::path::PathBuf;

use netplan::{PlanError, Refusal};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The plan can't work; nothing was changed.
    #[error("the plan can't work: {0}")]
    Plan(#[from] PlanError),
    /// It does not go with what is being tried; nothing was changed.
    #[error("it is refused: {0}")]
    Refused(#[from] Refusal),
    /// The plan was not applied; the kept one was brought back, unless the second error says otherwise.
    #[error("the plan was not applied: {}; {}", .cause.in_full(), brought_back(.back.as_deref()))]
    Apply {
        /// Why it was not applied.
        cause: Box<NetworkError>,
        /// Why the kept one was not brought back, if it was not.
        back: Option<Box<NetworkError>>,
    },
    /// A file of the plans can't be read or written.
    #[error("{} can't be {operation}", path.display())]
    File {
        /// What was to be done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another program has the plans.
    #[error("{} is locked: another program tries or keeps plans", path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// A plan that lies there is none.
    #[error("{} holds no plan: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// What the keeper of the network says.
    #[error("{said}")]
    Keeper {
        /// In its words.
        said: String,
    },
    /// A program that brings the machine to a plan is missing or failed.
    #[error("{program} failed: {said}")]
    Program {
        /// Which.
        program: PathBuf,
        /// What it said.
        said: String,
    },
}

impl NetworkError {
    /// Says it with all that it comes from, in one line.
    pub fn in_full(&self) -> String {
        match self {
            Self::File { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

fn brought_back(error: Option<&NetworkError>) -> String {
    match error {
        None => "the plan that is kept was brought back".to_owned(),
        Some(error) => format!("nor was the plan that is kept brought back: {}", error.in_full()),
    }
}

/// Names a file and what was to be done with it.
pub(crate) fn failed(
    operation: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> NetworkError {
    let path = path.into();
    move |source| NetworkError::File { operation, path, source }
}
