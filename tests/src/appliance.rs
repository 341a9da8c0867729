//! `landfalld` as a child process, and `landfall` to talk to it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use control::api;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use units::Sequence;

use crate::binaries::Binaries;
use crate::command::{command, output, run};
use crate::disk::Disk;
use crate::lab::{Lab, free_port};
use crate::process::{Process, Usage};

/// How long a start may take before the lab gives up.
const START_MAX: Duration = Duration::from_secs(60);
/// How long a job may take before the lab gives up.
const JOB_MAX: Duration = Duration::from_secs(600);

/// One appliance: a retention directory, a state directory, ports and a socket that stay the same over restarts.
#[derive(Debug)]
pub struct Appliance {
    binaries: Binaries,
    retention: PathBuf,
    state: PathBuf,
    /// What says which of the lab's appliances it is.
    who: Vec<OsString>,
    logs: PathBuf,
    socket: PathBuf,
    port: u16,
    managing_port: u16,
    extra: Vec<OsString>,
    process: Option<Process>,
}

impl Appliance {
    /// Prepares an appliance that does not run yet and is its own configuration server, named `home`. Errors: no directory, no free port.
    pub fn new(lab: &Lab, binaries: &Binaries) -> Result<Self> {
        Self::named(lab, binaries, "home", "retention", "control.sock")
    }

    /// Prepares one of another installation, beside that of the lab. Errors: no directory, no free port.
    pub fn apart(lab: &Lab, binaries: &Binaries, name: &str) -> Result<Self> {
        Self::named(lab, binaries, name, &format!("{name}-retention"), &format!("{name}.sock"))
    }

    /// Prepares a master target that has joined another appliance, which runs: `state` is where it has. Errors: no directory, no free
    /// port.
    pub fn joined(lab: &Lab, binaries: &Binaries, state: &Path) -> Result<Self> {
        let mut appliance = Self::named(lab, binaries, "joined", "retention", "control.sock")?;
        state.clone_into(&mut appliance.state);
        appliance.who = ["--roles", "master-target"].map(OsString::from).to_vec();
        Ok(appliance)
    }

    fn named(lab: &Lab, binaries: &Binaries, name: &str, retention: &str, socket: &str) -> Result<Self> {
        let managing_port = free_port()?;
        let door = format!("127.0.0.1:{managing_port}");
        Ok(Self {
            binaries: binaries.clone(),
            retention: lab.directory(retention)?,
            state: lab.file(&format!("{name}-state")),
            who: ["--name", name, "--manage", &door].map(OsString::from).to_vec(),
            logs: lab.path().to_owned(),
            socket: lab.file(socket),
            port: free_port()?,
            managing_port,
            extra: Vec::new(),
            process: None,
        })
    }

    /// Gives it other addresses, as another machine would have. Errors: it runs; no free port.
    pub fn moved(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "an appliance moves while it does not run");
        let before = self.door();
        (self.port, self.managing_port) = (free_port()?, free_port()?);
        let door = self.door();
        self.who.iter_mut().filter(|word| **word == *before).for_each(|word| *word = door.clone().into());
        Ok(())
    }

    /// Adds arguments to those `landfalld` is started with.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.extra.extend(arguments.iter().map(OsString::from));
        self
    }

    /// Starts `landfalld`, or starts it again, and returns the time until it answered. Errors: it ended, or gave no answer for a
    /// minute.
    pub fn start(&mut self) -> Result<Duration> {
        assert!(self.process.is_none(), "an appliance runs once");
        let begin = Instant::now();
        let mut process =
            Process::start("landfalld", &self.binaries.landfalld, self.arguments(), &self.logs)?;
        loop {
            if !process.is_running()? {
                bail!("landfalld ended at its start: {}", process.last_words());
            }
            if self.socket.exists()
                && output(self.landfall_command(["status"]).arg("--output=json"))?.status.success()
            {
                break;
            }
            ensure!(begin.elapsed() < START_MAX, "landfalld does not answer: {}", process.last_words());
            thread::sleep(Duration::from_millis(5));
        }
        self.process = Some(process);
        Ok(begin.elapsed())
    }

    /// Returns the arguments `landfalld` is started with.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["--retention".into(), self.retention.clone().into()];
        arguments.extend(["--state".into(), self.state.clone().into()]);
        arguments.extend(self.who.iter().cloned());
        arguments.extend(["--listen".into(), self.address().into()]);
        arguments.extend(["--socket".into(), self.socket.clone().into()]);
        arguments.extend(self.extra.iter().cloned());
        arguments
    }

    /// Ends it with SIGKILL. Errors: it does not run.
    pub fn kill(&mut self) -> Result<Usage> {
        self.process.take().context("landfalld runs")?.kill()
    }

    /// Ends it with SIGTERM, and expects code 0. Errors: it does not run, or ends otherwise.
    pub fn stop(&mut self) -> Result<Usage> {
        let ended = self.process.take().context("landfalld runs")?.stop(Duration::from_secs(30))?;
        ensure!(ended.status.success(), "landfalld ended with {}", ended.status);
        Ok(ended.usage)
    }

    /// Returns the process. Errors: it does not run.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("landfalld runs")
    }

    /// Returns where sources connect to.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns where others join.
    pub fn door(&self) -> String {
        format!("127.0.0.1:{}", self.managing_port)
    }

    /// Returns the state directory.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Returns the programs.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Returns the retention directory.
    pub fn retention(&self) -> &Path {
        &self.retention
    }

    /// Returns the control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs `landfall` and returns its answer. Errors: it fails, or the JSON is something else.
    pub fn landfall<T: DeserializeOwned>(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<T> {
        let mut command = self.landfall_command(arguments);
        let text = run(command.arg("--output=json"))?;
        serde_json::from_str(&text).with_context(|| format!("reading the answer to {command:?}: {text}"))
    }

    /// Runs a `landfall` that starts a job and waits for it; returns the job as it ended, or nothing where nothing had to be
    /// done. Errors: it fails, or the JSON is something else.
    pub fn job(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Option<api::Job>> {
        let mut command = self.landfall_command(arguments);
        let text = run(command.arg("--output=json"))?;
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).context("an answer")?;
        let note =
            serde_json::from_str(last).with_context(|| format!("reading the end of {command:?}: {last}"))?;
        Ok(match note {
            Note::Summary { job } => Some(*job),
            Note::Started {} => None,
        })
    }

    /// Runs a `landfall` that must fail and returns its exit code and what it complained. Errors: it succeeds.
    pub fn landfall_refused(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<(i32, String)> {
        let mut command = self.landfall_command(arguments);
        let output = output(&mut command)?;
        ensure!(!output.status.success(), "{command:?} was expected to fail");
        Ok((
            output.status.code().context("an exit code")?,
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ))
    }

    /// Registers a machine with its target disks.
    pub fn add_machine(&self, name: &str, disks: &[&Disk]) -> Result<api::Machine> {
        let mut arguments: Vec<OsString> = ["machine", "add", name].map(OsString::from).to_vec();
        for disk in disks {
            arguments.extend(["--disk".into(), disk.path().into()]);
        }
        if disks.iter().any(|disk| !disk.is_device()) {
            arguments.push("--allow-file".into());
        }
        self.landfall(arguments)
    }

    /// Returns everything at a glance.
    pub fn status(&self) -> Result<api::Status> {
        self.landfall(["status"])
    }

    /// Returns where a machine stands.
    pub fn machine(&self, name: &str) -> Result<api::Machine> {
        self.landfall(["machine", "show", name])
    }

    /// Returns a machine's recovery points, oldest first.
    pub fn points(&self, name: &str) -> Result<api::Points> {
        self.landfall(["point", "list", name])
    }

    /// Polls until something holds of a machine, and returns it. Errors: not within `limit`.
    pub fn wait_until(
        &self,
        name: &str,
        limit: Duration,
        mut holds: impl FnMut(&api::Machine) -> bool,
    ) -> Result<api::Machine> {
        let deadline = Instant::now() + limit;
        loop {
            let machine = self.machine(name)?;
            if holds(&machine) {
                return Ok(machine);
            }
            ensure!(Instant::now() < deadline, "still not so after {} s: {machine:?}", limit.as_secs());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the target disks are at the last durable sequence, and returns it.
    pub fn wait_applied(&self, name: &str) -> Result<Sequence> {
        let machine = self.wait_until(name, JOB_MAX, |machine| machine.applied == machine.durable)?;
        Ok(machine.applied)
    }

    fn landfall_command(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> std::process::Command {
        let mut command = command(&self.binaries.landfall);
        command.arg("--socket").arg(&self.socket).args(arguments);
        command
    }
}

/// The last line of a command that follows a job.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Note {
    Started {},
    Summary { job: Box<api::Job> },
}
