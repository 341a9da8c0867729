//! Measures frames of 1 MiB one way over loopback, both ends in this process, one thread each:
//! `cargo run --release -p landfall-link --example throughput [GIB]`.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use link::{Acceptor, Connector, Credentials, Limits, Received, Role};
use units::{DiskIndex, LeafIndex, MachineName};
use wire::{HASHES_MAX, HashQuery, Identity, Message, PAYLOAD_LEN_MAX};

fn credentials(directory: &std::path::Path, role: Role) -> Credentials {
    let name: MachineName = "bench".parse().expect("a lawful name");
    let out = directory.join(role.as_str());
    let request =
        pki::IssueRequest::for_days(directory, Identity { role, name }, 1, &out).expect("a day is lawful");
    pki::issue(&request).expect("the certificate is made");
    Credentials::read(&out).expect("the certificate is read")
}

/// CPU seconds this thread has used.
fn thread_cpu_seconds() -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds: f64 =
        schedule.split_whitespace().next().and_then(|field| field.parse().ok()).expect("a number");
    nanoseconds / 1e9
}

fn main() {
    let gibibytes = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(8_usize);
    let directory = tempfile::tempdir().expect("a temporary directory");
    pki::init(directory.path()).expect("the authority is made");
    let acceptor = Acceptor::new(&credentials(directory.path(), Role::MasterTarget)).expect("an acceptor");
    let connector = Connector::new(&credentials(directory.path(), Role::Source)).expect("a connector");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let frames = gibibytes << 10;

    let sender = std::thread::spawn(move || {
        let mut link = connector.connect(&address, &Limits::default()).expect("a link");
        let count = u32::try_from(HASHES_MAX).expect("fits");
        let message = Message::Hashes(HashQuery { disk: DiskIndex(0), first: LeafIndex(0), count });
        let payload = (0..PAYLOAD_LEN_MAX).map(|at| (at * 31) as u8).collect::<Vec<u8>>();
        let pieces = payload.chunks(64 << 10).collect::<Vec<_>>();
        for _ in 0..frames {
            link.send(&message, &pieces).expect("sent");
        }
        link.flush().expect("flushed");
        link.close(Duration::from_secs(5));
        thread_cpu_seconds()
    });
    let (socket, _) = listener.accept().expect("a socket");
    let mut link = acceptor.accept(socket, &Limits::default()).expect("a link");
    let (start, cpu, mut payload, mut bytes) = (Instant::now(), thread_cpu_seconds(), Vec::new(), 0);
    while let Received::Message(_) = link.receive(&mut payload, Duration::from_secs(5)).expect("a frame") {
        bytes += payload.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    let receive_cpu = thread_cpu_seconds() - cpu;
    let send_cpu = sender.join().expect("the sender ends well");
    assert_eq!(bytes, frames << 20, "every byte came");
    let rate = |seconds: f64| bytes as f64 / seconds / 1e6;
    println!(
        "{gibibytes} GiB in {seconds:.2} s: {:.0} MB/s; per core: send {:.0}, receive {:.0} MB/s",
        rate(seconds),
        rate(send_cpu),
        rate(receive_cpu)
    );
}
