//! The real program against the real server: every command in both outputs, its words, requests and exit codes.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod dashboard;
mod fake;
mod terminal;
mod waiting;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use control::api::{FailbackTo, Request};
use fake::{Appliance, Fake};

/// Runs the program on `socket` and returns how it ended.
fn run(socket: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.env_clear().env("LANDFALL_SOCKET", socket).stdin(Stdio::null());
    command.args(words(line)).output().unwrap()
}

/// Splits a command line at spaces; `_` stands for a space within a word.
fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(|word| word.replace('_', " ")).collect()
}

/// Returns a command and all it wrote, as one text, with the socket's directory named alike in every run.
fn transcript(appliance: &Appliance, line: &str) -> String {
    let output = run(&appliance.socket, line);
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let text = format!("$ landfall {line}\n{out}{err}[exit {}]\n\n", output.status.code().unwrap());
    text.replace(appliance.directory.path().to_str().unwrap(), "/run/landfall")
}

/// Compares with the file of that name; `LANDFALL_BLESS=1` writes it instead.
fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("LANDFALL_BLESS").is_some() {
        return std::fs::write(path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    let differs = expected.lines().zip(found.lines()).position(|(expected, found)| expected != found);
    assert!(expected == found, "{name} differs at line {:?}; found:\n{found}", differs.map(|line| line + 1));
}

fn transcripts(name: &str, service: fn() -> Fake, lines: &[&str]) {
    let text: String = lines.iter().map(|line| transcript(&Appliance::start(service()), line)).collect();
    golden(name, &text);
}

fn exit_of(appliance: &Appliance, line: &str) -> i32 {
    run(&appliance.socket, line).status.code().unwrap()
}

const SHOWING: &[&str] = &[
    "status",
    "status --check",
    "machine list",
    "machine show web-01",
    "machine show db-01",
    "machine show old-01",
    "machine show mail-01",
    "machine show nobody",
    "disk list",
    "disk eligible",
    "disk eligible /dev/sdb",
    "disk watch",
    "point list web-01",
    "point list web-01 --limit 3",
    "point list web-01 --around 2026-11-20T11:20:00Z --limit 4",
    "point list nobody",
    "manifest list web-01",
    "manifest list nobody",
    "manifest show web-01",
    "manifest show web-01 9",
    "job list",
    "retention scrub",
    "retention scrub nobody",
    "retention show",
    "retention show web-01",
    "retention show nobody",
    "retention expire --plan",
    "preflight",
    "preflight web-01",
    "preflight db-01",
    "preflight nobody",
    "policy show",
    "policy show nobody",
    "retention size --churn 12MiB/s --window 24h",
    "retention size --churn 12MiB/s --compress 2",
    "retention size --churn 12MiB/s --compress 2 --overwrite 0.5 --disk 1TiB",
];

const CHANGING: &[&str] = &[
    "machine add new-01 --disk /dev/sdd --disk /dev/sde",
    "machine add new-01 --disk /dev/mounted",
    "machine remove db-01 --yes",
    "machine remove db-01",
    "machine remove nobody --yes",
    "failback web-01 --to 660 --plan",
    "failback web-01 --to 660 --plan --inconsistent",
    "failback web-01 --to latest --yes",
    "failback web-01 --to latest --yes --no-wait",
    "failback web-01 --to 901",
    "failback nobody --to latest",
    "commit db-01 --yes",
    "commit db-01",
    "commit web-01 --yes",
    "cancel db-01",
    "cancel db-01 --no-wait",
    "cancel web-01",
    "point verify web-01",
    "point verify web-01@3",
    "point verify web-01@7",
    "point verify web-01@#8",
    "point verify web-01 --no-wait",
    "point verify nobody",
    "point pin web-01@812 --until 2026-12-24T00:00:00Z --note auditors",
    "point pin nobody@812",
    "point unpin web-01@812",
    "policy set web-01 --window 2h --dry-run",
    "policy set web-01 --window 2h",
    "policy set web-01 --window 2h --yes",
    "policy set --default --rpo 5m",
    "policy set web-01 --commit commit --commit-after 4h",
    "policy set web-01",
    "job show 4",
    "job show 5",
    "job show 99",
    "job cancel 4",
    "job cancel 5",
    "job start scrub web-01 --no-wait",
    "job start resync nobody",
    "job watch 4",
    "job watch 5",
    "job watch 99",
];

fn in_json(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| format!("{line} --output json")).collect()
}

#[test]
fn what_is_shown_reads_as_it_did() {
    transcripts("showing.txt", Fake::default, SHOWING);
}

#[test]
fn what_is_changed_reads_as_it_did() {
    transcripts("changing.txt", Fake::default, CHANGING);
}

#[test]
fn a_reprotect_reads_as_it_did() {
    let lines = [
        "reprotect db-01 --plan",
        "reprotect db-01 --yes",
        "reprotect db-01",
        "reprotect web-01 --yes",
        "reprotect new-01 --disk /dev/sdd --plan",
        "reprotect new-01 --disk /dev/sdd --yes",
        "reprotect new-01 --allow-file --yes",
        "reprotect db-01 --plan --output json",
        "reprotect new-01 --disk /dev/sdd --yes --output json",
    ];
    transcripts("reprotect.txt", Fake::default, &lines);
}

#[test]
fn the_json_of_what_is_shown_keeps_its_shape() {
    let lines = in_json(SHOWING);
    transcripts("showing-json.txt", Fake::default, &lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_json_of_what_is_changed_keeps_its_shape() {
    let lines = in_json(CHANGING);
    transcripts("changing-json.txt", Fake::default, &lines.iter().map(String::as_str).collect::<Vec<_>>());
}

const VIEWING: &[&str] = &[
    "point view web-01 --no-wait",
    "point view web-01@812 --scratch 1GiB --listen 0.0.0.0:10809 --inconsistent --no-wait",
    "point view nobody --no-wait",
    "point view web-01 --scratch much",
    "point views",
    "point close 3",
    "point close 4",
    "point close 9",
];

#[test]
fn views_read_as_they_did() {
    transcripts("views.txt", Fake::default, VIEWING);
    let lines = in_json(VIEWING);
    transcripts("views-json.txt", Fake::default, &lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_catalog_reads_as_it_did() {
    let lines = [
        "catalog show",
        "catalog show --output json",
        "catalog rebuild --from copy",
        "catalog rebuild --from copy --yes",
        "catalog rebuild --from disks --yes --output json",
        "catalog rebuild --from memory",
    ];
    transcripts("catalog.txt", Fake::default, &lines);
    transcripts("catalog-well.txt", Fake::well, &lines[..1]);
}

#[test]
fn alarms_and_the_audit_log_read_as_they_did() {
    let known = "audit check --known 7:0000000000000000000000000000000000000000000000000000000000000000";
    let lines = [
        "pending list",
        "pending list --output json",
        "pending cancel 7",
        "pending cancel 9",
        "approve 7",
        "approve 7 --yes",
        "approve 9 --yes",
        "alarm list",
        "alarm list --output json",
        "alarm ack",
        "alarm ack --subject web-01",
        "alarm ack --kind nonsense",
        "alarm ack --all --output json",
        "audit list",
        "audit list --limit 1 --output json",
        "audit check",
        known,
        "audit check --known 7",
    ];
    transcripts("alarms.txt", Fake::default, &lines);
    transcripts("alarms-none.txt", Fake::well, &["alarm list", "audit list", "pending list"]);
}

#[test]
fn an_empty_appliance_says_what_to_do() {
    let lines = ["status", "machine list", "disk list", "job list", "retention show", "point views"];
    transcripts("empty.txt", Fake::empty, &lines);
}

#[test]
fn a_healthy_appliance_passes_the_check() {
    transcripts("healthy.txt", Fake::well, &["status --check"]);
}

#[test]
fn explanations_and_help_read_as_they_did() {
    let commands = [
        "",
        "status",
        "machine",
        "machine list",
        "machine show",
        "machine add",
        "machine remove",
        "disk",
        "disk list",
        "disk eligible",
        "disk watch",
        "point",
        "point list",
        "point view",
        "point views",
        "point close",
        "point pin",
        "point unpin",
        "point verify",
        "failback",
        "commit",
        "cancel",
        "job",
        "job list",
        "job show",
        "job start",
        "job cancel",
        "job watch",
        "plan",
        "plan list",
        "plan show",
        "plan create",
        "plan delete",
        "plan run",
        "plan continue",
        "plan stop",
        "preflight",
        "wait",
        "dashboard",
        "retention",
        "retention show",
        "retention expire",
        "retention size",
        "policy",
        "policy show",
        "policy set",
        "retention init",
        "retention adopt",
        "server",
        "server token",
        "server list",
        "server revoke",
        "alarm",
        "alarm list",
        "alarm ack",
        "alarm watch",
        "pending",
        "pending list",
        "pending cancel",
        "approve",
        "audit",
        "audit list",
        "audit check",
        "backup",
        "restore",
        "catalog",
        "catalog show",
        "catalog rebuild",
        "login",
        "group",
        "group list",
        "group show",
        "group create",
        "group add",
        "group remove",
        "group delete",
        "group point",
        "console",
        "network",
        "network show",
        "network try",
        "network keep",
        "network set",
        "roles",
        "explain",
        "completions",
        "man",
        "version",
    ];
    let helps = commands.map(|command| format!("{command} --help"));
    let all: Vec<_> = helps.iter().map(String::as_str).collect();
    transcripts("help.txt", Fake::empty, &all);
    let appliance = Appliance::start(Fake::empty());
    for help in &all[1..] {
        assert!(transcript(&appliance, help).contains("Example"), "no example: {help}");
    }
    let explained = [
        "explain",
        "explain LF-1204",
        "explain 1204 --output json",
        "explain LF-9999",
        "explain 78052",
        "explain 95226 --output json",
        "version",
        "version --output json",
    ];
    transcripts("explain.txt", Fake::empty, &explained);
}

#[test]
fn who_belongs_to_the_installation_is_shown_and_changed() {
    let lines = [
        "server list",
        "server list --output json",
        "server token --role source --name web-02",
        "server token --role operator --name ann --output json",
        "server token --role king --name ann",
        "server revoke web-01 --reason disk_stolen",
        "server revoke web-01 --reason disk_stolen --yes",
        "server revoke nobody --yes",
        "login --at home.example",
        "login --at home.example --token-file /nonexistent",
        "roles",
        "roles --output json",
    ];
    transcripts("server.txt", Fake::default, &lines);
}

const GROUPING: &[&str] = &[
    "group list",
    "group show shop",
    "group show office",
    "group show nobody",
    "group create mail mail-01 old-01 --every 15m --hold 5s",
    "group create mail mail-01",
    "group create mail mail-01 web-01",
    "group add shop mail-01",
    "group remove shop db-01",
    "group delete shop",
    "group delete shop --yes",
    "group point shop",
    "group point office",
    "point list --group shop",
    "point list --group office",
    "failback --group shop --to latest --plan",
    "failback --group shop --to 5 --yes --no-wait",
    "failback --group shop --to latest --yes",
    "failback --group shop --to 9 --yes",
];

const PLANNING: &[&str] = &[
    "plan list",
    "plan show shop",
    "plan show nobody",
    "plan create office --step machines:db-01,web-01 --step pause:look_at_it --step hook:dns/90s --step group:shop",
    "plan create shop --step group:shop",
    "plan delete shop",
    "plan delete shop --yes",
    "plan run shop --yes --no-wait",
    "plan run shop --yes",
    "plan run shop",
    "plan continue shop --no-wait",
    "plan stop shop",
];

#[test]
fn plans_read_as_they_did() {
    transcripts("plans.txt", Fake::default, PLANNING);
    let lines = in_json(PLANNING);
    transcripts("plans-json.txt", Fake::default, &lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn groups_read_as_they_did() {
    transcripts("groups.txt", Fake::default, GROUPING);
    let lines = in_json(GROUPING);
    transcripts("groups-json.txt", Fake::default, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    transcripts("groups-none.txt", Fake::empty, &["group list"]);
}

const NETWORK: &[&str] = &[
    "network show",
    "network show --yaml",
    "network try --nic eth0 --dhcp",
    "network try --nic eth0 --address 192.0.2.20/24 --gateway 192.0.2.1 --dns 192.0.2.54",
    "network try --nic eth0 --address 192.0.2.20/24 --gateway 192.0.3.1",
    "network try --nic eth7 --dhcp",
    "network try --nic eth0 --address 192.0.2.20",
    "network try",
    "network try /nonexistent",
    "network keep",
    "network set --nic eth0 --dhcp",
    "network set --nic eth0 --dhcp --yes",
];

#[test]
fn the_network_reads_as_it_did() {
    transcripts("network.txt", Fake::default, NETWORK);
    let lines = in_json(NETWORK);
    transcripts("network-json.txt", Fake::default, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    transcripts(
        "network-none.txt",
        Fake::empty,
        &["network show", "network show --yaml", "network keep", "network try --nic eth1 --dhcp"],
    );
}

#[test]
fn every_line_of_json_is_one_object() {
    let appliance = Appliance::start(Fake::slow(4));
    // A manifest is a file of its own, of several lines.
    let lines = SHOWING.iter().chain(CHANGING).filter(|line| **line != "manifest show web-01");
    for line in in_json(&lines.copied().collect::<Vec<_>>()) {
        let output = run(&appliance.socket, &line);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!text.is_empty(), "{line}");
        for written in text.lines() {
            let value: serde_json::Value =
                serde_json::from_str(written).unwrap_or_else(|_| panic!("{line}: {written}"));
            assert!(value.is_object(), "{line}: {written}");
        }
    }
}

#[test]
fn a_job_that_takes_time_tells_programs_its_progress() {
    let appliance = Appliance::start(Fake::slow(5));
    let output = run(&appliance.socket, "failback web-01 --to latest --output json");
    let lines: Vec<serde_json::Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["started", "progress", "progress", "progress", "progress", "progress", "summary"]);
    assert_eq!(lines[5]["done_bytes"], 4 << 20);
    assert_eq!(lines[6]["job"]["outcome"]["written_bytes"], 12 << 20);
}

#[test]
fn wrong_command_lines_are_refused_without_asking_anyone() {
    let appliance = Appliance::start(Fake::default());
    for line in [
        "",
        "frobnicate",
        "failback web-01",
        "failback web-01 --to yesterday",
        "failback web-01 --to 0",
        "failback ../x --to latest",
        "failback web-01 --to latest --plan --yes",
        "machine add web-01",
        "machine show",
        "point verify @5",
        "job watch four",
        "wait web-01 --until yesterday",
        "dashboard --port 70000",
        "job watch -1",
        "point list web-01 --limit 0",
        "point pin web-01@5 --for 1d --until 2026-12-24T00:00:00Z",
        "policy set --window 2h",
        "policy set web-01 --inherit --window 2h",
        "policy set web-01 --when-full never",
        "retention size --churn 12MiB",
        "retention size --churn 12MiB/s --overwrite 2",
        "retention expire",
        "status --output yaml",
        "server token --role king --name a",
        "failback --to latest",
        "failback web-01 --group shop --to latest",
        "point list",
        "point list web-01 --group shop",
        "group create shop",
        "plan create shop",
        "plan create shop --step dance:all",
        "plan create shop --step hook:x/never",
        "group create shop web-01 --every never",
    ] {
        assert_eq!(exit_of(&appliance, line), 2, "{line}");
    }
    assert!(appliance.service.asked.lock().unwrap().is_empty());
}

#[test]
fn the_point_that_is_asked_for_is_the_one_that_was_typed() {
    let appliance = Appliance::start(Fake::default());
    let to = |typed: &str| {
        run(&appliance.socket, &format!("failback web-01 --plan --to {typed}"));
        match appliance.service.asked.lock().unwrap().pop() {
            Some(Request::Failback(failback)) => failback.to,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(to("latest"), FailbackTo::Latest);
    assert_eq!(to("#640"), FailbackTo::Sequence(units::Sequence(640)));
    let FailbackTo::Time(time) = to("2026-11-20T15:33:07.5+01:30") else { panic!("a time") };
    assert_eq!(time.to_string(), "2026-11-20T14:03:07.500000Z");
    let now = units::Timestamp::from_system(std::time::SystemTime::now());
    let FailbackTo::Time(time) = to("10m_ago") else { panic!("a time") };
    assert!(now.since(time.0).as_secs().abs_diff(600) <= 5, "{time}");
}

#[test]
fn relative_paths_are_made_absolute_and_files_are_allowed_only_when_asked() {
    let appliance = Appliance::start(Fake::default());
    run(&appliance.socket, "machine add new-01 --disk disk.img --allow-file");
    run(&appliance.socket, "machine add new-01 --disk /dev/../dev/sdd");
    let asked = appliance.service.asked.lock().unwrap();
    let [Request::MachineAdd(file), Request::MachineAdd(device)] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert!(file.disks[0].path.starts_with('/') && file.disks[0].path.ends_with("/disk.img"));
    assert_eq!((file.disks[0].allow_file, device.disks[0].allow_file), (true, false));
}

#[test]
fn nobody_there_and_not_allowed_have_their_own_exits() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(run(&directory.path().join("none.sock"), "status").status.code(), Some(4));
    let appliance = Appliance::start(Fake::default());
    assert_eq!(as_nobody(&appliance, 0o600), Some(5), "the file keeps others out");
    assert_eq!(as_nobody(&appliance, 0o666), Some(5), "the server asks who it is");
    assert_eq!(exit_of(&appliance, "status"), 0);
}

/// Runs `status` as a user who is not root, the socket having `mode`.
fn as_nobody(appliance: &Appliance, mode: u32) -> Option<i32> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let permit =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    assert_eq!(std::fs::metadata(&appliance.socket).unwrap().uid(), 0, "this test needs root");
    permit(appliance.directory.path(), 0o755);
    permit(&appliance.socket, mode);
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        env!("CARGO_BIN_EXE_landfall"),
        "status",
        "--socket",
    ]);
    let output = command.arg(&appliance.socket).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("LF-1002"), "{output:?}");
    output.status.code()
}

#[test]
fn a_server_that_says_nonsense_or_leaves_is_an_error_with_a_code() {
    use std::io::{Read, Write};
    let directory = tempfile::tempdir().unwrap();
    for (index, (answer, code, exit)) in [
        (&b"<html>\n"[..], "LF-1009", 1),
        (&b"{\"type\":\"result\",\"result\":{}}\n"[..], "LF-1009", 1),
        (&b"{\"type\":\"res"[..], "LF-1008", 4),
        (&b""[..], "LF-1008", 4),
        (&b"{\"type\":\"error\",\"code\":\"LF-7777\",\"what\":\"w\",\"cause\":\"c\",\"fix\":\"f\",\"exit\":3,\"more\":1}\n"[..], "LF-7777", 3),
    ]
    .into_iter()
    .enumerate()
    {
        let socket = directory.path().join(format!("{index}.sock"));
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer).unwrap();
        });
        let output = run(&socket, "status");
        thread.join().unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains(code), "{output:?}");
        assert_eq!(output.status.code(), Some(exit), "{output:?}");
    }
}

#[test]
fn output_nobody_reads_is_no_panic() {
    let appliance = Appliance::start(Fake::default());
    let shell = |redirect: &str| {
        let line = format!(
            "{} status --socket {} {redirect}",
            env!("CARGO_BIN_EXE_landfall"),
            appliance.socket.display()
        );
        Command::new("bash").args(["-c", &line]).output().unwrap()
    };
    let full = shell("> /dev/full");
    assert_eq!(full.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&full.stderr).contains("LF-1014"), "{full:?}");
    let closed = shell("> >(exec true); sleep 0.1");
    assert!(!String::from_utf8_lossy(&closed.stderr).contains("panicked"), "{closed:?}");
}

#[test]
fn completions_are_written_for_every_shell() {
    let none = Path::new("/nonexistent");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(none, &format!("completions {shell}"));
        assert!(output.status.success() && output.stdout.len() > 1000, "{shell}");
    }
}
