//! binary: the source agent: protects the disks of one machine.
//!
//! Reads arguments, environment and signals, runs [`source::protect`], and shows what it tells as lines for people or as JSON lines
//! for programs. Results go to standard output, everything else to standard error.

mod arguments;
mod ending;
mod heartbeat;
mod joining;
mod json;
mod lines;
mod screen;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use source::Stop;
use tracing_subscriber::EnvFilter;

use crate::arguments::{Arguments, Command};
use crate::heartbeat::{Listening, Told};
use crate::screen::Screen;

fn main() -> ExitCode {
    let protect = match Arguments::parse().command {
        Command::Protect(protect) => protect,
        Command::Join(join) => return joining::join(&join, &mut Screen::new(join.output)),
    };
    let mut screen = Screen::new(protect.output);
    start_log(&protect.log, &screen);
    let stop = match listen() {
        Ok(stop) => stop,
        Err(error) => {
            return screen.fail("cannot listen for signals", Some(&error.to_string()), "start again");
        }
    };
    let config = protect.into_config();
    let told = Told::new(config.machine.clone());
    let heartbeat = heartbeat::start(&config, &told).unwrap_or_else(|error| {
        tracing::warn!(%error, "no heartbeat is sent");
        None
    });
    let ended = source::protect(&config, &stop, &mut Listening { screen: &mut screen, told });
    if let Some(heartbeat) = heartbeat {
        heartbeat.stop();
    }
    match ended {
        Ok(Some(point)) => screen.summary(&point),
        Ok(None) => screen.stopped(),
        Err(error) => {
            screen.fail(&error.to_string(), error.cause().as_deref(), error.fix());
            ending::exit_code(error.outcome())
        }
    }
}

/// Makes SIGTERM and SIGINT a wish to stop; the second of them ends the program at once.
fn listen() -> std::io::Result<Stop> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(Stop::from_flag(flag))
}

fn start_log(filter: &str, screen: &Screen) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(screen.is_coloured()).with_target(false).init();
}
