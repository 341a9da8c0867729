//! driver: the certificate authority of an installation, the keys and certificates of those who belong to it, and the signatures of
//! manifests.
//!
//! [`init`] makes the [`Authority`], once; it signs a [`SigningRequest`] for one role and name. On the other side, [`Joining`] makes a
//! key and puts the certificate beside it; [`renew()`] replaces the certificate alone. Keys are readable by their owner alone and are wiped from memory after use. [`Notary`] signs manifests
//! with such a key; [`Trust`] says whose signature counts, and checks it anywhere.
//!
//! Not here: checking the certificates of connections (`link`), who may have one (`registrar`), the wire (`control`, `enrol`).
//!
//! *Invariant:* a certificate carries exactly one identity, the URI `landfall:<role>:<name>`, and can't sign others.

mod authority;
mod error;
mod file;
mod leaf;
mod place;
mod request;
mod seal;
mod trust;

/// The certificate authority.
pub use authority::{Authority, CA_CERTIFICATE_FILE, CA_KEY_FILE, init, key_hash};
/// Why a certificate was not made.
pub use error::PkiError;
/// Makes the certificate of one server or source.
pub use leaf::{CERTIFICATE_FILE, DAYS_MAX, IssueRequest, Issued, KEY_FILE, Validity, issue, new_number};
/// Where the certificate and key of one holder lie.
pub use place::{CertificateFacts, Joining, renew, renewal_request};
/// Requests to sign.
pub use request::{RequestError, SigningRequest};
/// Signs manifests.
pub use seal::Notary;
/// Whether the signature of a manifest counts.
pub use trust::{LeafError, Trust, TrustError};
