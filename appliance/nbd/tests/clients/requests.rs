//! Requests written by hand: what can be answered is answered, and costs nobody the connection.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::lab::{Bench, DISK_LEN, FileExport};
use nbd::{Export, ExportError, Exports, Limits, Listen, Scratch, ScratchRoom, Server};
use units::{ByteLen, ByteOffset};

const READ: u16 = 0;
const WRITE: u16 = 1;
const FLUSH: u16 = 3;
const TRIM: u16 = 4;
const CACHE: u16 = 5;
const ZERO: u16 = 6;
const STATUS: u16 = 7;
const DF: u16 = 4;

const EPERM: u32 = 1;
const EIO: u32 = 5;
const EINVAL: u32 = 22;
const ENOSPC: u32 = 28;
const EOVERFLOW: u32 = 75;

/// A client that says what it likes.
struct Raw(UnixStream);

impl Raw {
    fn connect(bench: &Bench) -> Self {
        let stream = UnixStream::connect(bench.path("nbd.sock")).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let mut raw = Self(stream);
        assert_eq!(raw.take(18), b"NBDMAGICIHAVEOPT\0\x03");
        raw.say(&3_u32.to_be_bytes());
        raw
    }

    fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("sent");
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).expect("received");
        bytes
    }

    fn take_u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().expect("four bytes"))
    }

    /// Tells whether the server has ended the connection.
    fn is_over(&mut self) -> bool {
        match self.0.read(&mut [0; 1]) {
            Ok(len) => len == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    fn option(&mut self, number: u32, data: &[u8]) {
        let len = u32::try_from(data.len()).expect("short");
        self.say(&[&b"IHAVEOPT"[..], &number.to_be_bytes(), &len.to_be_bytes(), data].concat());
    }

    /// Sends an option and returns the kind and data of its last answer.
    fn ask(&mut self, number: u32, data: &[u8]) -> (u32, Vec<u8>) {
        self.option(number, data);
        loop {
            let head = self.take(20);
            assert_eq!(
                head[..12],
                [&0x0003_e889_0455_65a9_u64.to_be_bytes()[..], &number.to_be_bytes()].concat()
            );
            let number = |at: usize| u32::from_be_bytes(*head[at..].first_chunk().expect("four bytes"));
            let data = self.take(number(16) as usize);
            if number(12) == 1 || number(12) >= 1 << 31 {
                return (number(12), data);
            }
        }
    }

    /// Begins with the first image; with structured replies and block status, or without.
    fn go(bench: &Bench, structured: bool) -> Self {
        let mut raw = Self::connect(bench);
        if structured {
            assert_eq!(raw.ask(8, &[]).0, 1);
            let context = [&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 15][..], b"base:allocation"].concat();
            assert_eq!(raw.ask(10, &context).0, 1);
        }
        assert_eq!(raw.ask(7, &[0; 6]).0, 1);
        raw
    }

    fn request(&mut self, flags: u16, command: u16, cookie: u64, at: u64, len: u32) {
        let mut bytes = 0x2560_9513_u32.to_be_bytes().to_vec();
        bytes.extend(flags.to_be_bytes());
        bytes.extend(command.to_be_bytes());
        bytes.extend(cookie.to_be_bytes());
        bytes.extend(at.to_be_bytes());
        bytes.extend(len.to_be_bytes());
        self.say(&bytes);
    }

    /// Takes a simple reply without data, and returns its error.
    fn simple(&mut self, cookie: u64) -> u32 {
        assert_eq!(self.take_u32(), 0x6744_6698);
        let error = self.take_u32();
        assert_eq!(self.take(8), cookie.to_be_bytes());
        error
    }

    /// Takes a chunk: whether it is the last one, its kind, its cookie, its content.
    fn chunk(&mut self) -> (bool, u16, u64, Vec<u8>) {
        assert_eq!(self.take_u32(), 0x668e_33ef);
        let head = self.take(16);
        let len = u32::from_be_bytes(*head[12..].first_chunk().expect("four bytes"));
        let cookie = u64::from_be_bytes(*head[4..].first_chunk().expect("eight bytes"));
        (head[1] & 1 == 1, u16::from_be_bytes([head[2], head[3]]), cookie, self.take(len as usize))
    }

    /// Takes a reply of one chunk and returns the error in it, or 0.
    fn error(&mut self, cookie: u64) -> u32 {
        let (last, kind, of, content) = self.chunk();
        assert!(last && of == cookie, "one chunk");
        match kind {
            0 => 0,
            0x8001 => u32::from_be_bytes(*content.first_chunk().expect("an error")),
            kind => panic!("a chunk of kind {kind}"),
        }
    }
}

fn read_only(bench: &Bench) -> (Server, String) {
    bench.serve(vec![FileExport::open(&bench.disk, false)])
}

fn writable(bench: &Bench, limit: ByteLen) -> (Server, String) {
    let below = FileExport::open(&bench.disk, false);
    let scratch = Scratch::over(below, bench.directory.path(), ScratchRoom::new(limit)).expect("a scratch");
    bench.serve(vec![Arc::new(scratch)])
}

#[test]
fn a_client_of_the_oldest_kind_is_served() {
    let bench = Bench::new();
    let _server = read_only(&bench);
    let mut raw = Raw::connect(&bench);
    raw.option(1, b"0");
    assert_eq!(raw.take(8), (DISK_LEN as u64).to_be_bytes());
    assert_eq!(raw.take(2), 0x503_u16.to_be_bytes(), "flags, read-only, several connections, cache");
    raw.request(0, READ, 7, 4095, 2 << 20);
    assert_eq!(raw.simple(7), 0);
    assert!(raw.take(2 << 20) == bench.bytes()[4095..][..2 << 20]);
    raw.request(DF, READ, 8, 0, 512);
    assert_eq!(raw.simple(8), EINVAL, "there are no chunks");
    let mut raw = Raw::connect(&bench);
    raw.option(1, b"7");
    assert!(raw.is_over(), "there is no other way to refuse a name");
}

#[test]
fn options_that_make_no_sense_are_answered() {
    let bench = Bench::new();
    let _server = read_only(&bench);
    let mut raw = Raw::connect(&bench);
    let refused = |number: u32| (1 << 31) + number;
    assert_eq!(raw.ask(4711, b"what?").0, refused(1));
    assert_eq!(raw.ask(5, &[]).0, refused(2), "no TLS on a unix socket");
    assert_eq!(raw.ask(3, b"x").0, refused(3));
    assert_eq!(raw.ask(7, &[0, 0, 0, 9, b'0', 0, 0]).0, refused(3), "a name longer than the option");
    assert_eq!(raw.ask(10, &[0; 8]).0, refused(3), "structured replies come first");
    assert_eq!(raw.ask(7, &[0, 0, 0, 1, b'1', 0, 0]).0, refused(6));
    assert_eq!(raw.ask(6, &vec![0; 9000]).0, refused(9));
    assert_eq!(raw.ask(8, &[]).0, 1);
    assert_eq!(raw.ask(10, &[0, 0, 0, 1, b'1', 0, 0, 0, 0]).0, refused(6));
    assert_eq!(raw.ask(6, &[0; 6]).0, 1, "it goes on");
    raw.option(6, &vec![0; (64 << 10) + 1]);
    assert!(raw.is_over(), "this is too long to skip");
    let mut raw = Raw::connect(&bench);
    for _ in 0..255 {
        assert_eq!(raw.ask(3, &[]).0, 1);
    }
    assert_eq!(raw.ask(3, &[]).0, 1);
    assert!(raw.is_over(), "it leads nowhere");
}

#[test]
fn requests_that_make_no_sense_are_answered() {
    let bench = Bench::new();
    let _server = read_only(&bench);
    let mut raw = Raw::go(&bench, true);
    let len = DISK_LEN as u64;
    for (flags, command, at, bytes, error) in [
        (0, READ, len, 1, EINVAL),
        (0, READ, len - 511, 512, EINVAL),
        (0, READ, u64::MAX, 512, EINVAL),
        (0, READ, 0, 0, EINVAL),
        (0, READ, 0, u32::MAX, EINVAL),
        (DF, READ, 0, 2 << 20, EOVERFLOW),
        (0x8000, READ, 0, 512, EINVAL),
        (0, 99, 0, 512, EINVAL),
        (0, TRIM, 0, 512, EPERM),
        (0, ZERO, 0, 512, EPERM),
        (0, STATUS, 0, 0, EINVAL),
        (0, FLUSH, 0, 0, 0),
        (0, CACHE, 4095, 4097, 0),
    ] {
        raw.request(flags, command, 42, at, bytes);
        assert_eq!(raw.error(42), error, "flags {flags}, command {command}, {bytes} bytes at {at}");
    }
    raw.request(0, WRITE, 43, 0, 40 << 20);
    raw.say(&vec![9; 40 << 20]);
    assert_eq!(raw.error(43), EPERM, "what is not written is skipped");
    raw.request(DF, READ, 44, 4095, 2);
    let (last, kind, cookie, content) = raw.chunk();
    assert_eq!((last, kind, cookie), (true, 1, 44));
    assert_eq!(content, [&4095_u64.to_be_bytes(), &bench.bytes()[4095..4097]].concat());
    raw.say(&[0; 28]);
    assert!(raw.is_over(), "this is no request");
}

#[test]
fn zeroes_are_told_and_not_sent() {
    let bench = Bench::new();
    let _server = read_only(&bench);
    let mut raw = Raw::go(&bench, true);
    raw.request(0, READ, 1, (1 << 20) - 65536, 3 << 16);
    assert_eq!(raw.chunk().3.len(), 8 + 65536);
    let (last, kind, _, content) = raw.chunk();
    assert_eq!((last, kind), (true, 2));
    assert_eq!(content, [&(1_u64 << 20).to_be_bytes()[..], &(2_u32 << 16).to_be_bytes()].concat());
    raw.request(8, STATUS, 2, (1 << 20) - 1, 2 << 20);
    let (_, kind, _, content) = raw.chunk();
    assert_eq!((kind, &content[..]), (5, &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0][..]), "one span is asked for");
    let mut raw = Raw::go(&bench, false);
    raw.request(0, STATUS, 3, 0, 512);
    assert_eq!(raw.simple(3), EINVAL, "it was not chosen");
}

#[test]
fn a_failed_write_is_skipped_and_the_next_request_found() {
    let bench = Bench::new();
    let _server = writable(&bench, ByteLen::mib(1));
    let mut raw = Raw::go(&bench, true);
    raw.request(0, WRITE, 1, 0, 3 << 20);
    raw.say(&vec![7; 3 << 20]);
    assert_eq!(raw.error(1), ENOSPC);
    raw.request(0, WRITE, 2, DISK_LEN as u64 - 512, 513);
    raw.say(&[1; 513]);
    assert_eq!(raw.error(2), ENOSPC, "beyond the end");
    raw.request(1, ZERO, 3, 0, 1 << 20);
    assert_eq!(raw.error(3), 0);
    raw.request(1, WRITE, 4, 100, 1 << 16);
    raw.say(&vec![8; 1 << 16]);
    assert_eq!(raw.error(4), 0, "there is room again");
    raw.request(0, READ, 5, 0, 100 + (1 << 16));
    let (_, _, _, content) = raw.chunk();
    assert!(content[8..108].iter().all(|byte| *byte == 0) && content[108..].iter().all(|byte| *byte == 8));
}

/// An image whose first granule can't be read before its last, and whose second fails.
struct Held {
    released: Mutex<bool>,
    changed: Condvar,
}

impl Export for Held {
    fn len(&self) -> ByteLen {
        ByteLen(3 * 4096)
    }

    fn read(&self, at: ByteOffset, into: &mut [u8]) -> Result<(), ExportError> {
        into.fill(5);
        let mut released = self.released.lock().expect("no thread panicked");
        match at.0 {
            0 => {
                let patience = Duration::from_secs(10);
                let wait = self.changed.wait_timeout_while(released, patience, |released| !*released);
                assert!(!wait.expect("no thread panicked").1.timed_out(), "others are served meanwhile");
            }
            4096 => return Err(ExportError::Failed { operation: "read", at, source: "it is broken".into() }),
            _ => {
                *released = true;
                self.changed.notify_all();
            }
        }
        Ok(())
    }
}

#[test]
fn a_slow_request_keeps_no_other_waiting() {
    let bench = Bench::new();
    let held = Held { released: Mutex::new(false), changed: Condvar::new() };
    let _server = bench.serve(vec![Arc::new(held)]);
    let mut raw = Raw::go(&bench, true);
    raw.request(0, READ, 1, 0, 512);
    raw.request(0, READ, 2, 4096, 512);
    assert_eq!(raw.error(2), EIO);
    raw.request(0, READ, 3, 8192, 512);
    let cookies = [raw.chunk().2, raw.chunk().2];
    assert!(cookies == [1, 3] || cookies == [3, 1], "{cookies:?}");
}

#[test]
fn connections_are_counted_and_given_back() {
    let bench = Bench::new();
    let exports = Exports::numbered([FileExport::open(&bench.disk, false) as _]);
    let limits = Limits { connections: 2, ..Limits::default() };
    let server = Server::start(&Listen::Unix(bench.path("nbd.sock")), exports, limits).expect("a server");
    let first = Raw::go(&bench, true);
    let mut second = Raw::go(&bench, true);
    assert_eq!(server.connections(), 2);
    let mut third = UnixStream::connect(bench.path("nbd.sock")).expect("connected");
    assert!(matches!(third.read(&mut [0; 1]), Ok(0)), "turned away");
    second.request(0, WRITE, 1, 0, 4096);
    drop(second);
    drop(first);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while server.connections() > 0 {
        assert!(std::time::Instant::now() < deadline, "places are given back");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut last = Raw::go(&bench, true);
    drop(server);
    assert!(last.is_over(), "the end of the server is the end of its connections");
}

#[test]
fn who_never_begins_keeps_nobody_out() {
    let bench = Bench::new();
    let exports = Exports::numbered([FileExport::open(&bench.disk, false) as _]);
    let limits = Limits { connections: 2, ..Limits::default() };
    let _server = Server::start(&Listen::Unix(bench.path("nbd.sock")), exports, limits).expect("a server");
    let served = |raw: &mut Raw| {
        raw.request(0, FLUSH, 1, 0, 0);
        raw.error(1) == 0
    };
    let mut working = Raw::go(&bench, true);
    assert!(served(&mut working));
    let mut idle = Raw::connect(&bench);
    let mut second = Raw::go(&bench, true);
    assert!(idle.is_over(), "it gives way");
    assert!(served(&mut working) && served(&mut second), "these keep their places");
}
