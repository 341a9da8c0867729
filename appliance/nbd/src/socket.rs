//! A connected socket of either kind. It may be read, written and shut down by several threads at once.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    /// Sets how long a write may wait for the client, and what else lets a dead client be noticed.
    pub(crate) fn prepare(&self, write_stall: Duration) -> io::Result<()> {
        match self {
            Self::Unix(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_write_timeout(Some(write_stall))
            }
            Self::Tcp(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_nodelay(true)?;
                rustix::net::sockopt::set_socket_keepalive(stream, true)?;
                stream.set_write_timeout(Some(write_stall))
            }
        }
    }

    /// Lets reads wait until then, or for ever. Errors: the time has come.
    pub(crate) fn read_until(&self, deadline: Option<Instant>) -> io::Result<()> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(ErrorKind::TimedOut.into());
        }
        match self {
            Self::Unix(stream) => stream.set_read_timeout(left),
            Self::Tcp(stream) => stream.set_read_timeout(left),
        }
    }

    /// Reads what is there, or waits for something; 0 is the end.
    pub(crate) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let outcome = match self {
                Self::Unix(stream) => { stream }.read(into),
                Self::Tcp(stream) => { stream }.read(into),
            };
            match outcome {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// Writes all parts, one behind the other.
    pub(crate) fn write_all(&self, parts: &[&[u8]]) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut left = slices.as_mut_slice();
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let outcome = match self {
                Self::Unix(stream) => { stream }.write_vectored(left),
                Self::Tcp(stream) => { stream }.write_vectored(left),
            };
            match outcome {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => IoSlice::advance_slices(&mut left, len),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends both directions: whoever waits for the socket goes on with an error.
    pub(crate) fn shut_down(&self) {
        // The client may have gone first.
        drop(match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        });
    }
}
