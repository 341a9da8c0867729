//! The certificate authority: made once, read for each certificate.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use zeroize::Zeroizing;

use crate::PkiError;
use crate::file::{Readers, make_directory, read_text, refuse_existing, write_new};
use crate::leaf::Validity;

/// The file with the authority's certificate.
pub const CA_CERTIFICATE_FILE: &str = "ca.pem";
/// The file with the authority's key.
pub const CA_KEY_FILE: &str = "ca.key";

/// How long an authority lasts.
const CA_DAYS: u32 = 3650;

/// An authority that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its certificate, which everyone may have.
    pub certificate: PathBuf,
    /// Its key, which nobody else may have.
    pub key: PathBuf,
}

/// Makes a certificate authority in a directory, which is made if need be: `ca.pem`, and `ca.key` with mode 0600.
/// Both are on disk when the call returns.
///
/// # Errors
/// One of the files exists (nothing was changed), or can't be written.
pub fn init(directory: &Path) -> Result<Authority, PkiError> {
    make_directory(directory)?;
    refuse_existing(directory, &[CA_CERTIFICATE_FILE, CA_KEY_FILE])?;
    let key = new_key()?;
    let certificate =
        ca_params(&key).self_signed(&key).map_err(|source| PkiError::Sign { what: "certificate", source })?;
    write_new(directory, CA_KEY_FILE, &Zeroizing::new(key.serialize_pem()), Readers::Owner)?;
    write_new(directory, CA_CERTIFICATE_FILE, &certificate.pem(), Readers::All)?;
    Ok(Authority { certificate: directory.join(CA_CERTIFICATE_FILE), key: directory.join(CA_KEY_FILE) })
}

/// Makes a new ECDSA P-256 key.
pub(crate) fn new_key() -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|source| PkiError::Sign { what: "key", source })
}

/// An authority that was read and can sign.
pub(crate) struct Signer {
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate_pem: Zeroizing<String>,
}

impl Signer {
    /// Reads the authority of a directory and checks that its key fits its certificate.
    pub(crate) fn read(directory: &Path) -> Result<Self, PkiError> {
        let (certificate, key) = (directory.join(CA_CERTIFICATE_FILE), directory.join(CA_KEY_FILE));
        let certificate_pem = read_text(&certificate)?;
        let key_pair = KeyPair::from_pem(&read_text(&key)?).map_err(|source| PkiError::Authority {
            path: key.clone(),
            expected: "a private key in PEM",
            source,
        })?;
        let public_key = key_pair.subject_public_key_info();
        let not_a_certificate = |source| PkiError::Authority {
            path: certificate.clone(),
            expected: "the certificate of an authority",
            source,
        };
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key_pair).map_err(not_a_certificate)?;
        if !certificate_holds(&certificate_pem, &public_key) {
            return Err(PkiError::KeyMismatch { key, certificate });
        }
        Ok(Self { issuer, certificate_pem })
    }
}

/// Tells whether a certificate in PEM is of this public key, given as DER.
fn certificate_holds(certificate_pem: &str, public_key: &[u8]) -> bool {
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes()) else { return false };
    pem.parse_x509().is_ok_and(|certificate| certificate.public_key().raw == public_key)
}

/// The name holds a piece of the key's hash: two authorities of one name would be taken for one, and the certificates of
/// the other for forged rather than foreign.
fn ca_params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    let fingerprint = &blake3::hash(key.public_key_raw()).to_hex()[..16];
    name.push(DnType::CommonName, format!("Landfall certificate authority {fingerprint}"));
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Validity::days_from_now(CA_DAYS).apply(&mut params);
    params
}
