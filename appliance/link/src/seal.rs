//! Signatures by the key of our own certificate.

use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::sign::SigningKey;

/// Signs with the key of the certificate that was in use when it was made.
#[derive(Clone)]
pub struct Seal(pub(crate) Arc<dyn SigningKey>);

impl Seal {
    /// Returns the signature of some bytes: ECDSA P-256 with SHA-256, ASN.1. Panics if the key is of another kind: our authority certifies
    /// no other.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let signer = self.0.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]);
        let signer = signer.expect("our authority certifies keys of P-256 alone");
        signer.sign(bytes).expect("the system has randomness")
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Seal").finish_non_exhaustive()
    }
}
