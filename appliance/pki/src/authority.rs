//! The certificate authority of an installation: made once, signs for whoever is to belong to it.

use std::fmt;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use units::CertificateId;
use wire::{Identity, JoinToken, TokenId, TokenSecret};
use zeroize::Zeroizing;

use crate::PkiError;
use crate::file::{Readers, make_directory, read_text, refuse_existing, write_new, write_over};
use crate::leaf::{Validity, leaf_params};

/// The file with the authority's certificate.
pub const CA_CERTIFICATE_FILE: &str = "ca.pem";
/// The file with the authority's key.
pub const CA_KEY_FILE: &str = "ca.key";

/// How long an authority lasts.
const CA_DAYS: u32 = 3650;

/// An authority that can sign.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key_hash: [u8; 32],
    /// From which the secrets of tokens are made, so that nobody has to keep them.
    token_key: Zeroizing<[u8; 32]>,
}

/// Makes a certificate authority in a directory, which is made if need be: `ca.key` with mode 0600, then `ca.pem`. Both are on disk
/// when the call returns. A key without a certificate is what a crash in between has left: nothing was signed with it, and it is
/// made anew.
///
/// # Errors
/// There is a certificate (nothing was changed), or a file can't be written.
pub fn init(directory: &Path) -> Result<(), PkiError> {
    make_directory(directory)?;
    refuse_existing(directory, &[CA_CERTIFICATE_FILE])?;
    let key = new_key()?;
    let certificate =
        ca_params(&key).self_signed(&key).map_err(|source| PkiError::Sign { what: "certificate", source })?;
    // 1. The key. 2. The certificate, which says that there is an authority.
    write_over(directory, CA_KEY_FILE, &Zeroizing::new(key.serialize_pem()), Readers::Owner)?;
    write_new(directory, CA_CERTIFICATE_FILE, &certificate.pem(), Readers::All)
}

/// Makes a new ECDSA P-256 key.
pub(crate) fn new_key() -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|source| PkiError::Sign { what: "key", source })
}

impl Authority {
    /// Tells whether there is an authority in a directory.
    pub fn exists(directory: &Path) -> bool {
        directory.join(CA_CERTIFICATE_FILE).symlink_metadata().is_ok()
    }

    /// Reads the authority of a directory and checks that its key fits its certificate.
    ///
    /// # Errors
    /// A file is missing, or holds something else, or they don't fit.
    pub fn open(directory: &Path) -> Result<Self, PkiError> {
        let (path, key_path) = (directory.join(CA_CERTIFICATE_FILE), directory.join(CA_KEY_FILE));
        let certificate_pem = read_text(&path)?.as_str().to_owned();
        let not_a_key =
            |source| PkiError::Authority { path: key_path.clone(), expected: "a private key in PEM", source };
        let key = KeyPair::from_pem(&read_text(&key_path)?).map_err(not_a_key)?;
        let public_key = key.subject_public_key_info();
        let mut token_key = Zeroizing::new([0; 32]);
        *token_key = blake3::derive_key("landfall 2026 secrets of join tokens", key.serialized_der());
        let not_a_certificate = |source| PkiError::Authority {
            path: path.clone(),
            expected: "the certificate of an authority",
            source,
        };
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(not_a_certificate)?;
        if !certificate_holds(&certificate_pem, &public_key) {
            return Err(PkiError::KeyMismatch { key: key_path, certificate: path });
        }
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|_| not_a_certificate(rcgen::Error::CouldNotParseCertificate))?;
        Ok(Self { issuer, certificate, certificate_pem, key_hash: key_hash(&public_key), token_key })
    }

    /// Returns its certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Returns the SHA-256 of its key, as join tokens name it.
    pub fn key_hash(&self) -> [u8; 32] {
        self.key_hash
    }

    /// Returns its certificate in PEM.
    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Signs a certificate and returns it in DER. Whoever gives it away has written down its number before.
    ///
    /// # Errors
    /// The signature can't be made.
    pub fn sign(
        &self,
        key: &impl PublicKeyData,
        identity: &Identity,
        validity: Validity,
        number: CertificateId,
    ) -> Result<Vec<u8>, PkiError> {
        let failed = |source| PkiError::Sign { what: "certificate", source };
        let params = leaf_params(identity, validity, number).map_err(failed)?;
        let certificate = params.signed_by(key, &self.issuer).map_err(failed)?;
        Ok(certificate.der().to_vec())
    }

    /// Returns the token of this number for somebody. Its secret is made of the authority's key: nobody keeps it.
    pub fn token(&self, id: TokenId, identity: &Identity) -> JoinToken {
        let secret = self.token_secret(id, identity);
        JoinToken { id, secret, identity: identity.clone(), authority: self.key_hash }
    }

    /// Returns the secret of the token of this number for somebody.
    pub fn token_secret(&self, id: TokenId, identity: &Identity) -> TokenSecret {
        let mut hasher = blake3::Hasher::new_keyed(&self.token_key);
        hasher.update(&id.0).update(identity.to_string().as_bytes());
        let mut secret = [0; 16];
        hasher.finalize_xof().fill(&mut secret);
        TokenSecret(secret)
    }
}

impl fmt::Debug for Authority {
    /// Writes which authority it is; never the key.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Authority").field("key_hash", &hexadecimal(&self.key_hash)).finish_non_exhaustive()
    }
}

/// Returns the SHA-256 of a public key, given as SubjectPublicKeyInfo in DER: what tokens pin, and what
/// `openssl pkey -pubin -outform DER | sha256sum` says.
pub fn key_hash(spki: &[u8]) -> [u8; 32] {
    digest(&SHA256, spki).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Returns bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_secret_is_of_one_authority_one_number_and_one_holder() {
        let (here, there) = (tempfile::TempDir::new().expect("one"), tempfile::TempDir::new().expect("two"));
        init(here.path()).expect("made");
        init(there.path()).expect("made");
        let authority = Authority::open(here.path()).expect("opened");
        let web: Identity = "landfall:source:web".parse().expect("an identity");
        let secret = authority.token_secret(TokenId([1; 16]), &web);
        let again = Authority::open(here.path()).expect("opened").token(TokenId([1; 16]), &web);
        assert!(secret == again.secret);
        let other = "landfall:operator:web".parse().expect("an identity");
        assert!(secret != authority.token_secret(TokenId([1; 16]), &other));
        assert!(secret != authority.token_secret(TokenId([2; 16]), &web));
        let elsewhere = Authority::open(there.path()).expect("opened");
        assert!(secret != elsewhere.token_secret(TokenId([1; 16]), &web));
    }

    #[test]
    fn an_authority_whose_making_was_cut_is_made_anew() {
        let directory = tempfile::TempDir::new().expect("a directory");
        std::fs::write(directory.path().join(CA_KEY_FILE), "half a k").expect("written");
        assert!(!Authority::exists(directory.path()));
        init(directory.path()).expect("made");
        Authority::open(directory.path()).expect("it is whole");
    }
}
