//! Hooks of recovery plans: programs that lie in one directory of this appliance.
//!
//! They are run without a shell and without arguments: what a plan says never becomes a part of a command line. What they are about is
//! told by their environment, which holds nothing else. What they print is bounded, and so is their time.

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use units::MachineName;

/// Bytes of what a hook prints that are kept.
const OUTPUT_LEN_MAX: u64 = 16 << 10;
/// Lines of it.
const LINES_MAX: usize = 64;
/// How often a running hook is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long its output may stay open after its end, held by a process it has left behind.
const OUTPUT_WAIT: Duration = Duration::from_secs(2);

/// How a hook ended.
#[derive(Debug)]
pub(crate) struct HookEnd {
    /// What it printed, by line.
    pub(crate) output: Vec<String>,
    /// Whether it says that it did what it should; why not.
    pub(crate) result: Result<(), String>,
}

/// Runs a hook to its end, for `limit` at the most.
pub(crate) fn run_hook(program: &Path, plan: &MachineName, run: u64, limit: Duration) -> HookEnd {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANDFALL_PLAN", plan.as_str())
        .env("LANDFALL_RUN", run.to_string())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: what it has started ends with it.
        .process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return HookEnd { output: Vec::new(), result: Err(format!("it can't be run: {error}")) };
        }
    };
    let (told, printed) = channel();
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|out| Box::new(out) as _),
        child.stderr.take().map(|err| Box::new(err) as _),
    ];
    for stream in streams.into_iter().flatten() {
        let told = told.clone();
        std::thread::spawn(move || drop(told.send(read(stream))));
    }
    drop(told);
    let result = wait(&mut child, limit);
    let mut output = String::new();
    while let Ok(text) = printed.recv_timeout(OUTPUT_WAIT) {
        output += &text;
    }
    let lines = output.lines().filter(|line| !line.trim().is_empty()).take(LINES_MAX);
    HookEnd { output: lines.map(|line| line.chars().take(200).collect()).collect(), result }
}

/// Reads what is kept, and the rest for nothing, so that the hook is never held up.
fn read(mut stream: Box<dyn Read + Send>) -> String {
    let mut kept = Vec::new();
    // A stream that breaks has told what it has told.
    let _ = (&mut stream).take(OUTPUT_LEN_MAX).read_to_end(&mut kept);
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
    let mut text = String::from_utf8_lossy(&kept).into_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn wait(child: &mut Child, limit: Duration) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("it failed: {status}")),
            Ok(None) if begun.elapsed() < limit => std::thread::sleep(LOOK),
            Ok(None) => {
                let group = rustix::process::Pid::from_child(child);
                // What is gone already needs no end.
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
                let _ = child.wait();
                return Err(format!("it was killed: it took longer than {} s", limit.as_secs()));
            }
            Err(error) => return Err(format!("it can't be waited for: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn hook(directory: &Path, script: &str) -> std::path::PathBuf {
        let path = directory.join("hook");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    fn run(script: &str, limit: Duration) -> HookEnd {
        let directory =
            std::env::temp_dir().join(format!("landfalld-hook-{}-{}", std::process::id(), script.len()));
        std::fs::create_dir_all(&directory).unwrap();
        let end = run_hook(&hook(&directory, script), &"shop".parse().unwrap(), 3, limit);
        std::fs::remove_dir_all(&directory).unwrap();
        end
    }

    #[test]
    fn a_hook_hears_what_it_is_about_and_what_it_prints_is_kept() {
        let end =
            run("echo \"$LANDFALL_PLAN $LANDFALL_RUN $#\"; echo oops >&2; exit 3", Duration::from_secs(30));
        let mut lines = end.output;
        lines.sort();
        assert_eq!(lines, ["oops", "shop 3 0"]);
        assert!(end.result.unwrap_err().contains("exit status: 3"));
        assert_eq!(run("exit 0", Duration::from_secs(30)).result, Ok(()));
    }

    #[test]
    fn a_hook_that_hangs_is_killed_with_all_it_has_started() {
        let begun = Instant::now();
        let end = run("sleep 600 & echo begun; wait", Duration::from_millis(300));
        assert!(end.result.unwrap_err().contains("killed"));
        assert_eq!(end.output, ["begun"]);
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_hook_that_prints_without_end_is_not_held_up_and_fills_nothing() {
        let end = run(
            "i=0; while [ $i -lt 5000 ]; do echo 0123456789abcdef; i=$((i+1)); done",
            Duration::from_secs(60),
        );
        assert_eq!((end.result, end.output.len()), (Ok(()), LINES_MAX));
    }
}
