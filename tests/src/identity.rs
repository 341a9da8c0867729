//! Certificates for the lab's machines: joined by token, as operators have it done.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use control::api::JoinTokenMade;

use crate::appliance::Appliance;
use crate::binaries::Binaries;
use crate::command::{command, run, run_with_input};
use crate::lab::Lab;

/// Gives certificates of a running appliance to others.
#[derive(Debug)]
pub struct Authority {
    binaries: Binaries,
    socket: PathBuf,
    door: String,
    directory: PathBuf,
    issued: PathBuf,
}

impl Authority {
    /// Returns that of an appliance, which must run whenever something is issued. Errors: no directory can be made.
    pub fn of(appliance: &Appliance, lab: &Lab) -> Result<Self> {
        Ok(Self {
            binaries: appliance.binaries().clone(),
            socket: appliance.socket().to_owned(),
            door: appliance.door(),
            directory: appliance.state().join("ca"),
            issued: lab.directory("issued")?,
        })
    }

    /// Makes an authority that has no appliance, as one of another installation. Errors: it can't be made.
    pub fn apart(lab: &Lab, binaries: &Binaries, name: &str) -> Result<Foreign> {
        let mut appliance = Appliance::apart(lab, binaries, name)?;
        appliance.start()?;
        let mut authority = Self::of(&appliance, lab)?;
        authority.issued = lab.directory(&format!("{name}-issued"))?;
        Ok(Foreign { authority, _appliance: appliance })
    }

    /// Lets somebody join and returns the directory with `ca.pem`, `cert.pem` and `key.pem`. `role` as in certificates: `source`,
    /// `operator` or `master-target`. Errors: no token is made, or joining fails.
    pub fn issue(&self, role: &str, name: &str) -> Result<PathBuf> {
        let out = self.issued.join(format!("{role}-{name}"));
        self.join(&self.token(role, name)?, role, &out)?;
        Ok(match role {
            "operator" => out.join(format!("at-{}", self.door.replace(':', "_"))),
            "master-target" => out.join("identity"),
            _ => out,
        })
    }

    /// Has a join token made. Errors: it is refused.
    pub fn token(&self, role: &str, name: &str) -> Result<String> {
        let mut landfall = command(&self.binaries.landfall);
        landfall.arg("--socket").arg(&self.socket);
        let text =
            run(landfall.args(["server", "token", "--role", role, "--name", name, "--output", "json"]))?;
        Ok(serde_json::from_str::<JoinTokenMade>(&text).context("reading a token")?.token)
    }

    /// Joins with a token, into a directory. Errors: it is refused.
    pub fn join(&self, token: &str, role: &str, out: &Path) -> Result<String> {
        let mut joining = match role {
            "source" => command(&self.binaries.landfall_source),
            "operator" => command(&self.binaries.landfall),
            _ => command(&self.binaries.landfalld),
        };
        match role {
            "source" => joining.args(["join", "--identity"]).arg(out),
            "operator" => joining.arg("login").env("LANDFALL_CONFIG", out),
            _ => joining.args(["join", "--state"]).arg(out),
        };
        run_with_input(joining.args(["--at", &self.door, "--token-file", "-"]), token)
    }

    /// Returns the authority's own directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// The authority of another installation, which runs.
#[derive(Debug)]
pub struct Foreign {
    /// What gives out its certificates.
    pub authority: Authority,
    _appliance: Appliance,
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
