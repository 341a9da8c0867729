//! Certificates for the lab's machines.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::binaries::Binaries;
use crate::command::run;
use crate::lab::Lab;

/// A certificate authority in the lab, made with `landfall pki`.
#[derive(Debug)]
pub struct Authority {
    landfall: PathBuf,
    directory: PathBuf,
    issued: PathBuf,
}

impl Authority {
    /// Makes an authority of its own; `name` tells it from others of the same lab. Errors: `landfall pki init` fails.
    pub fn new(lab: &Lab, binaries: &Binaries, name: &str) -> Result<Self> {
        let (directory, issued) = (lab.file(name), lab.directory(&format!("{name}-issued"))?);
        run(crate::command::command(&binaries.landfall).args(["pki", "init", "--ca"]).arg(&directory))?;
        Ok(Self { landfall: binaries.landfall.clone(), directory, issued })
    }

    /// Issues a certificate and returns the directory with `ca.pem`, `cert.pem` and `key.pem`. `role` as in certificates, such as
    /// `source`. Errors: `landfall pki issue` fails.
    pub fn issue(&self, role: &str, name: &str) -> Result<PathBuf> {
        let out = self.issued.join(format!("{role}-{name}"));
        let mut command = crate::command::command(&self.landfall);
        command.args(["pki", "issue", "--role", role, "--name", name, "--ca"]).arg(&self.directory);
        run(command.arg("--out").arg(&out))?;
        Ok(out)
    }

    /// Returns the authority's own directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Copies a directory of certificates, for a test that then spoils one of its files. Errors: a file can't be copied.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(from.join(name), to.join(name))
            .with_context(|| format!("copying {name} from {}", from.display()))?;
    }
    Ok(())
}
