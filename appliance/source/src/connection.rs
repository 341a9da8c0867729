//! One connection of a session, on a thread of its own: sends what the exchange hands out, hands in what the target says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use link::{Link, Received};
use wire::Message;

use crate::error::SourceError;
use crate::exchange::{Exchange, Next};

/// Without a frame of ours for this long, we say that we are still here.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long one wait for the target takes at most.
const LOOK: Duration = Duration::from_millis(500);

/// A connection and where it belongs.
pub(crate) struct Connection {
    /// The connection itself.
    pub(crate) link: Link,
    /// What it shares with the rest of the session.
    pub(crate) exchange: Arc<Exchange>,
    /// Its number in the session.
    pub(crate) lane: usize,
    /// The target, for messages.
    pub(crate) target: String,
}

impl Connection {
    /// Runs until the session ends; a failure is left in the exchange.
    pub(crate) fn run(mut self) {
        if let Err(failure) = self.serve() {
            let failure = self.explained(failure);
            tracing::debug!(lane = self.lane, error = %failure, "a connection ended");
            self.exchange.fail(failure);
        }
    }

    fn serve(&mut self) -> Result<(), SourceError> {
        let mut payload = Vec::new();
        let mut last_sent = Instant::now();
        loop {
            match self.exchange.next(self.lane) {
                Next::Send(outgoing) => {
                    let start = Instant::now();
                    let slices = outgoing.parcel.as_ref().map(|parcel| parcel.payload()).unwrap_or_default();
                    self.link.send(&outgoing.message, &slices).map_err(|error| self.lost(error))?;
                    last_sent = Instant::now();
                    self.exchange.was_busy(self.lane, last_sent - start);
                    while self.receive(&mut payload, Duration::ZERO)? {}
                }
                Next::Wait { blocked } => {
                    if last_sent.elapsed() >= PING_EVERY {
                        self.link.send(&Message::Ping, &[]).map_err(|error| self.lost(error))?;
                        last_sent = Instant::now();
                    }
                    self.link.flush().map_err(|error| self.lost(error))?;
                    let start = Instant::now();
                    self.receive(&mut payload, LOOK)?;
                    if blocked {
                        self.exchange.was_busy(self.lane, start.elapsed());
                    }
                }
                Next::End { goodbye } => {
                    if goodbye {
                        self.link.send(&Message::Goodbye, &[]).map_err(|error| self.lost(error))?;
                        self.link.flush().map_err(|error| self.lost(error))?;
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Takes one message, if one comes within `limit`; tells whether one came.
    fn receive(&mut self, payload: &mut Vec<u8>, limit: Duration) -> Result<bool, SourceError> {
        match self.link.receive(payload, limit).map_err(|error| self.lost(error))? {
            Received::Message(message) => {
                if message == Message::Ping {
                    self.link.send(&Message::Pong, &[]).map_err(|error| self.lost(error))?;
                }
                self.exchange.take(self.lane, message, payload, &self.target)?;
                Ok(true)
            }
            Received::Woken | Received::TimedOut => Ok(false),
            Received::Closed => Err(SourceError::Closed { target: self.target.clone() }),
        }
    }

    /// Looks whether the target said why, when a connection broke while we were sending.
    fn explained(&mut self, failure: SourceError) -> SourceError {
        const MESSAGES_MAX: usize = 64;
        let mut payload = Vec::new();
        for _ in 0..MESSAGES_MAX {
            match self.link.receive(&mut payload, Duration::ZERO) {
                Ok(Received::Message(message)) => {
                    let taken = self.exchange.take(self.lane, message, &payload, &self.target);
                    if let Err(refused @ SourceError::Refused { .. }) = taken {
                        return refused;
                    }
                }
                Ok(Received::Woken) => {}
                Ok(Received::TimedOut | Received::Closed) | Err(_) => break,
            }
        }
        failure
    }

    fn lost(&self, error: link::LinkError) -> SourceError {
        SourceError::Lost { target: self.target.clone(), source: Arc::new(error) }
    }
}
