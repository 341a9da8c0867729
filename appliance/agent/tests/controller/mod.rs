//! A controller that does what a test tells it: plain TLS on a socket, and commands signed with its key.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use link::{Credentials, Role};
use pki::{IssueRequest, Validity};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;
use units::Timestamp;
use wire::heartbeat::{
    Command, CommandId, Heard, Hello, Instruction, Message, Outcome, OutcomeTaken, SourceOrder, Statement,
    Welcome,
};
use wire::{Framed as _, HEADER_LEN, decode_body, decode_header, encode};

/// A controller, its authority, and a place for the state of agents.
pub(crate) struct Controller {
    pub(crate) directory: TempDir,
    listener: TcpListener,
    config: Arc<ServerConfig>,
    key: EcdsaKeyPair,
}

impl Controller {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        pki::init(&directory.path().join("ca")).expect("the authority is made");
        let own = issue(directory.path(), Role::ConfigurationServer, "home");
        let credentials = Credentials::read(&own).expect("credentials");
        let mut config = credentials.server_config(&[Role::Source]).expect("a configuration");
        config.alpn_protocols = vec![Message::ALPN.to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let key = PrivateKeyDer::from_pem_file(own.join("key.pem")).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.secret_der()).expect("P-256");
        Self { directory, listener, config: Arc::new(config), key }
    }

    pub(crate) fn address(&self) -> String {
        self.listener.local_addr().expect("it listens").to_string()
    }

    /// Returns the identity directory of a source.
    pub(crate) fn source(&self, name: &str) -> PathBuf {
        issue(self.directory.path(), Role::Source, name)
    }

    /// Waits for an agent, and reads its hello.
    pub(crate) fn accept(&self) -> (Connection, Hello) {
        let (socket, _) = self.listener.accept().expect("an agent");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket has a timeout");
        let session = ServerConnection::new(Arc::clone(&self.config)).expect("a session");
        let mut connection = Connection(StreamOwned::new(session, socket));
        let (Message::Hello(hello), _) = connection.receive() else { panic!("the first message is a hello") };
        (connection, hello)
    }

    /// Waits for an agent, and lets it in.
    pub(crate) fn welcome(&self) -> (Connection, Hello) {
        let (mut connection, hello) = self.accept();
        let software = "test 1".try_into().expect("short");
        connection.send(&Message::Welcome(Welcome { version: 1, period_ms: 100, time: now(), software }));
        (connection, hello)
    }

    /// Returns a lawful command for `web-01` that lives a minute.
    pub(crate) fn command(&self, sequence: u64, order: SourceOrder) -> Command {
        let statement = Statement {
            server: "web-01".parse().expect("a lawful name"),
            sequence,
            id: CommandId([u8::try_from(sequence).expect("few"); 16]),
            issued: now(),
            expires: Timestamp(now().0 + 60_000_000),
            by: "ada".try_into().expect("short"),
            instruction: Instruction::Source(order),
        };
        self.signed(statement)
    }

    pub(crate) fn signed(&self, statement: Statement) -> Command {
        let signature = self.key.sign(&SystemRandom::new(), &statement.signed_bytes()).expect("a signature");
        Command { statement, signature: signature.as_ref().iter().copied().collect() }
    }
}

fn issue(directory: &Path, role: Role, name: &str) -> PathBuf {
    let out = directory.join(format!("{role}-{name}"));
    let ca_directory = &directory.join("ca");
    let (name, validity) = (name.parse().expect("a lawful name"), Validity::days_from_now(1));
    let request = IssueRequest { ca_directory, role, name, validity, out_directory: &out };
    pki::issue(&request).expect("issued").directory
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

/// An agent's connection.
pub(crate) struct Connection(StreamOwned<ServerConnection, TcpStream>);

impl Connection {
    pub(crate) fn send(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        encode(message, 0, &mut bytes);
        self.0.write_all(&bytes).expect("the agent is there");
        self.0.flush().expect("the agent is there");
    }

    pub(crate) fn receive(&mut self) -> (Message, Vec<u8>) {
        let mut header = [0; HEADER_LEN];
        self.0.read_exact(&mut header).expect("the agent is there");
        let header = decode_header::<Message>(&header).expect("a frame");
        let (mut body, mut payload) = (vec![0; header.body_len], vec![0; header.payload_len]);
        self.0.read_exact(&mut body).expect("the agent is there");
        self.0.read_exact(&mut payload).expect("the agent is there");
        (decode_body(&header, &body).expect("a message"), payload)
    }

    /// Answers reports until an outcome comes.
    pub(crate) fn outcome(&mut self) -> (Outcome, Vec<u8>) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            match self.receive() {
                (Message::Outcome(outcome), payload) => return (*outcome, payload),
                (Message::Report(report), _) => {
                    self.send(&Message::Heard(Heard { number: report.number, time: now() }));
                }
                _ => {}
            }
        }
        panic!("no outcome within a minute")
    }

    /// Says that an outcome is kept.
    pub(crate) fn take(&mut self, outcome: &Outcome) {
        let ended = outcome.verdict.is_end();
        self.send(&Message::OutcomeTaken(OutcomeTaken { id: outcome.id, ended }));
    }
}
