//! What can be typed about the console.

use std::path::PathBuf;

use clap::Args;

/// What `console` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConsoleArguments {
    /// Directory of what the appliance remembers of its first boot: host name, retention disk, password
    #[arg(long, value_name = "DIR", default_value = "/var/lib/landfall-boot")]
    pub(crate) memory: PathBuf,
    /// Where the retention volume is mounted
    #[arg(long, value_name = "DIR", default_value = "/mnt/retention")]
    pub(crate) retention: PathBuf,
    /// Socket of the keeper of the network
    #[arg(long, value_name = "PATH", default_value = network::KEEPER_SOCKET)]
    pub(crate) network: PathBuf,
}
