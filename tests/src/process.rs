//! Child processes with their cost.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use units::ByteLen;

use crate::cleanup::{Action, Undo};
use crate::command::command;

/// How often a process is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Linux counts a process's time in hundredths of a second, on every architecture it tells user space about.
const TICK: Duration = Duration::from_millis(10);

/// What a process has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time on a processor, all threads, user and system; to 10 ms.
    pub cpu: Duration,
    /// The most memory it ever held.
    pub memory_peak: ByteLen,
    /// Bytes it caused to be written to storage.
    pub written: ByteLen,
}

/// How a process ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code or signal.
    pub status: ExitStatus,
    /// What it cost.
    pub usage: Usage,
    /// Time from its start to its end.
    pub time: Duration,
}

/// A running child. Killed when dropped. It dies with the thread that started it, so start it from one that stays.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    started: Instant,
    output: PathBuf,
    complaints: PathBuf,
    usage: Usage,
    undo: Option<Undo>,
}

impl Process {
    /// Starts a program; what it writes goes to `NAME.out` and `NAME.err` in `logs`, after what is there. Errors: it can't be
    /// started.
    pub fn start<S: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = S>,
        logs: &Path,
    ) -> Result<Self> {
        let (output, complaints) = (logs.join(format!("{name}.out")), logs.join(format!("{name}.err")));
        let open = |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.with_context(|| format!("opening {}", path.display()))
        };
        // setpriv becomes the program after it has asked for the signal, so the process id is the program's.
        let mut command = command("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
        command.stdout(Stdio::from(open(&output)?)).stderr(Stdio::from(open(&complaints)?));
        let child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let undo = Some(Undo::new(Action::Kill(pid_of(&child))));
        let usage = Usage::default();
        Ok(Self { child, name: name.to_owned(), started: Instant::now(), output, complaints, usage, undo })
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns what it has written to standard output so far, as text. Errors: the log can't be read.
    pub fn output(&self) -> Result<String> {
        fs::read_to_string(&self.output).with_context(|| format!("reading {}", self.output.display()))
    }

    /// Returns what it has written to standard error so far, as text. Errors: the log can't be read.
    pub fn complaints(&self) -> Result<String> {
        fs::read_to_string(&self.complaints).with_context(|| format!("reading {}", self.complaints.display()))
    }

    /// Tells whether it still runs. Errors: the kernel does not say.
    pub fn is_running(&mut self) -> Result<bool> {
        self.look();
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let ended = waitid(WaitId::Pid(pid_of(&self.child)), options);
        Ok(ended.with_context(|| format!("asking for {}", self.name))?.is_none())
    }

    /// Returns what it has cost so far.
    pub fn usage(&mut self) -> Usage {
        self.look();
        self.usage
    }

    /// Returns the memory it holds now. Errors: it is gone.
    pub fn resident(&self) -> Result<ByteLen> {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.id())).context("reading its status")?;
        Ok(ByteLen(field(&status, "VmRSS:") * 1024))
    }

    /// Sends a signal. Errors: the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(pid_of(&self.child), signal).with_context(|| format!("signalling {}", self.name))
    }

    /// Ends it with SIGKILL and waits until it is gone. Errors: it ended by itself before.
    pub fn kill(mut self) -> Result<Usage> {
        if !self.is_running()? {
            bail!("{} had ended before it was killed: {}", self.name, self.last_words());
        }
        self.look();
        self.signal(Signal::KILL)?;
        Ok(self.wait(Duration::from_secs(30))?.usage)
    }

    /// Ends it with SIGTERM and waits until it is gone. Errors: it is still there after `limit`.
    pub fn stop(mut self, limit: Duration) -> Result<Ended> {
        self.look();
        self.signal(Signal::TERM)?;
        self.wait(limit)
    }

    /// Waits until it has ended, however. Errors: it still runs after `limit` (then it is killed).
    pub fn wait(mut self, limit: Duration) -> Result<Ended> {
        let deadline = Instant::now() + limit;
        while self.is_running()? {
            if Instant::now() > deadline {
                bail!("{} still runs after {} s: {}", self.name, limit.as_secs(), self.last_words());
            }
            thread::sleep(LOOK_EVERY);
        }
        let time = self.started.elapsed();
        // Until it is waited for, a process that has ended still tells its time on the processor.
        self.look();
        let status = self.child.wait().with_context(|| format!("waiting for {}", self.name))?;
        if let Some(undo) = self.undo.take() {
            undo.forget();
        }
        Ok(Ended { status, usage: self.usage, time })
    }

    /// Waits until it has ended with code 0. Errors: another code, a signal, or it still runs after `limit`.
    pub fn succeed(self, limit: Duration) -> Result<Ended> {
        let (name, complaints) = (self.name.clone(), self.complaints.clone());
        let ended = self.wait(limit)?;
        if !ended.status.success() {
            bail!("{name} ended with {}: {}", ended.status, last_lines(&complaints));
        }
        Ok(ended)
    }

    /// Returns the last lines it wrote to standard error.
    pub fn last_words(&self) -> String {
        last_lines(&self.complaints)
    }

    fn look(&mut self) {
        let seen = look_at(self.child.id());
        let usage = &mut self.usage;
        usage.cpu = usage.cpu.max(seen.cpu);
        usage.memory_peak = usage.memory_peak.max(seen.memory_peak);
        usage.written = usage.written.max(seen.written);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.undo.take().is_some() {
            drop(self.child.wait());
        }
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Reads what a process has cost from `/proc`; zero for what is not told (any more).
fn look_at(id: u32) -> Usage {
    let read = |name: &str| fs::read_to_string(format!("/proc/{id}/{name}")).unwrap_or_default();
    let (stat, status, io) = (read("stat"), read("status"), read("io"));
    // The second field is the program's name in parentheses and may itself hold spaces.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<u32>().ok());
    Usage {
        cpu: TICK * ticks.sum::<u32>(),
        memory_peak: ByteLen(field(&status, "VmHWM:") * 1024),
        written: ByteLen(field(&io, "write_bytes:")),
    }
}

/// Returns the number behind a name at the start of a line; zero if it is not told.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn last_lines(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(6).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Lab;

    fn shell(lab: &Lab, script: &str) -> Process {
        Process::start("sh", Path::new("/bin/sh"), ["-c", script], lab.path()).unwrap()
    }

    #[test]
    fn a_process_that_ended_tells_its_cost_and_its_words() {
        let lab = Lab::new(None).unwrap();
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; echo why >&2; exit 3";
        let process = shell(&lab, busy);
        let ended = process.wait(Duration::from_secs(60)).unwrap();
        assert_eq!(ended.status.code(), Some(3));
        assert!(ended.usage.cpu >= TICK && ended.usage.cpu <= ended.time + 2 * TICK, "{:?}", ended.usage);
        assert!(ended.usage.memory_peak > ByteLen(100_000), "{:?}", ended.usage);
        assert_eq!(last_lines(&lab.file("sh.err")), "why");
    }

    #[test]
    fn a_process_dies_with_its_value() {
        let lab = Lab::new(None).unwrap();
        let process = shell(&lab, "sleep 600 & wait");
        let id = process.id();
        drop(process);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn a_process_that_has_ended_was_not_killed() {
        let lab = Lab::new(None).unwrap();
        let mut process = shell(&lab, "exit 0");
        while process.is_running().unwrap() {
            thread::sleep(LOOK_EVERY);
        }
        assert!(process.kill().is_err());
    }
}
