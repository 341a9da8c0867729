//! binary: the appliance's agent. Today it is a master target: it takes what sources send on 9443, keeps its history on the
//! retention volume, and answers operators on a unix socket.

mod answers;
mod arguments;
mod disk_answers;
mod disks;
mod failure;
mod keeping;
mod notary;
mod random;
mod report;
mod reprotect;
mod scrub;
mod views;

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result};
use clap::Parser;
use control::{Config, Desk, Server};
use link::{Acceptor, Credentials};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use target::{MasterTarget, NewVolume, TargetError};
use tracing_subscriber::EnvFilter;
use units::{Timestamp, VolumeId};

use crate::answers::Answers;
use crate::arguments::Arguments;
use crate::notary::OwnKey;
use crate::random::random_bytes;
use crate::views::Views;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log(&arguments.log);
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", complaint(&error));
            ExitCode::FAILURE
        }
    }
}

/// Says what keeps it from running, why, and what to do.
fn complaint(error: &anyhow::Error) -> String {
    let (code, fix) = match error.downcast_ref::<TargetError>().map(failure::api_error) {
        Some(known) => (format!(" ({})", known.code), known.fix),
        None => (String::new(), "put that right".to_owned()),
    };
    format!("error: landfalld can't run\n  cause: {error:#}{code}\n  fix:   {fix}; then start it again")
}

/// Opens everything, in the order in which it can be refused, then serves until a signal.
fn run(arguments: &Arguments) -> Result<()> {
    let credentials = Credentials::read(&arguments.identity).context("its certificate can't be used")?;
    let acceptor = Acceptor::new(&credentials).context("its certificate can't be used")?;
    let notary = OwnKey::read(&arguments.identity).context("its key can't sign manifests")?;
    // Binding comes first: a second landfalld is refused before it touches the volume, and the volume's lock refuses it again.
    let server = Server::bind(Config::at(&arguments.socket))
        .with_context(|| format!("the control socket {} can't be served", arguments.socket.display()))?;
    let listener = TcpListener::bind(&arguments.listen)
        .with_context(|| format!("the address {} can't be listened on", arguments.listen))?;
    let address = listener.local_addr().context("the listening address can't be read")?;
    let config = arguments.node(credentials.identity().name.clone(), Arc::new(notary));
    let new = NewVolume {
        volume: VolumeId(random_bytes().context("no random bytes can be had")?),
        created: Timestamp::from_system(SystemTime::now()),
        defaults: config.replica.retention,
    };
    let node = MasterTarget::open(&arguments.retention, config, &new)?;
    tracing::info!(%address, retention = %arguments.retention.display(), "serving");
    let (stop, stopped) = (server.stop_handle(), node.clone());
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("signals can't be taken")?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            stopped.stop();
            // The listening thread sees the wish with the next connection: this one.
            drop(std::net::TcpStream::connect(address));
            stop.stop();
        }
    });
    let doorkeeper = node.clone();
    let door = std::thread::spawn(move || doorkeeper.listen(listener, acceptor));
    let disks = disks::DiskEvents::start(&node).context("the disks can't be watched")?;
    let views = Views::new(&arguments.socket, &arguments.retention, credentials);
    let (address, retention) = (address.to_string(), arguments.retention.clone());
    let answers = Arc::new(Answers::new(node, disks, views, address, retention));
    let served = server.run(Arc::new(Desk::new(answers.clone()))).context("the control socket failed");
    answers.close_views();
    served?;
    // A door that could not be held open has said so; the machines are safe either way.
    door.join().map_err(|_| anyhow::anyhow!("the listening thread panicked"))??;
    Ok(())
}

fn start_log(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let colour =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(colour).with_target(false).init();
}
