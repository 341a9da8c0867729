//! The command line of `landfall alarm`.

use clap::{Args, Subcommand};

/// What can be done with alarms.
#[derive(Debug, Subcommand)]
pub(crate) enum AlarmCommand {
    /// List what is not well, and what was not and nobody has taken note of
    #[command(after_help = "Examples:\n  landfall alarm list\n  landfall alarm list --all --output json")]
    List {
        /// Those that ended in the last seven days, too
        #[arg(long)]
        all: bool,
    },
    /// Take note of alarms: they are no longer open, but stand as long as their cause does
    #[command(
        after_help = "Examples:\n  landfall alarm ack --kind rpo --subject web-01\n  landfall alarm ack --subject web-01\n  \
                            landfall alarm ack --all"
    )]
    Ack(AckArguments),
    /// Follow alarms as they come up, change and end, until interrupted
    #[command(after_help = "Examples:\n  landfall alarm watch\n  landfall alarm watch --output json")]
    Watch,
}

/// What `alarm ack` takes.
#[derive(Debug, Args)]
pub(crate) struct AckArguments {
    /// Those of this kind, such as rpo
    #[arg(long, value_name = "KIND", required_unless_present_any = ["subject", "all"])]
    pub(crate) kind: Option<String>,
    /// Those of this machine or server, or appliance
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) subject: Option<String>,
    /// Every one
    #[arg(long, conflicts_with_all = ["kind", "subject"])]
    pub(crate) all: bool,
}
