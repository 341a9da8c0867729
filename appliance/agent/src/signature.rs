//! Whether a command is of the controller that this connection is with.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use wire::heartbeat::Command;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Tells whether the signature is by the key of this certificate (in DER), which the handshake has found to be the controller's.
pub(crate) fn is_signed(command: &Command, certificate: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let key = certificate.public_key().subject_public_key.data.as_ref();
    let signed = command.statement.signed_bytes();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(&signed, &command.signature).is_ok()
}
