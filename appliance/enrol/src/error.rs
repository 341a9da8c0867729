//! Why there is no certificate.

use std::io;
use std::path::PathBuf;

use link::LinkError;
use pki::PkiError;
use wire::{EnrolError as WireError, EnrolRefusal};

/// Why there is no certificate. What was there before is there still.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The server can't be reached.
    #[error("the configuration server can't be reached")]
    Reach(#[source] LinkError),
    /// It is not the one that is meant, or does not take us.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// Something else is at this address, or a server that is not of the token's authority.
    #[error("what answers at {address} is not the configuration server of this token")]
    Stranger {
        /// The address.
        address: String,
        /// Why not.
        source: rustls::Error,
    },
    /// The connection broke, or nothing was answered in time.
    #[error("the connection ended before there was an answer")]
    Cut(#[source] io::Error),
    /// What was answered is not understood.
    #[error("the answer is not understood")]
    Answer(#[from] WireError),
    /// The answer is of another kind than was asked for, or its certificates are not of the authority.
    #[error("the answer does not fit the question")]
    Misfit,
    /// The server refused.
    #[error("refused: {detail}")]
    Refused {
        /// For programs.
        code: EnrolRefusal,
        /// For people.
        detail: String,
    },
    /// Our own certificate or key can't be used, or the new one can't be written.
    #[error("the certificate in {path} can't be used or replaced")]
    Place {
        /// Its directory.
        path: PathBuf,
        /// Why not.
        source: PkiError,
    },
    /// Our own credentials can't be used.
    #[error("our own certificate can't be used")]
    Own(#[source] LinkError),
    /// Nobody has said where the configuration server is.
    #[error("{path} does not say where the configuration server is")]
    Controller {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No thread is left.
    #[error("no thread can be started")]
    Thread(#[source] io::Error),
}
