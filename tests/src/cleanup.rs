//! What must be undone, however the lab ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// One thing to undo.
#[derive(Clone, Debug)]
pub enum Action {
    /// End a process with SIGKILL.
    Kill(Pid),
    /// End a process and those it started with SIGKILL: it leads a process group.
    KillGroup(Pid),
    /// Unmount what is mounted here.
    Unmount(PathBuf),
    /// Detach a loop device.
    Detach(PathBuf),
    /// Remove a directory and everything in it.
    Remove(PathBuf),
}

/// Undoes its action when dropped, or when a signal ends the lab before that.
#[derive(Debug)]
pub struct Undo {
    id: u64,
}

#[derive(Debug)]
struct Pending {
    next: u64,
    actions: BTreeMap<u64, Action>,
}

static PENDING: Mutex<Pending> = Mutex::new(Pending { next: 0, actions: BTreeMap::new() });

fn pending() -> MutexGuard<'static, Pending> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Undo {
    /// Notes what is to be undone.
    pub fn new(action: Action) -> Self {
        let mut pending = pending();
        let id = pending.next;
        pending.next += 1;
        pending.actions.insert(id, action);
        Self { id }
    }

    /// Drops the action without performing it: it is no longer needed, or not wanted.
    pub fn forget(self) {
        pending().actions.remove(&self.id);
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let action = pending().actions.remove(&self.id);
        if let Some(action) = action {
            perform(&action);
        }
    }
}

/// Makes SIGINT, SIGTERM and SIGHUP undo everything noted, newest first, and end the process with 128 + signal.
/// Errors: the handlers can't be installed.
pub fn on_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("installing signal handlers")?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if let Some(signal) = signals.forever().next() {
                eprintln!("\ninterrupted: cleaning up");
                undo_everything();
                std::process::exit(128 + signal);
            }
        })
        .context("starting the signal thread")?;
    Ok(())
}

fn undo_everything() {
    // The lock is kept to the end, so that the main thread starts nothing new meanwhile.
    let mut pending = pending();
    while let Some((_, action)) = pending.actions.pop_last() {
        perform(&action);
    }
    std::mem::forget(pending);
}

fn perform(action: &Action) {
    match action {
        Action::Kill(pid) => drop(kill_process(*pid, Signal::KILL)),
        Action::KillGroup(leader) => drop(kill_process_group(*leader, Signal::KILL)),
        Action::Detach(device) => detach(device),
        Action::Unmount(at) => unmount(at),
        Action::Remove(directory) => drop(std::fs::remove_dir_all(directory)),
    }
}

/// A process that was just killed may still hold the mount for a moment: try for two seconds, then detach lazily.
fn unmount(at: &Path) {
    for _ in 0..40 {
        if umount(at, &[]) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    umount(at, &["--lazy"]);
}

fn detach(device: &Path) {
    let mut command = Command::new("losetup");
    let _ = command.arg("--detach").arg(device).stderr(Stdio::null()).status();
}

fn umount(at: &Path, options: &[&str]) -> bool {
    let mut command = Command::new("umount");
    command.args(options).arg(at).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_undone_and_what_is_forgotten_is_not() {
        let directory = std::env::temp_dir().join(format!("landfall-undo-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        Undo::new(Action::Remove(directory.clone())).forget();
        assert!(directory.exists());
        drop(Undo::new(Action::Remove(directory.clone())));
        assert!(!directory.exists());
    }
}
