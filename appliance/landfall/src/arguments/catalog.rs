//! The command line of `landfall catalog`.

use clap::{Args, Subcommand, ValueEnum};

/// What can be done with the catalog.
#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Show what is on record, and how the catalog and its copy on the retention volume stand
    #[command(after_help = "Examples:\n  landfall catalog show\n  landfall catalog show --output json")]
    Show,
    /// Make a catalog anew that can't be relied on, of its copy or of what the disks tell; landfalld begins again with it
    ///
    /// The old one's files are kept beside it. From the copy, everything is as it was when the catalog was copied last, moments after its last
    /// change. From the disks there are the machines alone: sources, servers and operators join again with new tokens.
    #[command(
        after_help = "Examples:\n  landfall catalog rebuild --from copy\n  landfall catalog rebuild --from disks --yes"
    )]
    Rebuild(RebuildArguments),
}

/// What `catalog rebuild` takes.
#[derive(Debug, Args)]
pub(crate) struct RebuildArguments {
    /// copy or disks
    #[arg(long, value_enum, hide_possible_values = true, value_name = "SOURCE")]
    pub(crate) from: Source,
    /// Don't ask for the appliance's name
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What a catalog is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    // Its copy on the retention volume.
    Copy,
    // What the retention volume says of its machines.
    Disks,
}
