//! The server behind its real socket: what clients get, good and bad ones.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod fake;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fake::{Fake, LOOKS, outcome};
use landfall_control::api::{
    JobId, JobWatch, MachineAdd, MachineList, MachineRemove, MachineShow, Progress, StatusShow,
};
use landfall_control::{Client, Config, Desk, REQUEST_LEN_MAX, Server, ServerError, Stop};
use tempfile::TempDir;

/// A running server; ends when dropped.
struct Running {
    socket: PathBuf,
    service: Arc<Fake>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
    _directory: TempDir,
}

impl Running {
    fn start() -> Self {
        Self::start_with(|_| {})
    }

    fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::at(directory.path().join("run/control.sock"));
        change(&mut config);
        let (socket, service) = (config.socket.clone(), Arc::new(Fake::default()));
        let server = Server::bind(config).unwrap();
        let (stop, served) = (server.stop_handle(), service.clone());
        let thread = Some(std::thread::spawn(move || server.run(Arc::new(Desk::new(served))).unwrap()));
        Self { socket, service, stop, thread, _directory: directory }
    }

    fn client(&self) -> Client {
        Client::connect(&self.socket).unwrap()
    }

    /// Sends raw bytes and returns everything the server says until it closes.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        String::from_utf8(said).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        self.thread.take().unwrap().join().unwrap();
        assert!(!self.socket.exists(), "the socket goes with the server");
    }
}

fn web() -> units::MachineName {
    "web-01".parse().unwrap()
}

#[test]
fn several_requests_are_answered_on_one_connection() {
    let running = Running::start();
    let mut client = running.client();
    assert!(client.ask(MachineList {}).unwrap().machines.is_empty());
    let error = client.ask(MachineShow { name: web() }).unwrap_err();
    assert_eq!((error.code.as_str(), error.exit), ("LF-1101", 3));
    assert!(client.ask(MachineList {}).is_ok());
}

#[test]
fn a_watched_job_tells_progress_and_then_its_end() {
    let running = Running::start();
    let mut seen: Vec<Progress> = Vec::new();
    let job = running
        .client()
        .ask_watching(JobWatch { id: JobId(3) }, &mut |progress| seen.push(progress.clone()))
        .unwrap();
    assert_eq!(job.outcome, Some(outcome()));
    assert_eq!(seen.len() as u64, LOOKS);
    assert!(seen.windows(2).all(|pair| pair[0].done_bytes < pair[1].done_bytes));
    assert!(seen.last().unwrap().rate > 0 && seen.last().unwrap().eta_seconds.is_some());
}

#[test]
fn a_removal_that_is_not_confirmed_never_reaches_the_service() {
    let running = Running::start();
    let ask =
        |confirm: &str| running.client().ask(MachineRemove { name: web(), confirm: confirm.to_owned() });
    assert_eq!(ask("web-02").unwrap_err().code, "LF-1012");
    assert_eq!(running.service.removed.load(Ordering::SeqCst), 0);
    assert!(ask("web-01").is_ok());
    assert_eq!(running.service.removed.load(Ordering::SeqCst), 1);
}

#[test]
fn a_panic_in_the_service_is_one_clients_error() {
    let running = Running::start();
    let mut client = running.client();
    assert_eq!(client.ask(MachineAdd { name: web(), disks: Vec::new() }).unwrap_err().code, "LF-1007");
    assert!(client.ask(MachineList {}).is_ok(), "the same connection goes on");
}

#[test]
fn a_slow_answer_holds_nobody_else_up() {
    let running = Running::start();
    let mut slow = running.client();
    let thread = std::thread::spawn(move || slow.ask(StatusShow {}).unwrap_err().code);
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    assert!(running.client().ask(MachineList {}).is_ok());
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(thread.join().unwrap(), "LF-1211");
}

#[test]
fn garbage_is_refused_and_the_next_line_is_still_answered() {
    let running = Running::start();
    let said = running.raw(b"\xff\xfe\x00garbage\n\n{\"request\":\"machine_list\"}\n");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines[0].contains("LF-1003") && lines[1].contains("LF-1003"), "{said}");
    assert!(lines[2].starts_with(r#"{"type":"result""#), "{said}");
}

#[test]
fn a_request_cut_off_or_empty_is_not_answered() {
    let running = Running::start();
    assert_eq!(running.raw(b"{\"request\":\"machine_list\"}"), "");
    assert_eq!(running.raw(b""), "");
    assert!(running.client().ask(MachineList {}).is_ok());
}

#[test]
fn a_request_of_the_largest_length_is_read_and_one_byte_more_is_refused() {
    let running = Running::start();
    let mut line = br#"{"request":"machine_list"}"#.to_vec();
    line.resize(REQUEST_LEN_MAX - 1, b' ');
    line.push(b'\n');
    assert!(running.raw(&line).starts_with(r#"{"type":"result""#));
    line.insert(0, b' ');
    assert!(running.raw(&line).contains("LF-1004"));
    assert!(running.raw(&vec![b'x'; 4 << 20]).contains("LF-1004"));
}

#[test]
fn a_request_that_trickles_is_cut_off_in_time() {
    let running = Running::start_with(|config| config.request_wait = Duration::from_millis(300));
    let mut stream = UnixStream::connect(&running.socket).unwrap();
    let begun = Instant::now();
    let mut line = br#"{"request":"machine_list"}"#.iter().cycle();
    while begun.elapsed() < Duration::from_secs(5) {
        if stream.write_all(&[*line.next().unwrap()]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said);
    assert!(said.contains("LF-1005"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_silent_client_is_let_go() {
    let running = Running::start_with(|config| config.request_wait = Duration::from_millis(200));
    let mut stream = UnixStream::connect(&running.socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn one_client_too_many_is_told_and_a_place_is_free_again_afterwards() {
    let running = Running::start_with(|config| config.clients_max = 2);
    let mut held = [running.client(), running.client()];
    for client in &mut held {
        client.ask(MachineList {}).unwrap();
    }
    assert_eq!(running.client().ask(MachineList {}).unwrap_err().code, "LF-1006");
    drop(held);
    let begun = Instant::now();
    while running.client().ask(MachineList {}).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5), "no place became free");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_socket_is_private_and_a_second_server_is_refused() {
    let running = Running::start();
    assert_eq!(fs::metadata(&running.socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Server::bind(Config::at(&running.socket)), Err(ServerError::Taken { .. })));
    assert!(running.client().ask(MachineList {}).is_ok(), "the first one is unharmed");
}

#[test]
fn a_stale_socket_is_replaced_but_a_living_one_and_a_file_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let living = UnixListener::bind(&path).unwrap();
    assert!(matches!(Server::bind(Config::at(&path)), Err(ServerError::Taken { .. })));
    drop(living);
    drop(Server::bind(Config::at(&path)).expect("a socket nobody answers is replaced"));
    fs::write(&path, "precious").unwrap();
    assert!(matches!(Server::bind(Config::at(&path)), Err(ServerError::NotASocket { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn clients_hear_that_the_server_stops() {
    let running = Running::start();
    let mut client = running.client();
    let stop = running.stop.clone();
    let thread = std::thread::spawn(move || client.ask(StatusShow {}).unwrap_err().code);
    std::thread::sleep(Duration::from_millis(200));
    stop.stop();
    assert_eq!(thread.join().unwrap(), "LF-1010");
}

#[test]
fn nobody_there_is_told_from_not_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let error = Client::connect(&directory.path().join("none.sock")).unwrap_err();
    assert_eq!((error.code.as_str(), error.exit), ("LF-1001", 4));
    drop(UnixListener::bind(directory.path().join("dead.sock")).unwrap());
    assert_eq!(Client::connect(&directory.path().join("dead.sock")).unwrap_err().code, "LF-1001");
}
