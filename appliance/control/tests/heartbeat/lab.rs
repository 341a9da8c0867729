//! A configuration server without a program around it, and agents that join it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agent::{AgentConfig, Connection, Done, Executor, Facts, HeartbeatAgent, Reporter};
use catalog::{Catalog, Sqlite};
use inventory::Liveness;
use landfall_control::heartbeat::{Guest, Heartbeat, LivenessWitness, Orders, Servers, Watchman};
use link::{Credentials, Role};
use pki::{IssueRequest, Validity};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use units::{ByteLen, Generation, Sequence};
use wire::Framed as _;
use wire::Identity;
use wire::heartbeat::{CommandId, Instruction, MachinePhase, MachineReport, Message, SourceOrder, Statement};

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A configuration server.
pub(crate) struct Lab {
    directory: TempDir,
    address: String,
    pub(crate) servers: Servers,
    pub(crate) orders: Orders,
    told: Arc<Told>,
    _door: Runtime,
    _watchman: Watchman,
}

#[derive(Default)]
struct Told(Mutex<Vec<(Identity, Liveness)>>);

impl LivenessWitness for Told {
    fn changed(&self, server: &Identity, liveness: &Liveness) {
        self.0.lock().unwrap().push((server.clone(), liveness.clone()));
    }
}

impl Lab {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        pki::init(&directory.path().join("ca")).unwrap();
        let credentials = Credentials::read(&issue(&directory, Role::ConfigurationServer, "home")).unwrap();
        let catalog: Arc<dyn Catalog> = Arc::new(Sqlite::open(&directory.path().join("catalog.db")).unwrap());
        let (servers, orders, told) = (Servers::default(), Orders::new(catalog), Arc::new(Told::default()));
        let heartbeat =
            Heartbeat::new(servers.clone(), orders.clone(), credentials.clone(), "landfalld test");
        let (door, address) = open_door(heartbeat, &credentials);
        let watchman = Watchman::start(servers.clone(), orders.clone(), credentials, told.clone()).unwrap();
        Self { directory, address, servers, orders, told, _door: door, _watchman: watchman }
    }

    pub(crate) fn agent(&self, name: &str) -> Worker {
        self.agent_with_state(name, "state")
    }

    pub(crate) fn agent_with_state(&self, name: &str, state: &str) -> Worker {
        let identity = self.directory.path().join(format!("source-{name}"));
        if !identity.exists() {
            issue(&self.directory, Role::Source, name);
        }
        let done = Arc::new(Doing { name: name.to_owned(), done: Mutex::default() });
        let config = AgentConfig {
            controller: self.address.clone(),
            identity,
            state: self.directory.path().join(state).join(name),
            software: "test 1".to_owned(),
        };
        let agent = HeartbeatAgent::start(config, done.clone(), done.clone()).unwrap();
        Worker { agent, done }
    }

    pub(crate) fn until_connected(&self, name: &str) {
        self.until(|| self.servers.show(&identity(name)).is_some_and(|server| server.connected));
    }

    pub(crate) fn until(&self, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + LONG * 2;
        while !holds() {
            assert!(Instant::now() < deadline, "still not so: {:?}", self.servers.list());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn told(&self) -> Vec<(Identity, Liveness)> {
        self.told.0.lock().unwrap().clone()
    }
}

/// Listens with mutual TLS, and serves each connection.
fn open_door(heartbeat: Heartbeat, credentials: &Credentials) -> (Runtime, String) {
    let mut config = credentials.server_config(&[Role::Source]).unwrap();
    config.alpn_protocols = vec![Message::ALPN.to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    runtime.spawn(async move {
        while let Ok((socket, address)) = listener.accept().await {
            let (acceptor, heartbeat) = (acceptor.clone(), heartbeat.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(socket).await else { return };
                let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
                let identity = link::identity_of(&certificate).unwrap();
                heartbeat.serve(Guest { identity, address }, stream).await;
            });
        }
    });
    (runtime, address)
}

/// An agent, and what it carried out.
pub(crate) struct Worker {
    pub(crate) agent: HeartbeatAgent,
    done: Arc<Doing>,
}

impl Worker {
    pub(crate) fn done(&self) -> Vec<SourceOrder> {
        self.done.done.lock().unwrap().clone()
    }

    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.agent.status().connection, Connection::Connected { .. })
    }

    pub(crate) fn stop(self) {
        self.agent.stop();
    }
}

struct Doing {
    name: String,
    done: Mutex<Vec<SourceOrder>>,
}

impl Reporter for Doing {
    fn report(&self) -> Facts {
        let machine = MachineReport {
            machine: self.name.parse().unwrap(),
            phase: MachinePhase::Protected,
            generation: Generation(1),
            durable: Sequence(9),
            applied: Sequence(9),
            rpo_seconds: Some(3),
            oldest: None,
            newest: None,
            lag: ByteLen(0),
            remaining: ByteLen(0),
            rate: ByteLen(0),
            disks: heapless::Vec::new(),
        };
        Facts { machines: vec![machine], ..Facts::default() }
    }
}

impl Executor for Doing {
    fn destroys(&self, statement: &Statement) -> Option<String> {
        (statement.instruction == Instruction::Source(SourceOrder::Resync)).then(|| "everything".to_owned())
    }

    fn execute(&self, statement: &Statement) -> Result<Done, Vec<u8>> {
        let Instruction::Source(order) = &statement.instruction else { return Err(b"{}".to_vec()) };
        self.done.lock().unwrap().push(order.clone());
        Ok(Done::nothing())
    }
}

fn issue(directory: &TempDir, role: Role, name: &str) -> PathBuf {
    let out = directory.path().join(format!("{role}-{name}"));
    let ca_directory = &directory.path().join("ca");
    let (name, validity) = (name.parse().unwrap(), Validity::days_from_now(1));
    pki::issue(&IssueRequest { ca_directory, role, name, validity, out_directory: &out }).unwrap().directory
}

pub(crate) fn identity(name: &str) -> Identity {
    Identity { role: Role::Source, name: name.parse().unwrap() }
}

pub(crate) fn random_id() -> CommandId {
    let mut bytes = [0; 16];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut bytes).unwrap();
    CommandId(bytes)
}
