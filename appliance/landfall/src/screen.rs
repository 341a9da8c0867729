//! Where results and errors are written.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use control::{ApiError, Code, ErrorReply};
use serde::Serialize;

use crate::arguments::Output;
use crate::paint::{Paint, Tone, harmless};

/// How a command that met no error ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// 0
    Done,
    /// 1: what was to be checked is not well.
    NotWell,
    /// 3: what was to be checked would be refused.
    Refused,
    /// 6
    StillRunning,
}

/// Standard output and error, and how they are written.
#[derive(Debug)]
pub(crate) struct Screen {
    output: Output,
    paint: Paint,
}

impl Screen {
    /// Looks at where the streams go.
    pub(crate) fn new(output: Output) -> Self {
        Self { output, paint: paint_for(io::stdout().is_terminal()) }
    }

    /// Returns whether programs read the output.
    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Returns how to colour what goes to standard output.
    pub(crate) fn paint(&self) -> Paint {
        self.paint
    }

    /// Tells whether a person can be asked: standard input and error are a terminal, and tables are wanted.
    pub(crate) fn can_ask(&self) -> bool {
        !self.is_json() && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Writes one JSON object on a line.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), ErrorReply> {
        let mut line = serde_json::to_vec(value).expect("replies hold only what JSON can write");
        line.push(b'\n');
        write(&line)
    }

    /// Writes lines for people.
    pub(crate) fn text(&self, text: &str) -> Result<(), ErrorReply> {
        write(text.as_bytes())
    }

    /// Writes `value` as JSON, or what `lines` makes of it.
    pub(crate) fn show<T: Serialize>(
        &self,
        value: &T,
        lines: impl FnOnce(&T, Paint) -> String,
    ) -> Result<(), ErrorReply> {
        if self.is_json() { self.json(value) } else { self.text(&lines(value, self.paint)) }
    }

    /// Writes an error to standard error: what, why, what to do. Returns its exit code.
    pub(crate) fn fail(&self, error: &ErrorReply) -> ExitCode {
        let closed = Code::find(&error.code) == Some(Code::OutputFailed);
        let text = if self.is_json() {
            error_json(error)
        } else {
            error_lines(error, paint_for(io::stderr().is_terminal()))
        };
        // Whoever closed the output, as `head` does, has seen enough: no word about it.
        if !(closed && error.cause == CLOSED) {
            let _ = io::stderr().write_all(text.as_bytes());
        }
        ExitCode::from(error.exit)
    }
}

const CLOSED: &str = "its reader has gone";

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::Done => 0,
            Ending::NotWell => 1,
            Ending::Refused => 3,
            Ending::StillRunning => 6,
        })
    }
}

fn write(bytes: &[u8]) -> Result<(), ErrorReply> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| {
        let failed = ApiError::new(Code::OutputFailed, "the result can't be written");
        match error.kind() {
            io::ErrorKind::BrokenPipe => failed.because(CLOSED).into(),
            _ => failed.because(error).into(),
        }
    })
}

fn paint_for(terminal: bool) -> Paint {
    let unset = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let able = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    if terminal && unset && able { Paint::Colour } else { Paint::Mono }
}

fn error_lines(error: &ErrorReply, paint: Paint) -> String {
    let word = paint.tone(Tone::Bad, "error:");
    let [what, cause, fix] = [&error.what, &error.cause, &error.fix].map(|text| harmless(text));
    format!("{word} {what}\n  cause: {cause} ({})\n  fix:   {fix}\n", harmless(&error.code))
}

fn error_json(error: &ErrorReply) -> String {
    let line = serde_json::to_string(&control::Line::<()>::Error(error.clone()));
    line.expect("errors hold only what JSON can write") + "\n"
}
