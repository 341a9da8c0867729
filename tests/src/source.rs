//! `landfall-source` as a child process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::binaries::Binaries;
use crate::disk::Disk;
use crate::lab::Lab;
use crate::process::{Ended, Process};

/// How long one run may take before the lab gives up.
const RUN_MAX: Duration = Duration::from_secs(600);

/// One machine's source agent: its name, certificate and state stay the same over restarts.
#[derive(Clone, Debug)]
pub struct Source {
    program: PathBuf,
    machine: String,
    identity: PathBuf,
    state: PathBuf,
    logs: PathBuf,
    target: String,
    extra: Vec<OsString>,
}

impl Source {
    /// Prepares the agent of a machine. `identity` is a directory of certificates for the role `source` and this name; `target` is
    /// where to connect. Errors: its state directory can't be made.
    pub fn new(lab: &Lab, binaries: &Binaries, machine: &str, identity: &Path, target: &str) -> Result<Self> {
        Ok(Self {
            program: binaries.landfall_source.clone(),
            machine: machine.to_owned(),
            identity: identity.to_owned(),
            state: lab.directory(&format!("state-{machine}"))?,
            logs: lab.path().to_owned(),
            target: target.to_owned(),
            extra: Vec::new(),
        })
    }

    /// Adds arguments to those it is started with.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.extra.extend(arguments.iter().map(OsString::from));
        self
    }

    /// Sends it elsewhere from the next start on.
    pub fn retarget(&mut self, target: &str) {
        target.clone_into(&mut self.target);
    }

    /// Returns the machine's name.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// Returns the directory that holds its leaf table.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Starts one round (with the seed before it, if one is due); it ends by itself when the round is acked. Errors: it can't
    /// be started.
    pub fn start_once(&self, disks: &[&Disk]) -> Result<Process> {
        self.start(disks, &["--once"])
    }

    /// Starts rounds without end, one every `interval`, such as `5s`. Errors: it can't be started.
    pub fn start_every(&self, disks: &[&Disk], interval: &str) -> Result<Process> {
        self.start(disks, &["--interval", interval])
    }

    /// Runs one round to its end. Errors: it fails.
    pub fn once(&self, disks: &[&Disk]) -> Result<Ended> {
        self.start_once(disks)?.succeed(RUN_MAX)
    }

    fn start(&self, disks: &[&Disk], mode: &[&str]) -> Result<Process> {
        let mut arguments: Vec<OsString> =
            ["protect", "--machine", &self.machine].map(OsString::from).to_vec();
        for disk in disks {
            arguments.extend(["--disk".into(), disk.path().into()]);
        }
        if disks.iter().any(|disk| !disk.is_device()) {
            arguments.push("--allow-file".into());
        }
        arguments.extend(["--to".into(), OsString::from(&self.target)]);
        arguments.extend(["--identity".into(), self.identity.clone().into()]);
        arguments.extend(["--state".into(), self.state.clone().into()]);
        arguments.extend(mode.iter().chain(&["--output", "json"]).map(OsString::from));
        arguments.extend(self.extra.iter().cloned());
        Process::start(&format!("source-{}", self.machine), &self.program, arguments, &self.logs)
    }
}
