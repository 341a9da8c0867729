//! One connection of a session, on a thread of its own: frames in, acks and credits out.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use link::{Link, Received as Arrived, Waker};
use retention::{BatchBody, Body, Lifecycle};
use units::{Generation, Sequence};
use wire::{
    Applied, Changed, Credit, DiskShape, Durable, Extent, HashQuery, Hello, Message, RefusalCode, SPANS_MAX,
    SeedDurable, Welcome,
};

use crate::account::{Account, extents_cost};
use crate::admission::phase;
use crate::clock::now;
use crate::door::Door;
use crate::machine::{Machine, Session, lock};
use crate::payload::check_frames;
use crate::refusal::SessionEnd;
use crate::replica::{NotTaken, Received, ReplicaError, SeedWork, Then, Work};

/// How long a link may be idle before it is pinged.
const PING_AFTER: Duration = Duration::from_secs(5);
/// How often a connection that is held back is looked at.
const HELD_BACK_FOR: Duration = Duration::from_millis(2);
/// A message for the source that another thread has made ready.
type Outbox = Arc<Mutex<VecDeque<(Message, Vec<u8>)>>>;

/// A connection that was greeted.
pub(crate) struct Connection<'a> {
    door: &'a Door,
    machine: &'a Machine,
    session: &'a Session,
    generation: Generation,
    disks: Vec<DiskShape>,
    id: u64,
    outbox: Outbox,
    waker: Waker,
    account: Account,
    window: u64,
    durable: Sequence,
    applied: Sequence,
    last_sent: Instant,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(
        door: &'a Door,
        machine: &'a Machine,
        session: &'a Session,
        link: &Link,
        hello: &Hello,
    ) -> Self {
        let id = door.next_id.fetch_add(1, Ordering::Relaxed);
        let waker = link.waker();
        let woken = waker.clone();
        machine.shared.watch(id, Arc::new(move || woken.wake()));
        let window = door.window();
        Self {
            door,
            machine,
            session,
            generation: machine.generation,
            disks: hello.disks.to_vec(),
            id,
            outbox: Outbox::default(),
            waker,
            account: Account::new(window),
            window,
            durable: Sequence(0),
            applied: Sequence(0),
            last_sent: Instant::now(),
        }
    }

    pub(crate) fn run(mut self, link: &mut Link) -> SessionEnd {
        match self.converse(link) {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    fn converse(&mut self, link: &mut Link) -> Result<std::convert::Infallible, SessionEnd> {
        self.welcome(link)?;
        let mut payload = Vec::new();
        loop {
            self.hold_back(link)?;
            match link.receive(&mut payload, PING_AFTER)? {
                Arrived::Message(message) => self.take(link, message, &mut payload)?,
                Arrived::Closed => return Err(SessionEnd::Goodbye),
                Arrived::Woken => {}
                Arrived::TimedOut if self.last_sent.elapsed() >= PING_AFTER => {
                    self.send(link, &Message::Ping, &[])?
                }
                Arrived::TimedOut => {}
            }
            self.report(link)?;
        }
    }

    /// Reads nothing while this connection has as much under way as it may; the peer is told of progress all the same.
    fn hold_back(&mut self, link: &mut Link) -> Result<(), SessionEnd> {
        while self.account.is_full() {
            std::thread::sleep(HELD_BACK_FOR);
            self.report(link)?;
            if self.last_sent.elapsed() >= PING_AFTER {
                self.send(link, &Message::Ping, &[])?;
            }
            link.flush()?;
        }
        Ok(())
    }

    fn welcome(&mut self, link: &mut Link) -> Result<(), SessionEnd> {
        if self.machine.shared.lock().lifecycle == Lifecycle::Registered {
            let lens = self.disks.iter().map(|disk| disk.len).collect();
            self.ask(|then| Work::Begin { lens, then })?;
        }
        let durable = self.session.resume_point(&self.machine.shared)?;
        let phase = phase(&self.machine.shared.lock());
        self.durable = durable;
        let software = software();
        let welcome = Welcome { generation: self.generation, phase, durable, credit: self.window, software };
        self.send(link, &Message::Welcome(Box::new(welcome)), &[])?;
        Ok(link.flush()?)
    }

    fn take(&mut self, link: &mut Link, message: Message, payload: &mut Vec<u8>) -> Result<(), SessionEnd> {
        wire::check_message(&message, &self.disks, payload.len())?;
        match message {
            Message::Batch(batch) => {
                wire::verify_payload(&batch.extents, payload)?;
                check_frames(&batch.extents, payload)?;
                let (sequence, time) = (batch.sequence, batch.time);
                let body = Body::Batch(BatchBody { sequence, time, extents: batch.extents.to_vec() });
                self.take_item(sequence, body, std::mem::replace(payload, self.door.budget.buffer()))
            }
            Message::Marker(marker) => self.take_item(marker.sequence, Body::Marker(marker), Vec::new()),
            Message::Seed(seed) => {
                wire::verify_payload(&seed.extents, payload)?;
                check_frames(&seed.extents, payload)?;
                self.take_seed(seed.extents.to_vec(), std::mem::replace(payload, self.door.budget.buffer()))
            }
            Message::SeedSync(sync) => {
                let token = sync.token;
                let then =
                    self.answer(0, move |()| vec![(Message::SeedDurable(SeedDurable { token }), Vec::new())]);
                self.machine.shared.give(Work::SeedSync { disk: sync.disk, through: sync.through, then });
                Ok(())
            }
            Message::HashQuery(query) => self.take_hash_query(query),
            Message::ChangedQuery(query) => {
                let cost = SPANS_MAX * size_of::<wire::Span>();
                let then = self.answer(cost, changed_messages);
                self.machine.shared.give(Work::Changed { since: query.since, then });
                Ok(())
            }
            Message::Ping => self.send(link, &Message::Pong, &[]),
            Message::Pong => Ok(()),
            Message::Goodbye => Err(SessionEnd::Goodbye),
            Message::Refused(refused) => {
                tracing::warn!(machine = %self.machine.name, code = ?refused.code, detail = %refused.detail, "the source gave up");
                Err(SessionEnd::Goodbye)
            }
            _ => Err(SessionEnd::refused(RefusalCode::Unexpected, "this message is the target's to send")),
        }
    }

    /// Counts payload against the credit.
    fn count(&mut self, bytes: usize) -> Result<(), SessionEnd> {
        self.session.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.account.receive(bytes)
    }

    fn take_item(&mut self, sequence: Sequence, body: Body, payload: Vec<u8>) -> Result<(), SessionEnd> {
        self.count(payload.len())?;
        if matches!(self.machine.shared.lock().lifecycle, Lifecycle::Seeding { .. }) {
            self.ask(|then| Work::EndSeeding { then })?;
        }
        let cost = match &body {
            Body::Batch(batch) => extents_cost(batch.extents.len()),
            _ => extents_cost(units::DISKS_MAX),
        };
        self.account.hold(sequence, payload.len(), cost);
        let item = Received { sequence, time: now(), body, payload };
        // Held until the items are taken, so that two connections can't pass each other here.
        let mut reorder = lock(&self.session.reorder);
        let ready = reorder.as_mut().expect("a welcomed session has a resume point").put(item);
        for item in ready {
            match self.machine.shared.take(item) {
                Ok(()) | Err(NotTaken::Duplicate) => {}
                Err(NotTaken::Gap { expected }) => {
                    let detail = format!("sequence {sequence} came, {expected} must come next");
                    return Err(SessionEnd::refused(RefusalCode::Gap, detail));
                }
                Err(NotTaken::Closed) => {
                    let end = SessionEnd::of_state(&self.machine.shared.lock());
                    return Err(end.unwrap_or(SessionEnd::refused(
                        RefusalCode::Unexpected,
                        "the stream has not begun",
                    )));
                }
            }
        }
        Ok(())
    }

    fn take_seed(&mut self, extents: Vec<Extent>, payload: Vec<u8>) -> Result<(), SessionEnd> {
        self.count(payload.len())?;
        if !matches!(self.machine.shared.lock().lifecycle, Lifecycle::Seeding { .. }) {
            return Err(SessionEnd::refused(RefusalCode::Unexpected, "the machine is seeded already"));
        }
        let (loan, waker) =
            (self.account.lend(payload.len(), extents_cost(extents.len())), self.waker.clone());
        let then: Then<()> = Box::new(move |result| {
            // A failure puts the machine out, and is told from there.
            if result.is_ok() {
                loan.settle();
                waker.wake();
            }
        });
        self.machine.shared.give(Work::Seed(SeedWork { extents, payload, then }));
        Ok(())
    }

    fn take_hash_query(&mut self, query: HashQuery) -> Result<(), SessionEnd> {
        let then = self.answer(query.count as usize * 32, move |hashes: Vec<units::Hash>| {
            let bytes = hashes.iter().flat_map(|hash| hash.0).collect();
            vec![(Message::Hashes(query), bytes)]
        });
        self.machine.shared.give(Work::Hashes { query, then });
        Ok(())
    }

    /// Returns a receiver of a result that puts messages in the outbox; `len` is how much memory they may take.
    fn answer<T: 'static>(
        &self,
        len: usize,
        messages: impl FnOnce(T) -> Vec<(Message, Vec<u8>)> + Send + 'static,
    ) -> Then<T> {
        let (outbox, waker) = (self.outbox.clone(), self.waker.clone());
        let loan = self.account.lend(0, extents_cost(0) + len as u64);
        Box::new(move |result| {
            let ready = match result {
                Ok(value) => messages(value),
                Err(error) => {
                    let code = RefusalCode::DeviceFailed;
                    vec![(SessionEnd::message(code, &crate::replica::chain(&error)), Vec::new())]
                }
            };
            lock(&outbox).extend(ready);
            loan.settle();
            waker.wake();
        })
    }

    /// Gives work to the applier and waits for its result.
    fn ask<T: Send + 'static>(&self, work: impl FnOnce(Then<T>) -> Work) -> Result<T, SessionEnd> {
        let (sender, receiver) = mpsc::channel();
        let then: Then<T> = Box::new(move |result: Result<T, ReplicaError>| {
            // Whoever asked may be gone.
            let _ = sender.send(result);
        });
        self.machine.shared.give(work(then));
        match receiver.recv() {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                Err(SessionEnd::refused(RefusalCode::DeviceFailed, crate::replica::chain(&error)))
            }
            Err(_) => Err(SessionEnd::refused(RefusalCode::Stopping, "the target is stopping")),
        }
    }

    /// Tells the source what has changed since it was last told: acks, credits, answers; or why the session ends.
    fn report(&mut self, link: &mut Link) -> Result<(), SessionEnd> {
        let (durable, applied, end) = {
            let state = self.machine.shared.lock();
            (state.durable, state.applied, SessionEnd::of_state(&state))
        };
        self.account.release(durable);
        if durable > self.durable {
            self.durable = durable;
            self.send(link, &Message::Durable(Durable { upto: durable }), &[])?;
        }
        if applied > self.applied {
            self.applied = applied;
            self.send(link, &Message::Applied(Applied { upto: applied }), &[])?;
        }
        let ready = std::mem::take(&mut *lock(&self.outbox));
        for (message, payload) in ready {
            self.send(link, &message, &[&payload])?;
        }
        if let Some(upto) = self.account.grant() {
            self.send(link, &Message::Credit(Credit { upto }), &[])?;
        }
        if let Some(end) = end {
            return Err(end);
        }
        if self.door.stopping.load(Ordering::Relaxed) {
            return Err(SessionEnd::refused(
                RefusalCode::Stopping,
                "the target is stopping; it will be back",
            ));
        }
        if self.session.broken.load(Ordering::Relaxed) {
            return Err(SessionEnd::refused(RefusalCode::Busy, "a connection of this session was lost"));
        }
        Ok(())
    }

    fn send(&mut self, link: &mut Link, message: &Message, payload: &[&[u8]]) -> Result<(), SessionEnd> {
        self.last_sent = Instant::now();
        Ok(link.send(message, payload)?)
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.machine.shared.unwatch(self.id);
    }
}

/// Cuts the answer to a question about changes into messages.
fn changed_messages(spans: Option<Vec<wire::Span>>) -> Vec<(Message, Vec<u8>)> {
    let message = |changed| (Message::Changed(Box::new(changed)), Vec::new());
    let Some(spans) = spans else { return vec![message(Changed::Unknown)] };
    let mut parts: Vec<_> = spans.chunks(SPANS_MAX).collect();
    if parts.is_empty() {
        parts.push(&[]);
    }
    let last = parts.len() - 1;
    let part = |(index, part): (usize, &[wire::Span])| {
        message(Changed::Spans { spans: part.iter().copied().collect(), last: index == last })
    };
    parts.into_iter().enumerate().map(part).collect()
}

fn software() -> heapless::String<32> {
    heapless::String::try_from(concat!("landfalld ", env!("CARGO_PKG_VERSION"))).unwrap_or_default()
}
