//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use source::{Compression, Config, Hook, Label, Orders, Schedule, parse_label, parse_span, parse_target};
use units::{ByteLen, MachineName};

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or stopped by SIGTERM or SIGINT between recovery points
  1  failed
  2  the command line is wrong
  3  refused by the target: nothing was changed
  4  the target can't be reached (with --once and --timeout)
  5  not authorised: the certificates don't allow it

NO_COLOR=1 switches colours off.";

const EXAMPLES: &str = "\
Examples:
  A recovery point every 30 s, until stopped:
    landfall-source protect --machine web-01 --disk /dev/sda --to home.example:9443 \\
        --identity /etc/landfall --state /var/lib/landfall-source

  One recovery point of two image files, then exit:
    landfall-source protect --machine db --disk root.img --disk data.img --allow-file \\
        --to [2001:db8::7]:9443 --identity db-identity --state db-state --once --timeout 2m

  After the target lost history: compare everything, send what differs:
    landfall-source protect ... --once --resync";

/// Protect a machine: bring its disks home, and keep them there.
#[derive(Debug, Parser)]
#[command(name = "landfall-source", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Seed the target, then send what changed, again and again
    #[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
    Protect(Box<Protect>),
    /// Join the appliance at home: turn the token it has made into this machine's certificate, which is then renewed by itself
    #[command(after_help = format!("{JOIN_EXAMPLES}\n\n{EXIT_CODES}"))]
    Join(Join),
}

const JOIN_EXAMPLES: &str = "\
Example:
  At home:   landfall server token --role source --name web-01 > web-01.token
  There:     landfall-source join --at home.example --token-file web-01.token";

/// `landfall-source join`.
#[derive(Debug, Args)]
pub(crate) struct Join {
    /// The appliance; port 443 unless another is given
    #[arg(long = "at", value_name = "HOST[:PORT]", value_parser = units::parse_controller)]
    pub(crate) at: String,
    /// The file with the token; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// The directory for ca.pem, cert.pem and key.pem
    #[arg(long, value_name = "DIR", default_value = DEFAULT_IDENTITY)]
    pub(crate) identity: PathBuf,
    /// Lines for people, or JSON lines for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// Where the certificate lies unless it is said.
const DEFAULT_IDENTITY: &str = "/var/lib/landfall-source/identity";

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Lines for people
    Table,
    /// One JSON object on each line
    Json,
}

/// `landfall-source protect`.
#[derive(Debug, Args)]
pub(crate) struct Protect {
    /// The machine's name; its certificate must carry the same
    #[arg(long, value_name = "NAME")]
    machine: MachineName,
    /// A disk of the machine, a block device (or, with --allow-file, a raw image); once for each, in the target's order
    #[arg(long = "disk", value_name = "PATH", required = true)]
    disks: Vec<PathBuf>,
    /// Take regular files for disks as well
    #[arg(long)]
    allow_file: bool,
    /// The target; port 9443 unless another is given
    #[arg(long = "to", value_name = "HOST:PORT", value_parser = parse_target)]
    target: String,
    /// The directory with ca.pem, cert.pem and key.pem, as `landfall-source join` makes it
    #[arg(long, value_name = "DIR", default_value = DEFAULT_IDENTITY)]
    pub(crate) identity: PathBuf,
    /// The directory that keeps what the target is known to hold; made if it is missing
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Time from the start of one recovery point to the start of the next, as in 30s or 5m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_span, conflicts_with = "once")]
    interval: Duration,
    /// Make one recovery point, then exit
    #[arg(long)]
    once: bool,
    /// Give up when the target takes nothing for this long; without it, keep trying
    #[arg(long, value_name = "TIME", value_parser = parse_span, requires = "once")]
    timeout: Option<Duration>,
    /// Connections to use at once, 1 to 8
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=i64::from(wire::CONNECTIONS_MAX)))]
    connections: u8,
    /// Compress what is sent: auto, none, fast or zstd1
    #[arg(long, value_name = "HOW", default_value = "auto")]
    compression: Compression,
    /// Trust nothing remembered: compare every leaf by its hash
    #[arg(long)]
    resync: bool,
    /// A word for people, kept with each recovery point
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = parse_label)]
    label: Label,
    /// Vouch that the applications are consistent while the disks are read
    #[arg(long)]
    application_consistent: bool,
    /// A program that is run with `freeze`, `snapshot`, `thaw` or `release` so that the applications are consistent when the policy or an
    /// order asks for it
    #[arg(long, value_name = "PROGRAM")]
    hook: Option<PathBuf>,
    /// How long each step of the hook may take, and how long it may hold writes in all
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_span, requires = "hook")]
    hook_patience: Duration,
    /// Send at most so many bytes a second; 0 for no limit
    #[arg(long, value_name = "SIZE", default_value = "0")]
    throttle: ByteLen,
    /// Lines for people, or JSON lines for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// What to log to standard error: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", env = "LANDFALL_LOG", default_value = "warn")]
    pub(crate) log: String,
}

impl Protect {
    /// Returns what the agent is to do.
    pub(crate) fn into_config(self) -> Config {
        let schedule =
            if self.once { Schedule::Once { timeout: self.timeout } } else { Schedule::Every(self.interval) };
        let orders = Orders::default();
        orders.throttle(self.throttle.0);
        let patience = self.hook_patience;
        Config {
            machine: self.machine,
            disks: self.disks,
            files_allowed: self.allow_file,
            target: self.target,
            identity: self.identity,
            state: self.state,
            schedule,
            connections: self.connections,
            compression: self.compression,
            resync: self.resync,
            label: self.label,
            application_consistent: self.application_consistent,
            hook: self.hook.map(|program| Hook { program, patience }),
            orders,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    const LEAST: [&str; 12] = [
        "landfall-source",
        "protect",
        "--machine",
        "web-01",
        "--disk",
        "/dev/sda",
        "--to",
        "home",
        "--identity",
        "i",
        "--state",
        "s",
    ];

    fn parse(more: &[&str]) -> Result<Config, clap::Error> {
        match Arguments::try_parse_from(LEAST.iter().chain(more).copied())?.command {
            Command::Protect(protect) => Ok(protect.into_config()),
            Command::Join(join) => panic!("{join:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_least_command_line_protects_every_30_seconds() {
        let config = parse(&[]).expect("nothing is missing");
        assert_eq!(config.schedule, Schedule::Every(Duration::from_secs(30)));
        assert_eq!((config.target.as_str(), config.connections), ("home:9443", 1));
        assert_eq!(config.compression, Compression::Auto);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for more in [
            &["--once", "--interval", "5s"][..],
            &["--timeout", "5s"],
            &["--connections", "9"],
            &["--connections", "0"],
            &["--interval", "0s"],
            &["--compression", "best"],
            &["--machine", "x"],
            &["stray"],
        ] {
            assert!(parse(more).is_err(), "{more:?}");
        }
    }
}
