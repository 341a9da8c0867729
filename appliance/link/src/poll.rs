//! Waiting for a socket, and for the waker beside it.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::{LinkError, Waker};

/// What a wait is for. Errors and hang-ups of the socket always end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) woken: bool,
}

/// Waits until the socket is ready, the waker was used, or the deadline has passed (then nothing is ready).
pub(crate) fn wait(
    socket: &TcpStream,
    interest: Interest,
    waker: Option<&Waker>,
    deadline: Instant,
) -> Result<Ready, LinkError> {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, interest.read);
    flags.set(PollFlags::OUT, interest.write);
    let mut descriptors = vec![PollFd::new(socket, flags)];
    descriptors.extend(waker.map(|waker| PollFd::from_borrowed_fd(waker.descriptor(), PollFlags::IN)));
    loop {
        let timeout = timespec(deadline.saturating_duration_since(Instant::now()));
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(LinkError::Socket(error.into())),
        }
    }
    let socket_flags = descriptors[0].revents();
    // A failed socket is both readable and writable: the call that follows tells the error.
    let failed = socket_flags.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
    Ok(Ready {
        read: socket_flags.contains(PollFlags::IN) || failed,
        write: socket_flags.contains(PollFlags::OUT) || failed,
        woken: descriptors.get(1).is_some_and(|event| !event.revents().is_empty()),
    })
}

fn timespec(duration: Duration) -> Timespec {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: i64::from(duration.subsec_nanos()) }
}
