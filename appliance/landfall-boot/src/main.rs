//! binary: what an appliance does between its kernel and its agent: reads what it was told, brings its network to its plan and keeps it,
//! and finds or makes its retention volume.

mod choice;
mod keeper;
mod retention;
mod stranded;
mod told;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use memory::Memory;

/// What an appliance does between its kernel and its agent; its units run it
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    /// Directory of what it remembers
    #[arg(long, value_name = "DIR", default_value = "/var/lib/landfall-boot", global = true)]
    memory: PathBuf,
    #[command(subcommand)]
    step: Step,
}

const EXAMPLES: &str = "\
Examples:
  landfall-boot seed
  landfall-boot network
  landfall-boot retention

Exit codes:
  0  done
  1  it failed
  2  the command line is wrong";

#[derive(Debug, Subcommand)]
enum Step {
    /// Read what the hypervisor tells, once; take the host name from it, and bring the network to its plan
    Seed,
    /// Keep the network: bring it to plans that are wished over a socket, and roll back what nobody keeps
    Network(NetworkArguments),
    /// Mount the retention volume; make it first, where there is none; wait for a disk, and for the word which one it is
    Retention(RetentionArguments),
    /// Say on the screen that the appliance can't start, and why
    Stranded,
}

#[derive(Debug, Args)]
struct NetworkArguments {
    /// Socket that wishes come to; whoever may connect may change the network
    #[arg(long, value_name = "PATH", default_value = network::KEEPER_SOCKET)]
    socket: PathBuf,
}

#[derive(Debug, Args)]
struct RetentionArguments {
    /// Where it is mounted
    #[arg(long, value_name = "DIR", default_value = "/mnt/retention")]
    mount: PathBuf,
    /// Whose it is, as in `/etc/passwd`
    #[arg(long, value_name = "USER", default_value = "landfall")]
    owner: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The service manager adds the time.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .without_time()
        .with_ansi(false)
        .with_target(false)
        .init();
    let memory = Memory::at(&arguments.memory);
    let ended = match &arguments.step {
        Step::Seed => told::seed(&memory),
        Step::Network(wanted) => keeper::keep(&memory, &wanted.socket),
        Step::Stranded => {
            stranded::say();
            Ok(())
        }
        Step::Retention(wanted) => retention::mount(&memory, &wanted.mount, &wanted.owner),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("landfall-boot: {error:#}");
            ExitCode::FAILURE
        }
    }
}
