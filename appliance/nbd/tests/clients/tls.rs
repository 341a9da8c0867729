//! Over TCP: TLS, and certificates of the installation's authority.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lab::{Bench, FileExport, run, told};
use link::{Credentials, Role};
use nbd::{Exports, Limits, Listen, Scratch, ScratchRoom, Server};
use pki::IssueRequest;
use units::ByteLen;
use wire::Identity;

/// A bench whose server listens on TCP; its own name is `localhost`, for clients that compare it.
struct Town {
    bench: Bench,
    server: Server,
}

impl Town {
    fn new(limits: Limits) -> Self {
        let bench = Bench::new();
        pki::init(&bench.path("ca")).expect("an authority");
        let own = issue(&bench, "ca", Role::MasterTarget, "localhost");
        let credentials = Credentials::read(&own).expect("our own credentials");
        let listen = Listen::Tls { address: "localhost:0".to_owned(), credentials };
        let disk = FileExport::open(&bench.disk, false);
        let scratch = Scratch::over(disk.clone(), bench.directory.path(), ScratchRoom::new(ByteLen::mib(8)));
        let exports = Exports::numbered([disk as _, Arc::new(scratch.expect("a scratch")) as _]);
        let server = Server::start(&listen, exports, limits).expect("the server starts");
        Self { bench, server }
    }

    fn port(&self) -> u16 {
        self.server.tcp_address().expect("it is TCP").port()
    }

    /// Returns the URI for a client with the certificates of a directory.
    fn uri(&self, certificates: &Path) -> String {
        format!("nbds://localhost:{}/?tls-certificates={}", self.port(), certificates.display())
    }
}

/// Issues a certificate, and lays it out under the names that libnbd and qemu look for.
fn issue(bench: &Bench, authority: &str, role: Role, name: &str) -> PathBuf {
    let out = bench.path(&format!("{authority}-{role}-{name}"));
    let identity = Identity { role, name: name.parse().expect("a lawful name") };
    let authority = bench.path(authority);
    pki::issue(&IssueRequest::for_days(&authority, identity, 1, &out).expect("a day"))
        .expect("a certificate");
    for (ours, theirs) in
        [("ca.pem", "ca-cert.pem"), ("cert.pem", "client-cert.pem"), ("key.pem", "client-key.pem")]
    {
        std::fs::copy(out.join(ours), out.join(theirs)).expect("copied");
    }
    out
}

#[test]
fn an_operator_reads_over_tls() {
    let town = Town::new(Limits::default());
    let operator = issue(&town.bench, "ca", Role::Operator, "ann");
    let uri = town.uri(&operator);
    let info = told("nbdinfo", &[&uri]);
    assert!(info.contains("with TLS"), "{info}");
    let copy = town.bench.path("copy.raw");
    told("nbdcopy", &[&uri, copy.to_str().expect("ASCII")]);
    assert_eq!(std::fs::read(copy).expect("the copy"), town.bench.bytes());
    let object = format!("tls-creds-x509,id=tls,endpoint=client,dir={}", operator.display());
    let image = format!("driver=nbd,host=localhost,port={},tls-creds=tls", town.port());
    let disk = format!("driver=raw,file.driver=file,file.filename={}", town.bench.disk.display());
    told("qemu-img", &["compare", "--object", &object, "--image-opts", &image, &disk]);
}

#[test]
fn what_is_written_over_tls_is_read_again() {
    let town = Town::new(Limits::default());
    let operator = issue(&town.bench, "ca", Role::Operator, "ann");
    let uri = town.uri(&operator).replace("/?", "/1?");
    let (other, back) = (town.bench.path("other.raw"), town.bench.path("back.raw"));
    let mut changed = town.bench.bytes();
    changed.rotate_left(5000);
    std::fs::write(&other, &changed).expect("another image is written");
    let (other, back) = (other.to_str().expect("ASCII"), back.to_str().expect("ASCII"));
    told("nbdcopy", &["--flush", "--connections=4", "--requests=32", other, &uri]);
    told("nbdcopy", &["--connections=4", &uri, back]);
    assert!(std::fs::read(back).expect("the copy") == changed);
}

#[test]
fn nobody_else_gets_in() {
    let town = Town::new(Limits::default());
    pki::init(&town.bench.path("other-ca")).expect("another authority");
    let source = issue(&town.bench, "ca", Role::Source, "web-01");
    let stranger = issue(&town.bench, "other-ca", Role::Operator, "eve");
    // The stranger trusts us, but we don't trust the stranger.
    std::fs::copy(source.join("ca.pem"), stranger.join("ca-cert.pem")).expect("copied");
    let bare = town.bench.path("bare");
    std::fs::create_dir(&bare).expect("made");
    std::fs::copy(source.join("ca.pem"), bare.join("ca-cert.pem")).expect("copied");
    for certificates in [&source, &stranger, &bare] {
        let output = run("nbdinfo", &["--size", &town.uri(certificates)]);
        assert!(!output.status.success() && output.stdout.is_empty(), "{certificates:?}: {output:?}");
    }
    let plain = run("nbdinfo", &["--list", &format!("nbd://localhost:{}", town.port())]);
    assert!(!plain.status.success(), "{plain:?}");
    let operator = issue(&town.bench, "ca", Role::Operator, "ann");
    told("nbdinfo", &["--size", &town.uri(&operator)]);
}

#[test]
fn before_tls_nothing_is_answered_but_the_wish_for_it() {
    let town = Town::new(Limits::default());
    let mut socket = TcpStream::connect(("localhost", town.port())).expect("connected");
    let mut greeting = [0; 18];
    socket.read_exact(&mut greeting).expect("greeted");
    socket.write_all(&3_u32.to_be_bytes()).expect("sent");
    // List, info, go, structured replies, an unknown one, a malformed one.
    for (option, data) in [(3, &[][..]), (6, &[0; 6]), (7, &[0; 6]), (8, &[]), (77, &[]), (3, &[1])] {
        let answer = ask(&mut socket, option, data);
        assert_eq!(answer, (option, (1 << 31) + 5), "TLS is required first");
    }
    assert_eq!(ask(&mut socket, 2, &[]), (2, 1), "who leaves is let go");
    assert_eq!(socket.read(&mut [0; 1]).expect("ended"), 0);
}

/// Sends an option and returns the number and kind of the answer.
fn ask(socket: &mut TcpStream, option: u32, data: &[u8]) -> (u32, u32) {
    let len = u32::try_from(data.len()).expect("short");
    let bytes = [&b"IHAVEOPT"[..], &option.to_be_bytes(), &len.to_be_bytes(), data].concat();
    socket.write_all(&bytes).expect("sent");
    let mut head = [0; 20];
    socket.read_exact(&mut head).expect("answered");
    let number = |at: usize| u32::from_be_bytes(*head[at..].first_chunk().expect("four bytes"));
    let mut rest = vec![0; number(16) as usize];
    socket.read_exact(&mut rest).expect("answered");
    (number(8), number(12))
}

#[test]
fn who_says_nothing_is_sent_away_in_time() {
    let town = Town::new(Limits { handshake: Duration::from_millis(300), ..Limits::default() });
    let began = Instant::now();
    let mut socket = TcpStream::connect(("localhost", town.port())).expect("connected");
    let mut all = Vec::new();
    socket.read_to_end(&mut all).expect("ended");
    assert_eq!(all.len(), 18, "the greeting, and nothing more");
    assert!((Duration::from_millis(250)..Duration::from_secs(5)).contains(&began.elapsed()));
}
