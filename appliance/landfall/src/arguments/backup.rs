//! The command line of `landfall backup` and `landfall restore`.

use std::path::PathBuf;

use clap::Args;

/// What `backup` takes.
#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// Where it goes: a file that does not exist, or a directory, in which it gets a name of its own
    #[arg(value_name = "FILE|DIR")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArguments,
}

/// What `restore` takes.
#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The state directory of landfalld
    #[arg(long, value_name = "DIR", default_value = "/var/lib/landfall")]
    pub(crate) state: PathBuf,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArguments,
    /// Put aside what is in the state directory, and take its place
    #[arg(long)]
    pub(crate) replace: bool,
    /// Restore the authority alone: for another configuration server of the same installation, which has a name and keys of its own
    #[arg(long)]
    pub(crate) authority_only: bool,
    /// Don't ask for the appliance's name
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Where a passphrase comes from.
#[derive(Debug, Args)]
pub(crate) struct PassphraseArguments {
    /// The file with the passphrase; - for standard input, /dev/fd/N for a descriptor; without it, it is asked for
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}
