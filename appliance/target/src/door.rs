//! The door of a server: takes a connection from its hello to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use link::{Link, Received as Arrived};
use wire::RefusalCode;

use crate::admission::{Caller, admit};
use crate::clock::now;
use crate::conversation::Admitted;
use crate::machine::Machine;
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
        Ok(admitted) => Connection::new(door, &link, admitted).run(&mut link),
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

/// Receives the hello, checks it, and opens or joins the session.
fn greet(door: &Door, link: &mut Link, peer: SocketAddr) -> Result<Admitted, SessionEnd> {
    let mut payload = Vec::new();
    match link.receive(&mut payload, HELLO_WITHIN)? {
        Arrived::Message(message) => {
            admit(message, payload.len(), Caller { identity: link.peer(), address: peer }, &door.find, now())
        }
        Arrived::Closed => Err(SessionEnd::Goodbye),
        Arrived::Woken | Arrived::TimedOut => {
            Err(SessionEnd::refused(RefusalCode::Silent, "no hello came within 10 s"))
        }
    }
}
