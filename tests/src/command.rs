//! Other people's programs, run to their end.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};
use rustix::process::Pid;

use crate::cleanup::{Action, Undo};

/// Returns a command whose search path includes where Debian keeps file system tools.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Tells whether a program can be found.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin"])
        .any(|directory| std::path::Path::new(directory).join(program).is_file())
}

/// Runs a command and returns what it wrote to standard output. Errors: it can't be started, or ended with another code
/// than 0 (the error holds the end of what it wrote to standard error).
pub fn run(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    judge(command, output)
}

/// Runs a command and returns how it ended and all it wrote. Errors: it can't be started.
pub fn output(command: &mut Command) -> Result<Output> {
    let (child, undo) = start(command)?;
    finish(command, child, undo)
}

/// Runs a command with a text as its standard input; otherwise as [`run`].
pub fn run_with_input(command: &mut Command, input: &str) -> Result<String> {
    let (mut child, undo) = start(command.stdin(Stdio::piped()))?;
    let mut pipe = child.stdin.take().context("the child's standard input is a pipe")?;
    let text = input.to_owned();
    // From a thread: the child may write more than a pipe holds before it has read everything.
    let writer = std::thread::spawn(move || pipe.write_all(text.as_bytes()));
    let output = finish(command, child, undo)?;
    let written = writer.join().expect("writing to a pipe does not panic");
    let text = judge(command, output)?;
    written.with_context(|| format!("writing to {}", name(command)))?;
    Ok(text)
}

/// Starts a command as the leader of a process group, which ends when the lab is interrupted.
fn start(command: &mut Command) -> Result<(Child, Undo)> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn().with_context(|| format!("running {}", name(command)))?;
    let undo = Undo::new(Action::KillGroup(Pid::from_child(&child)));
    Ok((child, undo))
}

fn finish(command: &Command, child: Child, undo: Undo) -> Result<Output> {
    let output = child.wait_with_output().with_context(|| format!("waiting for {}", name(command)))?;
    undo.forget();
    Ok(output)
}

fn judge(command: &Command, output: Output) -> Result<String> {
    if !output.status.success() {
        bail!("{} ended with {}: {}", name(command), output.status, tail(&output));
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} wrote no text", name(command)))
}

/// Returns the program and its first arguments, for messages.
fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args().take(3));
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Returns the last lines of what a program complained about.
fn tail(output: &Output) -> String {
    let text = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text.lines().rev().take(6).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}
