//! The command line of `landfall group`.

use std::time::Duration;

use clap::{Args, Subcommand};
use units::MachineName;

/// What can be done with consistency groups.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List the groups
    #[command(after_help = "Example:\n  landfall group list")]
    List,
    /// Show one group
    #[command(after_help = "Example:\n  landfall group show shop")]
    Show {
        /// The group
        group: MachineName,
    },
    /// Make machines a group: their common points share one order
    ///
    /// For each point every member holds its writes; once all do, all make their point. A member with a hook (`landfall-source protect
    /// --hook`) holds what its applications write; one without is exact only when nobody writes. A machine is in one group at the most;
    /// operating systems may be mixed.
    #[command(after_help = "Without --every, points are made as often as the policies of the members want \
                            application-consistent ones.\n\nExamples:\n  landfall group create shop web-01 db-01\n  \
                            landfall group create shop web-01 db-01 --every 15m --hold 5s")]
    Create(CreateArguments),
    /// Take one more machine into a group
    #[command(after_help = "Points made before are common no longer: the new member has none of them.\n\n\
                            Example:\n  landfall group add shop mail-01")]
    Add {
        /// The group
        group: MachineName,
        /// The machine
        machine: MachineName,
    },
    /// Take a machine out of a group; the machine and its history stay
    #[command(after_help = "Example:\n  landfall group remove shop mail-01")]
    Remove {
        /// The group
        group: MachineName,
        /// The machine
        machine: MachineName,
    },
    /// Delete a group; its members and their histories stay
    #[command(after_help = "Examples:\n  landfall group delete shop\n  landfall group delete shop --yes")]
    Delete {
        /// The group
        group: MachineName,
        /// Don't ask for the name again
        #[arg(long)]
        yes: bool,
    },
    /// Make a common point now
    #[command(
        after_help = "It fails, and lets all writes go on, if a member does not hold its writes in time.\n\n\
                            Example:\n  landfall group point shop"
    )]
    Point {
        /// The group
        group: MachineName,
    },
}

/// What `group create` takes.
#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// Its name
    pub(crate) group: MachineName,
    /// Its members, 1 to 64
    #[arg(value_name = "MACHINE", required = true)]
    pub(crate) machines: Vec<MachineName>,
    /// Make a point this often, 10s to 31d
    #[arg(long, value_name = "TIME", value_parser = units::parse_span)]
    pub(crate) every: Option<Duration>,
    /// Hold writes no longer than this for a point, 200ms to 60s; 10s without it
    #[arg(long, value_name = "TIME", value_parser = units::parse_span)]
    pub(crate) hold: Option<Duration>,
}
