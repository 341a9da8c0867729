//! Signatures. All of them are functions of key and content: signed images can be built again to the same bytes.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{read, read_text, write};
use crate::program::{command, run};
use crate::{Error, Result};

/// A private key and the certificate that names it, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The key: RSA, PKCS#8.
    pub key: PathBuf,
    /// The certificate.
    pub certificate: PathBuf,
}

impl Signer {
    /// Signs bytes with RSA (PKCS#1, version 1.5) and SHA-256. Errors: the key can't be used.
    pub fn rsa(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let wrong = || Error::Key { path: self.key.clone(), expected: "RSA key in PKCS#8, PEM" };
        let der = pem(&read_text(&self.key)?, "PRIVATE KEY").ok_or_else(wrong)?;
        let key = RsaKeyPair::from_pkcs8(&der).map_err(|_| wrong())?;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature).map_err(|_| wrong())?;
        Ok(signature)
    }

    /// Signs a program for the firmware's Secure Boot; `epoch` is the time that the signature names. Errors: a program fails.
    pub fn program(&self, bytes: &[u8], epoch: u64) -> Result<Vec<u8>> {
        let stage = tempfile::tempdir().map_err(Error::file(Path::new("/tmp"), "written"))?;
        let (plain, signed) = (stage.path().join("plain"), stage.path().join("signed"));
        write(&plain, bytes)?;
        let mut sign = command("osslsigncode");
        sign.args(["sign", "-h", "sha256", "-time", &epoch.to_string(), "-key"]).arg(&self.key);
        sign.arg("-certs").arg(&self.certificate).arg("-in").arg(&plain).arg("-out").arg(&signed);
        run(&mut sign)?;
        read(&signed)
    }

    /// Returns the certificate as it is. Errors: it can't be read.
    pub fn certificate(&self) -> Result<String> {
        read_text(&self.certificate)
    }
}

/// Returns what is between the lines of a PEM text.
fn pem(text: &str, label: &str) -> Option<Vec<u8>> {
    let begin = format!("-----BEGIN {label}-----");
    let (_, rest) = text.split_once(&begin)?;
    let (body, _) = rest.split_once("-----END")?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}
