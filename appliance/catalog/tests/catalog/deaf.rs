//! A way to an endpoint on which every so many answers are lost: the request arrives, its answer does not.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Listens on a port, and loses the answer to every `each`th request. Returns the port.
pub(crate) fn lossy_way(to: u16, each: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, count) = (client.unwrap(), count.clone());
            // A connection that breaks is what is wanted.
            std::thread::spawn(move || drop(carry(client, to, each, &count)));
        }
    });
    port
}

/// Carries one request after the other, each in one piece as the catalog's client sends them.
fn carry(mut client: TcpStream, to: u16, each: usize, count: &AtomicUsize) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", to))?;
    loop {
        let Some(request) = message(&mut client)? else { return Ok(()) };
        server.write_all(&request)?;
        let Some(answer) = message(&mut server)? else { return Ok(()) };
        if count.fetch_add(1, Ordering::Relaxed) % each == each - 1 {
            return Ok(());
        }
        client.write_all(&answer)?;
    }
}

/// Reads a message of HTTP/1.1 that tells its length, or that comes in chunks.
fn message(from: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let (mut bytes, mut part) = (Vec::new(), [0; 16384]);
    loop {
        if is_whole(&bytes) {
            return Ok(Some(bytes));
        }
        match from.read(&mut part)? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&part[..read]),
        }
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    match head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        Some(len) => body.len() >= len.parse().unwrap_or(0),
        None => body.ends_with("0\r\n\r\n"),
    }
}
