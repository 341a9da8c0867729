//! How the program ends, and what it says then.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::scripted::Bench;
use wire::RefusalCode;

const MIB: usize = 1 << 20;

fn wait_for_points(bench: &Bench, count: usize) {
    let start = Instant::now();
    while bench.server.store().markers.len() < count {
        assert!(start.elapsed() < Duration::from_secs(20), "no recovery point came");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().expect("our own child");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn refusals_end_with_their_own_codes() {
    let cases = [
        (RefusalCode::Fenced, 3),
        (RefusalCode::UnknownMachine, 3),
        (RefusalCode::DiskMismatch, 3),
        (RefusalCode::Damaged, 3),
        (RefusalCode::NotAuthorised, 5),
    ];
    for (code, exit) in cases {
        let bench = Bench::new(&[MIB], 1);
        bench.server.store().refusals = vec![code];
        let run = bench.once(&[]);
        assert_eq!(run.status.code(), Some(exit), "{code:?}: {}", run.err);
        assert!(run.err.contains(&format!("the script says {code:?}")), "{}", run.err);
    }
}

#[test]
fn a_temporary_refusal_is_waited_out_and_told_once() {
    let bench = Bench::new(&[MIB], 1);
    bench.server.store().refusals = vec![RefusalCode::Full, RefusalCode::Rewound, RefusalCode::Busy];
    let run = bench.once(&[]).expect_done();
    assert_eq!(run.out.matches("\"type\":\"waiting\"").count(), 1, "{}", run.out);
    bench.assert_identical();
}

#[test]
fn lost_history_needs_a_resync() {
    let bench = Bench::new(&[2 * MIB], 1);
    bench.once(&[]).expect_done();
    {
        let store = &mut *bench.server.store();
        (store.durable, store.received) = (units::Sequence(0), units::Sequence(0));
        store.markers.clear();
    }
    let run = bench.once(&[]);
    assert_eq!(run.status.code(), Some(3), "{}", run.err);
    assert!(run.err.contains("--resync"), "{}", run.err);
    bench.once(&["--resync"]).expect_done();
    bench.assert_identical();
}

#[test]
fn a_target_that_is_not_there_ends_with_4_when_the_time_is_over() {
    let bench = Bench::new(&[MIB], 1);
    let mut command = bench.command(&["--once", "--timeout", "500ms"]);
    command.args(["--output", "table"]).env("NO_COLOR", "1");
    let mut args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let at = args.iter().position(|arg| arg == "--to").expect("--to") + 1;
    args[at] = format!("127.0.0.1:{port}").into();
    let first = args.iter().position(|arg| arg == "--output").expect("--output");
    args.drain(first..first + 2);
    let output = Command::new(command.get_program()).args(args).output().expect("the program starts");
    let err = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(4), "{err}");
    let lines: Vec<_> = err.lines().collect();
    let [.., error, cause, fix] = lines.as_slice() else { panic!("{err}") };
    assert!(
        error.starts_with("error: ") && cause.starts_with("  cause: ") && fix.starts_with("  fix:   "),
        "{err}"
    );
}

#[test]
fn a_wrong_authority_ends_with_5() {
    let (ours, theirs) = (Bench::new(&[MIB], 1), Bench::new(&[MIB], 1));
    for name in ["cert.pem", "key.pem", "ca.pem"] {
        let path = ours.path("source:web-01").join(name);
        fs::copy(theirs.path("source:web-01").join(name), path).expect("copied");
    }
    let run = ours.once(&[]);
    assert_eq!(run.status.code(), Some(5), "{}", run.err);
}

#[test]
fn what_is_wrong_here_ends_with_1_and_makes_nothing() {
    let bench = Bench::new(&[MIB], 1);
    let missing = bench.path("missing.img");
    let run = bench.once(&["--disk", missing.to_str().expect("text")]);
    assert_eq!(run.status.code(), Some(1), "{}", run.err);
    assert!(!missing.exists(), "a disk is never made");
    let odd = bench.path("odd.img");
    fs::write(&odd, [0; 700]).expect("written");
    assert_eq!(bench.once(&["--disk", odd.to_str().expect("text")]).status.code(), Some(1));
    assert_eq!(bench.run(&["--once", "--interval", "5s"]).status.code(), Some(2));
}

#[test]
fn a_second_agent_is_refused_and_sigterm_ends_the_first_cleanly() {
    let bench = Bench::new(&[2 * MIB], 1);
    let first = bench.start(&["--interval", "100ms"]);
    wait_for_points(&bench, 3);
    let second = bench.once(&[]);
    assert_eq!(second.status.code(), Some(1), "{}", second.err);
    assert!(second.err.contains("another agent"), "{}", second.err);
    Command::new("kill").arg(first.id().to_string()).status().expect("kill");
    let (code, err) = ended(first);
    assert_eq!(code, Some(0), "{err}");
    let start = Instant::now();
    while bench.server.store().goodbyes == 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "no goodbye came");
        std::thread::sleep(Duration::from_millis(10));
    }
    bench.assert_identical();
}

#[test]
fn a_disk_that_vanishes_ends_the_agent_and_nothing_wrong_is_sent() {
    let bench = Bench::new(&[4 * MIB], 1);
    let agent = bench.start(&["--interval", "50ms"]);
    wait_for_points(&bench, 2);
    let before = fs::read(&bench.disks[0]).expect("a disk");
    fs::File::options().write(true).open(&bench.disks[0]).expect("a disk").set_len(MIB as u64).expect("cut");
    let (code, err) = ended(agent);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("cannot read the disk"), "{err}");
    let store = bench.server.store();
    assert_eq!(store.violations, Vec::<String>::new());
    assert!(store.durable_content[0] == before, "what was acked stays");
}

#[test]
fn the_target_may_go_and_come_back_between_rounds() {
    let bench = Bench::new(&[2 * MIB], 1);
    let agent = bench.start(&["--interval", "100ms"]);
    for points in [2, 5, 8] {
        wait_for_points(&bench, points);
        bench.server.crash();
    }
    wait_for_points(&bench, 10);
    Command::new("kill").arg(agent.id().to_string()).status().expect("kill");
    assert_eq!(ended(agent).0, Some(0));
    bench.assert_identical();
}
