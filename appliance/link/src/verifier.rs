//! Whether a peer's certificate is of our authority and of a role that may be there. No host names are checked.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerIncompatible,
    RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::error::HandshakeCause;
use crate::{LinkError, Peer, Role};

/// Reads the identity of a certificate: the one URI among its subject alternative names that starts with `landfall:`.
/// Whether the certificate can be trusted is not looked at.
///
/// # Errors
/// [`HandshakeCause::BadCertificate`], [`HandshakeCause::IdentityCount`] or [`HandshakeCause::Identity`].
pub fn identity_of(certificate: &[u8]) -> Result<Peer, HandshakeCause> {
    let bad = |reason: String| HandshakeCause::BadCertificate { reason };
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| bad(error.to_string()))?;
    let names = parsed.subject_alternative_name().map_err(|error| bad(error.to_string()))?;
    let names = names.iter().flat_map(|extension| &extension.value.general_names);
    let mut ours = names.filter_map(|name| match name {
        GeneralName::URI(uri) if uri.starts_with("landfall:") => Some(*uri),
        _ => None,
    });
    match (ours.next(), ours.count()) {
        (Some(uri), 0) => Ok(uri.parse()?),
        (first, more) => Err(HandshakeCause::IdentityCount { found: usize::from(first.is_some()) + more }),
    }
}

/// Checks the peers of one door: their authority, their dates, their role.
#[derive(Debug)]
pub(crate) struct Verifier {
    authority: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    clients: Arc<dyn ClientCertVerifier>,
    expected: Role,
}

impl Verifier {
    /// Makes a verifier that lets in one role of one authority.
    pub(crate) fn new(
        authority: Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
        expected: Role,
    ) -> Result<Self, LinkError> {
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&authority), Arc::clone(provider));
        let clients = clients
            .build()
            .map_err(|error| LinkError::Credentials { source: Error::General(error.to_string()) })?;
        Ok(Self { authority, algorithms: provider.signature_verification_algorithms, clients, expected })
    }

    fn check_role(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let refuse = |cause: HandshakeCause| CertificateError::Other(OtherError(Arc::new(cause)));
        let found = identity_of(certificate).map_err(refuse)?.role;
        if found == self.expected {
            Ok(())
        } else {
            Err(refuse(HandshakeCause::WrongRole { found, expected: self.expected }).into())
        }
    }
}

/// TLS 1.2 is not offered, so its signatures never come; if they did, they would be refused.
fn refuse_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.clients.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.clients.verify_client_cert(end_entity, intermediates, now)?;
        self.check_role(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        refuse_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.authority,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        self.check_role(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        refuse_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
