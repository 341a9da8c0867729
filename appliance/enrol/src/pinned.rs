//! Whether the other end is of the authority whose key a token names.

use std::sync::Arc;

use link::{Role, identity_of};
use pki::key_hash;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, RootCertStore,
    SignatureScheme,
};
use wire::ALPN_ENROL;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Trusts one authority, known by the hash of its key.
#[derive(Debug)]
struct Pinned {
    authority: [u8; 32],
    algorithms: WebPkiSupportedAlgorithms,
}

/// Returns what a guest asks of TLS: 1.3, and a configuration server of this authority.
pub(crate) fn guest_config(authority: [u8; 32]) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("the provider offers TLS 1.3");
    let verifier = Arc::new(Pinned { authority, algorithms });
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![ALPN_ENROL.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config
}

/// Tells whether a certificate in DER is of the authority with this hash.
pub(crate) fn is_authority(certificate: &[u8], authority: [u8; 32]) -> bool {
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, parsed)| parsed.is_ca() && key_hash(parsed.public_key().raw) == authority)
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates.iter().find(|sent| is_authority(sent, self.authority));
        let mut roots = RootCertStore::empty();
        roots.add(authority.ok_or(CertificateError::UnknownIssuer)?.clone().into_owned())?;
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &[], now, self.algorithms.all)?;
        match identity_of(end_entity) {
            Ok(identity) if identity.role == Role::ConfigurationServer => Ok(ServerCertVerified::assertion()),
            _ => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
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
