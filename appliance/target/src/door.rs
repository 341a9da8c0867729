//! The door of a server: takes a connection from its hello to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use link::{Link, Received as Arrived};
use wire::{Hello, Message, RefusalCode};

use crate::admission::{check_hello, check_identity};
use crate::clock::now;
use crate::machine::{Machine, Session};
use crate::refusal::SessionEnd;
use crate::replica::ResidentBudget;
use crate::session::Connection;

/// How long a source may take to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// What a refused peer is given to read why.
const LINGER: Duration = Duration::from_secs(1);

/// Finds the machine of a name, while the server lives.
pub(crate) type FindMachine = Box<dyn Fn(&units::MachineName) -> Option<Arc<Machine>> + Send + Sync>;

/// What a connection needs to know of its server.
pub(crate) struct Door {
    /// Payload bytes a connection may have under way, at most,
    pub(crate) window_max: u64,
    /// and all of them together, roughly: what a new one is granted is its share.
    pub(crate) window_total: u64,
    /// Connections that are open.
    pub(crate) open: Arc<AtomicU64>,
    /// Buffers for payloads.
    pub(crate) budget: ResidentBudget,
    /// Finds the machine of a name.
    pub(crate) find: FindMachine,
    /// The server is stopping.
    pub(crate) stopping: AtomicBool,
    /// Numbers the connections.
    pub(crate) next_id: AtomicU64,
}

impl Door {
    /// Returns what a new connection may have under way: always at least one whole frame.
    pub(crate) fn window(&self) -> u64 {
        const LEAST: u64 = 2 * wire::PAYLOAD_LEN_MAX as u64;
        let share = self.window_total / self.open.load(Ordering::Relaxed).max(1);
        share.clamp(LEAST.min(self.window_max), self.window_max)
    }
}

/// Serves one connection until it ends; tells the source why when it was refused.
pub(crate) fn serve(door: &Door, mut link: Link, peer: SocketAddr) {
    let name = link.peer().name.clone();
    let end = match greet(door, &mut link, peer) {
        Ok(Greeted { machine, session, hello }) => {
            let _leaving = Leaving { machine: &machine, session: &session, connection: hello.connection };
            Connection::new(door, &machine, &session, &link, &hello).run(&mut link)
        }
        Err(end) => end,
    };
    match end {
        SessionEnd::Goodbye => tracing::info!(%peer, %name, "session ended by the source"),
        SessionEnd::Refused { code, detail } => {
            tracing::warn!(%peer, %name, ?code, detail, "session refused");
            if link.send(&SessionEnd::message(code, &detail), &[]).is_ok() {
                link.close(LINGER);
            }
        }
        SessionEnd::Link(error) => {
            tracing::warn!(%peer, %name, error = %crate::replica::chain(&error), "session ended");
            let code = match &error {
                link::LinkError::Frame(frame) => frame.refusal_code(),
                link::LinkError::Silent { .. } => RefusalCode::Silent,
                _ => return,
            };
            // The peer may be gone; it is told if it is there.
            if link.send(&SessionEnd::message(code, &crate::replica::chain(&error)), &[]).is_ok() {
                link.close(LINGER);
            }
        }
    }
}

/// Ends a connection's part in its session when dropped, after a panic too: the machine is not left busy.
struct Leaving<'a> {
    machine: &'a Machine,
    session: &'a Arc<Session>,
    connection: u8,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.machine.leave(self.session, self.connection);
    }
}

/// A connection that may begin.
struct Greeted {
    machine: Arc<Machine>,
    session: Arc<Session>,
    hello: Box<Hello>,
}

/// Receives the hello, checks it, and opens or joins the session.
fn greet(door: &Door, link: &mut Link, peer: SocketAddr) -> Result<Greeted, SessionEnd> {
    let mut payload = Vec::new();
    let message = match link.receive(&mut payload, HELLO_WITHIN)? {
        Arrived::Message(message) => message,
        Arrived::Closed => return Err(SessionEnd::Goodbye),
        Arrived::Woken | Arrived::TimedOut => {
            return Err(SessionEnd::refused(RefusalCode::Silent, "no hello came within 10 s"));
        }
    };
    wire::check_message(&message, &[], payload.len())?;
    let Message::Hello(hello) = message else {
        return Err(SessionEnd::refused(RefusalCode::Unexpected, "a session begins with a hello"));
    };
    check_identity(link.peer(), &hello)?;
    let unknown = || {
        let detail = format!("machine {} is not known here: `landfall machine add` it first", hello.machine);
        SessionEnd::refused(RefusalCode::UnknownMachine, detail)
    };
    let machine = (door.find)(&hello.machine).ok_or_else(unknown)?;
    check_hello(&hello, &machine)?;
    let session = machine.join(&hello, peer, now())?;
    tracing::info!(%peer, machine = %hello.machine, connection = hello.connection, "session opened");
    Ok(Greeted { machine, session, hello })
}
