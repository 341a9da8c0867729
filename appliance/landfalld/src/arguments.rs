//! The command line, and the configuration it stands for.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use blockdev::EngineChoice;
use catalog::{Endpoints, EtcdFiles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use retention::Policy;
use target::replica::ReplicaLimits;
use target::{NodeConfig, Notary};
use units::{ByteLen, MachineName};

use crate::backups::Schedule;
use crate::fleet::Fleet;
use crate::joining::JoinArguments;

/// The appliance's agent: receives what sources replicate, and keeps its history
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

/// What landfalld does besides serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Join another configuration server, with the token it has made
    #[command(after_help = "Example:\n  landfalld join --at home.example --token-file ./token")]
    Join(JoinArguments),
}

/// The roles of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Roles {
    /// Configuration server and master target
    All,
    /// Master target alone, of the configuration server it was joined to
    MasterTarget,
}

/// How landfalld serves.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Directory of the retention volume; it is used for nothing else
    #[arg(long, value_name = "DIR", default_value = "/mnt/retention")]
    pub(crate) retention: PathBuf,
    /// Directory of what it keeps: authority, catalog, certificates; made at the first start
    #[arg(long, value_name = "DIR", default_value = "/var/lib/landfall")]
    pub(crate) state: PathBuf,
    /// Where the catalog is kept: `file`, in the state directory, or in an etcd cluster that several configuration servers share, as in
    /// etcd:https://db1:2379,https://db2:2379
    #[arg(long, value_name = "PLACE", default_value = "file")]
    catalog: CatalogPlace,
    /// The certificate of the cluster's authority, in PEM
    #[arg(long, value_name = "FILE", requires_all = ["catalog_cert", "catalog_key"])]
    catalog_ca: Option<PathBuf>,
    /// The certificate that the cluster knows this server by, in PEM
    #[arg(long, value_name = "FILE", requires_all = ["catalog_ca", "catalog_key"])]
    catalog_cert: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, value_name = "FILE", requires_all = ["catalog_ca", "catalog_cert"])]
    catalog_key: Option<PathBuf>,
    /// Its roles
    #[arg(long, value_enum, default_value_t = Roles::All)]
    pub(crate) roles: Roles,
    /// Its name, at the first start; without it, the host's
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<MachineName>,
    /// Address of the door for operators, servers and sources
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::]:443")]
    pub(crate) manage: String,
    /// Socket of the keeper of this machine's network (`landfall-boot network`); without it the network is left to the system
    #[arg(long, value_name = "PATH")]
    pub(crate) network: Option<PathBuf>,
    /// How long the certificates it gives out are good; they are renewed at half that
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = units::parse_span)]
    pub(crate) certificate_life: Duration,
    /// How long a request from elsewhere that would destroy something waits when nobody here confirms it, before it is done
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = units::parse_span)]
    pub(crate) confirm_within: Duration,
    /// How long after one check of the whole audit log the next begins; the first is at the start
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = units::parse_span)]
    pub(crate) audit_every: Duration,
    /// Address that sources connect to
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::]:9443")]
    pub(crate) listen: String,
    /// Control socket for `landfall`
    #[arg(long, value_name = "PATH", default_value = "/run/landfall/control.sock")]
    pub(crate) socket: PathBuf,
    /// How far back recovery points reach, on a new volume; later `landfall policy set --default` says it
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = units::parse_span)]
    keep: Duration,
    /// Most bytes of history of one machine, on a new volume; later `landfall policy set --default` says it
    #[arg(long, value_name = "SIZE", default_value = "1PiB")]
    keep_bytes: ByteLen,
    /// Age at which an epoch ends
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = units::parse_span)]
    epoch_age: Duration,
    /// Size of redo at which an epoch ends
    #[arg(long, value_name = "SIZE", default_value = "512MiB")]
    epoch_size: ByteLen,
    /// Most bytes of redo of one machine that wait to be applied before its source is held back; more makes the next start after a crash
    /// take longer
    #[arg(long, value_name = "SIZE", default_value = "112MiB")]
    lag: ByteLen,
    /// Memory that received data may keep until it is applied, over all machines; and a third as much for lists of what changed
    #[arg(long, value_name = "SIZE", default_value = "48MiB")]
    resident: ByteLen,
    /// Most bytes one connection may have under way
    #[arg(long, value_name = "SIZE", default_value = "8MiB")]
    window: ByteLen,
    /// Bytes all connections share to have under way; each is granted 2 MiB at least
    #[arg(long, value_name = "SIZE", default_value = "32MiB")]
    window_total: ByteLen,
    /// Threads that write to target disks; by default half the processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: Option<u16>,
    /// Connections served at once
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Bytes a second that scrubbing reads, of one machine after the other; 0 for no limit
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    scrub_rate: ByteLen,
    /// How long after a scrub of a machine the next begins; keep it shorter than the history reaches
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = units::parse_span)]
    scrub_every: Duration,
    /// How long a disk may take for one operation before it counts as hung, and its machine is out; not with `--engine plain`
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_deadline)]
    device_deadline: Duration,
    /// How disks are written
    #[arg(long, value_enum, default_value_t = Engine::Best)]
    engine: Engine,
    /// Directory that backups go to, by the clock
    #[arg(long, value_name = "DIR", requires = "backup_passphrase_file")]
    backup_dir: Option<PathBuf>,
    /// How long after one backup the next is made
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = units::parse_span)]
    backup_every: Duration,
    /// Backups that are kept in the directory
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u16).range(1..))]
    backup_keep: u16,
    /// The file with the passphrase that backups are sealed under
    #[arg(long, value_name = "FILE")]
    backup_passphrase_file: Option<PathBuf>,
    /// What is logged, as in `info` or `target=debug`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
}

/// Where the catalog is kept.
#[derive(Clone, Debug)]
enum CatalogPlace {
    /// In a file of the state directory.
    File,
    /// In a cluster.
    Etcd(Endpoints),
}

impl FromStr for CatalogPlace {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match (text, text.strip_prefix("etcd:")) {
            ("file", _) => Ok(Self::File),
            (_, Some(endpoints)) => endpoints.parse().map(Self::Etcd).map_err(|error| format!("{error}")),
            _ => {
                Err("allowed is file, or etcd: and endpoints as https://HOST:PORT with ',' between"
                    .to_owned())
            }
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engine {
    /// io_uring if the kernel offers it, plain system calls otherwise
    Best,
    /// io_uring or nothing
    Ring,
    /// Plain system calls
    Plain,
}

/// The least and the most a disk may be given.
const DEADLINE: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

fn parse_deadline(text: &str) -> std::result::Result<Duration, String> {
    let deadline = units::parse_span(text).map_err(|error| error.to_string())?;
    if DEADLINE.contains(&deadline) { Ok(deadline) } else { Err("allowed is 1s to 1h".to_owned()) }
}

const EXAMPLES: &str = "\
Examples:
  landfalld --retention /mnt/retention
  landfalld --catalog etcd:https://db1:2379,https://db2:2379 --catalog-ca ca.pem --catalog-cert cert.pem --catalog-key key.pem
  landfalld --retention ./history --state ./state --listen 127.0.0.1:9443 --manage 127.0.0.1:8443 --socket ./control.sock

Exit codes:
  0  stopped by SIGTERM or SIGINT
  1  it could not start, or failed
  2  the command line is wrong";

impl Serve {
    /// Returns the cluster that the catalog is in, if it is in one. Errors: it is not known by what certificates.
    pub(crate) fn fleet(&self) -> Result<Option<Fleet>> {
        let endpoints = match &self.catalog {
            CatalogPlace::File => return Ok(None),
            CatalogPlace::Etcd(endpoints) => endpoints.clone(),
        };
        let files = match (&self.catalog_ca, &self.catalog_cert, &self.catalog_key) {
            (Some(ca), Some(certificate), Some(key)) => {
                Some(EtcdFiles { ca: ca.clone(), certificate: certificate.clone(), key: key.clone() })
            }
            _ => None,
        };
        ensure!(
            files.is_some() || !endpoints.need_certificates(),
            "https endpoints of --catalog need --catalog-ca, --catalog-cert and --catalog-key"
        );
        Fleet::new(endpoints, files).map(Some)
    }

    /// Returns when and where backups are made by themselves.
    pub(crate) fn backups(&self) -> Option<Schedule> {
        let (directory, passphrase) = (self.backup_dir.clone()?, self.backup_passphrase_file.clone()?);
        Some(Schedule { directory, every: self.backup_every, keep: self.backup_keep.into(), passphrase })
    }

    /// Returns what the master target is set up with.
    pub(crate) fn node(&self, name: MachineName, notary: Arc<dyn Notary>) -> NodeConfig {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let window_seconds = u32::try_from(self.keep.as_secs().max(1)).unwrap_or(u32::MAX);
        let retention = Policy { window_seconds, budget: self.keep_bytes, ..Policy::default() };
        let replica = ReplicaLimits {
            epoch_len: self.epoch_size,
            epoch_age: self.epoch_age,
            lag_len: self.lag,
            retention,
            ..ReplicaLimits::default()
        };
        NodeConfig {
            name,
            replica,
            resident: self.resident,
            window: self.window,
            window_total: self.window_total,
            workers: self.workers.map_or((processors / 2).max(1), usize::from),
            connections: usize::from(self.connections),
            engine: match self.engine {
                Engine::Best => EngineChoice::Best,
                Engine::Ring => EngineChoice::Ring,
                Engine::Plain => EngineChoice::Plain,
            },
            notary,
            device_deadline: self.device_deadline,
            scrub_rate: self.scrub_rate,
            scrub_every: self.scrub_every,
        }
    }
}
