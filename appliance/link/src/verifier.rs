//! Whether a peer's certificate is of our authority, of a role that may be there, and not revoked. No host names are checked.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerIncompatible,
    RootCertStore, SignatureScheme,
};
use units::CertificateId;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::error::HandshakeCause;
use crate::standing::{Denied, Standing};
use crate::{Credentials, LinkError, Peer, Role};

/// Reads the identity of a certificate: the one URI among its subject alternative names that starts with `landfall:`.
/// Whether the certificate can be trusted is not looked at.
///
/// # Errors
/// [`HandshakeCause::BadCertificate`], [`HandshakeCause::IdentityCount`] or [`HandshakeCause::Identity`].
pub fn identity_of(certificate: &[u8]) -> Result<Peer, HandshakeCause> {
    Ok(holder_of(certificate)?.0)
}

/// Reads the identity of a certificate, as [`identity_of`], and its number.
///
/// # Errors
/// As [`identity_of`], or [`HandshakeCause::BadCertificate`] if its serial number is not one of ours.
pub fn holder_of(certificate: &[u8]) -> Result<(Peer, CertificateId), HandshakeCause> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(bad)?;
    let identity = identity_in(&parsed)?;
    Ok((identity, CertificateId::from_serial(parsed.raw_serial()).map_err(bad)?))
}

fn bad(reason: impl ToString) -> HandshakeCause {
    HandshakeCause::BadCertificate { reason: reason.to_string() }
}

fn identity_in(parsed: &X509Certificate<'_>) -> Result<Peer, HandshakeCause> {
    let names = parsed.subject_alternative_name().map_err(bad)?;
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

/// Checks the peers of one door: their authority, their dates, their role, and whether they were revoked.
#[derive(Debug)]
pub(crate) struct Verifier {
    authority: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    clients: Arc<dyn ClientCertVerifier>,
    expected: Vec<Role>,
    standing: Arc<dyn Standing>,
}

impl Verifier {
    /// Makes a verifier that lets in some roles of one authority.
    pub(crate) fn new(credentials: &Credentials, expected: &[Role]) -> Result<Self, LinkError> {
        let Credentials { authority, provider, standing, .. } = credentials;
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(authority), Arc::clone(provider));
        let clients = clients
            .build()
            .map_err(|error| LinkError::Credentials { source: Error::General(error.to_string()) })?;
        Ok(Self {
            authority: Arc::clone(authority),
            algorithms: provider.signature_verification_algorithms,
            clients,
            expected: expected.to_vec(),
            standing: Arc::clone(standing),
        })
    }

    fn check_holder(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let refuse = |cause: HandshakeCause| CertificateError::Other(OtherError(Arc::new(cause)));
        let (holder, id) = holder_of(certificate).map_err(refuse)?;
        if !self.expected.contains(&holder.role) {
            let expected = self.expected.clone();
            return Err(refuse(HandshakeCause::WrongRole { found: holder.role, expected }).into());
        }
        self.standing.check(&holder, id).map_err(|denied| match denied {
            Denied::Revoked => CertificateError::Revoked.into(),
            Denied::Unknown => refuse(HandshakeCause::NotEnrolled { holder }).into(),
        })
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
        self.check_holder(end_entity)?;
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
        self.check_holder(end_entity)?;
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
