//! Why a certificate was not made.

use std::io;
use std::path::PathBuf;

/// Why a certificate was not made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The directory could not be made.
    #[error("can't make the directory {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is there already; nothing is overwritten.
    #[error("{path} exists already; choose another directory or move it away")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("can't write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("can't read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the authority does not hold what it should.
    #[error("{path} does not hold {expected}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// What was expected in it.
        expected: &'static str,
        /// Why it could not be understood.
        source: rcgen::Error,
    },
    /// A certificate says nothing of its holder.
    #[error("{path} does not hold a certificate that can be used")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: crate::trust::LeafError,
    },
    /// A certificate is not the holder's.
    #[error("what should be {path} is not a certificate of its holder and key")]
    CertificateContent {
        /// The file.
        path: PathBuf,
    },
    /// The key of the authority is not the one its certificate names.
    #[error("{key} is not the key of {certificate}")]
    KeyMismatch {
        /// The key file.
        key: PathBuf,
        /// The certificate file.
        certificate: PathBuf,
    },
    /// No certificate lasts that long, or not at all.
    #[error("a certificate can't last {found} days; use 1 to {max}")]
    Days {
        /// Days asked for.
        found: u32,
        /// Days allowed.
        max: u32,
    },
    /// The signature could not be made.
    #[error("can't make the {what}")]
    Sign {
        /// Key or certificate.
        what: &'static str,
        /// What the library said.
        source: rcgen::Error,
    },
}
