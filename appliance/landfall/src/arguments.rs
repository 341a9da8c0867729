//! What can be typed.

/// `landfall alarm`.
mod alarm;
/// `landfall audit`.
mod audit;
/// `landfall backup` and `landfall restore`.
mod backup;
/// `landfall catalog`.
mod catalog;
/// `landfall console`.
mod console;
/// `landfall group`.
mod group;
/// Policies, pins and sizes.
mod keeping;
/// `landfall manifest`.
mod manifest;
/// `landfall network`.
mod network;
/// `landfall pending` and `landfall approve`.
mod pending;
/// `landfall plan`.
mod plan;
/// `landfall point`.
mod point;
/// `landfall retention`.
mod retention;
/// `landfall server` and `landfall login`.
pub(crate) mod server;
/// `landfall wait`.
mod wait;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use control::api::JobId;
use units::MachineName;

pub(crate) use alarm::{AckArguments, AlarmCommand};
pub(crate) use audit::{AuditCheckArguments, AuditCommand};
pub(crate) use backup::{BackupArguments, PassphraseArguments, RestoreArguments};
pub(crate) use catalog::{CatalogCommand, RebuildArguments, Source};
pub(crate) use console::ConsoleArguments;
pub(crate) use group::{CreateArguments, GroupCommand};
pub(crate) use keeping::{CommitBy, PinArguments, PolicyArguments, PolicyCommand, SizeArguments, WhenFull};
pub(crate) use manifest::{CheckArguments, ManifestCommand, NumberedDisk};
pub(crate) use network::{NetworkCommand, NicWish, PlanArguments};
pub(crate) use pending::{ApproveArguments, PendingCommand};
pub(crate) use plan::{PlanCommand, moment};
pub(crate) use point::{PointCommand, ViewArguments};
pub(crate) use retention::{AdoptArguments, FileSystem, InitArguments, RetentionCommand, ScrubArguments};

pub(crate) use wait::{Until, WaitArguments};

use crate::arguments::server::LoginArguments;
pub(crate) use crate::arguments::server::ServerCommand;
use crate::when::When;

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
    /// An appliance elsewhere, reached with the certificate that `landfall login` got
    #[arg(
        long,
        global = true,
        env = "LANDFALL_AT",
        hide_env_values = true,
        value_parser = units::parse_controller,
        value_name = "HOST[:PORT]",
        help_heading = "Everywhere"
    )]
    pub(crate) at: Option<String>,
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
    /// Bring the target disks of a machine, or of a group, to a recovery point
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
    /// Consistency groups: machines whose recovery points share one order
    #[command(subcommand, after_help = "Example:\n  landfall group create shop web-01 db-01")]
    Group(GroupCommand),
    /// Wait until a machine, or all of them, are as wanted
    #[command(after_help = wait::EXAMPLES)]
    Wait(WaitArguments),
    /// Serve a page on this machine that shows everything at a glance, until interrupted
    ///
    /// The page only looks. Its address carries a key, so that nobody else on this machine sees it.
    #[command(after_help = "Examples:\n  landfall dashboard\n  landfall dashboard --port 0 --output json")]
    Dashboard {
        /// The port on 127.0.0.1; 0 for any that is free
        #[arg(long, value_name = "PORT", default_value_t = 9480)]
        port: u16,
    },
    /// Recovery plans: in which order machines come home, with pauses and hooks
    #[command(subcommand, after_help = "Example:\n  landfall plan run shop")]
    Plan(PlanCommand),
    /// Say what would go wrong, before anything is touched
    #[command(
        after_help = "Exits with 3 when some kind of job would be refused. Each rule has a code; `landfall explain CODE` \
                            says more about it.\n\nExamples:\n  landfall preflight\n  landfall preflight web-01"
    )]
    Preflight {
        /// The machine; without it all, and all who have joined as sources
        machine: Option<MachineName>,
    },
    /// Work under way and done
    #[command(subcommand, after_help = "Example:\n  landfall job list")]
    Job(JobCommand),
    /// How far back history reaches and what it costs
    #[command(subcommand, after_help = "Example:\n  landfall retention show")]
    Retention(RetentionCommand),
    /// What is kept of each machine
    #[command(subcommand, after_help = "Example:\n  landfall policy show")]
    Policy(PolicyCommand),
    /// Who belongs to the installation: join tokens, certificates, revocation
    #[command(subcommand, after_help = "Example:\n  landfall server token --role source --name web-01")]
    Server(ServerCommand),
    /// What is not well, and what was not and nobody has taken note of
    #[command(subcommand, after_help = "Example:\n  landfall alarm list")]
    Alarm(AlarmCommand),
    /// What somebody elsewhere wants destroyed: it waits until somebody at the appliance approves it, or a day has passed
    #[command(subcommand, after_help = "Example:\n  landfall pending list")]
    Pending(PendingCommand),
    /// Have something done that waits; at the appliance only
    #[command(after_help = "Examples:\n  landfall approve 7\n  landfall approve 7 --yes")]
    Approve(ApproveArguments),
    /// Who asked for what, and what came of it
    #[command(subcommand, after_help = "Example:\n  landfall audit list")]
    Audit(AuditCommand),
    /// Write authority, keys and catalog into one file, sealed under a passphrase
    ///
    /// Whoever has the file and its passphrase can be everybody: keep them apart. `landfalld --backup-dir` makes backups by itself.
    #[command(
        after_help = "Examples:\n  landfall backup /mnt/usb/home.backup\n  landfall backup /mnt/usb --passphrase-file ./passphrase"
    )]
    Backup(BackupArguments),
    /// Restore authority, keys and catalog from a backup, on a machine where landfalld does not run
    ///
    /// landfalld then takes the catalog of the backup, or, if the retention volume holds a newer copy of it, that one. Sources that reached the
    /// appliance under another address need the new one: `--to` of `landfall-source protect`, and the file `controller` beside their
    /// certificate. Never run both the old appliance and the restored one.
    #[command(
        after_help = "Examples:\n  landfall restore /mnt/usb/home.backup\n  landfall restore home.backup --passphrase-file - --yes < passphrase"
    )]
    Restore(RestoreArguments),
    /// What is on record, and how that is kept
    #[command(subcommand, after_help = "Example:\n  landfall catalog show")]
    Catalog(CatalogCommand),
    /// The network of the appliance: the plan that is kept, and one that is tried before it is
    #[command(subcommand, after_help = "Example:\n  landfall network show")]
    Network(NetworkCommand),
    /// Be the console of the appliance, on this terminal: first boot, then status and menus behind a password
    #[command(
        after_help = "It is started by the appliance itself, on its screen and its serial line. Without function keys: ESC, then 2, 3 or @.\n\nExample:\n  landfall console"
    )]
    Console(ConsoleArguments),
    /// Get an operator's certificate of an appliance, with the token that was made for you
    #[command(after_help = "Example:\n  landfall login --at home.example --token-file ./token")]
    Login(LoginArguments),
    /// Show who may do what
    #[command(after_help = "Example:\n  landfall roles")]
    Roles,
    /// Explain an error code, or list them all
    #[command(
        after_help = "Examples:\n  landfall explain LF-1204\n  landfall explain 78052\n  landfall explain"
    )]
    Explain {
        /// The code, such as LF-1204, or a number of the retired product
        code: Option<String>,
    },
    /// Write a completion script for a shell
    #[command(after_help = "Example:\n  landfall completions bash > /etc/bash_completion.d/landfall")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write manual pages, one for each command
    #[command(after_help = "Example:\n  landfall man /usr/local/share/man/man1")]
    Man {
        /// Where they go
        #[arg(value_name = "DIR")]
        directory: PathBuf,
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
With --group, every member goes to one common point; SEQ is then its number from `point list --group`.
Nothing is final before `landfall commit`: another point can be chosen, or `landfall cancel` goes back to the latest.

Examples:
  landfall failback web-01 --to latest --plan
  landfall failback web-01 --to '10m ago'
  landfall failback web-01 --to 2026-11-20T14:03:07Z --yes
  landfall failback web-01 --to 812 --no-wait --output json
  landfall failback --group shop --to latest --yes";

/// What `failback` takes.
#[derive(Debug, Args)]
pub(crate) struct FailbackArguments {
    /// The machine
    #[arg(required_unless_present = "group")]
    pub(crate) machine: Option<MachineName>,
    /// Instead of a machine, every member of this consistency group
    #[arg(long, value_name = "GROUP", conflicts_with_all = ["machine", "inconsistent"])]
    pub(crate) group: Option<MachineName>,
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

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// List the jobs, newest first
    #[command(after_help = "Example:\n  landfall job list")]
    List,
    /// Show one job: its steps, how far it is, and what happened in it
    #[command(after_help = "Example:\n  landfall job show 4")]
    Show {
        /// The number of the job
        #[arg(value_name = "ID")]
        job: JobId,
    },
    /// Start a job: resync, expire or scrub
    ///
    /// resync has the source compare everything anew; expire waits until what the policy wants gone is gone; scrub reads journal and
    /// target disks against their checksums, from begin to end.
    #[command(
        after_help = "Examples:\n  landfall job start scrub web-01\n  landfall job start resync web-01 --no-wait"
    )]
    Start {
        /// resync, expire or scrub
        #[arg(value_enum, value_name = "KIND", hide_possible_values = true)]
        kind: Startable,
        /// The machine
        machine: MachineName,
        /// Don't wait for the end; exits with 6
        #[arg(long)]
        no_wait: bool,
    },
    /// Have a job end before its next step; what was done stays
    #[command(
        after_help = "A step that writes to target disks is never torn: the job ends when it is done.\n\n\
                            Example:\n  landfall job cancel 4"
    )]
    Cancel {
        /// The number of the job
        #[arg(value_name = "ID")]
        job: JobId,
    },
    /// Watch a job until it ends; ends as it does
    #[command(after_help = "Examples:\n  landfall job watch 4\n  landfall job watch 4 --output json")]
    Watch {
        /// The number of the job
        #[arg(value_name = "ID")]
        job: JobId,
    },
}

/// A job that can be started by its kind alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Startable {
    /// The source compares everything anew.
    Resync,
    /// What is to go goes.
    Expire,
    /// Everything is read.
    Scrub,
}
