//! Requests to sign: made by whoever wants a certificate, read by the authority.

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKey,
    PublicKeyData,
};
use rustls::pki_types::CertificateSigningRequestDer;

use crate::authority::key_hash;

/// A request whose signature was checked: whoever made it has the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningRequest {
    key: PublicKey,
}

/// Why a request can't be signed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is no request, or its signature is wrong.
    #[error("it is not a request to sign")]
    Malformed(#[source] rcgen::Error),
    /// Another kind of key.
    #[error("its key is not ECDSA P-256, which is what certificates here are made for")]
    Key,
}

impl SigningRequest {
    /// Reads a request, PKCS #10 in DER. Nothing of it counts but its key: name and uses are the authority's to say.
    ///
    /// # Errors
    /// It is none, its signature is wrong, or its key is of another kind.
    pub fn read(der: &[u8]) -> Result<Self, RequestError> {
        let read = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der));
        let key = read.map_err(RequestError::Malformed)?.public_key;
        if *key.algorithm() == PKCS_ECDSA_P256_SHA256 { Ok(Self { key }) } else { Err(RequestError::Key) }
    }

    /// Returns the key, as [`Authority::sign`](crate::Authority::sign) takes it.
    pub fn key(&self) -> &impl PublicKeyData {
        &self.key
    }

    /// Returns the SHA-256 of the key.
    pub fn key_hash(&self) -> [u8; 32] {
        key_hash(&self.key.subject_public_key_info())
    }
}

/// Returns a request to sign this key, in DER.
pub(crate) fn request_for(key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    Ok(CertificateParams::default().serialize_request(key)?.der().to_vec())
}
