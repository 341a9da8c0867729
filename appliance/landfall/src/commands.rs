//! What each command asks and how it shows the answer.

mod alarm;
mod audit;
mod backup;
mod catalog;
mod dashboard;
mod disk;
mod disk_rules;
mod disk_watch;
mod explain;
mod failback;
mod group;
mod group_failback;
mod job;
mod job_show;
mod login;
mod machine;
mod manifest;
mod manifest_check;
mod network;
mod passphrase;
mod pending;
mod pin;
mod plan;
mod point;
mod policy;
mod preflight;
mod reprotect;
mod restore;
mod retention;
mod retention_adopt;
mod retention_init;
mod roles;
mod scrub;
mod server;
mod size;
mod status;
mod view;
mod wait;

use std::time::SystemTime;

use control::api::Call;
use control::{Client, ErrorReply};
use units::Timestamp;

use crate::arguments::{
    AlarmCommand, Arguments, AuditCommand, CatalogCommand, Command, DiskCommand, JobCommand, MachineCommand,
    ManifestCommand, PendingCommand, PointCommand, PolicyCommand, RetentionCommand, ServerCommand,
};
use crate::reach::Reach;
use crate::screen::{Ending, Screen};

pub(crate) use login::profile;
pub(crate) use size::EXAMPLES as SIZE_EXAMPLES;

/// What every command that asks `landfalld` needs.
pub(crate) struct Context<'a> {
    screen: &'a Screen,
    reach: Reach,
}

impl Context<'_> {
    fn connect(&self) -> Result<Client, ErrorReply> {
        self.reach.connect()
    }

    fn ask<C: Call>(&self, call: C) -> Result<C::Reply, ErrorReply> {
        self.connect()?.ask(call)
    }
}

/// Returns the time now, for what is relative to it.
fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

/// Carries out a command. Errors: as shown to the user, with their exit code.
pub(crate) fn run(arguments: Arguments, screen: &Screen) -> Result<Ending, ErrorReply> {
    let reach = arguments.at.clone().map_or(Reach::Socket(arguments.socket), Reach::At);
    let context = Context { screen, reach };
    match arguments.command {
        Command::Status { check } => status::show(&context, check),
        Command::Machine(MachineCommand::List) => machine::list(&context),
        Command::Machine(MachineCommand::Show { machine }) => machine::show(&context, machine),
        Command::Machine(MachineCommand::Add { machine, disks, allow_file }) => {
            machine::add(&context, machine, &disks, allow_file)
        }
        Command::Machine(MachineCommand::Remove(confirmed)) => machine::remove(&context, confirmed),
        Command::Disk(DiskCommand::List) => disk::list(&context),
        Command::Disk(DiskCommand::Eligible { device }) => disk_rules::eligible(&context, device.as_deref()),
        Command::Disk(DiskCommand::Watch) => disk_watch::watch(&context),
        Command::Point(PointCommand::List { machine, group, around, limit }) => match (machine, group) {
            (_, Some(group)) => group::points(&context, group),
            (Some(machine), None) => point::list(&context, machine, around, limit),
            (None, None) => unreachable!("the command line has one of them"),
        },
        Command::Group(command) => group::run(&context, command),
        Command::Point(PointCommand::View(wanted)) => view::open(&context, wanted),
        Command::Point(PointCommand::Views) => view::list(&context),
        Command::Point(PointCommand::Close { view }) => view::close(&context, view),
        Command::Point(PointCommand::Pin(wanted)) => pin::pin(&context, wanted),
        Command::Point(PointCommand::Unpin { point }) => pin::unpin(&context, point),
        Command::Point(PointCommand::Verify { point, no_wait }) => point::verify(&context, point, no_wait),
        Command::Failback(failback) => failback::start(&context, failback),
        Command::Commit(confirmed) => failback::commit(&context, confirmed),
        Command::Cancel { machine, no_wait } => failback::cancel(&context, machine, no_wait),
        Command::Manifest(ManifestCommand::List { machine }) => manifest::list(&context, machine),
        Command::Manifest(ManifestCommand::Show { machine, number }) => {
            manifest::show(&context, machine, number)
        }
        Command::Manifest(ManifestCommand::Check(wanted)) => manifest_check::check(screen, &wanted),
        Command::Reprotect(wanted) => reprotect::start(&context, wanted),
        Command::Job(JobCommand::List) => job::list(&context),
        Command::Job(JobCommand::Watch { job }) => job::watch(&context, job),
        Command::Job(JobCommand::Show { job }) => job_show::show(&context, job),
        Command::Job(JobCommand::Cancel { job }) => job_show::cancel(&context, job),
        Command::Job(JobCommand::Start { kind, machine, no_wait }) => {
            job_show::start(&context, kind, machine, no_wait)
        }
        Command::Retention(RetentionCommand::Scrub(wanted)) => scrub::scrub(&context, wanted),
        Command::Retention(RetentionCommand::Show { machine }) => retention::show(&context, machine),
        Command::Retention(RetentionCommand::Expire { machine, .. }) => policy::expire(&context, machine),
        Command::Retention(RetentionCommand::Size(wanted)) => size::show(screen, &wanted),
        Command::Policy(PolicyCommand::Show { machine }) => policy::show(&context, machine),
        Command::Policy(PolicyCommand::Set(wanted)) => policy::set(&context, wanted),
        Command::Retention(RetentionCommand::Init(init)) => retention_init::init(screen, &init),
        Command::Retention(RetentionCommand::Adopt(adopt)) => retention_adopt::adopt(screen, &adopt),
        Command::Server(ServerCommand::Token { role, name }) => server::token(&context, role, name),
        Command::Server(ServerCommand::List) => server::list(&context),
        Command::Server(ServerCommand::Revoke(wanted)) => server::revoke(&context, wanted),
        Command::Alarm(AlarmCommand::List { all }) => alarm::list(&context, all),
        Command::Alarm(AlarmCommand::Ack(wanted)) => alarm::ack(&context, wanted),
        Command::Alarm(AlarmCommand::Watch) => alarm::watch(&context),
        Command::Pending(PendingCommand::List) => pending::list(&context),
        Command::Pending(PendingCommand::Cancel { id }) => pending::cancel(&context, id),
        Command::Approve(wanted) => pending::approve(&context, &wanted),
        Command::Audit(AuditCommand::List { limit, before }) => audit::list(&context, limit, before),
        Command::Audit(AuditCommand::Check(wanted)) => audit::check(&context, &wanted),
        Command::Backup(wanted) => backup::backup(&context, &wanted),
        Command::Restore(wanted) => restore::restore(screen, &wanted),
        Command::Catalog(CatalogCommand::Show) => catalog::show(&context),
        Command::Catalog(CatalogCommand::Rebuild(wanted)) => catalog::rebuild(&context, &wanted),
        Command::Network(command) => network::run(&context, command),
        Command::Console(wanted) => crate::console::serve(context.reach, wanted),
        Command::Login(wanted) => login::login(screen, arguments.at.as_deref(), &wanted),
        Command::Roles => roles::show(screen),
        Command::Explain { code } => explain::explain(screen, code.as_deref()),
        Command::Plan(command) => plan::run(&context, command),
        Command::Preflight { machine } => preflight::show(&context, machine),
        Command::Wait(wanted) => wait::wait(&context, &wanted),
        Command::Dashboard { port } => dashboard::serve(&context, port),
        Command::Man { directory } => explain::manual(screen, &directory),
        Command::Completions { shell } => explain::completions(screen, shell),
        Command::Version => explain::version(screen),
    }
}
