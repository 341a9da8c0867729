//! The program at a terminal: questions, colours and the bar. `script` gives it a terminal.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::fake::{Appliance, Fake};
use control::api::{FailbackTo, Request};

/// Runs a command at a terminal where a person types `typed`; returns what they see and the exit code.
fn at_terminal(appliance: &Appliance, line: &str, typed: &str, colour: bool) -> (String, i32) {
    let program =
        format!("{} {line} --socket {}", env!("CARGO_BIN_EXE_landfall"), appliance.socket.display());
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--echo", "never", "--command", &program, "/dev/null"]);
    command.env("TERM", "xterm").env("SHELL", "/bin/sh").env_remove("NO_COLOR");
    if !colour {
        command.env("NO_COLOR", "1");
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

fn asked(appliance: &Appliance) -> Vec<Request> {
    appliance.service.asked.lock().unwrap().clone()
}

#[test]
fn a_commit_goes_on_only_when_the_name_is_typed() {
    let appliance = Appliance::start(Fake::default());
    let (seen, exit) = at_terminal(&appliance, "commit db-01", "web-01\n", false);
    assert!(seen.contains("Type the machine's name") && seen.contains("LF-1012"), "{seen}");
    assert_eq!((exit, asked(&appliance).len()), (3, 0));
    let (seen, exit) = at_terminal(&appliance, "commit db-01", "db-01\n", false);
    assert!(seen.contains("machine db-01 was committed"), "{seen}");
    assert_eq!((exit, asked(&appliance).len()), (0, 1));
}

#[test]
fn a_removal_goes_on_only_when_the_name_is_typed() {
    let appliance = Appliance::start(Fake::default());
    assert_eq!(at_terminal(&appliance, "machine remove db-01", "\n", false).1, 3);
    assert!(asked(&appliance).is_empty());
    assert_eq!(at_terminal(&appliance, "machine remove db-01", "db-01\n", false).1, 0);
    assert_eq!(asked(&appliance).len(), 1);
}

#[test]
fn a_failback_shows_its_plan_and_then_takes_exactly_that_point() {
    let appliance = Appliance::start(Fake::default());
    let line = "failback web-01 --to 2026-11-20T12:30:00Z";
    let (seen, exit) = at_terminal(&appliance, line, "n\n", false);
    assert!(seen.contains("are written") && seen.contains("[y/N]"), "{seen}");
    assert_eq!(exit, 3);
    let (seen, exit) = at_terminal(&appliance, line, "y\n", false);
    assert_eq!(exit, 0, "{seen}");
    let requests: Vec<_> = asked(&appliance)
        .into_iter()
        .map(|request| match request {
            Request::Failback(failback) => (failback.plan_only, failback.to),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(requests.iter().map(|request| request.0).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(requests[2].1, FailbackTo::Sequence(units::Sequence(700)));
}

#[test]
fn colours_come_at_a_terminal_and_go_with_no_color() {
    let appliance = Appliance::start(Fake::default());
    assert!(at_terminal(&appliance, "status", "", true).0.contains("\x1b[31;1mfailed\x1b[0m"));
    assert!(!at_terminal(&appliance, "status", "", false).0.contains('\x1b'));
}

#[test]
fn what_machines_say_can_not_steer_the_terminal() {
    let appliance = Appliance::start(Fake::default());
    for line in ["status", "machine show old-01", "point list web-01 --limit 60"] {
        let seen = at_terminal(&appliance, line, "", false).0;
        assert!(!seen.contains('\x1b') && seen.contains('\u{fffd}'), "{line}: {seen}");
    }
}

#[test]
fn the_bar_comes_after_two_seconds_and_is_cleared() {
    let appliance = Appliance::start(Fake::slow(20));
    let (seen, exit) = at_terminal(&appliance, "job watch 4", "", false);
    assert_eq!(exit, 0);
    assert!(seen.contains("`landfall job watch 4` rejoins it"), "{seen:?}");
    assert!(seen.contains("of 20 MiB") && seen.contains("MiB/s"), "{seen:?}");
    assert!(seen.contains("\r\x1b[K"), "{seen:?}");
    let quick = Appliance::start(Fake::slow(2));
    assert!(!at_terminal(&quick, "job watch 4", "", false).0.contains('#'.to_string().repeat(2).as_str()));
}
