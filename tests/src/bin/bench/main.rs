//! Measures Landfall beside the programs people use today and beside what the disk itself can do: the same work, on the
//! same disk, in the same run, taking turns.
//!
//! Absolute figures of shared machines drift from hour to hour; only the ratios of one run count, and medians of
//! several turns.

mod board;
mod cost;
mod limits;
mod load;
mod material;
mod ours;
mod peers;
mod rows;
mod tls;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use landfall_tests::cleanup;
use landfall_tests::report::size;
use units::ByteLen;

use crate::board::Board;
use crate::limits::Limits;
use crate::material::Material;
use crate::ours::Ours;
use crate::peers::Peers;
use crate::rows::ROWS;

/// How the result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Measures Landfall and its peers on this machine.
#[derive(Debug, Parser)]
struct Arguments {
    /// Size of the disk, such as 2G
    #[arg(long, default_value = "2G", value_parser = clap::value_parser!(ByteLen))]
    size: ByteLen,
    /// Turns each measurement gets
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    repeat: u32,
    /// Only this row of the table, such as P1; may be given again
    #[arg(long)]
    only: Vec<String>,
    /// Where to work; needs about six times the size
    #[arg(long, default_value = "/var/tmp")]
    dir: PathBuf,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match cleanup::on_signals().and_then(|()| measure(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let mut names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
    names.dedup();
    for name in &arguments.only {
        anyhow::ensure!(names.contains(&name.as_str()), "no row {name}; the rows are {}", names.join(", "));
    }
    let material = Material::prepare(&arguments.dir, arguments.size)?;
    let mut board = Board::new(&arguments.only);
    eprintln!("bench: a disk of {}, {} turns each", size(arguments.size.0), arguments.repeat);
    let peers = Peers::prepare(&material)?;
    let limits = Limits::new(&material);
    let ours = Ours::prepare(&material)?;
    for turn in 1..=arguments.repeat {
        eprintln!("bench: turn {turn} of {}", arguments.repeat);
        limits.measure(&mut board)?;
        ours.measure(&mut board)?;
        peers.measure(&mut board)?;
    }
    match arguments.output {
        Output::Table => print!("{}", rows::table(&board)),
        Output::Json => println!("{}", rows::json(&board)),
    }
    Ok(())
}
