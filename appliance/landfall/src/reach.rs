//! How the appliance is reached: over its control socket, or from elsewhere with an operator's certificate.

use std::path::PathBuf;

use control::{Client, ErrorReply};

/// A way to the appliance, as it was typed.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// The control socket.
    Socket(PathBuf),
}

impl Reach {
    /// Connects. Errors: nobody answers, not allowed.
    pub(crate) fn connect(&self) -> Result<Client, ErrorReply> {
        match self {
            Self::Socket(path) => Client::connect(path),
        }
    }
}
