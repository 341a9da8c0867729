//! A certificate, its key and the authority, read from a directory.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use units::CertificateId;
use zeroize::Zeroizing;

use crate::certified::Certified;
use crate::standing::{Standing, Unquestioned};
use crate::{LinkError, Peer, Seal, holder_of};

/// The file with the authority's certificate.
pub const CA_FILE: &str = "ca.pem";
/// The file with our certificate, and those between it and the authority if there are any.
pub const CERTIFICATE_FILE: &str = "cert.pem";
/// The file with our key.
pub const KEY_FILE: &str = "key.pem";

/// Who we are and whom we trust. Clones share our certificate: [`Credentials::reload`] replaces it for all of them.
#[derive(Clone)]
pub struct Credentials {
    directory: PathBuf,
    identity: Peer,
    pub(crate) authority: Arc<RootCertStore>,
    pub(crate) certified: Arc<Certified>,
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) standing: Arc<dyn Standing>,
}

impl Credentials {
    /// Reads `ca.pem`, `cert.pem` and `key.pem` of a directory, as enrolment writes them.
    ///
    /// # Errors
    /// A file is missing, holds something else, the key may be read by everyone, or key and certificate don't fit.
    pub fn read(directory: &Path) -> Result<Self, LinkError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut authority = RootCertStore::empty();
        for certificate in read_certificates(&directory.join(CA_FILE))? {
            authority.add(certificate).map_err(|source| LinkError::Credentials { source })?;
        }
        let (identity, certified) = read_certified(directory, &provider)?;
        Ok(Self {
            directory: directory.to_owned(),
            identity,
            authority: Arc::new(authority),
            certified: Arc::new(Certified::new(certified)),
            provider,
            standing: Arc::new(Unquestioned),
        })
    }

    /// Returns these credentials with somebody who knows whose certificates no longer count.
    #[must_use]
    pub fn with_standing(self, standing: Arc<dyn Standing>) -> Self {
        Self { standing, ..self }
    }

    /// Returns who knows whose certificates no longer count.
    pub fn standing(&self) -> &Arc<dyn Standing> {
        &self.standing
    }

    /// Reads our certificate and key again and uses them from the next handshake on, here and in all clones; connections that
    /// are open go on.
    ///
    /// # Errors
    /// As [`Credentials::read`], or the certificate is of somebody else; the old one stays in use.
    pub fn reload(&self) -> Result<(), LinkError> {
        let (found, certified) = read_certified(&self.directory, &self.provider)?;
        if found != self.identity {
            return Err(LinkError::OtherIdentity { expected: self.identity.clone(), found });
        }
        self.certified.replace(certified);
        Ok(())
    }

    /// Returns the role and name our own certificate speaks for.
    pub fn identity(&self) -> &Peer {
        &self.identity
    }

    /// Returns what signs with the key of our certificate, as it is now.
    pub fn seal(&self) -> Seal {
        Seal(Arc::clone(&self.certified.current().key))
    }

    /// Returns the number of the certificate in use.
    pub fn certificate(&self) -> CertificateId {
        let certified = self.certified.current();
        holder_of(&certified.cert[0]).expect("it was read before").1
    }
}

/// Reads our certificate and its key, and whom they speak for.
fn read_certified(directory: &Path, provider: &CryptoProvider) -> Result<(Peer, CertifiedKey), LinkError> {
    let path = directory.join(CERTIFICATE_FILE);
    let chain = read_certificates(&path)?;
    let (identity, _) = holder_of(&chain[0]).map_err(|source| LinkError::OwnIdentity { path, source })?;
    let key = read_key(&directory.join(KEY_FILE))?;
    let certified = CertifiedKey::from_der(chain, key, provider);
    Ok((identity, certified.map_err(|source| LinkError::Credentials { source })?))
}

impl fmt::Debug for Credentials {
    /// Writes whom the credentials are of; never the key.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credentials").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Reads at least one certificate.
fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LinkError> {
    let bytes = std::fs::read(path).map_err(read_error(path))?;
    match CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(LinkError::CredentialsContent { path: path.to_owned(), expected: "certificates in PEM" }),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, LinkError> {
    let mode = std::fs::metadata(path).map_err(read_error(path))?.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(LinkError::KeyExposed { path: path.to_owned(), mode });
    }
    let bytes = Zeroizing::new(std::fs::read(path).map_err(read_error(path))?);
    let content =
        |_| LinkError::CredentialsContent { path: path.to_owned(), expected: "a private key in PEM" };
    PrivateKeyDer::from_pem_slice(&bytes).map_err(content)
}

fn read_error(path: &Path) -> impl FnOnce(std::io::Error) -> LinkError {
    let path = path.to_owned();
    move |source| LinkError::CredentialsRead { path, source }
}
