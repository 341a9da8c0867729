//! One machine of this master target, as sessions and operators see it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use retention::{Head, HeadDisk};
use units::{Generation, MachineId, MachineName, Sequence, Timestamp};
use wire::Hello;

use crate::refusal::SessionEnd;
use crate::reorder::Reorder;
use crate::replica::{Planted, Shared};
use crate::scrub::Scrub;

/// A machine, and who speaks for it now.
pub struct Machine {
    /// Its id.
    pub id: MachineId,
    /// Its name.
    pub name: MachineName,
    /// The generation that may write.
    pub generation: Generation,
    /// Its target disks, as they were assigned.
    pub disks: Vec<HeadDisk>,
    /// The state of its replica.
    pub shared: Arc<Shared>,
    /// Which worker applies it.
    pub(crate) worker: usize,
    /// How it is scrubbed.
    pub scrub: Scrub,
    session: Mutex<Option<Arc<Session>>>,
    last_session: Mutex<Option<SessionReport>>,
}

/// One session of a source: 1 to 8 connections.
pub(crate) struct Session {
    id: [u8; 16],
    peer: SocketAddr,
    software: String,
    connections: u8,
    since: Timestamp,
    /// One bit for each connection that has come.
    joined: Mutex<u8>,
    pub(crate) received: AtomicU64,
    /// Knows what comes next once the session has its resume point.
    pub(crate) reorder: Mutex<Option<Reorder>>,
    /// A connection was lost: the others end too, and the source connects anew.
    pub(crate) broken: std::sync::atomic::AtomicBool,
}

/// What an operator sees of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionReport {
    /// It is open.
    pub connected: bool,
    /// Where the source comes from.
    pub peer: SocketAddr,
    /// The source's name and version.
    pub software: String,
    /// How many connections it has.
    pub connections: u8,
    /// When it began.
    pub since: Timestamp,
    /// Payload bytes received.
    pub received: u64,
}

impl Machine {
    /// Puts a machine together: what its head says, the state of its replica, and the worker that applies it.
    pub fn new(head: &Head, shared: Arc<Shared>, worker: usize) -> Self {
        Self {
            id: head.machine,
            name: head.name.clone(),
            generation: head.generation,
            disks: head.disks.clone(),
            shared,
            worker,
            scrub: Scrub::default(),
            session: Mutex::default(),
            last_session: Mutex::default(),
        }
    }

    /// Returns the session that is open, or how the last one was.
    pub fn session(&self) -> Option<SessionReport> {
        match &*lock(&self.session) {
            Some(session) => Some(session.report(true)),
            None => lock(&self.last_session).clone(),
        }
    }

    /// Opens a session, or joins the one that is open. Errors: another is open, or this connection has come already.
    pub(crate) fn join(
        &self,
        hello: &Hello,
        peer: SocketAddr,
        now: Timestamp,
    ) -> Result<Arc<Session>, SessionEnd> {
        let busy = |what: &str| SessionEnd::refused(wire::RefusalCode::Busy, what);
        let mut open = lock(&self.session);
        let session = match &*open {
            Some(session) if session.id != hello.session => {
                return Err(busy(
                    "another session of this machine is open; it ends 15 s after its last word",
                ));
            }
            Some(session) if session.broken.load(Ordering::Relaxed) => {
                return Err(busy("a connection of this session was lost; begin a new one"));
            }
            Some(session) => session.clone(),
            None => {
                let session = Arc::new(Session::new(hello, peer, now));
                *open = Some(session.clone());
                session
            }
        };
        let bit = 1_u8 << hello.connection;
        let mut joined = lock(&session.joined);
        if *joined & bit != 0 {
            return Err(busy("this connection of the session is open already"));
        }
        *joined |= bit;
        drop(joined);
        Ok(session)
    }

    /// Ends a connection; with the last one, the session.
    pub(crate) fn leave(&self, session: &Arc<Session>, connection: u8) {
        session.broken.store(true, Ordering::Relaxed);
        let mut joined = lock(&session.joined);
        *joined &= !(1 << connection);
        let last = *joined == 0;
        drop(joined);
        if last {
            *lock(&self.last_session) = Some(session.report(false));
            lock(&self.session).take_if(|open| Arc::ptr_eq(open, session));
        }
        self.shared.changed();
    }
}

impl Session {
    fn new(hello: &Hello, peer: SocketAddr, since: Timestamp) -> Self {
        Self {
            id: hello.session,
            peer,
            software: hello.software.as_str().to_owned(),
            connections: hello.connections,
            since,
            joined: Mutex::new(0),
            received: AtomicU64::new(0),
            reorder: Mutex::default(),
            broken: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// Returns where the stream goes on: behind everything an earlier session has brought, once all of that is durable; `None`
    /// until then. The source will fill the next sequence anew, perhaps with other content, so nothing of the kind may be on
    /// its way still. The first connection decides, for all.
    pub(crate) fn resume_point(&self, shared: &Shared) -> Result<Option<Sequence>, SessionEnd> {
        let mut reorder = lock(&self.reorder);
        if let Some(reorder) = &*reorder {
            return Ok(Some(reorder.resume_point()));
        }
        let state = shared.lock();
        if let Some(end) = SessionEnd::of_state(&state) {
            return Err(end);
        }
        if state.durable != state.received && !shared.plants(Planted::ResumeUnsettled) {
            return Ok(None);
        }
        *reorder = Some(Reorder::new(state.durable, self.connections));
        Ok(Some(state.durable))
    }

    fn report(&self, connected: bool) -> SessionReport {
        SessionReport {
            connected,
            peer: self.peer,
            software: self.software.clone(),
            connections: self.connections,
            since: self.since,
            received: self.received.load(Ordering::Relaxed),
        }
    }
}

/// Locks; what these locks guard is never left half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
