//! An authority with certificates for both ends, and sockets between them.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use link::{Acceptor, Connector, Credentials, Limits, Link, LinkError, Role};
use pki::{IssueRequest, Validity};
use tempfile::TempDir;

/// One authority and what it has issued.
pub(crate) struct Authority {
    directory: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        pki::init(directory.path()).expect("the authority is made");
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Issues a certificate that is good now.
    pub(crate) fn issue(&self, role: Role, name: &str) -> PathBuf {
        self.issue_for(role, name, Validity::days_from_now(1))
    }

    pub(crate) fn issue_for(&self, role: Role, name: &str, validity: Validity) -> PathBuf {
        let out = self.path().join(format!("{role}-{name}"));
        let name = name.parse().expect("a lawful name");
        let request = IssueRequest { ca_directory: self.path(), role, name, validity, out_directory: &out };
        pki::issue(&request).expect("issued").directory
    }

    pub(crate) fn target(&self) -> Acceptor {
        acceptor(&self.issue(Role::MasterTarget, "home"))
    }

    pub(crate) fn source(&self) -> Connector {
        connector(&self.issue(Role::Source, "web-01"))
    }
}

pub(crate) fn acceptor(directory: &Path) -> Acceptor {
    Acceptor::new(&Credentials::read(directory).expect("credentials")).expect("an acceptor")
}

pub(crate) fn connector(directory: &Path) -> Connector {
    Connector::new(&Credentials::read(directory).expect("credentials")).expect("a connector")
}

/// Limits short enough for a test.
pub(crate) fn brisk() -> Limits {
    let (handshake, silence) = (Duration::from_millis(1500), Duration::from_millis(400));
    Limits { handshake, silence, write_stall: Duration::from_millis(400) }
}

/// Accepts one socket in a thread.
pub(crate) fn accept_one(
    acceptor: Acceptor,
    limits: Limits,
) -> (SocketAddr, JoinHandle<Result<Link, LinkError>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let accepted =
        std::thread::spawn(move || acceptor.accept(listener.accept().expect("a socket").0, &limits));
    (address, accepted)
}

/// Both ends of a good link: the target's, the source's.
pub(crate) fn pair(limits: Limits) -> (Link, Link) {
    let authority = Authority::new();
    let (address, accepted) = accept_one(authority.target(), limits);
    let source = authority.source().connect(&address.to_string(), &limits).expect("the target is good");
    (accepted.join().expect("no panic").expect("the source is good"), source)
}
