//! A real etcd cluster, for tests: its own authority, TLS with certificates on both sides, and processes that can be killed.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use catalog::{Endpoints, EtcdFiles};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// How long a cluster may take to answer after it was started.
const START_MAX: Duration = Duration::from_secs(60);

/// A cluster of one or more servers, killed when it is dropped.
pub(crate) struct Cluster {
    directory: tempfile::TempDir,
    servers: Vec<Server>,
}

struct Server {
    arguments: Vec<String>,
    port: u16,
    plain_port: u16,
    process: Option<Child>,
    log: PathBuf,
}

impl Cluster {
    /// Starts a cluster of so many servers, and waits until it answers.
    pub(crate) fn start(count: usize) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        make_certificates(directory.path());
        let ports: Vec<[u16; 3]> = (0..count).map(|_| [free_port(), free_port(), free_port()]).collect();
        let peer = |at: usize| format!("e{at}=http://127.0.0.1:{}", ports[at][1]);
        let members: Vec<_> = (0..count).map(peer).collect();
        let server = |at: usize| {
            let [port, peer_port, plain_port] = ports[at];
            let file = |name: &str| directory.path().join(name).display().to_string();
            let client = format!("https://127.0.0.1:{port}");
            let peer = format!("http://127.0.0.1:{peer_port}");
            let named = [
                ("--name", format!("e{at}")),
                ("--data-dir", file(&format!("e{at}"))),
                ("--listen-client-urls", format!("{client},http://127.0.0.1:{plain_port}")),
                ("--advertise-client-urls", client),
                ("--listen-peer-urls", peer.clone()),
                ("--initial-advertise-peer-urls", peer),
                ("--initial-cluster", members.join(",")),
                ("--trusted-ca-file", file("ca.pem")),
                ("--cert-file", file("server.pem")),
                ("--key-file", file("server.key")),
                ("--heartbeat-interval", "50".to_owned()),
                ("--election-timeout", "500".to_owned()),
            ];
            let mut arguments: Vec<_> =
                named.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
            arguments.push("--client-cert-auth".to_owned());
            let log = directory.path().join(format!("e{at}.log"));
            Server { arguments, port, plain_port, process: None, log }
        };
        let servers = (0..count).map(server).collect();
        let mut cluster = Self { directory, servers };
        (0..count).for_each(|at| cluster.begin(at));
        cluster.await_health();
        cluster
    }

    /// Returns its endpoints, over TLS.
    pub(crate) fn endpoints(&self) -> Endpoints {
        let one = |server: &Server| format!("https://127.0.0.1:{}", server.port);
        self.servers.iter().map(one).collect::<Vec<_>>().join(",").parse().expect("endpoints")
    }

    /// Returns the port at which its first server is spoken to in the clear.
    pub(crate) fn plain_port(&self) -> u16 {
        self.servers[0].plain_port
    }

    /// Returns the certificates of a client.
    pub(crate) fn files(&self) -> EtcdFiles {
        let file = |name: &str| self.directory.path().join(name);
        EtcdFiles { ca: file("ca.pem"), certificate: file("client.pem"), key: file("client.key") }
    }

    /// Runs etcdctl, which must succeed, and returns what it says.
    pub(crate) fn etcdctl(&self, arguments: &[&str]) -> String {
        let output = self.ctl(arguments).output().expect("etcdctl is installed: scripts/setup test");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "etcdctl {arguments:?}: {told}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Kills one server with SIGKILL.
    pub(crate) fn kill(&mut self, at: usize) {
        let mut process = self.servers[at].process.take().expect("it runs");
        process.kill().expect("it can be killed");
        process.wait().expect("it is waited for");
    }

    /// Starts one again, and waits until the cluster answers.
    pub(crate) fn restart(&mut self, at: usize) {
        self.begin(at);
        self.await_health();
    }

    fn begin(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let log = File::options().create(true).append(true).open(&server.log).expect("a log");
        // It dies with the test.
        let started = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "etcd"])
            .args(&server.arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        server.process = Some(started.expect("etcd is installed: scripts/setup test"));
    }

    fn await_health(&self) {
        let until = Instant::now() + START_MAX;
        while !self.ctl(&["endpoint", "health"]).output().expect("etcdctl is installed").status.success() {
            let log = || fs::read_to_string(&self.servers[0].log).unwrap_or_default();
            assert!(Instant::now() < until, "etcd does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns etcdctl for the servers that run.
    fn ctl(&self, arguments: &[&str]) -> Command {
        let running = self.servers.iter().filter(|server| server.process.is_some());
        let endpoints: Vec<_> = running.map(|server| format!("https://127.0.0.1:{}", server.port)).collect();
        let EtcdFiles { ca, certificate, key } = self.files();
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &endpoints.join(",")]);
        command.arg("--cacert").arg(ca).arg("--cert").arg(certificate).arg("--key").arg(key).args(arguments);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for mut process in self.servers.iter_mut().filter_map(|server| server.process.take()) {
            // One that has ended by itself was looked for elsewhere.
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// Makes an authority, and certificates of it for the servers and for a client.
fn make_certificates(directory: &Path) {
    let new_key = || KeyPair::generate().expect("a key");
    let write = |name: &str, text: String| fs::write(directory.join(name), text).expect("a file");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "authority of the cluster");
    let key = new_key();
    write("ca.pem", authority.self_signed(&key).expect("a certificate").pem());
    let issuer = Issuer::new(authority, key);
    for name in ["server", "client"] {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = new_key();
        write(&format!("{name}.pem"), params.signed_by(&key, &issuer).expect("a certificate").pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
