//! binary: the appliance's agent: a master target, which takes what sources send on 9443 and keeps its history on the retention volume,
//! and a configuration server, which gives out certificates on 443. It answers operators on a unix socket.

mod again;
mod alarms;
mod alive;
mod answers;
mod arguments;
mod audit;
mod backups;
mod catalog_answers;
mod commits;
mod cutovers;
mod disk_answers;
mod disks;
mod enrolment;
mod failure;
mod fleet;
mod group_answers;
mod group_point;
mod groups;
mod hearings;
mod heartbeats;
mod hook;
mod house;
mod job_report;
mod job_run;
mod jobs;
mod joining;
mod keeping;
mod manage;
mod network_answers;
mod notary;
mod own_keeper;
mod pendings;
mod plan_answers;
mod plans;
mod preflight;
mod random;
mod records;
mod registration;
mod report;
mod reprotect;
mod rounds;
mod scrub;
mod server_concerns;
mod servers;
mod store;
mod views;

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use clap::Parser;
use control::{Config, Desk, Gate, Server};
use link::Acceptor;
use network::Keeper;
use registrar::Terms;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use target::{MasterTarget, NewVolume, TargetError};
use tracing_subscriber::EnvFilter;
use units::{MachineName, Timestamp, VolumeId};

use crate::again::Again;
use crate::alive::Alive;
use crate::answers::Answers;
use crate::arguments::{Arguments, Command, Roles, Serve};
use crate::backups::Backups;
use crate::commits::Commits;
use crate::cutovers::Cutovers;
use crate::heartbeats::Heartbeats;
use crate::house::House;
use crate::jobs::Jobs;
use crate::notary::OwnKey;
use crate::pendings::Pendings;
use crate::plans::Plans;
use crate::random::random_bytes;
use crate::rounds::Rounds;
use crate::servers::Servers;
use crate::views::Views;

/// How often what is on record is brought up to what is.
const LOOK_AFTER_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether a time is over.
const DEADLINES_EVERY: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let Arguments { command, serve } = Arguments::parse();
    start_log(&serve.log);
    let ended = match command {
        Some(Command::Join(arguments)) => joining::join(&arguments),
        None => serve_on(&serve),
    };
    match ended {
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

/// Serves until a signal, and begins again where that is wished.
fn serve_on(arguments: &Serve) -> Result<()> {
    let again = Again::default();
    run(arguments, &again)?;
    if again.is_wished() { again::run_anew() } else { Ok(()) }
}

/// Opens everything, in the order in which it can be refused, then serves until a signal.
fn run(arguments: &Serve, again: &Again) -> Result<()> {
    // Binding comes first: a second landfalld is refused before it touches the volume, and the volume's lock refuses it again.
    let server = Server::bind(Config::at(&arguments.socket))
        .with_context(|| format!("the control socket {} can't be served", arguments.socket.display()))?;
    let mut house = house(arguments)?;
    let network = arguments.network.as_deref().map(Keeper::at);
    let credentials = house.target.clone();
    let acceptor = Acceptor::new(&credentials).context("its certificate can't be used")?;
    let notary = OwnKey::read(&house.place).context("its key can't sign manifests")?;
    let gate = house.office.as_ref().map(|office| manage::gate(&arguments.manage, office)).transpose()?;
    // Without a catalog nobody is known, and nobody is let in.
    let listener = if house.knows_nobody() { None } else { Some(listen(&arguments.listen)?) };
    let address = listener.as_ref().map(TcpListener::local_addr).transpose();
    let address = address.context("the listening address can't be read")?;
    let config = arguments.node(credentials.identity().name.clone(), Arc::new(notary));
    let new = NewVolume {
        volume: VolumeId(random_bytes().context("no random bytes can be had")?),
        created: Timestamp::from_system(SystemTime::now()),
        defaults: config.replica.retention,
    };
    let node = MasterTarget::open(&arguments.retention, config, &new)?;
    let told = address.map_or_else(|| "nowhere: safe mode".to_owned(), |address| address.to_string());
    tracing::info!(address = told, retention = %arguments.retention.display(), "serving");
    let records = house
        .store
        .take()
        .map(|store| store.records(again, arguments.audit_every))
        .transpose()?
        .map(Arc::new);
    let (stop, stopped) = (server.stop_handle(), node.clone());
    let stop_gate = gate.as_ref().map(Gate::stop_handle);
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("signals can't be taken")?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            stopped.stop();
            // The listening thread sees the wish with the next connection: this one.
            address.iter().for_each(|address| drop(std::net::TcpStream::connect(address)));
            stop_gate.iter().for_each(control::Stop::stop);
            stop.stop();
        }
    });
    if let Some(gate) = &gate {
        tracing::info!(address = %gate.address(), "managing");
    }
    let doorkeeper = node.clone();
    let door = listener.map(|listener| std::thread::spawn(move || doorkeeper.listen(listener, acceptor)));
    let disks = disks::DiskEvents::start(&node).context("the disks can't be watched")?;
    let views = Views::new(&arguments.socket, &arguments.retention, credentials);
    let (gate, heartbeats) = match (gate, &house.office) {
        (Some(gate), Some(office)) => {
            let (gate, heartbeats) = Heartbeats::begin(gate, office)?;
            (Some(gate), Some(Servers::begin(office, heartbeats, &node)?))
        }
        (gate, _) => (gate, None),
    };
    let jobs = Jobs::new(house.jobs.clone(), node.clone());
    if let Some(servers) = &heartbeats {
        servers.order_by(&jobs);
        jobs.preflight.know(servers.preflight_office());
    }
    jobs.take_up().context("the jobs that were under way can't be taken up")?;
    let plans = match (&heartbeats, &house.office) {
        (Some(servers), Some(office)) => {
            let hooks = arguments.state.join("hooks");
            let plans = Plans::new(office.catalog.clone(), jobs.clone(), servers.groups.clone(), hooks);
            plans.take_up().context("the plans that were under way can't be taken up")?;
            Some(plans)
        }
        _ => None,
    };
    let commits = Commits::new(house.jobs.clone());
    let pendings = Pendings::open(house.jobs.clone(), arguments.confirm_within);
    let pendings = pendings.context("what waits to be confirmed can't be read")?;
    let cutovers = Cutovers::begin(&node).context("what is received can't be looked at")?;
    let (listen, retention) = (told, arguments.retention.clone());
    let backups = backups(arguments, &house, node.name());
    let answers = Arc::new(Answers {
        node,
        disks,
        views,
        listen,
        retention,
        jobs,
        plans,
        commits,
        pendings,
        cutovers,
        servers: heartbeats,
        records,
        network,
        backups,
        identity: house.place.clone(),
    });
    answers.look_after();
    let looked_after = answers.clone();
    let steward = Rounds::start("steward", LOOK_AFTER_EVERY, move || looked_after.look_after())?;
    let desk = Desk::new(answers.clone());
    let desk = Arc::new(match answers.audit_log() {
        Some(log) => desk.audited(log),
        None => desk,
    });
    let (kept, asked) = (answers.clone(), desk.clone());
    let deadlines = Rounds::start("deadlines", DEADLINES_EVERY, move || {
        kept.commits.pass(&kept, &asked);
        kept.pendings.pass(&asked);
    })?;
    let gate = gate.map(|gate| manage::with_api(gate, desk.clone(), house.jobs.clone())).transpose()?;
    let managing = gate.map(|gate| std::thread::spawn(move || gate.run()));
    if let Some(alive) = Alive::from_environment(arguments.socket.clone()) {
        alive.begin();
    }
    let served = server.run(desk).context("the control socket failed");
    drop((steward, deadlines));
    answers.close_views();
    served?;
    if let Some(managing) = managing {
        managing.join().map_err(|_| anyhow::anyhow!("the thread of 443 panicked"))??;
    }
    // A door that could not be held open has said so; the machines are safe either way.
    if let Some(door) = door {
        door.join().map_err(|_| anyhow::anyhow!("the listening thread panicked"))??;
    }
    Ok(())
}

/// Returns what makes backups, where there is something to make them of.
fn backups(arguments: &Serve, house: &House, name: &MachineName) -> Option<Backups> {
    let catalog = house.office.as_ref()?.catalog.clone();
    Some(Backups::new(catalog, &arguments.state, name, arguments.backups()))
}

fn listen(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("the address {address} can't be listened on"))
}

/// Opens what it is and who belongs to it.
fn house(arguments: &Serve) -> Result<House> {
    match arguments.roles {
        Roles::MasterTarget => House::joined(&arguments.state),
        Roles::All => {
            let terms = Terms { life: arguments.certificate_life };
            let fleet = arguments.fleet()?;
            House::own(&arguments.state, &arguments.retention, arguments.name.as_ref(), terms, fleet)
        }
    }
}

fn start_log(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let colour =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(colour).with_target(false).init();
}
