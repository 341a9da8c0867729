//! binary: the operator's command line, on the appliance, over `landfalld`'s control socket.
//!
//! Reads arguments and environment, asks, and shows what it is told as tables for people or as JSON for programs.
//! It holds no state and writes no disk; only `pki` and `manifest check` work without `landfalld`,
//! and the latter reads the disks it is told to.

mod arguments;
mod commands;
mod console;
mod paint;
mod progress;
mod prompt;
mod reach;
mod screen;
mod span;
mod table;
mod timeline;
mod when;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::screen::Screen;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::new(arguments.output);
    match commands::run(arguments, &screen) {
        Ok(ending) => ending.into(),
        Err(error) => screen.fail(&error),
    }
}
