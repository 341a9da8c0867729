//! Whether the signature of a manifest counts, with public material only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use link::{HandshakeCause, identity_of};
use manifest::{Sealed, signed_bytes};
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use units::Timestamp;
use wire::{Identity, Role};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::authority::{hexadecimal, key_hash};

/// Whose signature counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A master target's, with a certificate of the authority whose certificate is in this file. The certificate must have been
    /// good when the manifest was signed; it may have ended since.
    Authority(PathBuf),
    /// That of the public key in this file.
    Key(PathBuf),
    /// Anyone's: the signature must be that of the key inside the manifest, which proves that nothing was changed by accident, and
    /// nothing about who signed.
    Anyone,
}

/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file of the authority or key can't be used.
    #[error("can't use {path}: it does not hold {expected}")]
    Anchor {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// Why it could not be read.
        source: rustls::pki_types::pem::Error,
    },
    /// The manifest's own certificate can't be read.
    #[error("the certificate in the manifest can't be read")]
    Certificate(#[from] LeafError),
    /// The signer's certificate is not the authority's.
    #[error("the signer's certificate is not one of this authority, good when the manifest was signed")]
    Chain(#[source] rustls::Error),
    /// The signer is not a master target.
    #[error("the signer is {found}, and only a master target signs manifests")]
    Role {
        /// Who signed.
        found: Identity,
    },
    /// The manifest names another signer than its certificate.
    #[error("the manifest names {named}, its certificate is of {found}")]
    Signer {
        /// Named.
        named: String,
        /// In the certificate.
        found: String,
    },
    /// Signed by another key than the one that is trusted.
    #[error("it was signed with key {found}, the key that is trusted is {trusted}")]
    OtherKey {
        /// The key that signed.
        found: String,
        /// The one that would count.
        trusted: String,
    },
    /// The signature does not fit.
    #[error("the signature is not of these bytes and this key: the manifest was changed after it was signed")]
    Signature,
}

/// Why a certificate says nothing of its holder.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// It is no certificate.
    #[error("there is no certificate in PEM")]
    Pem,
    /// It speaks for nobody.
    #[error("it speaks for nobody")]
    Identity(#[source] HandshakeCause),
}

/// What a manifest needs of a certificate.
pub(crate) struct Leaf {
    pub(crate) identity: Identity,
    pub(crate) key_id: String,
    /// The point of the key, as signatures are checked with.
    pub(crate) public_key: Vec<u8>,
    chain: Vec<CertificateDer<'static>>,
}

impl Leaf {
    /// Reads the first of the certificates in a text.
    pub(crate) fn of(pem: &str) -> Result<Self, LeafError> {
        let chain = certificates(pem)?;
        let first = chain.first().ok_or(LeafError::Pem)?;
        let identity = identity_of(first).map_err(LeafError::Identity)?;
        let (_, parsed) = X509Certificate::from_der(first).map_err(|_| LeafError::Pem)?;
        let key = parsed.public_key();
        let (key_id, public_key) = (key_id(key.raw), key.subject_public_key.data.to_vec());
        Ok(Self { identity, key_id, public_key, chain })
    }
}

fn key_id(spki: &[u8]) -> String {
    hexadecimal(&key_hash(spki))
}

/// Reads the first of the certificates in a text.
pub(crate) fn first_certificate(pem: &str) -> Result<CertificateDer<'static>, LeafError> {
    certificates(pem)?.into_iter().next().ok_or(LeafError::Pem)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, LeafError> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|_| LeafError::Pem)
}

impl Trust {
    /// Checks that a manifest was signed by whom it says, that nothing of it was changed since, and that the signature counts.
    ///
    /// # Errors
    /// The first of these that does not hold.
    pub fn check(&self, sealed: &Sealed) -> Result<(), TrustError> {
        let signer = &sealed.manifest.signer;
        let leaf = Leaf::of(&signer.certificates)?;
        let found = leaf.identity.to_string();
        if found != signer.identity {
            return Err(TrustError::Signer { named: signer.identity.clone(), found });
        }
        if leaf.key_id != signer.key_id {
            return Err(TrustError::OtherKey { found: leaf.key_id, trusted: signer.key_id.clone() });
        }
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &leaf.public_key)
            .verify(&signed_bytes(&sealed.manifest), &sealed.signature)
            .map_err(|_| TrustError::Signature)?;
        match self {
            Self::Authority(path) => check_chain(path, &leaf, sealed.manifest.facts.times.signed),
            Self::Key(path) => check_key(path, &leaf),
            Self::Anyone => Ok(()),
        }
    }
}

fn check_chain(path: &Path, leaf: &Leaf, signed: Timestamp) -> Result<(), TrustError> {
    let mut roots = RootCertStore::empty();
    let anchor = |source| TrustError::Anchor {
        path: path.to_owned(),
        expected: "the certificate of an authority in PEM",
        source,
    };
    for certificate in CertificateDer::pem_file_iter(path).map_err(anchor)? {
        roots.add(certificate.map_err(anchor)?).map_err(TrustError::Chain)?;
    }
    let (first, between) = leaf.chain.split_first().expect("a leaf has a certificate");
    let certificate = ParsedCertificate::try_from(first).map_err(TrustError::Chain)?;
    let when = UnixTime::since_unix_epoch(Duration::from_micros(signed.0));
    let algorithms = default_provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&certificate, &roots, between, when, algorithms)
        .map_err(TrustError::Chain)?;
    if leaf.identity.role != Role::MasterTarget {
        return Err(TrustError::Role { found: leaf.identity.clone() });
    }
    Ok(())
}

fn check_key(path: &Path, leaf: &Leaf) -> Result<(), TrustError> {
    let expected = "a public key in PEM";
    let anchor = |source| TrustError::Anchor { path: path.to_owned(), expected, source };
    let key = SubjectPublicKeyInfoDer::from_pem_file(path).map_err(anchor)?;
    let malformed = |_| anchor(rustls::pki_types::pem::Error::NoItemsFound);
    SubjectPublicKeyInfo::from_der(&key).map_err(malformed)?;
    let (found, trusted) = (leaf.key_id.clone(), key_id(&key));
    if found == trusted { Ok(()) } else { Err(TrustError::OtherKey { found, trusted }) }
}
