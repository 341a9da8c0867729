//! Why there is no server.

use std::io;
use std::path::PathBuf;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Something is where the socket should be; it was left alone.
    #[error("{} is there already", socket.display())]
    Taken {
        /// The socket.
        socket: PathBuf,
    },
    /// The address can't be listened on.
    #[error("can't listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The credentials are of no use.
    #[error("TLS can't be offered")]
    Credentials {
        /// Why.
        source: link::LinkError,
    },
    /// No thread or no descriptor is left.
    #[error("the server can't start")]
    Start {
        /// Why.
        source: io::Error,
    },
}
