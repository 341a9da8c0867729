//! Signing manifests with the key of a server.

use std::fmt;
use std::path::Path;

use manifest::{Algorithm, FORMAT, Facts, Manifest, Signer, seal, signed_bytes};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey};

use crate::PkiError;
use crate::file::read_text;
use crate::leaf::{CERTIFICATE_FILE, KEY_FILE};
use crate::trust::Leaf;

/// The key of a server, and what a manifest says of it.
pub struct Notary {
    key: KeyPair,
    signer: Signer,
}

impl Notary {
    /// Reads `cert.pem` and `key.pem` of a directory, as [`issue`](crate::issue) writes them.
    ///
    /// # Errors
    /// A file can't be read, the key is not ECDSA P-256, or it is not the certificate's.
    pub fn read(directory: &Path) -> Result<Self, PkiError> {
        let (key_path, certificate) = (directory.join(KEY_FILE), directory.join(CERTIFICATE_FILE));
        let certificates = read_text(&certificate)?.as_str().to_owned();
        let expected = "an ECDSA P-256 key in PEM, which is what manifests are signed with";
        let not_a_key = |source| PkiError::Authority { path: key_path.clone(), expected, source };
        let key = KeyPair::from_pem(&read_text(&key_path)?).map_err(not_a_key)?;
        if !key.is_compatible(&PKCS_ECDSA_P256_SHA256) {
            return Err(not_a_key(rcgen::Error::UnsupportedSignatureAlgorithm));
        }
        let unreadable = |source| PkiError::Certificate { path: certificate.clone(), source };
        let leaf = Leaf::of(&certificates).map_err(unreadable)?;
        if leaf.public_key != key.public_key_raw() {
            return Err(PkiError::KeyMismatch { key: key_path, certificate });
        }
        let (identity, key_id) = (leaf.identity.to_string(), leaf.key_id);
        let signer = Signer { identity, algorithm: Algorithm::EcdsaP256Sha256, key_id, certificates };
        Ok(Self { key, signer })
    }

    /// Signs the facts and returns the manifest as a file.
    ///
    /// # Errors
    /// The signature could not be made.
    pub fn seal(&self, facts: Facts) -> Result<String, PkiError> {
        let manifest = Manifest { format: FORMAT.to_owned(), facts, signer: self.signer.clone() };
        let failed = |source| PkiError::Sign { what: "signature of a manifest", source };
        let signature = self.key.sign(&signed_bytes(&manifest)).map_err(failed)?;
        Ok(seal(&manifest, &signature))
    }
}

impl fmt::Debug for Notary {
    /// Writes who signs; never the key.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Notary").field("signer", &self.signer.identity).finish_non_exhaustive()
    }
}
