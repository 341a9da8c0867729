//! The command line of `landfall manifest`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use units::MachineName;

/// What can be done with manifests.
#[derive(Debug, Subcommand)]
pub(crate) enum ManifestCommand {
    /// List the manifests of a machine's failbacks and commits
    #[command(after_help = "Example:\n  landfall manifest list web-01")]
    List {
        /// The machine
        machine: MachineName,
    },
    /// Show a manifest; with --output json, the file itself
    #[command(after_help = "Examples:\n  landfall manifest show web-01\n  \
                            landfall manifest show web-01 3 --output json > web-01.manifest")]
    Show {
        /// The machine
        machine: MachineName,
        /// The number of the manifest; without it, the newest
        number: Option<u64>,
    },
    /// Check a manifest: signature, signer, roots; needs no landfalld
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArguments),
}

const CHECK_EXAMPLES: &str = "\
Without --ca or --key the signature is checked against the key inside the manifest: that finds changes, and does not tell who
signed. With --disk the root of a disk is computed again from its bytes. Exits with 1 unless all is proved.

Examples:
  landfall manifest check web-01.manifest --ca ca.pem
  landfall manifest check web-01.manifest --key home-01.pub.pem --disk 0=/dev/sdb";

/// What `manifest check` takes.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The manifest
    pub(crate) file: PathBuf,
    /// The certificate of the authority that the signer must be of
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub(crate) ca: Option<PathBuf>,
    /// The public key that must have signed
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// A disk to compare with the manifest; once for each
    #[arg(long = "disk", value_name = "INDEX=PATH")]
    pub(crate) disks: Vec<NumberedDisk>,
}

/// A disk, and which of a machine's it is.
#[derive(Clone, Debug)]
pub(crate) struct NumberedDisk {
    pub(crate) index: u16,
    pub(crate) path: PathBuf,
}

impl FromStr for NumberedDisk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (index, path) = text.split_once('=').ok_or("write it as INDEX=PATH")?;
        let index = index.parse().map_err(|_| format!("{index:?} is not the index of a disk"))?;
        Ok(Self { index, path: path.into() })
    }
}
