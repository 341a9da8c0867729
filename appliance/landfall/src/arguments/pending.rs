//! The command line of `landfall pending` and `landfall approve`.

use clap::{Args, Subcommand};

/// What can be done with what waits to be confirmed.
#[derive(Debug, Subcommand)]
pub(crate) enum PendingCommand {
    /// List what somebody elsewhere wants destroyed, and what came of earlier wishes
    #[command(after_help = "Examples:\n  landfall pending list\n  landfall pending list --output json")]
    List,
    /// End something that waits: it is not done
    #[command(after_help = "Example:\n  landfall pending cancel 7")]
    Cancel {
        /// Its number
        #[arg(value_name = "ID")]
        id: u64,
    },
}

/// What `approve` takes.
#[derive(Debug, Args)]
pub(crate) struct ApproveArguments {
    /// Its number, as `landfall pending list` shows it
    #[arg(value_name = "ID")]
    pub(crate) id: u64,
    /// Don't ask
    #[arg(long)]
    pub(crate) yes: bool,
}
