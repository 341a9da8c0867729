//! The command line of `landfall audit`.

use clap::{Args, Subcommand};
use control::api::HexHash;

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List who asked for what, and what came of it, the newest last
    #[command(
        after_help = "Examples:\n  landfall audit list\n  landfall audit list --limit 1000 --output json"
    )]
    List {
        /// At most so many, the newest; 0 for as many as are told at once
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
        /// Only those before this number
        #[arg(long, value_name = "NUMBER")]
        before: Option<u64>,
    },
    /// Check that nothing of the log was changed or cut away; ends with 1 if something was
    ///
    /// Each entry is bound to all before it. Whoever can change the catalog can write a whole log anew: note the last number and hash now
    /// and then at another place, and give them with --known.
    #[command(after_help = "Examples:\n  landfall audit check\n  landfall audit check --known 812:5e1f…")]
    Check(AuditCheckArguments),
}

/// What `audit check` takes.
#[derive(Debug, Args)]
pub(crate) struct AuditCheckArguments {
    /// An entry that was noted elsewhere
    #[arg(long, value_name = "NUMBER:HASH", value_parser = parse_known)]
    pub(crate) known: Option<(u64, HexHash)>,
}

fn parse_known(text: &str) -> Result<(u64, HexHash), String> {
    let read = || {
        let (number, hash) = text.split_once(':')?;
        Some((number.parse().ok()?, HexHash(hash.parse().ok()?)))
    };
    read().ok_or_else(|| "it is a number and a hash of 64 digits, as in 812:5e1f…".to_owned())
}
