//! The bytes of one connection, in the clear or under TLS: read by one thread at a time, written by one at a time, both at
//! once.
//!
//! The lock of the TLS session is held for computing only, never while a socket is waited for.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection};

use crate::socket::Socket;

/// Bytes taken from the socket at once.
const INPUT_LEN: usize = 64 << 10;
/// Bytes encrypted at once.
const ENCRYPT_LEN: usize = 256 << 10;

/// A TLS session that both directions share.
type Session = Arc<Mutex<ServerConnection>>;

/// What the client sends.
pub(crate) struct Input {
    socket: Arc<Socket>,
    session: Option<Session>,
    /// What came and was not used yet: `buffer[start..end]`.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    deadline: Option<Instant>,
}

/// What the client is sent.
pub(crate) struct Output {
    socket: Arc<Socket>,
    session: Option<Session>,
    encrypted: Vec<u8>,
}

impl Input {
    /// Begins to read in the clear; every read ends by the deadline.
    pub(crate) fn new(socket: Arc<Socket>, deadline: Instant) -> Self {
        let buffer = vec![0; INPUT_LEN].into();
        Self { socket, session: None, buffer, start: 0, end: 0, deadline: Some(deadline) }
    }

    /// Sets how long the client may take to accept what it is sent.
    pub(crate) fn prepare(&self, write_stall: Duration) -> io::Result<()> {
        self.socket.prepare(write_stall)
    }

    /// Waits for the client for as long as it takes, from now on.
    pub(crate) fn wait_for_ever(&mut self) -> io::Result<()> {
        self.deadline = None;
        self.socket.read_until(None)
    }

    /// Fills `into`. Errors: the client is gone ([`ErrorKind::UnexpectedEof`]), too slow or no longer understood.
    pub(crate) fn read_exact(&mut self, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            let len = self.read(into)?;
            if len == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            into = &mut into[len..];
        }
        Ok(())
    }

    /// Reads and drops `len` bytes.
    pub(crate) fn skip(&mut self, mut len: usize) -> io::Result<()> {
        let mut scrap = [0; 16 << 10];
        while len > 0 {
            let part = len.min(scrap.len());
            self.read_exact(&mut scrap[..part])?;
            len -= part;
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(session) = self.session.clone() {
            return self.read_decrypted(&session, into);
        }
        if self.start == self.end {
            if into.len() >= self.buffer.len() {
                return read_socket(&self.socket, self.deadline, into);
            }
            self.fill()?;
        }
        let len = into.len().min(self.end - self.start);
        into[..len].copy_from_slice(&self.buffer[self.start..self.start + len]);
        self.start += len;
        Ok(len)
    }

    fn read_decrypted(&mut self, session: &Session, into: &mut [u8]) -> io::Result<usize> {
        loop {
            {
                let mut session = lock(session);
                match session.reader().read(into) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    outcome => return outcome,
                }
                if self.start < self.end {
                    let mut rest = &self.buffer[self.start..self.end];
                    session.read_tls(&mut rest)?;
                    self.start = self.end - rest.len();
                    session.process_new_packets().map_err(io::Error::other)?;
                    continue;
                }
            }
            if self.fill()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Takes what the socket has; the buffer is empty before.
    fn fill(&mut self) -> io::Result<usize> {
        assert_eq!(self.start, self.end, "what came before is used up");
        (self.start, self.end) = (0, 0);
        self.end = read_socket(&self.socket, self.deadline, &mut self.buffer)?;
        Ok(self.end)
    }
}

impl Output {
    /// Begins to write in the clear.
    pub(crate) fn new(socket: Arc<Socket>) -> Self {
        Self { socket, session: None, encrypted: Vec::new() }
    }

    /// Writes all parts, one behind the other.
    pub(crate) fn send(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let Some(session) = self.session.clone() else { return self.socket.write_all(parts) };
        for part in parts.iter().flat_map(|part| part.chunks(ENCRYPT_LEN)) {
            self.encrypt(&mut lock(&session), part)?;
            if self.encrypted.len() >= ENCRYPT_LEN {
                self.send_encrypted()?;
            }
        }
        self.send_encrypted()
    }

    fn encrypt(&mut self, session: &mut ServerConnection, plain: &[u8]) -> io::Result<()> {
        session.writer().write_all(plain)?;
        self.take_encrypted(session)
    }

    /// Takes what the session has to say.
    fn take_encrypted(&mut self, session: &mut ServerConnection) -> io::Result<()> {
        while session.wants_write() {
            session.write_tls(&mut self.encrypted)?;
        }
        Ok(())
    }

    /// Says goodbye, if there is a way to say it, and ends the connection.
    pub(crate) fn close(&mut self) {
        if let Some(session) = self.session.clone() {
            let mut session = lock(&session);
            session.send_close_notify();
            // Encrypting into memory does not fail; if it did, there would be less to say.
            drop(self.take_encrypted(&mut session));
        }
        // The client may be gone already.
        drop(self.send_encrypted());
        self.socket.shut_down();
    }

    fn send_encrypted(&mut self) -> io::Result<()> {
        self.socket.write_all(&[&self.encrypted])?;
        self.encrypted.clear();
        Ok(())
    }
}

/// Goes through the TLS handshake. Errors: the client sent something before it, is too slow, or has no certificate of
/// ours; it is told in an alert.
pub(crate) fn start_tls(
    input: &mut Input,
    output: &mut Output,
    config: &Arc<ServerConfig>,
) -> io::Result<Vec<u8>> {
    assert!(input.session.is_none(), "TLS begins once");
    if input.start != input.end {
        return Err(io::Error::other("the client sent something in the clear behind its wish for TLS"));
    }
    let mut session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    // What is handed over is written before more is: the limit would only cut it up.
    session.set_buffer_limit(None);
    let outcome = shake_hands(&mut session, input, output);
    output.take_encrypted(&mut session)?;
    output.send_encrypted()?;
    outcome?;
    let certificate = session.peer_certificates().and_then(<[_]>::first).map(|first| first.to_vec());
    let certificate = certificate.ok_or_else(|| io::Error::other("the client has no certificate"))?;
    let session = Arc::new(Mutex::new(session));
    (input.session, output.session) = (Some(Arc::clone(&session)), Some(session));
    Ok(certificate)
}

fn shake_hands(session: &mut ServerConnection, input: &mut Input, output: &mut Output) -> io::Result<()> {
    while session.is_handshaking() {
        if input.start == input.end && input.fill()? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut rest = &input.buffer[input.start..input.end];
        session.read_tls(&mut rest)?;
        input.start = input.end - rest.len();
        session.process_new_packets().map_err(io::Error::other)?;
        output.take_encrypted(session)?;
        output.send_encrypted()?;
    }
    Ok(())
}

fn read_socket(socket: &Socket, deadline: Option<Instant>, into: &mut [u8]) -> io::Result<usize> {
    if deadline.is_some() {
        socket.read_until(deadline)?;
    }
    socket.read(into)
}

fn lock(session: &Session) -> MutexGuard<'_, ServerConnection> {
    // A thread that panicked with the session in its hands has ended the connection.
    session.lock().unwrap_or_else(PoisonError::into_inner)
}
