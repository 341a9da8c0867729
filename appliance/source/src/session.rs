//! A session with the target: one to eight connections, seen as one.
//!
//! The agent's thread puts frames in and waits for what the target says; each connection has a thread. When one connection
//! fails the session is over: the agent opens another and starts from what is durable (see [`crate::resume`]).

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use link::{Connector, Limits, Link, Received, Waker};
use units::{Hash, Sequence};
use wire::{ChangedQuery, Consistency, HashQuery, Hello, Message, Resend, Welcome, check_message};

use crate::connection::Connection;
use crate::error::SourceError;
use crate::exchange::{ChangedAnswer, Exchange, Heard, LinkUse, Outgoing};
use crate::orders::Orders;
use crate::parcel::Parcel;
use crate::stop::Stop;

/// How long the target may take to answer a hello.
const WELCOME_WITHIN: Duration = Duration::from_secs(15);
/// How long an agent that makes no points waits before it looks again.
const PAUSED_FOR: Duration = Duration::from_secs(1);
/// The least credit a target may begin with: the payload of one leaf.
const CREDIT_MIN: u64 = units::LEAF_LEN;

/// An open session.
pub(crate) struct Session {
    exchange: Arc<Exchange>,
    wakers: Vec<Waker>,
    threads: Vec<JoinHandle<()>>,
    stop: Stop,
    target: String,
    /// The answer to the first connection's hello.
    pub(crate) welcome: Welcome,
    /// Payload bytes one frame may have so that it fits the credit of every connection.
    pub(crate) payload_max: usize,
}

impl Session {
    /// Connects and says hello on every connection. Errors: no connection, refused, a welcome that breaks a rule.
    pub(crate) fn open(
        connector: &Connector,
        target: &str,
        hello: &Hello,
        stop: &Stop,
    ) -> Result<Self, SourceError> {
        let shapes = hello.disks.to_vec();
        let (first, welcome) = greet(connector, target, hello.clone(), stop)?;
        let mut links = vec![first];
        let mut credits = vec![welcome.credit];
        for connection in 1..hello.connections {
            let joining = Hello { connection, generation: welcome.generation, ..hello.clone() };
            let (link, joined) = greet(connector, target, joining, stop)?;
            links.push(link);
            credits.push(joined.credit);
        }
        let least = credits.iter().copied().min().unwrap_or(0);
        if least < CREDIT_MIN {
            let found = format!("a first credit of {least} bytes, less than a leaf");
            return Err(SourceError::Protocol { target: target.to_owned(), found });
        }
        let payload_max = usize::try_from(least).unwrap_or(usize::MAX).min(wire::PAYLOAD_LEN_MAX);
        let exchange = Arc::new(Exchange::new(shapes, welcome.durable, &credits));
        let wakers = links.iter().map(Link::waker).collect();
        let start = |(lane, link)| {
            let connection =
                Connection { link, exchange: Arc::clone(&exchange), lane, target: target.to_owned() };
            let thread = std::thread::Builder::new().name(format!("connection-{lane}"));
            thread.spawn(move || connection.run()).expect("the kernel gives up to eight threads")
        };
        let threads = links.into_iter().enumerate().map(start).collect();
        Ok(Self {
            exchange,
            wakers,
            threads,
            stop: stop.clone(),
            target: target.to_owned(),
            welcome,
            payload_max,
        })
    }

    /// Returns how many connections there are.
    pub(crate) fn lanes(&self) -> usize {
        self.wakers.len()
    }

    /// Sends a frame on one connection, or on the one with the least to do; waits while all have much to do. Errors: the
    /// session failed or the operator wants to stop; then nobody knows whether the frame arrives.
    pub(crate) fn send(
        &self,
        lane: Option<usize>,
        message: Message,
        parcel: Option<Parcel>,
    ) -> Result<(), SourceError> {
        let lane = self.exchange.put(lane, Outgoing { message, parcel }, &self.stop)?;
        self.wakers[lane].wake();
        Ok(())
    }

    /// Returns the ack as it is now. Errors: the session failed or the operator wants to stop.
    pub(crate) fn durable(&self) -> Result<Sequence, SourceError> {
        let durable = self.exchange.hear(None, &self.stop, |heard| Some(heard.durable))?;
        Ok(durable.expect("without a limit there is an answer"))
    }

    /// Waits until the ack has reached `sequence`. Errors: as for [`Session::durable`].
    pub(crate) fn wait_durable(&self, sequence: Sequence) -> Result<Sequence, SourceError> {
        let reached = |heard: &mut Heard| (heard.durable >= sequence).then_some(heard.durable);
        let durable = self.exchange.hear(None, &self.stop, reached)?;
        Ok(durable.expect("without a limit there is an answer"))
    }

    /// Waits until `deadline`, or until the target wants something or an order comes, while the connections keep each other alive.
    /// Without a deadline, nothing but an order counts, and it waits a second at the most. Errors: as for [`Session::durable`].
    pub(crate) fn idle(&self, deadline: Option<Instant>, orders: &Orders) -> Result<(), SourceError> {
        let limit =
            deadline.map_or(PAUSED_FOR, |deadline| deadline.saturating_duration_since(Instant::now()));
        let wants = |heard: &Heard| !heard.resends.is_empty() || heard.wanted.is_some();
        let reason = |heard: &mut Heard| (orders.waits() || deadline.is_some() && wants(heard)).then_some(());
        self.exchange.hear(Some(limit), &self.stop, reason)?;
        Ok(())
    }

    /// Takes the point that the target's policy wants. Errors: as for [`Session::durable`].
    pub(crate) fn take_wanted(&self) -> Result<Option<Consistency>, SourceError> {
        let wanted = self.exchange.hear(None, &self.stop, |heard| Some(heard.wanted.take()))?;
        Ok(wanted.expect("without a limit there is an answer"))
    }

    /// Waits until everything the target says right after its welcome is heard: it stands before the answer to a ping. Errors: as for
    /// [`Session::durable`].
    pub(crate) fn hear_out(&self) -> Result<(), SourceError> {
        self.send(Some(0), Message::Ping, None)?;
        self.exchange.hear(None, &self.stop, |heard| heard.ponged.then_some(()))?;
        Ok(())
    }

    /// Tells whether the target wants something again. Errors: as for [`Session::durable`].
    pub(crate) fn is_asked_again(&self) -> Result<bool, SourceError> {
        let asked = self.exchange.hear(None, &self.stop, |heard| Some(!heard.resends.is_empty()))?;
        Ok(asked.expect("without a limit there is an answer"))
    }

    /// Takes what the target wants to have again. Errors: as for [`Session::durable`].
    pub(crate) fn take_resends(&self) -> Result<Vec<Resend>, SourceError> {
        let taken = self.exchange.hear(None, &self.stop, |heard| Some(std::mem::take(&mut heard.resends)))?;
        Ok(taken.expect("without a limit there is an answer"))
    }

    /// Tells whether a seed sync was answered; with `wait`, waits until it is. Errors: as for [`Session::durable`].
    pub(crate) fn seed_durable(&self, token: u64, wait: bool) -> Result<bool, SourceError> {
        let answered = |heard: &mut Heard| {
            let at = heard.seed_durable.iter().position(|answered| *answered == token)?;
            Some(heard.seed_durable.swap_remove(at))
        };
        let limit = (!wait).then_some(Duration::ZERO);
        Ok(self.exchange.hear(limit, &self.stop, answered)?.is_some())
    }

    /// Waits for the answer to a hash query that was sent. Errors: as for [`Session::durable`]; an answer of another length.
    pub(crate) fn hashes(&self, query: HashQuery) -> Result<Vec<Hash>, SourceError> {
        let hashes =
            self.exchange.hear(None, &self.stop, |heard| heard.hashes_of(query.disk, query.first))?;
        let hashes = hashes.expect("without a limit there is an answer");
        if hashes.len() != query.count as usize {
            let found = format!("{} hashes, {} were asked for", hashes.len(), query.count);
            return Err(SourceError::Protocol { target: self.target.clone(), found });
        }
        Ok(hashes)
    }

    /// Returns the answer to a question about granules: with `wait`, waits for it. Errors: as for [`Session::durable`]; an answer of
    /// another length than `count`.
    pub(crate) fn granules(
        &self,
        token: u64,
        count: usize,
        wait: bool,
    ) -> Result<Option<Vec<Hash>>, SourceError> {
        let answered = |heard: &mut Heard| {
            let at = heard.granules.iter().position(|(answered, _)| *answered == token)?;
            Some(heard.granules.swap_remove(at).1)
        };
        let limit = (!wait).then_some(Duration::ZERO);
        match self.exchange.hear(limit, &self.stop, answered)? {
            Some(hashes) if hashes.len() != count => {
                let found = format!("{} hashes of granules, {count} were asked for", hashes.len());
                Err(SourceError::Protocol { target: self.target.clone(), found })
            }
            answer => Ok(answer),
        }
    }

    /// Asks what was written after `since` and waits for the answer. Errors: as for [`Session::durable`].
    pub(crate) fn changed_since(&self, since: Sequence) -> Result<ChangedAnswer, SourceError> {
        self.send(Some(0), Message::ChangedQuery(ChangedQuery { since }), None)?;
        let answer = self.exchange.hear(None, &self.stop, Heard::changed_answer)?;
        Ok(answer.expect("without a limit there is an answer"))
    }

    /// Returns what the connections were given and how long they were busy with it.
    pub(crate) fn link_use(&self) -> LinkUse {
        self.exchange.link_use()
    }

    fn join(&mut self) {
        self.wakers.iter().for_each(Waker::wake);
        for thread in self.threads.drain(..) {
            // A panic there was reported by the runtime; the session ends all the same.
            drop(thread.join());
        }
    }

    /// Ends the session in order: what is not on its way yet is dropped, then goodbye.
    pub(crate) fn close(mut self) {
        self.exchange.end();
        self.join();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.exchange.fail(SourceError::Stopped);
            self.join();
        }
    }
}

/// Opens one connection and waits for its welcome.
fn greet(
    connector: &Connector,
    target: &str,
    hello: Hello,
    stop: &Stop,
) -> Result<(Link, Welcome), SourceError> {
    let lost = |error| SourceError::Lost { target: target.to_owned(), source: Arc::new(error) };
    let protocol = |found: String| SourceError::Protocol { target: target.to_owned(), found };
    let shapes = hello.disks.clone();
    let mut link = connector.connect(target, &Limits::default()).map_err(lost)?;
    link.send(&Message::Hello(Box::new(hello)), &[]).map_err(lost)?;
    link.flush().map_err(lost)?;
    let deadline = Instant::now() + WELCOME_WITHIN;
    let mut payload = Vec::new();
    loop {
        if stop.asked() {
            return Err(SourceError::Stopped);
        }
        match link.receive(&mut payload, Duration::from_millis(100)).map_err(lost)? {
            Received::Message(Message::Welcome(welcome)) => {
                let message = Message::Welcome(welcome.clone());
                check_message(&message, &shapes, payload.len())
                    .map_err(|error| protocol(error.to_string()))?;
                return Ok((link, *welcome));
            }
            Received::Message(Message::Refused(refused)) => {
                let detail = refused.detail.as_str().to_owned();
                return Err(SourceError::Refused { target: target.to_owned(), code: refused.code, detail });
            }
            Received::Message(Message::Goodbye) | Received::Closed => {
                return Err(SourceError::Closed { target: target.to_owned() });
            }
            Received::Message(Message::Ping | Message::Pong) | Received::Woken | Received::TimedOut => {}
            Received::Message(_) => {
                return Err(protocol("something else than a welcome after hello".to_owned()));
            }
        }
        if Instant::now() >= deadline {
            return Err(SourceError::Closed { target: target.to_owned() });
        }
    }
}
