//! The hook that asks the applications of a protected machine to be consistent: a program of the operator's.
//!
//! It is run with one word, never through a shell, and says with exit code 0 that it did so:
//! `freeze`: hold every write, with what is in caches on the disks; `snapshot`: if there are snapshots, print a line `INDEX PATH` for
//! each disk that is to be read from one, else nothing; `thaw`: let writes go on (harmless where nothing is held); `release`: give the
//! snapshots back.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Bytes of what a hook prints that are looked at.
const OUTPUT_LEN_MAX: u64 = 16 << 10;
/// How often a running hook is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A program that quiesces applications, and how long each of its steps may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program.
    pub program: PathBuf,
    /// How long one step may take before it is killed, and how long writes may be held in all before they are let go.
    pub patience: Duration,
}

/// What a hook is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Hold every write.
    Freeze,
    /// Say what to read instead of the disks.
    Snapshot,
    /// Let writes go on.
    Thaw,
    /// Give the snapshots back.
    Release,
}

/// Why a hook did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HookError {
    /// It can't be run.
    #[error("the hook {} can't be run for {verb}", .program.display())]
    Run {
        /// The hook.
        program: PathBuf,
        /// What it was asked to do.
        verb: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// It took too long, and was killed.
    #[error("the hook {} was killed: {verb} took longer than {} s", .program.display(), .patience.as_secs_f64())]
    Slow {
        /// The hook.
        program: PathBuf,
        /// What it was asked to do.
        verb: &'static str,
        /// What it may take.
        patience: Duration,
    },
    /// It says that it failed.
    #[error("the hook {} failed to {verb}: {status}: {words}", .program.display())]
    Failed {
        /// The hook.
        program: PathBuf,
        /// What it was asked to do.
        verb: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it complained.
        words: String,
    },
    /// What it printed for `snapshot` is not what it may print.
    #[error("the hook {} printed {found:?} for snapshot; a line is INDEX PATH, once for every one of the {disks} disks", .program.display())]
    Snapshot {
        /// The hook.
        program: PathBuf,
        /// What it printed.
        found: String,
        /// How many disks there are.
        disks: usize,
    },
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::Snapshot => "snapshot",
            Self::Thaw => "thaw",
            Self::Release => "release",
        }
    }
}

impl Hook {
    /// Has the hook do one thing, and returns what it printed. Errors: it can't be run, takes too long, fails.
    pub(crate) fn run(&self, verb: Verb) -> Result<String, HookError> {
        let (program, word) = (self.program.clone(), verb.word());
        let failed = |source| HookError::Run { program: program.clone(), verb: word, source };
        let mut command = Command::new(&self.program);
        command.arg(word).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let Some(status) = wait(&mut child, self.patience).map_err(failed)? else {
            return Err(HookError::Slow { program, verb: word, patience: self.patience });
        };
        let printed = read(child.stdout.take()).map_err(failed)?;
        if !status.success() {
            let words = read(child.stderr.take()).map_err(failed)?;
            let words = words.lines().map(str::trim).collect::<Vec<_>>().join("; ");
            return Err(HookError::Failed { program, verb: word, status, words });
        }
        Ok(printed)
    }

    /// Asks the hook what to read instead of the disks: a path for each of them, or none at all. Errors: as for [`Hook::run`]; it names
    /// some disks and not others, or a disk that does not exist.
    pub(crate) fn snapshots(&self, disks: usize) -> Result<Option<Vec<PathBuf>>, HookError> {
        let printed = self.run(Verb::Snapshot)?;
        parse_snapshots(&printed, disks).map_err(|found| {
            let program = self.program.clone();
            HookError::Snapshot { program, found: found.to_owned(), disks }
        })
    }
}

/// Reads lines `INDEX PATH`. Errors: what is wrong with them.
fn parse_snapshots(printed: &str, disks: usize) -> Result<Option<Vec<PathBuf>>, &str> {
    let lines: Vec<&str> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let mut paths: Vec<Option<PathBuf>> = vec![None; disks];
    for line in &lines {
        let (index, path) = line.trim().split_once(' ').ok_or(*line)?;
        let slot = index.parse().ok().and_then(|index: usize| paths.get_mut(index)).ok_or(*line)?;
        let path = Path::new(path.trim());
        if !path.is_absolute() || slot.replace(path.to_owned()).is_some() {
            return Err(line);
        }
    }
    paths.into_iter().collect::<Option<Vec<_>>>().map(Some).ok_or(printed)
}

/// Waits for a child; kills it when its time is over, and returns nothing then.
fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

fn read(pipe: Option<impl Read>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(OUTPUT_LEN_MAX).read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn hook(directory: &Path, body: &str) -> Hook {
        let program = directory.join("hook");
        std::fs::write(&program, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        Hook { program, patience: Duration::from_secs(20) }
    }

    #[test]
    fn a_hook_is_told_one_word_and_its_failure_is_told_with_its_own_words() {
        let directory = tempfile::tempdir().unwrap();
        let hook = hook(directory.path(), "[ $1 = freeze ] && echo \"did $1\" || { echo no >&2; exit 3; }");
        assert_eq!(hook.run(Verb::Freeze).unwrap(), "did freeze\n");
        let failed = hook.run(Verb::Thaw).unwrap_err().to_string();
        assert!(failed.ends_with("failed to thaw: exit status: 3: no"), "{failed}");
        let missing = Hook { program: directory.path().join("none"), ..hook };
        assert!(matches!(missing.run(Verb::Freeze), Err(HookError::Run { .. })));
    }

    #[test]
    fn a_hook_that_hangs_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let hook = Hook { patience: Duration::from_millis(50), ..hook(directory.path(), "exec sleep 1000") };
        assert!(matches!(hook.run(Verb::Freeze), Err(HookError::Slow { .. })));
    }

    #[test]
    fn snapshots_are_named_for_all_disks_or_for_none() {
        assert_eq!(parse_snapshots("\n", 2), Ok(None));
        let both = parse_snapshots("1 /dev/vg/b snap\n0 /dev/vg/a\n", 2).unwrap().unwrap();
        assert_eq!(both, [PathBuf::from("/dev/vg/a"), PathBuf::from("/dev/vg/b snap")]);
        for wrong in ["0 /dev/a", "0 /a\n0 /b", "0 /a\n2 /b", "x /a\n1 /b", "0 a\n1 /b", "/a\n/b"] {
            assert!(parse_snapshots(wrong, 2).is_err(), "{wrong}");
        }
    }
}
