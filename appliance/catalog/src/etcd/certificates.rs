//! Whom a cluster's endpoints are known by, and whom they know us by.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::error::Broken;

/// The files of certificates and keys in PEM. They are read for every connection, so that whoever replaces them need tell nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdFiles {
    /// The authority of the cluster.
    pub ca: PathBuf,
    /// Our certificate for the cluster, and those between it and the cluster's authority for clients.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl EtcdFiles {
    /// Reads the files, and returns what a connection is made with: TLS 1.3, our certificate, their authority alone.
    pub(super) fn config(&self) -> Result<ClientConfig, Broken> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca)? {
            roots.add(certificate).map_err(Broken::Certificates)?;
        }
        let key = Zeroizing::new(read(&self.key)?);
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| Broken::File {
            path: self.key.clone(),
            why: "it holds no private key in PEM".to_owned(),
        })?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(Broken::Certificates)?
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(&self.certificate)?, key)
            .map_err(Broken::Certificates)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Reads at least one certificate.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Broken> {
    match CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Broken::File { path: path.to_owned(), why: "it holds no certificate in PEM".to_owned() }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Broken> {
    std::fs::read(path).map_err(|error| Broken::File { path: path.to_owned(), why: error.to_string() })
}
