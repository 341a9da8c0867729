//! What can be typed.

/// Policies, pins and sizes.
mod keeping;

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use control::api::JobId;
use units::{ByteLen, MachineName};
use wire::Role;

pub(crate) use keeping::{PinArguments, PolicyArguments, PolicyCommand, SizeArguments, WhenFull};

use crate::when::{PointName, When};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line is wrong
  3  refused: nothing was changed
  4  landfalld can't be reached
  5  not authorised
  6  still running (with --no-wait)

Errors carry a code; `landfall explain CODE` says more about it. NO_COLOR=1 switches colours off.";

/// Bring machines home: watch their replication, go back in time, prove the result, commit.
#[derive(Debug, Parser)]
#[command(name = "landfall", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// How to write results: table or json; json writes one object on each line
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = Output::Table,
        hide_possible_values = true,
        value_name = "FORMAT",
        help_heading = "Everywhere"
    )]
    pub(crate) output: Output,
    /// The control socket of landfalld
    #[arg(
        long,
        global = true,
        env = "LANDFALL_SOCKET",
        hide_env_values = true,
        default_value = "/run/landfall/control.sock",
        value_name = "PATH",
        help_heading = "Everywhere"
    )]
    pub(crate) socket: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    // Ordinary comments: a documented value would be spread over the help of every command.
    // Aligned tables and sentences.
    Table,
    // One JSON object, or one on each line while work goes on.
    Json,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show health, machines, jobs and the retention volume on one screen
    #[command(after_help = "Examples:\n  landfall status\n  landfall status --check || alert")]
    Status {
        /// Exit with 1 unless all is well, for monitoring
        #[arg(long)]
        check: bool,
    },
    /// Protected machines and their target disks
    #[command(subcommand, after_help = "Example:\n  landfall machine list")]
    Machine(MachineCommand),
    /// Block devices
    #[command(subcommand, after_help = "Example:\n  landfall disk list")]
    Disk(DiskCommand),
    /// Recovery points
    #[command(subcommand, after_help = "Example:\n  landfall point list web-01")]
    Point(PointCommand),
    /// Bring a machine's target disks to a recovery point
    #[command(after_help = FAILBACK_EXAMPLES)]
    Failback(FailbackArguments),
    /// Accept the recovery point a machine stands at, for good
    #[command(after_help = "Examples:\n  landfall commit web-01\n  landfall commit web-01 --yes")]
    Commit(Confirmed),
    /// Bring a machine back to the latest, so that replication goes on
    #[command(after_help = "Example:\n  landfall cancel web-01")]
    Cancel {
        /// The machine
        machine: MachineName,
        /// Don't wait for the end; exits with 6
        #[arg(long)]
        no_wait: bool,
    },
    /// Signed manifests of failbacks
    #[command(subcommand, after_help = "Example:\n  landfall manifest list web-01")]
    Manifest(ManifestCommand),
    /// Protect a machine again, on disks that hold an earlier state of it: only what differs is sent
    ///
    /// A committed machine begins another generation on its own disks; its history, shown first, is dropped, and the older generation is
    /// refused for ever. A machine that is not known is registered with the disks named, which keep what they hold as
    /// the first recovery point.
    #[command(after_help = REPROTECT_EXAMPLES)]
    Reprotect(ReprotectArguments),
    /// Work under way and done
    #[command(subcommand, after_help = "Example:\n  landfall job list")]
    Job(JobCommand),
    /// How far back history reaches and what it costs
    #[command(subcommand, after_help = "Example:\n  landfall retention show")]
    Retention(RetentionCommand),
    /// What is kept of each machine
    #[command(subcommand, after_help = "Example:\n  landfall policy show")]
    Policy(PolicyCommand),
    /// Certificates; needs no landfalld
    #[command(subcommand, after_help = "Example:\n  landfall pki init --ca /etc/landfall/ca")]
    Pki(PkiCommand),
    /// Explain an error code, or list them all
    #[command(after_help = "Examples:\n  landfall explain LF-1204\n  landfall explain")]
    Explain {
        /// The code, such as LF-1204
        code: Option<String>,
    },
    /// Write a completion script for a shell
    #[command(after_help = "Example:\n  landfall completions bash > /etc/bash_completion.d/landfall")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Show the version of this program
    #[command(after_help = "Example:\n  landfall version --output json")]
    Version,
}

const REPROTECT_EXAMPLES: &str = "Examples:
  landfall reprotect web-01 --plan
  landfall reprotect web-01 --yes
  landfall reprotect web-01 --disk /dev/disk/by-id/wwn-0x5000c500a1b2c3d4";

const FAILBACK_EXAMPLES: &str = "\
TIME is RFC 3339 or relative; the newest point at or before it is taken. SEQ is a number from `point list`.
Nothing is final before `landfall commit`: another point can be chosen, or `landfall cancel` goes back to the latest.

Examples:
  landfall failback web-01 --to latest --plan
  landfall failback web-01 --to '10m ago'
  landfall failback web-01 --to 2026-11-20T14:03:07Z --yes
  landfall failback web-01 --to 812 --no-wait --output json";

/// What `failback` takes.
#[derive(Debug, Args)]
pub(crate) struct FailbackArguments {
    /// The machine
    pub(crate) machine: MachineName,
    /// The recovery point: latest, TIME or SEQ
    #[arg(long, value_name = "POINT")]
    pub(crate) to: When,
    /// Show what would change, and change nothing
    #[arg(long, conflicts_with_all = ["no_wait", "yes"])]
    pub(crate) plan: bool,
    /// Take a point that is not consistent, too
    #[arg(long)]
    pub(crate) inconsistent: bool,
    /// Don't read the disks once they stand at the point; the manifest then says that nothing was proved
    #[arg(long)]
    pub(crate) no_proof: bool,
    /// Don't wait for the end; exits with 6
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Don't ask
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What `reprotect` takes.
#[derive(Debug, Args)]
pub(crate) struct ReprotectArguments {
    /// The machine
    pub(crate) machine: MachineName,
    /// A target disk of a machine that is not known, in the order of the source's disks
    #[arg(long = "disk", value_name = "PATH")]
    pub(crate) disks: Vec<PathBuf>,
    /// A target disk may be a regular file
    #[arg(long, requires = "disks")]
    pub(crate) allow_file: bool,
    /// Show what would be given up, and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) plan: bool,
    /// Don't ask for the name again
    #[arg(long)]
    pub(crate) yes: bool,
}

/// A machine whose name is asked for again.
#[derive(Debug, Args)]
pub(crate) struct Confirmed {
    /// The machine
    pub(crate) machine: MachineName,
    /// Don't ask for the name again
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What can be done with machines.
#[derive(Debug, Subcommand)]
pub(crate) enum MachineCommand {
    /// List the machines
    #[command(after_help = "Example:\n  landfall machine list")]
    List,
    /// Show one machine
    #[command(after_help = "Example:\n  landfall machine show web-01")]
    Show {
        /// The machine
        machine: MachineName,
    },
    /// Register a machine and its target disks
    #[command(after_help = "Examples:\n  landfall machine add web-01 --disk /dev/sdb --disk /dev/sdc\n  \
                            landfall machine add test-01 --disk /srv/test-01.img --allow-file")]
    Add {
        /// The name, as the source's certificate carries it
        machine: MachineName,
        /// A target disk; once for each of the source's disks, in their order
        #[arg(long = "disk", value_name = "PATH", required = true)]
        disks: Vec<PathBuf>,
        /// Take regular files as target disks, too
        #[arg(long)]
        allow_file: bool,
    },
    /// Forget a machine and its history; the target disks keep their content
    #[command(
        after_help = "Examples:\n  landfall machine remove web-01\n  landfall machine remove web-01 --yes"
    )]
    Remove(Confirmed),
}

/// What can be done with block devices.
#[derive(Debug, Subcommand)]
pub(crate) enum DiskCommand {
    /// List every block device and what it may be used for
    #[command(after_help = "Example:\n  landfall disk list")]
    List,
    /// Say what each device may be used for; if not, why not, and what to do
    #[command(after_help = "Without landfalld it judges by itself, and knows no target disks.\n\n\
                            Examples:\n  landfall disk eligible\n  landfall disk eligible /dev/sdc")]
    Eligible {
        /// Only this device
        device: Option<PathBuf>,
    },
    /// Follow devices as they appear, change and go, until interrupted
    #[command(after_help = "Examples:\n  landfall disk watch\n  landfall disk watch --output json")]
    Watch,
}

/// What can be done with recovery points.
#[derive(Debug, Subcommand)]
pub(crate) enum PointCommand {
    /// List a machine's recovery points and gaps, with a timeline
    #[command(
        after_help = "Examples:\n  landfall point list web-01\n  landfall point list web-01 --around '2h ago'"
    )]
    List {
        /// The machine
        machine: MachineName,
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

/// What can be done with manifests.
#[derive(Debug, Subcommand)]
pub(crate) enum ManifestCommand {
    /// List the manifests of a machine's failbacks and commits
    #[command(after_help = "Example:\n  landfall manifest list web-01")]
    List {
        /// The machine
        machine: MachineName,
    },
    /// Show a manifest; with --output json, the file itself
    #[command(after_help = "Examples:\n  landfall manifest show web-01\n  \
                            landfall manifest show web-01 3 --output json > web-01.manifest")]
    Show {
        /// The machine
        machine: MachineName,
        /// The number of the manifest; without it, the newest
        number: Option<u64>,
    },
    /// Check a manifest: signature, signer, roots; needs no landfalld
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArguments),
}

const CHECK_EXAMPLES: &str = "\
Without --ca or --key the signature is checked against the key inside the manifest: that finds changes, and does not tell who
signed. With --disk the root of a disk is computed again from its bytes. Exits with 1 unless all is proved.

Examples:
  landfall manifest check web-01.manifest --ca ca.pem
  landfall manifest check web-01.manifest --key home-01.pub.pem --disk 0=/dev/sdb";

/// What `manifest check` takes.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The manifest
    pub(crate) file: PathBuf,
    /// The certificate of the authority that the signer must be of
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub(crate) ca: Option<PathBuf>,
    /// The public key that must have signed
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// A disk to compare with the manifest; once for each
    #[arg(long = "disk", value_name = "INDEX=PATH")]
    pub(crate) disks: Vec<NumberedDisk>,
}

/// A disk, and which of a machine's it is.
#[derive(Clone, Debug)]
pub(crate) struct NumberedDisk {
    pub(crate) index: u16,
    pub(crate) path: PathBuf,
}

impl FromStr for NumberedDisk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (index, path) = text.split_once('=').ok_or("write it as INDEX=PATH")?;
        let index = index.parse().map_err(|_| format!("{index:?} is not the index of a disk"))?;
        Ok(Self { index, path: path.into() })
    }
}

const VIEW_EXAMPLES: &str = "\
POINT is latest, TIME or SEQ; without it, the latest. Each disk is an export of its own: 0, 1 and so on.
On TCP clients need a certificate: `landfall pki issue --role operator`.

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

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// List the jobs, newest first
    #[command(after_help = "Example:\n  landfall job list")]
    List,
    /// Watch a job until it ends; ends as it does
    #[command(after_help = "Examples:\n  landfall job watch 4\n  landfall job watch 4 --output json")]
    Watch {
        /// The number of the job
        #[arg(value_name = "ID")]
        job: JobId,
    },
}

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

/// What can be done with certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum PkiCommand {
    /// Make the certificate authority, once
    #[command(after_help = "Example:\n  landfall pki init --ca /etc/landfall/ca")]
    Init {
        /// Where the authority is kept
        #[arg(long, value_name = "DIR", default_value = "/etc/landfall/ca")]
        ca: PathBuf,
    },
    /// Make the certificate of a server or source
    #[command(
        after_help = "Examples:\n  landfall pki issue --role master-target --name home-01 --out /etc/landfall/identity\n  \
                            landfall pki issue --role source --name web-01 --out ./web-01"
    )]
    Issue {
        /// Where the authority is kept
        #[arg(long, value_name = "DIR", default_value = "/etc/landfall/ca")]
        ca: PathBuf,
        /// source, master-target, process-server, configuration-server or operator
        #[arg(long)]
        role: Role,
        /// The server's name; for a source, its machine's
        #[arg(long)]
        name: MachineName,
        /// Days it lasts
        #[arg(long, default_value_t = 365)]
        days: u32,
        /// Where ca.pem, cert.pem and key.pem go
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
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
