//! What can be typed about the console.

use std::path::PathBuf;

use clap::Args;

/// What `console` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConsoleArguments {
    /// The state directory: the password and the network plan are kept in it
    #[arg(long, value_name = "DIR", default_value = "/var/lib/landfall")]
    pub(crate) state: PathBuf,
    /// Directory of what the appliance remembers of its first boot: host name and retention disk
    #[arg(long, value_name = "DIR", default_value = "/var/lib/landfall-boot")]
    pub(crate) memory: PathBuf,
    /// Where the retention volume is mounted
    #[arg(long, value_name = "DIR", default_value = "/mnt/retention")]
    pub(crate) retention: PathBuf,
}
