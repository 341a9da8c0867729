//! Other programs, run to their end: each with its arguments as they are, never through a shell.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Error, Result};

/// Returns a command whose surroundings change nothing: no language, no time zone, nothing to read.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("LC_ALL", "C").env("TZ", "UTC");
    command.stdin(Stdio::null());
    command
}

/// Runs a command and returns what it printed. Errors: it is missing, or fails; what it complained is told.
pub fn run(command: &mut Command) -> Result<Vec<u8>> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string();
    let output = command
        .output()
        .map_err(|error| Error::Program { program: program.clone(), words: error.to_string() })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    Err(Error::Program { program, words: format!("{words} ({})", output.status) })
}

/// Programs out of the locked packages: they do the same on every machine that builds.
#[derive(Clone, Debug)]
pub struct Tools {
    root: PathBuf,
}

impl Tools {
    /// Takes the programs of an unpacked tree.
    pub fn of(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Returns a command that runs a program of the tree, such as `usr/bin/xz`, with the tree's own libraries.
    pub fn command(&self, program: &str) -> Command {
        let name = Path::new(program).file_name().unwrap_or_default().to_owned();
        self.command_as(program, name)
    }

    /// Returns the same, by another name: for one program that does what its name says.
    pub fn command_as(&self, program: &str, name: impl AsRef<OsStr>) -> Command {
        let libraries = self.root.join("usr/lib/x86_64-linux-gnu");
        let mut command = command(libraries.join("ld-linux-x86-64.so.2"));
        command.arg("--argv0").arg(name).arg("--library-path").arg(libraries).arg(self.root.join(program));
        command
    }
}
