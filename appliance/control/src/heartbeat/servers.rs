//! The servers that report: who is connected, what they said last, whether they are alive.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use inventory::{Ending, Liveness, Order, Pulse, PulseEffect, PulseEvent};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use units::Timestamp;
use wire::Identity;
use wire::heartbeat::{Hello, Message};

use crate::heartbeat::gathering::ServerReport;

/// Messages that wait for a server to take them.
const OUTGOING_MAX: usize = 128;

/// What is known of one server.
#[derive(Clone, Debug)]
pub struct ServerView {
    /// Role and name.
    pub identity: Identity,
    /// Where it was connected from last.
    pub address: Option<SocketAddr>,
    /// What it runs and speaks, once it was connected.
    pub speaks: Option<Speaks>,
    /// Whether it is connected to this configuration server now.
    pub connected: bool,
    /// What it said last, and when.
    pub report: Option<(Timestamp, Arc<ServerReport>)>,
    /// How long nothing was heard.
    pub silence: Duration,
    /// Whether it is alive.
    pub liveness: Liveness,
}

/// What a server runs and speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaks {
    /// Name and version of its program.
    pub software: String,
    /// The version of the protocol that was agreed.
    pub version: u16,
}

/// The servers that report. Clones are the same.
#[derive(Clone)]
pub struct Servers {
    shared: Arc<Mutex<Shared>>,
    begun: Instant,
}

#[derive(Default)]
struct Shared {
    servers: BTreeMap<Identity, Server>,
    sessions: HashMap<Identity, Session>,
    /// Counts connections, so that the end of an older one doesn't end a newer one.
    connection: u64,
    /// What is to be done and was not yet.
    wanting: Vec<Wanting>,
}

struct Server {
    address: Option<SocketAddr>,
    speaks: Option<Speaks>,
    report: Option<(Timestamp, Arc<ServerReport>)>,
    pulse: Pulse,
}

struct Session {
    connection: u64,
    outgoing: Sender<Outgoing>,
}

/// What is to be sent to a server.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// A message.
    Message(Message),
    /// An order, to be signed.
    Order(Box<Order>),
    /// Another connection of the same server has taken over.
    Replaced,
}

/// A server whose pulse asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanting {
    pub(crate) identity: Identity,
    pub(crate) effect: PulseEffect,
}

/// A connection of a server, until it is dropped.
pub(crate) struct Entered {
    servers: Servers,
    pub(crate) identity: Identity,
    connection: u64,
    /// How it ended, as far as is known.
    pub(crate) ending: Ending,
}

impl Servers {
    /// Expects servers that were enrolled: those that are not heard are lost after a while.
    pub fn expect(&self, identities: impl IntoIterator<Item = Identity>) {
        let (mut shared, now) = (self.lock(), self.begun.elapsed());
        for identity in identities {
            shared.servers.entry(identity).or_insert_with(|| Server::expected(now));
        }
    }

    /// Takes servers as heard that another configuration server hears: they are expected from now on, and lost once nobody hears them.
    pub fn heard_elsewhere(&self, identities: impl IntoIterator<Item = Identity>) {
        for identity in identities {
            self.expect([identity.clone()]);
            self.note(&identity, PulseEvent::Heard);
        }
    }

    /// Forgets a server that was revoked; to end its connection is the gate's business.
    pub fn forget(&self, identity: &Identity) {
        self.lock().servers.remove(identity);
    }

    /// Returns what is known of every server, by role and name.
    pub fn list(&self) -> Vec<ServerView> {
        let (shared, now) = (self.lock(), self.begun.elapsed());
        shared.servers.iter().map(|(identity, server)| shared.view(identity, server, now)).collect()
    }

    /// Returns what is known of one server.
    pub fn show(&self, identity: &Identity) -> Option<ServerView> {
        let (shared, now) = (self.lock(), self.begun.elapsed());
        let server = shared.servers.get(identity)?;
        Some(shared.view(identity, server, now))
    }

    /// Takes a connection; an older one of the same server is told to end.
    pub(crate) fn enter(
        &self,
        identity: &Identity,
        address: SocketAddr,
        hello: &Hello,
        version: u16,
    ) -> (Entered, Receiver<Outgoing>) {
        let (outgoing, receiver) = channel(OUTGOING_MAX);
        let (mut shared, now) = (self.lock(), self.begun.elapsed());
        shared.connection += 1;
        let connection = shared.connection;
        if let Some(older) = shared.sessions.insert(identity.clone(), Session { connection, outgoing }) {
            // One that takes nothing any more is ended by its own limits.
            drop(older.outgoing.try_send(Outgoing::Replaced));
        }
        let server = shared.servers.entry(identity.clone()).or_insert_with(|| Server::expected(now));
        server.address = Some(address);
        server.speaks = Some(Speaks { software: hello.software.as_str().to_owned(), version });
        let identity = identity.clone();
        (Entered { servers: self.clone(), identity, connection, ending: Ending::Silent }, receiver)
    }

    /// Notes something that concerns a server's pulse.
    pub(crate) fn note(&self, identity: &Identity, event: PulseEvent) {
        let now = self.begun.elapsed();
        self.lock().step(identity, now, event);
    }

    /// Sends something to a server, if it is connected here. A connection that takes no more is ended: with the next, everything that
    /// is open is sent again.
    pub(crate) fn send(&self, identity: &Identity, outgoing: Outgoing) {
        let mut shared = self.lock();
        let refused =
            shared.sessions.get(identity).map(|session| session.outgoing.try_send(outgoing).is_err());
        if refused == Some(true) {
            shared.sessions.remove(identity);
        }
    }

    /// Lets time pass, and returns what is to be done.
    pub(crate) fn tick(&self) -> Vec<Wanting> {
        let (mut shared, now) = (self.lock(), self.begun.elapsed());
        let identities: Vec<Identity> = shared.servers.keys().cloned().collect();
        identities.iter().for_each(|identity| shared.step(identity, now, PulseEvent::Tick));
        std::mem::take(&mut shared.wanting)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Servers {
    /// Knows nobody yet.
    fn default() -> Self {
        Self { shared: Arc::default(), begun: Instant::now() }
    }
}

impl Shared {
    fn view(&self, identity: &Identity, server: &Server, now: Duration) -> ServerView {
        ServerView {
            identity: identity.clone(),
            address: server.address,
            speaks: server.speaks.clone(),
            connected: self.sessions.contains_key(identity),
            report: server.report.clone(),
            silence: server.pulse.silence(now),
            liveness: server.pulse.liveness().clone(),
        }
    }

    fn step(&mut self, identity: &Identity, now: Duration, event: PulseEvent) {
        let Some(server) = self.servers.get_mut(identity) else { return };
        let mut effects = Vec::new();
        server.pulse.step(now, event, &mut effects);
        let wanting = effects.into_iter().map(|effect| Wanting { identity: identity.clone(), effect });
        self.wanting.extend(wanting);
    }
}

impl Server {
    fn expected(now: Duration) -> Self {
        Self { address: None, speaks: None, report: None, pulse: Pulse::new(now) }
    }
}

impl Entered {
    /// Takes a report.
    pub(crate) fn heard(&self, report: Box<ServerReport>, time: Timestamp) {
        let now = self.servers.begun.elapsed();
        let mut shared = self.servers.lock();
        if let Some(server) = shared.servers.get_mut(&self.identity) {
            server.report = Some((time, Arc::from(report)));
        }
        shared.step(&self.identity, now, PulseEvent::Heard);
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let now = self.servers.begun.elapsed();
        let mut shared = self.servers.lock();
        if shared.sessions.get(&self.identity).is_some_and(|session| session.connection == self.connection) {
            shared.sessions.remove(&self.identity);
            shared.step(&self.identity, now, PulseEvent::Ended(self.ending));
        }
    }
}
