//! How an agent is.

use std::sync::{Mutex, MutexGuard, PoisonError};

use units::{MachineName, Timestamp};
use wire::heartbeat::{ClockReading, CommandId, Outage, clipped};

use crate::Diagnosis;

/// How an agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentStatus {
    /// Where the controller is.
    pub controller: String,
    /// Whether it is reached.
    pub connection: Connection,
}

/// Whether the controller is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// No attempt has ended yet.
    Connecting,
    /// It is.
    Connected {
        /// Since when, by our clock.
        since: Timestamp,
        /// Its name, from its certificate.
        name: MachineName,
        /// Its software.
        software: String,
        /// The version of the protocol.
        version: u16,
        /// Our clock against its, once it was measured.
        clock: Option<ClockReading>,
    },
    /// It is not.
    Unreachable {
        /// Since when, by our clock.
        since: Timestamp,
        /// What the last attempt found.
        why: Diagnosis,
    },
}

/// A command that would destroy something and waits for somebody at this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingCommand {
    /// Which command.
    pub id: CommandId,
    /// Who asked for it.
    pub by: String,
    /// When it was given, by the controller's clock.
    pub issued: Timestamp,
    /// What it would destroy.
    pub destroys: String,
    /// Seconds until it is done without anybody's approval, while the program runs.
    pub seconds_left: u64,
}

/// The status, as it changes.
#[derive(Debug)]
pub(crate) struct Board {
    status: Mutex<AgentStatus>,
}

impl Board {
    pub(crate) fn new(controller: String) -> Self {
        Self { status: Mutex::new(AgentStatus { controller, connection: Connection::Connecting }) }
    }

    pub(crate) fn status(&self) -> AgentStatus {
        self.lock().clone()
    }

    pub(crate) fn set(&self, connection: Connection) {
        self.lock().connection = connection;
    }

    pub(crate) fn set_clock(&self, reading: Option<ClockReading>) {
        if let Connection::Connected { clock, .. } = &mut self.lock().connection {
            *clock = reading;
        }
    }

    /// Notes a failed attempt, or the end of a connection; the first cause of an outage is kept until another is found.
    pub(crate) fn fail(&self, why: Diagnosis, now: Timestamp) {
        let mut status = self.lock();
        let since = match &status.connection {
            Connection::Unreachable { since, .. } => *since,
            _ => now,
        };
        status.connection = Connection::Unreachable { since, why };
    }

    /// Returns the outage that a new connection ends, if there was one.
    pub(crate) fn outage(&self, now: Timestamp) -> Option<Outage> {
        let Connection::Unreachable { since, why } = &self.lock().connection else { return None };
        Some(Outage { since: *since, until: now, cause: why.cause, detail: clipped(&why.detail) })
    }

    fn lock(&self) -> MutexGuard<'_, AgentStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
