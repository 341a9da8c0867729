//! Brings a real disk home: seeds it over TLS, replicates six rounds of real change, kills either side in the middle,
//! goes back to the third round, proves the result, goes forward again and commits.
//!
//! Ends with 0 when every check passed, 1 when one did not or something failed, 130 when interrupted.

mod change;
mod checks;
mod journey;
mod kill;
mod scene;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use landfall_tests::cleanup;
use landfall_tests::report::{size, time};
use units::ByteLen;

use crate::checks::Checks;
use crate::scene::Scene;

/// The smallest disk the story fits on.
const LEN_MIN: ByteLen = ByteLen(256 << 20);

/// Brings a real disk home, on this machine, and proves it.
#[derive(Debug, Parser)]
struct Arguments {
    /// Size of the disk, such as 2G
    #[arg(long, default_value = "2G", value_parser = clap::value_parser!(ByteLen))]
    size: ByteLen,
    /// Where to work; needs about four times the size
    #[arg(long, default_value = "/var/tmp")]
    dir: PathBuf,
    /// Leave the disks, the history and the logs there at the end
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let begin = Instant::now();
    let mut checks = Checks::default();
    match cleanup::on_signals().and_then(|()| play(&arguments, &mut checks)) {
        Ok(()) => println!("\nIn {} without the build.", time(begin.elapsed())),
        Err(error) => {
            eprintln!("\ndemo: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    println!("checks: {} passed, {} failed", checks.passed(), checks.failed());
    if checks.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tells the whole story. Errors: something could not be done (a difference found is a failed check).
fn play(arguments: &Arguments, checks: &mut Checks) -> Result<()> {
    anyhow::ensure!(arguments.size >= LEN_MIN, "--size is at least {}", size(LEN_MIN.0));
    let mut scene = Scene::set(arguments)?;
    journey::seed(&mut scene, checks)?;
    for round in 1..=change::ROUNDS {
        match round {
            kill::LANDFALLD_ROUND => kill::landfalld_in_the_middle(&mut scene, round, checks)?,
            kill::SOURCE_ROUND => kill::source_in_the_middle(&mut scene, round, checks)?,
            _ => journey::round(&mut scene, round, checks)?,
        }
    }
    journey::back(&scene, checks)?;
    journey::forward_and_commit(&scene, checks)?;
    scene.close()
}
