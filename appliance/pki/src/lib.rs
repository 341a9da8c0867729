//! driver: the certificate authority of an installation: made once, signs a certificate for each server and source; and
//! the signatures of manifests.
//!
//! [`init`] makes the authority; [`issue`] makes a key and a certificate for one role and name. Nothing that exists is
//! ever overwritten. Keys are readable by their owner alone and are wiped from memory after use. [`Notary`] signs manifests
//! with such a key; [`Trust`] says whose signature counts, and checks it anywhere.
//!
//! Not here: checking the certificates of connections (`link`), enrolment, renewal, revocation.
//!
//! *Invariant:* a certificate carries exactly one identity, the URI `landfall:<role>:<name>`, and can't sign others.

mod authority;
mod error;
mod file;
mod leaf;
mod seal;
mod trust;

/// Makes the certificate authority.
pub use authority::{Authority, CA_CERTIFICATE_FILE, CA_KEY_FILE, init};
/// Why a certificate was not made.
pub use error::PkiError;
/// Makes the certificate of one server or source.
pub use leaf::{CERTIFICATE_FILE, DAYS_MAX, IssueRequest, Issued, KEY_FILE, Validity, issue};
/// Signs manifests.
pub use seal::Notary;
/// Whether the signature of a manifest counts.
pub use trust::{LeafError, Trust, TrustError};
