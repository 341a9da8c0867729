//! A TLS session on its socket: bytes in, bytes out, every wait with an end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::inbound::{Inbound, Rest};
use crate::outbound::Outbound;
use crate::poll::{Interest, Ready, wait};
use crate::session::{Progress, Session};
use crate::{LinkError, Waker};

/// Bytes thrown away at most while a closed connection is wound up.
const LINGER_LEN_MAX: usize = 16 << 20;

/// A TLS session on its socket.
pub(crate) struct Channel {
    socket: TcpStream,
    session: Session,
    inbound: Inbound,
    outbound: Outbound,
    last_heard: Instant,
    /// The peer ended its direction on the socket.
    ended: bool,
    /// The peer ended its direction in TLS.
    goodbye_heard: bool,
    /// We ended ours.
    closed: bool,
    /// The TLS session has failed and must not be used again.
    failed: bool,
}

impl Channel {
    /// Takes a connected socket, which no longer blocks from now on.
    pub(crate) fn new(socket: TcpStream, session: Session) -> Result<Self, LinkError> {
        socket.set_nonblocking(true).map_err(LinkError::Socket)?;
        socket.set_nodelay(true).map_err(LinkError::Socket)?;
        Ok(Self {
            socket,
            session,
            inbound: Inbound::new(),
            outbound: Outbound::default(),
            last_heard: Instant::now(),
            ended: false,
            goodbye_heard: false,
            closed: false,
            failed: false,
        })
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn last_heard(&self) -> Instant {
        self.last_heard
    }

    pub(crate) fn queued_len(&self) -> usize {
        self.outbound.unwritten().len()
    }

    /// Tells whether there is no room to read into.
    pub(crate) fn is_full(&self) -> bool {
        !self.inbound.has_room()
    }

    /// Tells whether bytes were read that are not decrypted yet.
    pub(crate) fn holds_bytes(&mut self) -> bool {
        !self.inbound.held().is_empty()
    }

    /// Makes room for whole reads, once the handshake is over.
    pub(crate) fn enlarge(&mut self) {
        self.inbound.enlarge();
    }

    /// Takes one step with the bytes that are here. After an error the alert it caused is queued.
    pub(crate) fn step(&mut self, plain: &mut dyn FnMut(&[u8])) -> Result<Progress, LinkError> {
        if self.failed {
            return Err(LinkError::Over);
        }
        if self.goodbye_heard {
            return Ok(Progress::Closed);
        }
        let step = self.session.step(self.inbound.held(), &mut self.outbound, plain);
        let rest = match step.progress {
            Ok(Progress::Starved) => Rest::Incomplete,
            Ok(Progress::Plain) => Rest::Unseen,
            _ => Rest::Unknown,
        };
        self.inbound.discard(step.used, rest);
        self.goodbye_heard = step.progress == Ok(Progress::Closed);
        step.progress.map_err(|error| {
            self.failed = true;
            self.session.alert(&mut self.outbound);
            LinkError::from_tls(error)
        })
    }

    /// Encrypts plaintext into the queue.
    pub(crate) fn encrypt(&mut self, plain: &[u8]) -> Result<(), LinkError> {
        if self.failed {
            return Err(LinkError::Over);
        }
        self.session.encrypt(plain, self.inbound.seen(), &mut self.outbound).map_err(LinkError::from_tls)
    }

    /// Reads what the socket has, once; returns how many bytes, 0 if there are none now or no room.
    pub(crate) fn read(&mut self) -> Result<usize, LinkError> {
        if self.ended {
            return Err(LinkError::Lost);
        }
        loop {
            let room = self.inbound.room();
            if room.is_empty() {
                return Ok(0);
            }
            match (&self.socket).read(room) {
                Ok(0) => {
                    self.ended = true;
                    return Err(LinkError::Lost);
                }
                Ok(len) => {
                    self.inbound.filled(len);
                    self.last_heard = Instant::now();
                    return Ok(len);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    return Err(socket_error(error));
                }
            }
        }
    }

    /// Writes what the socket takes without waiting; returns how many bytes.
    pub(crate) fn write(&mut self) -> Result<usize, LinkError> {
        let mut written = 0;
        while !self.outbound.unwritten().is_empty() {
            match (&self.socket).write(self.outbound.unwritten()) {
                Ok(len) => {
                    self.outbound.wrote(len);
                    written += len;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What the peer said last may still be there to read.
                Err(error) => return Err(socket_error(error)),
            }
        }
        Ok(written)
    }

    /// Writes until no more than `left` bytes are queued. Reads meanwhile: the peer may be waiting for just that.
    pub(crate) fn write_down_to(&mut self, left: usize, stall: Duration) -> Result<(), LinkError> {
        let mut deadline = Instant::now() + stall;
        loop {
            if self.write()? > 0 {
                deadline = Instant::now() + stall;
            }
            if self.queued_len() <= left {
                return Ok(());
            }
            let read = !self.ended && (self.inbound.has_room() || self.inbound.may_grow());
            let ready = wait(&self.socket, Interest { read, write: true }, None, deadline)?;
            if ready.read && read {
                self.read()?;
            }
            if ready == Ready::default() && Instant::now() >= deadline {
                return Err(LinkError::WriteStall { after: stall, queued: self.queued_len() });
            }
        }
    }

    /// Waits until there is something to read, room to write what is queued, or the waker was used.
    pub(crate) fn wait(&mut self, waker: Option<&Waker>, deadline: Instant) -> Result<Ready, LinkError> {
        let interest = Interest { read: true, write: self.queued_len() > 0 };
        wait(&self.socket, interest, waker, deadline)
    }

    /// Ends our direction, with its TLS goodbye if the session can still say it, then reads and drops what still comes
    /// until the peer has ended its own or the time is over: a socket closed with bytes unread resets the connection,
    /// and the peer might lose the last thing we said.
    pub(crate) fn wind_up(&mut self, linger: Duration) {
        let deadline = Instant::now() + linger;
        // Whatever fails here, the connection is over.
        self.say_goodbye();
        drop(self.write_down_to(0, linger));
        drop(self.socket.shutdown(Shutdown::Write));
        let mut scrap = vec![0; 64 << 10];
        let mut dropped = 0;
        while dropped < LINGER_LEN_MAX && !self.ended && Instant::now() < deadline {
            match (&self.socket).read(&mut scrap) {
                Ok(0) => return,
                Ok(len) => dropped += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.wait(None, deadline).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Writes bytes that are no TLS.
    #[cfg(test)]
    pub(crate) fn garble(&mut self, bytes: &[u8]) {
        self.outbound.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.outbound.filled(bytes.len());
        self.write_down_to(0, Duration::from_secs(5)).expect("written");
    }

    /// Says goodbye without waiting for anything.
    pub(crate) fn abandon(&mut self) {
        if !self.closed {
            self.say_goodbye();
            drop(self.write());
        }
    }

    fn say_goodbye(&mut self) {
        self.closed = true;
        if !self.failed {
            drop(self.session.close(self.inbound.seen(), &mut self.outbound));
        }
    }
}

fn socket_error(error: io::Error) -> LinkError {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => LinkError::Lost,
        _ => LinkError::Socket(error),
    }
}
