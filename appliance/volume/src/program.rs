//! Other programs that are run: each with its arguments as they are, never through a shell.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use control::{ApiError, Code};

/// Runs a program to its end. Errors: it is missing, or fails; what it complained is the cause.
pub(crate) fn run<S: AsRef<OsStr>>(
    what: &str,
    program: &str,
    arguments: impl IntoIterator<Item = S>,
    package: &str,
) -> Result<(), ApiError> {
    let failed = || ApiError::new(Code::VolumeMaking, format!("{what} failed"));
    let mut command = Command::new(program);
    // Where administrators' programs are, whoever calls.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).args(arguments).stdin(Stdio::null());
    let output = command.output().map_err(|error| {
        failed()
            .because(format!("{program}: {error}"))
            .fixed_by(format!("install it: `apt-get install {package}`"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    Err(failed().because(format!("{program}: {words}")))
}
