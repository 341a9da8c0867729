//! Whether a certificate that is good in itself still counts.

use std::fmt;
use std::sync::Arc;

use units::CertificateId;

use crate::Peer;

/// Knows who was revoked and who was never enrolled. Asked at each handshake and, by whoever serves them, every few seconds for
/// connections that live.
pub trait Standing: Send + Sync {
    /// Tells whether the holder of a certificate may still come. Answers at once, from memory.
    ///
    /// # Errors
    /// Why it may not.
    fn check(&self, holder: &Peer, certificate: CertificateId) -> Result<(), Denied>;
}

/// Why a certificate that is good in itself does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// An operator revoked it.
    #[error("it was revoked")]
    Revoked,
    /// Nobody of its role and name is enrolled.
    #[error("nobody of this role and name is enrolled")]
    Unknown,
}

/// The holder of a certificate, and who knows whether it still counts.
pub(crate) struct Holder {
    pub(crate) identity: Peer,
    pub(crate) certificate: CertificateId,
    standing: Arc<dyn Standing>,
}

impl Holder {
    pub(crate) fn new((identity, certificate): (Peer, CertificateId), standing: &Arc<dyn Standing>) -> Self {
        Self { identity, certificate, standing: Arc::clone(standing) }
    }

    pub(crate) fn check(&self) -> Result<(), Denied> {
        self.standing.check(&self.identity, self.certificate)
    }
}

/// Lets everyone in whom the authority has signed: for those who are told of no revocation.
pub(crate) struct Unquestioned;

impl Standing for Unquestioned {
    fn check(&self, _: &Peer, _: CertificateId) -> Result<(), Denied> {
        Ok(())
    }
}

impl fmt::Debug for dyn Standing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Standing")
    }
}
