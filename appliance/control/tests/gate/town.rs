//! An authority, a gate with two protocols that say who they think is there, and clients.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use landfall_control::{Gate, GateError, GateLimits, Peer, Protocol, Reception, Serving, Stop, Stream};
use link::{Credentials, Denied, Role, Standing};
use pki::{IssueRequest, Validity};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use units::{CertificateId, MachineName};
use wire::Identity;

pub(crate) const OPEN: &[u8] = b"landfall-open/1";
pub(crate) const NAMED: &[u8] = b"landfall-named/1";

/// A gate that serves.
pub(crate) struct Town {
    directory: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) revoked: Arc<Revoked>,
    stop: Stop,
    serving: Option<JoinHandle<Result<(), GateError>>>,
}

/// Those who may not come.
#[derive(Default)]
pub(crate) struct Revoked(Mutex<HashSet<MachineName>>);

impl Revoked {
    pub(crate) fn add(&self, name: &str) {
        self.0.lock().expect("no panic").insert(name.parse().expect("a name"));
    }
}

impl Standing for Revoked {
    fn check(&self, holder: &Identity, _: CertificateId) -> Result<(), Denied> {
        if holder.name.as_str() == "stranger" {
            return Err(Denied::Unknown);
        }
        let revoked = self.0.lock().expect("no panic").contains(&holder.name);
        if revoked { Err(Denied::Revoked) } else { Ok(()) }
    }
}

/// Says who is there, then sends back what it gets.
struct Echo;

impl Protocol for Echo {
    fn serve(&self, peer: Peer, stream: Stream) -> Serving {
        Box::pin(greet(format!("{} {}\n", peer.identity, peer.certificate), stream))
    }
}

impl Reception for Echo {
    fn serve(&self, _: SocketAddr, stream: Stream) -> Serving {
        Box::pin(greet("a guest\n".to_owned(), stream))
    }
}

async fn greet(words: String, mut stream: Stream) {
    let mut buffer = [0; 256];
    let _ = stream.write_all(words.as_bytes()).await;
    while let Ok(len @ 1..) = stream.read(&mut buffer).await {
        let _ = stream.write_all(&buffer[..len]).await;
    }
}

impl Town {
    pub(crate) fn new(limits: GateLimits) -> Self {
        let directory = TempDir::new().expect("a directory");
        pki::init(&directory.path().join("ca")).expect("an authority");
        let own = issue(&directory, "ca", Role::ConfigurationServer, "home", Validity::days_from_now(1));
        let revoked = Arc::new(Revoked::default());
        let standing = Arc::clone(&revoked) as Arc<dyn Standing>;
        let credentials = Credentials::read(&own).expect("credentials").with_standing(standing);
        let gate = Gate::bind("127.0.0.1:0", credentials, limits).expect("a port");
        let gate = gate.with_reception(OPEN, Arc::new(Echo)).expect("a reception");
        let gate = gate.with(NAMED, &[Role::Source, Role::Operator], Arc::new(Echo)).expect("a protocol");
        let (address, stop) = (gate.address(), gate.stop_handle());
        let serving = Some(std::thread::spawn(move || gate.run()));
        Self { directory, address, revoked, stop, serving }
    }

    /// Issues a certificate that is good for a day.
    pub(crate) fn issue(&self, role: Role, name: &str) -> PathBuf {
        self.issue_for(role, name, Validity::days_from_now(1))
    }

    pub(crate) fn issue_for(&self, role: Role, name: &str, validity: Validity) -> PathBuf {
        issue(&self.directory, "ca", role, name, validity)
    }

    /// Issues a certificate of another authority, which has ours in its `ca.pem`.
    pub(crate) fn forge(&self, role: Role, name: &str) -> PathBuf {
        pki::init(&self.directory.path().join("other")).expect("another authority");
        let forged = issue(&self.directory, "other", role, name, Validity::days_from_now(1));
        std::fs::copy(self.directory.path().join("ca/ca.pem"), forged.join("ca.pem")).expect("copied");
        forged
    }

    /// Connects with a certificate and returns the connection and the greeting.
    pub(crate) fn enter(&self, identity: &Path) -> io::Result<(Client, String)> {
        let credentials = Credentials::read(identity).expect("credentials");
        let mut config = credentials.client_config(&[Role::ConfigurationServer]).expect("a configuration");
        config.alpn_protocols = vec![NAMED.to_vec()];
        let name = ServerName::try_from("landfall").expect("a name");
        let session = ClientConnection::new(Arc::new(config), name).expect("a session");
        let socket = TcpStream::connect(self.address)?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut client = StreamOwned::new(session, socket);
        let mut greeting = [0; 256];
        let len = client.read(&mut greeting)?;
        Ok((client, String::from_utf8_lossy(&greeting[..len]).into_owned()))
    }

    /// Runs `openssl s_client` with these arguments, and `hello` to say; returns what it printed.
    pub(crate) fn openssl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &self.address.to_string(), "-CAfile"]);
        command.arg(self.directory.path().join("ca/ca.pem")).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("openssl is installed");
        let mut input = child.stdin.take().expect("it was piped");
        let _ = input.write_all(b"hello\n");
        std::thread::sleep(Duration::from_millis(500));
        drop(input);
        let Output { stdout, stderr, .. } = child.wait_with_output().expect("openssl ends");
        String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()
    }
}

pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;

impl Drop for Town {
    fn drop(&mut self) {
        self.stop.stop();
        let served = self.serving.take().expect("it serves").join().expect("no panic");
        assert!(served.is_ok(), "{served:?}");
    }
}

fn issue(directory: &TempDir, ca: &str, role: Role, name: &str, validity: Validity) -> PathBuf {
    let out = directory.path().join(format!("{ca}-{role}-{name}"));
    let name = name.parse().expect("a lawful name");
    let ca_directory = &directory.path().join(ca);
    let request = IssueRequest { ca_directory, role, name, validity, out_directory: &out };
    pki::issue(&request).expect("issued").directory
}

/// Limits short enough for a test.
pub(crate) fn brisk() -> GateLimits {
    let (handshake, standing_pause) = (Duration::from_millis(1000), Duration::from_millis(50));
    GateLimits { handshake, standing_pause, ..GateLimits::default() }
}

/// Waits until the other end closes; returns what it said before.
pub(crate) fn read_to_end(client: &mut impl Read) -> Vec<u8> {
    let mut said = Vec::new();
    // A connection that is cut ends as well.
    let _ = client.read_to_end(&mut said);
    said
}
