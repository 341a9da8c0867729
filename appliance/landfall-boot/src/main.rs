//! binary: what an appliance does between its kernel and its agent: reads what it was told, and finds or makes its retention volume.

mod choice;
mod kept;
mod retention;
mod told;
mod welcome;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

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
  landfall-boot retention
  landfall-boot welcome

Exit codes:
  0  done
  1  it failed
  2  the command line is wrong";

#[derive(Debug, Subcommand)]
enum Step {
    /// Read what the hypervisor tells, once, and take the host name from it
    Seed,
    /// Mount the retention volume; make it first, where there is none; wait for a disk, where there is none
    Retention(RetentionArguments),
    /// Make a token for the first operator, as long as there is none, and show it
    Welcome(WelcomeArguments),
}

#[derive(Debug, Args)]
struct WelcomeArguments {
    /// Control socket of landfalld
    #[arg(long, value_name = "PATH", default_value = "/run/landfall/control.sock")]
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
    let ended = match &arguments.step {
        Step::Seed => told::seed(&arguments.memory),
        Step::Retention(wanted) => retention::mount(&arguments.memory, &wanted.mount, &wanted.owner),
        Step::Welcome(wanted) => welcome::first_operator(&wanted.socket),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("landfall-boot: {error:#}");
            ExitCode::FAILURE
        }
    }
}
