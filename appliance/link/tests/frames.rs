//! Frames on a good link: order, sizes, waits, and every way a link can end.

mod parties;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use link::{Limits, Link, LinkError, Received};
use parties::{Authority, accept_one, brisk, pair};
use units::{DiskIndex, LeafIndex, Sequence};
use wire::{Durable, HASHES_MAX, HashQuery, Message, PAYLOAD_LEN_MAX};

const LONG: Duration = Duration::from_secs(10);

fn hashes(payload_len: usize) -> Message {
    let count = u32::try_from(payload_len / 32).expect("a lawful payload");
    Message::Hashes(HashQuery { disk: DiskIndex(0), first: LeafIndex(0), count })
}

fn payload(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at + seed) * 31 % 251) as u8).collect()
}

fn receive(link: &mut Link, buffer: &mut Vec<u8>) -> Message {
    match link.receive(buffer, LONG) {
        Ok(Received::Message(message)) => message,
        other => panic!("no message: {other:?}"),
    }
}

#[test]
fn frames_of_every_size_arrive_in_order_and_whole() {
    let (mut target, mut source) = pair(Limits::default());
    let sizes =
        [0, 32, 16_352, 16_384, 16_416, 65_536, 100_000 / 32 * 32, PAYLOAD_LEN_MAX, 64, PAYLOAD_LEN_MAX, 0];
    let sender = std::thread::spawn(move || {
        for (index, &size) in sizes.iter().enumerate() {
            let bytes = payload(index, size);
            let pieces = bytes.chunks(4096 + index * 1000).collect::<Vec<_>>();
            source.send(&hashes(size), &pieces).expect("sent");
            source.send(&Message::Durable(Durable { upto: Sequence(index as u64) }), &[]).expect("sent");
        }
        source.flush().expect("flushed");
        source
    });
    let mut buffer = Vec::new();
    for (index, &size) in sizes.iter().enumerate() {
        assert_eq!(receive(&mut target, &mut buffer), hashes(size));
        assert_eq!(buffer, payload(index, size), "{size} bytes");
        let expected = Message::Durable(Durable { upto: Sequence(index as u64) });
        assert_eq!((receive(&mut target, &mut buffer), buffer.len()), (expected, 0));
    }
    sender.join().expect("no panic").close(Duration::from_millis(50));
    assert!(matches!(target.receive(&mut buffer, LONG), Ok(Received::Closed)));
}

#[test]
fn what_is_queued_is_written_while_waiting_to_receive() {
    let (mut target, mut source) = pair(Limits::default());
    source.send(&Message::Ping, &[]).expect("queued");
    let waiting = std::thread::spawn(move || receive(&mut source, &mut Vec::new()));
    assert_eq!(receive(&mut target, &mut Vec::new()), Message::Ping);
    target.send(&Message::Pong, &[]).expect("queued");
    target.flush().expect("written");
    assert_eq!(waiting.join().expect("no panic"), Message::Pong);
}

#[test]
fn both_ends_may_send_at_once() {
    let (target, source) = pair(Limits::default());
    assert_eq!(PAYLOAD_LEN_MAX / 32, HASHES_MAX);
    let exchange = |mut link: Link| {
        std::thread::spawn(move || {
            let (bytes, mut buffer) = (payload(7, PAYLOAD_LEN_MAX), Vec::new());
            for _ in 0..50 {
                link.send(&hashes(bytes.len()), &[&bytes]).expect("sent");
                link.flush().expect("flushed");
                assert_eq!(receive(&mut link, &mut buffer), hashes(bytes.len()));
                assert!(buffer == bytes);
            }
            link
        })
    };
    let (target, source) = (exchange(target), exchange(source));
    let links = (target.join().expect("no panic"), source.join().expect("no panic"));
    drop(links);
}

#[test]
fn the_waker_ends_a_wait_once_and_none_is_lost() {
    let (mut target, _source) = pair(Limits::default());
    let waker = target.waker();
    let (start, other) = (Instant::now(), waker.clone());
    let waking = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        other.wake();
        other.wake();
    });
    assert_eq!(target.receive(&mut Vec::new(), LONG).expect("woken"), Received::Woken);
    assert!(start.elapsed() >= Duration::from_millis(100));
    waking.join().expect("no panic");
    // The second wake may have come after the first was taken.
    while target.receive(&mut Vec::new(), Duration::from_millis(50)).expect("a good link") == Received::Woken
    {
    }
    waker.wake();
    assert_eq!(target.receive(&mut Vec::new(), LONG).expect("woken"), Received::Woken);
    assert_eq!(
        target.receive(&mut Vec::new(), Duration::from_millis(50)).expect("quiet"),
        Received::TimedOut
    );
}

#[test]
fn a_wake_is_seen_although_frames_keep_coming() {
    let (mut target, mut source) = pair(Limits::default());
    for _ in 0..100 {
        source.send(&Message::Ping, &[]).expect("sent");
    }
    source.flush().expect("flushed");
    assert_eq!(receive(&mut target, &mut Vec::new()), Message::Ping);
    target.waker().wake();
    assert_eq!(target.receive(&mut Vec::new(), LONG).expect("woken"), Received::Woken);
    assert_eq!(receive(&mut target, &mut Vec::new()), Message::Ping);
}

#[test]
fn a_silent_peer_is_found_and_a_heard_one_is_not() {
    let (mut target, mut source) = pair(brisk());
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(200));
        source.send(&Message::Ping, &[]).expect("sent");
        source.flush().expect("flushed");
        assert_eq!(receive(&mut target, &mut Vec::new()), Message::Ping);
    }
    assert!(target.last_heard().elapsed() < Duration::from_millis(200));
    let (start, error) = (Instant::now(), target.receive(&mut Vec::new(), LONG).expect_err("silence"));
    assert!(matches!(error, LinkError::Silent { after } if after == brisk().silence), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn what_came_while_nobody_looked_is_not_silence() {
    let (mut target, mut source) = pair(brisk());
    source.send(&Message::Ping, &[]).expect("sent");
    source.flush().expect("flushed");
    std::thread::sleep(brisk().silence * 2);
    assert_eq!(receive(&mut target, &mut Vec::new()), Message::Ping);
}

#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    let (target, mut source) = pair(brisk());
    let bytes = payload(1, PAYLOAD_LEN_MAX);
    let start = Instant::now();
    let error = loop {
        if let Err(error) = source.send(&hashes(bytes.len()), &[&bytes]) {
            break error;
        }
        assert!(start.elapsed() < LONG, "the sockets' buffers are not endless");
    };
    assert!(
        matches!(error, LinkError::WriteStall { after, .. } if after == brisk().write_stall),
        "{error:?}"
    );
    drop(target);
}

/// Forwards bytes from a source to a target until `len` of them have passed, then cuts both; answers pass freely.
fn cut_after(listener: TcpListener, target: std::net::SocketAddr, len: usize) {
    let (mut source, _) = listener.accept().expect("a socket");
    let mut target = TcpStream::connect(target).expect("connected");
    let (mut back_from, mut back_to) =
        (target.try_clone().expect("cloned"), source.try_clone().expect("cloned"));
    let back = std::thread::spawn(move || drop(std::io::copy(&mut back_from, &mut back_to)));
    let mut left = len;
    let mut buffer = [0; 4096];
    while left > 0 {
        let wanted = left.min(buffer.len());
        let Ok(read @ 1..) = source.read(&mut buffer[..wanted]) else { break };
        target.write_all(&buffer[..read]).expect("written");
        left -= read;
    }
    drop((source.shutdown(std::net::Shutdown::Both), target.shutdown(std::net::Shutdown::Both)));
    back.join().expect("no panic");
}

#[test]
fn a_link_cut_anywhere_is_an_error_and_never_a_frame() {
    let authority = Authority::new();
    let (acceptor, connector) = (authority.target(), authority.source());
    let mut seen = std::collections::BTreeSet::new();
    for len in (0..60_000).step_by(977) {
        let (address, accepted) = accept_one(acceptor.clone(), Limits::default());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let proxy = listener.local_addr().expect("an address").to_string();
        let cutting = std::thread::spawn(move || cut_after(listener, address, len));
        if let Ok(mut source) = connector.connect(&proxy, &Limits::default()) {
            // The cut may come while sending.
            drop(source.send(&hashes(65_536), &[&payload(0, 65_536)]));
            drop(source.flush());
            cutting.join().expect("no panic");
        }
        let outcome = match accepted.join().expect("no panic") {
            Ok(mut target) => target.receive(&mut Vec::new(), LONG).map(|_| ()),
            Err(error) => Err(error),
        };
        let name = match outcome.expect_err("the frame never came whole") {
            LinkError::Handshake { .. } => "handshake",
            LinkError::Lost => "lost",
            LinkError::CutInFrame => "cut in frame",
            other => panic!("cut after {len}: {other:?}"),
        };
        seen.insert(name);
    }
    assert!(seen.contains("handshake") && seen.contains("cut in frame"), "{seen:?}");
}

#[test]
fn a_dropped_link_is_a_clean_end_for_the_peer() {
    let (mut target, source) = pair(Limits::default());
    drop(source);
    assert!(matches!(target.receive(&mut Vec::new(), LONG), Ok(Received::Closed)));
}

#[test]
fn the_last_word_arrives_although_the_peer_was_still_sending() {
    let (mut target, mut source) = pair(Limits::default());
    let sender = std::thread::spawn(move || {
        let bytes = payload(1, PAYLOAD_LEN_MAX);
        while source.send(&hashes(bytes.len()), &[&bytes]).is_ok() {
            if let Ok(Received::Message(message)) = source.receive(&mut Vec::new(), Duration::ZERO) {
                return message;
            }
        }
        receive(&mut source, &mut Vec::new())
    });
    receive(&mut target, &mut Vec::new());
    target.send(&Message::Goodbye, &[]).expect("sent");
    target.close(LONG);
    assert_eq!(sender.join().expect("no panic"), Message::Goodbye);
}
