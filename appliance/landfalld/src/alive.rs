//! Tells the service manager that landfalld serves, and goes on telling it as long as operators are answered (sd_notify(3)).
//!
//! What is told is what was tried: a question over the control socket, answered by the desk that answers operators. One that
//! hangs is told nothing of, and the service manager starts landfalld anew.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::time::Duration;

use control::Client;
use control::api::StatusShow;

/// How often it is tried where nobody says how often it must be told.
const EVERY: Duration = Duration::from_secs(10);
/// How soon it is tried again before the first answer.
const SOON: Duration = Duration::from_millis(50);

/// Who wants to be told.
#[derive(Debug)]
pub(crate) struct Alive {
    to: SocketAddr,
    every: Duration,
    socket: PathBuf,
}

impl Alive {
    /// Returns whom the environment names, if anybody.
    pub(crate) fn from_environment(socket: PathBuf) -> Option<Self> {
        let name = std::env::var("NOTIFY_SOCKET").ok()?;
        let to = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(&name),
        };
        // Half of what is allowed, so that one late answer is no death.
        let microseconds: Option<u64> =
            std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        let every = microseconds.map_or(EVERY, |allowed| Duration::from_micros(allowed / 2));
        Some(Self { to: to.ok()?, every, socket })
    }

    /// Begins telling; it ends with the process.
    pub(crate) fn begin(self) {
        std::thread::spawn(move || {
            let mut told = "READY=1\nWATCHDOG=1";
            loop {
                let pause = if self.answers() && self.tell(told) {
                    told = "WATCHDOG=1";
                    self.every
                } else {
                    SOON
                };
                std::thread::sleep(pause);
            }
        });
    }

    fn answers(&self) -> bool {
        Client::connect(&self.socket).and_then(|mut client| client.ask(StatusShow {})).is_ok()
    }

    fn tell(&self, what: &str) -> bool {
        UnixDatagram::unbound().and_then(|from| from.send_to_addr(what.as_bytes(), &self.to)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_arrives() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("a socket");
        let to = SocketAddr::from_pathname(&path).expect("a short path");
        let alive = Alive { to, every: EVERY, socket: directory.path().join("none") };
        assert!(!alive.answers(), "nobody serves there");
        assert!(alive.tell("READY=1"));
        let mut buffer = [0; 64];
        let len = manager.recv(&mut buffer).expect("it was sent");
        assert_eq!(&buffer[..len], b"READY=1");
    }
}
