//! The command line of `landfall point`.

use clap::{Args, Subcommand};
use units::{ByteLen, MachineName};

use super::PinArguments;
use crate::when::{PointName, When};

/// What can be done with recovery points.
#[derive(Debug, Subcommand)]
pub(crate) enum PointCommand {
    /// List a machine's recovery points and gaps, with a timeline; or the common points of a group
    #[command(
        after_help = "Examples:\n  landfall point list web-01\n  landfall point list web-01 --around '2h ago'\n  \
                            landfall point list --group shop"
    )]
    List {
        /// The machine
        #[arg(required_unless_present = "group")]
        machine: Option<MachineName>,
        /// Instead of a machine's, the points that every member of this consistency group has
        #[arg(long, value_name = "GROUP", conflicts_with_all = ["machine", "around", "limit"])]
        group: Option<MachineName>,
        /// Only the points nearest this time
        #[arg(long, value_name = "TIME")]
        around: Option<When>,
        /// At most this many points, the newest or nearest
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    /// Serve a point over NBD while replication goes on, until Ctrl-C
    #[command(after_help = VIEW_EXAMPLES)]
    View(ViewArguments),
    /// List the views that are open
    #[command(after_help = "Example:\n  landfall point views")]
    Views,
    /// Close a view, and send its clients away
    #[command(after_help = "Example:\n  landfall point close 3")]
    Close {
        /// The number of the view
        #[arg(value_name = "ID")]
        view: u64,
    },
    /// Keep a point, however old it grows and however full the volume is
    #[command(
        after_help = "POINT is latest, TIME or SEQ. A machine has at most 64 pins. A pin that holds what would go otherwise\n\
                      makes the source wait when the volume is full.\n\nExamples:\n  \
                            landfall point pin web-01@812 --note 'before the upgrade'\n  \
                            landfall point pin 'web-01@10m ago' --for 7d\n  \
                            landfall point pin web-01@latest --until 2026-12-24T00:00:00Z"
    )]
    Pin(PinArguments),
    /// Keep a pinned point no longer than the others
    #[command(after_help = "Example:\n  landfall point unpin web-01@812")]
    Unpin {
        /// The machine and the point
        #[arg(value_name = "MACHINE@POINT")]
        point: PointName,
    },
    /// Prove a point: compare the source's root of each disk with the one computed here
    #[command(
        after_help = "POINT is latest, TIME or SEQ; without it, the latest. Exits with 1 when roots differ.\n\n\
                            Examples:\n  landfall point verify web-01\n  landfall point verify web-01@812\n  \
                            landfall point verify 'web-01@10m ago'"
    )]
    Verify {
        /// The machine and the point
        #[arg(value_name = "MACHINE@POINT")]
        point: PointName,
        /// Don't wait for the end; exits with 6
        #[arg(long)]
        no_wait: bool,
    },
}

const VIEW_EXAMPLES: &str = "\
POINT is latest, TIME or SEQ; without it, the latest. Each disk is an export of its own: 0, 1 and so on.
On TCP clients need an operator's certificate: `landfall login`.

Examples:
  landfall point view web-01
  landfall point view 'web-01@10m ago' --scratch 20GiB
  landfall point view web-01@812 --listen 0.0.0.0:10809 --no-wait --output json";

/// What `point view` takes.
#[derive(Debug, Args)]
pub(crate) struct ViewArguments {
    /// The machine and the point
    #[arg(value_name = "MACHINE@POINT")]
    pub(crate) point: PointName,
    /// Let it be written, up to this size; what was written is thrown away at the end
    #[arg(long, value_name = "SIZE")]
    pub(crate) scratch: Option<ByteLen>,
    /// Where to serve it: unix:PATH, or HOST:PORT with TLS; a socket beside landfalld's by default
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Take a point that is not consistent, too
    #[arg(long)]
    pub(crate) inconsistent: bool,
    /// Leave it open and return; `landfall point close` closes it
    #[arg(long)]
    pub(crate) no_wait: bool,
}
