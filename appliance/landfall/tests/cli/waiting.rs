//! `wait`, the manual, and the completions: what scripts and shells need.

use std::process::Command;

use crate::fake::{Appliance, Fake};
use crate::{exit_of, run};

#[test]
fn waiting_ends_as_the_machine_is() {
    let appliance = Appliance::start(Fake::default());
    for (line, exit) in [
        ("wait web-01", 0),
        ("wait web-01 --until connected", 0),
        ("wait web-01 --until rewound --timeout 1ms", 6),
        ("wait db-01 --until rewound", 0),
        ("wait --until connected --timeout 1ms", 1),
        ("wait nobody", 3),
    ] {
        assert_eq!(exit_of(&appliance, line), exit, "{line}");
    }
    let out = run(&appliance.socket, "wait --until committed --output json");
    let error = String::from_utf8(out.stderr).unwrap();
    assert!(error.contains("there is nothing to wait for"), "{error}");
}

#[test]
fn the_manual_has_a_page_for_each_command_and_man_reads_it() {
    let appliance = Appliance::start(Fake::empty());
    let directory = appliance.directory.path().join("man1");
    assert_eq!(exit_of(&appliance, &format!("man {}", directory.display())), 0);
    for page in ["landfall.1", "landfall-failback.1", "landfall-retention-scrub.1", "landfall-wait.1"] {
        let text = std::fs::read_to_string(directory.join(page)).unwrap_or_else(|_| panic!("{page}"));
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
    assert_eq!(exit_of(&appliance, "man /dev/null/man1"), 1);
}

#[test]
fn every_shell_takes_its_completions() {
    let appliance = Appliance::start(Fake::empty());
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script =
            String::from_utf8(run(&appliance.socket, &format!("completions {shell}")).stdout).unwrap();
        assert!(script.contains("failback") && script.contains("dashboard"), "{shell}");
    }
    let script = run(&appliance.socket, "completions bash").stdout;
    let path = appliance.directory.path().join("landfall.bash");
    std::fs::write(&path, script).unwrap();
    let asked =
        "COMP_WORDS=(landfall fail); COMP_CWORD=1; _landfall landfall fail landfall; echo ${COMPREPLY[@]}";
    let program = format!("source {}; {asked}", path.display());
    let output = Command::new("bash").args(["--norc", "-c", &program]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "failback");
}
