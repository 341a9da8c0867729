//! The command line of `landfall server`, and of `landfall login`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use units::MachineName;
use wire::Role;

/// What can be done with those who belong to the installation.
#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Make a token with which a source, a server or an operator joins, once, within an hour
    #[command(
        after_help = "Examples:\n  landfall server token --role source --name web-01 > web-01.token\n  \
                            landfall server token --role operator --name ann"
    )]
    Token {
        /// source, master-target, process-server, configuration-server or operator
        #[arg(long)]
        role: Role,
        /// Its name; for a source, its machine's
        #[arg(long)]
        name: MachineName,
    },
    /// List who has joined, and until when their certificates are good
    #[command(after_help = "Example:\n  landfall server list")]
    List,
    /// End every certificate of somebody, also on connections that are open
    #[command(after_help = "Examples:\n  landfall server revoke web-01 --reason 'disk stolen'\n  \
                            landfall server revoke ann --role operator --yes")]
    Revoke(RevokeArguments),
}

/// What `server revoke` takes.
#[derive(Debug, Args)]
pub(crate) struct RevokeArguments {
    /// Whose
    pub(crate) name: MachineName,
    /// In which role, where the name has several
    #[arg(long)]
    pub(crate) role: Option<Role>,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    /// Don't ask for the name again
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What `login` takes.
#[derive(Debug, Args)]
pub(crate) struct LoginArguments {
    /// The file with the token of `landfall server token --role operator`; - for standard input; without it, it is asked for
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}
