//! Looks for the reason why a server is silent: takes the steps of connecting to it, one after the other.
//!
//! Servers connect to us, so that the probe goes the other way: to the address a server came from last, and its replication door there, if
//! it has one. A host that refuses the connection is there; its program is not.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use inventory::Finding;
use link::{Connector, Credentials, HandshakeCause, Limits, LinkError, PORT};
use wire::heartbeat::Cause;

use crate::heartbeat::servers::ServerView;

/// For each step.
const STEP_WAIT: Duration = Duration::from_secs(5);
/// Clocks further apart than this make certificates fail that are good.
const CLOCK_SLACK_MICROS: u64 = 300_000_000;

/// Looks for the reason why a server is silent. Blocks for some seconds.
pub(crate) fn probe(server: &ServerView, credentials: &Credentials) -> Finding {
    let Some(address) = server.address.map(|address| address.ip().to_canonical()) else {
        return finding(Cause::Process, "it has never connected here".to_owned());
    };
    let door = server.report.as_ref().and_then(|(_, report)| report.head.door);
    match door {
        Some(port) => probe_door(server, SocketAddr::new(address, port), credentials),
        None => probe_host(address),
    }
}

/// The server has no door: any answer at all shows that its host is there.
fn probe_host(address: IpAddr) -> Finding {
    match TcpStream::connect_timeout(&SocketAddr::new(address, PORT), STEP_WAIT) {
        Ok(_) => host_answers(address, "takes connections"),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => host_answers(address, "answers"),
        Err(error) => no_way(&address.to_string(), &error),
    }
}

fn host_answers(address: IpAddr, how: &str) -> Finding {
    finding(Cause::Process, format!("its host {address} {how}; its program does not report"))
}

fn no_way(address: &str, error: &std::io::Error) -> Finding {
    finding(Cause::Route, format!("{address} does not answer: {error}"))
}

fn probe_door(server: &ServerView, door: SocketAddr, credentials: &Credentials) -> Finding {
    let limits = Limits { handshake: STEP_WAIT, ..Limits::default() };
    let connected =
        Connector::new(credentials).and_then(|connector| connector.connect(&door.to_string(), &limits));
    match connected {
        Ok(link) => {
            link.close(Duration::ZERO);
            let detail = format!(
                "its door {door} answers; what it sends to our 443 does not come: look at its way to us"
            );
            finding(Cause::Route, detail)
        }
        Err(LinkError::Connect { source, .. }) if source.kind() == ErrorKind::ConnectionRefused => finding(
            Cause::Process,
            format!("its host answers and nothing listens on {door}: its program does not run"),
        ),
        Err(LinkError::Connect { source, .. }) => no_way(&door.to_string(), &source),
        Err(LinkError::HandshakeTimeout { .. }) => {
            finding(Cause::Process, format!("{door} takes the connection and its program does not answer"))
        }
        Err(LinkError::Handshake { cause }) => {
            finding(of_handshake(&cause, clock_is_apart(server)), format!("at {door}: {cause}"))
        }
        Err(error) => finding(Cause::Tls, format!("at {door}: {error}")),
    }
}

fn of_handshake(cause: &HandshakeCause, clock_is_apart: bool) -> Cause {
    match cause {
        HandshakeCause::NotYetValid => Cause::Clock,
        HandshakeCause::Expired | HandshakeCause::RefusedByPeer { .. } if clock_is_apart => Cause::Clock,
        HandshakeCause::WrongProtocol
        | HandshakeCause::OldTls
        | HandshakeCause::NotTls { .. }
        | HandshakeCause::Closed => Cause::Tls,
        _ => Cause::Certificate,
    }
}

/// Whether the server's clock was far from ours when it was last heard.
fn clock_is_apart(server: &ServerView) -> bool {
    let reading = server.report.as_ref().and_then(|(_, report)| report.head.clock);
    reading.is_some_and(|reading| reading.ahead_micros.unsigned_abs() > CLOCK_SLACK_MICROS)
}

fn finding(cause: Cause, detail: String) -> Finding {
    Finding { cause, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::sync::Arc;

    use inventory::Liveness;
    use pki::{IssueRequest, Validity};
    use units::Timestamp;
    use wire::heartbeat::Report;

    use crate::heartbeat::ServerReport;

    fn credentials() -> (tempfile::TempDir, Credentials) {
        let directory = tempfile::TempDir::new().unwrap();
        let (ca, out) = (directory.path().join("ca"), directory.path().join("own"));
        pki::init(&ca).unwrap();
        let (role, name) = (link::Role::ConfigurationServer, "home".parse().unwrap());
        let validity = Validity::days_from_now(1);
        pki::issue(&IssueRequest { ca_directory: &ca, role, name, validity, out_directory: &out }).unwrap();
        let credentials = Credentials::read(&out).unwrap();
        (directory, credentials)
    }

    /// A silent server that was connected from here and said that it has a door.
    fn server(door: Option<u16>) -> ServerView {
        let head = Report {
            number: 1,
            time: Timestamp(0),
            clock: None,
            uptime_seconds: 0,
            door,
            outage: None,
            machines: 0,
            jobs: 0,
            alarms: 0,
        };
        let report = ServerReport { head, machines: Vec::new(), jobs: Vec::new(), alarms: Vec::new() };
        ServerView {
            identity: "landfall:master-target:home".parse().unwrap(),
            address: Some("127.0.0.1:4711".parse().unwrap()),
            speaks: None,
            connected: false,
            report: Some((Timestamp(0), Arc::new(report))),
            silence: Duration::from_secs(15),
            liveness: Liveness::Suspect,
        }
    }

    #[test]
    fn a_host_that_refuses_is_there_and_its_program_is_not() {
        let (_directory, credentials) = credentials();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(probe(&server(Some(port)), &credentials).cause, Cause::Process);
        assert_eq!(probe(&server(None), &credentials).cause, Cause::Process);
    }

    #[test]
    fn a_door_that_speaks_something_else_is_told_from_one_that_is_silent() {
        let (_directory, credentials) = credentials();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = Some(listener.local_addr().unwrap().port());
        let talking = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.write_all(b"SSH-2.0-OpenSSH\r\n").unwrap();
            listener
        });
        assert_eq!(probe(&server(door), &credentials).cause, Cause::Tls);
        let _silent = talking.join().unwrap();
        assert_eq!(probe(&server(door), &credentials).cause, Cause::Process);
    }

    #[test]
    fn a_door_of_another_authority_is_a_matter_of_certificates() {
        let ((_directory, ours), (other, _)) = (credentials(), credentials());
        let (ca, out) = (other.path().join("ca"), other.path().join("target"));
        let (role, name) = (link::Role::MasterTarget, "home".parse().unwrap());
        let validity = Validity::days_from_now(1);
        pki::issue(&IssueRequest { ca_directory: &ca, role, name, validity, out_directory: &out }).unwrap();
        let acceptor = link::Acceptor::new(&Credentials::read(&out).unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = Some(listener.local_addr().unwrap().port());
        let accepting = std::thread::spawn(move || {
            let socket = listener.accept().unwrap().0;
            acceptor.accept(socket, &Limits::default()).map(drop)
        });
        assert_eq!(probe(&server(door), &ours).cause, Cause::Certificate);
        assert!(accepting.join().unwrap().is_err());
    }
}
