//! The command line of `landfall retention`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use units::{ByteLen, MachineName};

use super::SizeArguments;

/// What can be done with the history.
#[derive(Debug, Subcommand)]
pub(crate) enum RetentionCommand {
    /// Show what goes of the history now, and why; changes nothing
    #[command(
        after_help = "Examples:\n  landfall retention expire --plan\n  landfall retention expire web-01 --plan"
    )]
    Expire {
        /// Only this machine
        machine: Option<MachineName>,
        /// Show the plan: what goes, goes by itself
        #[arg(long, required = true)]
        plan: bool,
    },
    /// Compute how large a retention volume must be, or how far back one reaches; needs no landfalld
    #[command(after_help = crate::commands::SIZE_EXAMPLES)]
    Size(SizeArguments),
    /// Show the retention volume, and window and size of each machine's history
    #[command(after_help = "Examples:\n  landfall retention show\n  landfall retention show web-01")]
    Show {
        /// Only this machine, with its epochs
        machine: Option<MachineName>,
    },
    /// Make a retention volume of an empty device, or of an empty directory that is a file system of its own
    #[command(after_help = INIT_HELP)]
    Init(InitArguments),
    /// Take over the machines on another node's retention volume
    #[command(after_help = ADOPT_HELP)]
    Adopt(AdoptArguments),
    /// Show how journals and disks are read in the background, begin to, pause or go on
    #[command(
        after_help = "Examples:\n  landfall retention scrub\n  landfall retention scrub web-01 --now --rate 64MiB\n  \
                            landfall retention scrub --pause"
    )]
    Scrub(ScrubArguments),
}

/// What `retention scrub` takes.
#[derive(Debug, Args)]
pub(crate) struct ScrubArguments {
    /// Only this machine
    pub(crate) machine: Option<MachineName>,
    /// Begin a pass now
    #[arg(long)]
    pub(crate) now: bool,
    /// Read at most so many bytes a second, until landfalld ends; 0 for no limit
    #[arg(long, value_name = "SIZE")]
    pub(crate) rate: Option<ByteLen>,
    /// Wait until --resume
    #[arg(long, conflicts_with_all = ["now", "resume"])]
    pub(crate) pause: bool,
    /// Go on
    #[arg(long)]
    pub(crate) resume: bool,
}

const INIT_HELP: &str = "\
Needs root and no landfalld. A device with anything on it is refused. What was interrupted can be done again.

Examples:
  landfall retention init /dev/sdc
  landfall retention init /dev/sdc --filesystem ext4 --mount /srv/history --yes
  landfall retention init /dev/sdc --yes --print-mount-unit > /etc/systemd/system/mnt-retention.mount
  landfall retention init /mnt/retention";

const ADOPT_HELP: &str = "\
Needs root and no landfalld. Lists what is on the volume and where its target disks are now, found by what they are; then
takes them over. Sources go on with `--to` this node's address; nothing is seeded again.

Examples:
  landfall retention adopt /mnt/retention
  landfall retention adopt /dev/sdc --mount /mnt/retention --yes
  landfall retention adopt /mnt/retention --disk /srv/web-01.img";

/// What `retention init` takes.
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// The device, or the directory
    #[arg(value_name = "DEVICE|DIR")]
    pub(crate) place: PathBuf,
    /// The file system to make on a device
    #[arg(long, value_enum, default_value_t = FileSystem::Xfs)]
    pub(crate) filesystem: FileSystem,
    /// Where a device is mounted
    #[arg(long, value_name = "DIR", default_value = "/mnt/retention")]
    pub(crate) mount: PathBuf,
    /// Take a directory that shares its file system with others
    #[arg(long)]
    pub(crate) shared: bool,
    /// Don't ask for the device's name again
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print a systemd unit that mounts the volume at every start
    #[arg(long)]
    pub(crate) print_mount_unit: bool,
}

/// The file systems that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileSystem {
    /// XFS
    Xfs,
    /// ext4
    Ext4,
}

/// What `retention adopt` takes.
#[derive(Debug, Args)]
pub(crate) struct AdoptArguments {
    /// The directory where the volume is mounted, or its device
    #[arg(value_name = "DEVICE|DIR")]
    pub(crate) place: PathBuf,
    /// Where a device is mounted
    #[arg(long, value_name = "DIR", default_value = "/mnt/retention")]
    pub(crate) mount: PathBuf,
    /// An image file that may be a target disk; block devices are all looked at
    #[arg(long = "disk", value_name = "FILE")]
    pub(crate) disks: Vec<PathBuf>,
    /// Don't ask
    #[arg(long)]
    pub(crate) yes: bool,
}
