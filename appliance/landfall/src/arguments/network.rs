//! What can be typed about the network.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use netplan::{Cidr, HostName, NicName, Server};

const TRY_EXAMPLES: &str = "\
The plan is netplan YAML or the JSON of `network show --output json`, from a file or, with -, from standard input. With --nic, it is the
plan that is kept, with this interface changed.

It is applied at once. Unless `landfall network keep` comes within 30 s over a new connection, it is rolled back: whoever is cut off
waits. After a restart of the appliance it is rolled back, too.

Examples:
  landfall network try plan.yaml
  landfall network try --nic eth0 --dhcp
  landfall network try --nic eth0 --address 192.0.2.10/24 --gateway 192.0.2.1 --dns 192.0.2.53
  landfall --at 192.0.2.10 network keep";

/// What can be done with the network.
#[derive(Debug, Subcommand)]
pub(crate) enum NetworkCommand {
    /// Show the plan that is kept, the one that is tried, and the interfaces there are
    #[command(after_help = "Examples:\n  landfall network show\n  landfall network show --yaml > plan.yaml")]
    Show {
        /// Write the plan that is kept as netplan YAML
        #[arg(long)]
        yaml: bool,
    },
    /// Apply a plan, and roll it back after 30 s unless it is kept
    #[command(after_help = TRY_EXAMPLES)]
    Try(PlanArguments),
    /// Keep the plan that is tried
    #[command(after_help = "Examples:\n  landfall network keep\n  landfall --at 192.0.2.10 network keep")]
    Keep,
    /// Apply a plan and keep it at once: whoever is cut off by it stays so
    #[command(
        after_help = "The plan is given as for `landfall network try`.\n\nExample:\n  landfall network set plan.yaml --yes"
    )]
    Set {
        #[command(flatten)]
        plan: PlanArguments,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

/// A plan.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("wish").required(true).args(["file", "name"]))]
pub(crate) struct PlanArguments {
    /// A file with the plan; - for standard input
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) nic: NicWish,
}

/// One interface, and how it is to be.
#[derive(Debug, Args)]
pub(crate) struct NicWish {
    /// Change this interface of the plan that is kept
    #[arg(long = "nic", id = "name", value_name = "NAME")]
    pub(crate) name: Option<NicName>,
    /// It asks DHCP for its IPv4 address
    #[arg(long, requires = "name", conflicts_with_all = ["addresses", "gateway"])]
    pub(crate) dhcp: bool,
    /// It has this address; may be given more than once
    #[arg(long = "address", id = "addresses", value_name = "ADDRESS/PREFIX", requires = "name")]
    pub(crate) addresses: Vec<Cidr>,
    /// The way to everywhere else; once for each of IPv4 and IPv6
    #[arg(long, value_name = "ADDRESS", requires = "addresses")]
    pub(crate) gateway: Vec<IpAddr>,
    /// Servers of names, of the whole plan
    #[arg(long, value_name = "ADDRESS", requires = "name")]
    pub(crate) dns: Vec<IpAddr>,
    /// Domains in which short names are looked for, of the whole plan
    #[arg(long, value_name = "DOMAIN", requires = "name")]
    pub(crate) search: Vec<HostName>,
    /// Servers of time, of the whole plan
    #[arg(long, value_name = "SERVER", requires = "name")]
    pub(crate) ntp: Vec<Server>,
}
