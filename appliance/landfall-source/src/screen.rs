//! Standard output and standard error, for people or for programs.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use source::{Event, Point, Report};

use crate::arguments::Output;
use crate::{json, lines};

/// Work shorter than this shows no progress.
const QUIET: Duration = Duration::from_secs(2);

/// Where everything is shown.
pub(crate) struct Screen {
    output: Output,
    /// Whether progress can be drawn on standard error.
    live: bool,
    coloured: bool,
    /// Since when the present work has been going on.
    working_since: Option<Instant>,
    /// Whether a progress line stands on the terminal.
    drawn: bool,
    last: Option<Point>,
}

impl Screen {
    /// Looks at where the output goes.
    pub(crate) fn new(output: Output) -> Self {
        let live = io::stderr().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { output, live, coloured: live && !plain, working_since: None, drawn: false, last: None }
    }

    /// Tells whether standard error takes colours.
    pub(crate) fn is_coloured(&self) -> bool {
        self.coloured
    }

    /// Shows a failure on standard error; returns the exit code 1.
    pub(crate) fn fail(&mut self, error: &str, cause: Option<&str>, fix: &str) -> ExitCode {
        self.clear();
        if self.output == Output::Json {
            self.complain(&json::failure(error, cause, fix).to_string());
            return ExitCode::FAILURE;
        }
        let word = if self.coloured { "\x1b[31;1merror:\x1b[0m" } else { "error:" };
        self.complain(&format!("{word} {}", harmless(error)));
        if let Some(cause) = cause {
            self.complain(&format!("  cause: {}", harmless(cause)));
        }
        self.complain(&format!("  fix:   {fix}"));
        ExitCode::FAILURE
    }

    /// Shows what a run with `--once` came to.
    pub(crate) fn summary(&mut self, point: &Point) -> ExitCode {
        self.clear();
        match self.output {
            Output::Json => self.print(&json::point("summary", point).to_string()),
            Output::Table => {
                self.print(&lines::point(point));
                lines::roots(point).iter().for_each(|line| self.print(line));
            }
        }
        ExitCode::SUCCESS
    }

    /// Shows who this machine is now.
    pub(crate) fn joined(&mut self, identity: &str, until: &str) -> ExitCode {
        match self.output {
            Output::Json => self.print(&json::joined(identity, until).to_string()),
            Output::Table => self.print(&format!(
                "joined as {identity}; the certificate is good until {until}, and renewed before"
            )),
        }
        ExitCode::SUCCESS
    }

    /// Shows that it was stopped as wished.
    pub(crate) fn stopped(&mut self) -> ExitCode {
        self.clear();
        let last = self.last.take();
        match (self.output, last) {
            (Output::Json, Some(point)) => self.print(&json::point("summary", &point).to_string()),
            (Output::Json, None) => {}
            (Output::Table, Some(point)) => self.complain(&format!("stopped after point {}", point.sequence)),
            (Output::Table, None) => self.complain("stopped before the first recovery point"),
        }
        ExitCode::SUCCESS
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::Connected { target, generation, durable } => {
                self.clear();
                self.complain(&format!(
                    "connected to {target}, generation {generation}, durable up to {durable}"
                ));
            }
            Event::Waiting { reason } => {
                self.clear();
                self.complain(&format!("waiting: {}", harmless(reason)));
            }
            Event::Warning { text } => {
                self.clear();
                let word = if self.coloured { "\x1b[33mwarning:\x1b[0m" } else { "warning:" };
                self.complain(&format!("{word} {}", harmless(text)));
            }
            Event::Progress(progress) => {
                let since = *self.working_since.get_or_insert_with(Instant::now);
                if self.live && since.elapsed() >= QUIET {
                    // Best effort: a terminal that went away takes nothing, and nothing depends on it.
                    let _ = write!(io::stderr(), "\r\x1b[K{}", lines::progress(progress));
                    self.drawn = true;
                }
            }
            Event::Point(point) => {
                self.clear();
                self.print(&lines::point(point));
            }
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn print(&self, line: &str) {
        // Best effort: a reader that went away ends nothing; replication goes on.
        let _ = writeln!(io::stdout(), "{line}");
    }

    fn complain(&self, line: &str) {
        let _ = writeln!(io::stderr(), "{line}");
    }
}

impl Report for Screen {
    fn event(&mut self, event: Event) {
        match self.output {
            Output::Json => self.print(&json::event(&event).to_string()),
            Output::Table => self.show(&event),
        }
        if let Event::Point(point) = event {
            self.working_since = None;
            self.last = Some(point);
        }
    }
}

/// Returns text that came from elsewhere without anything that steers a terminal.
fn harmless(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}
