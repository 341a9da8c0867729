//! The scripted target's door: one thread for each connection.

use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use link::{Acceptor, Credentials, Limits, Link, Received};
use units::Sequence;
use wire::{
    Credit, Durable, Granules, Hello, Message, RefusalCode, Refused, SeedDurable, Welcome, check_message,
    verify_payload,
};

use super::store::Item;
use super::{Chance, Store};

/// Payload bytes a connection may have under way: little, so that credit matters.
const WINDOW: u64 = 1 << 20;

struct Shared {
    store: Mutex<Store>,
    chance: Mutex<Chance>,
    /// The session that counts; connections of another end.
    session: Mutex<[u8; 16]>,
    /// Counts crashes and take-overs: a connection of an earlier one is dead.
    era: AtomicU64,
    over: AtomicBool,
}

pub(crate) struct Server {
    shared: Arc<Shared>,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start(identity: &Path, store: Store, seed: u64) -> Self {
        let acceptor =
            Acceptor::new(&Credentials::read(identity).expect("an identity")).expect("an acceptor");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            store: Mutex::new(store),
            chance: Mutex::new(Chance::new(seed)),
            session: Mutex::default(),
            era: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if accepting.over.load(Ordering::Relaxed) {
                    return;
                }
                let (shared, acceptor) = (Arc::clone(&accepting), acceptor.clone());
                std::thread::spawn(move || {
                    if let Ok(link) = acceptor.accept(socket, &Limits::default()) {
                        Connection::serve(&shared, link);
                    }
                });
            }
        });
        Self { shared, port }
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.shared.store)
    }

    /// Crashes now: every connection breaks, and what is not durable is lost.
    pub(crate) fn crash(&self) {
        let mut store = self.store();
        self.shared.era.fetch_add(1, Ordering::SeqCst);
        store.crash(&mut lock(&self.shared.chance));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.shared.era.fetch_add(1, Ordering::SeqCst);
        drop(std::net::TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Connection<'a> {
    shared: &'a Shared,
    link: Link,
    era: u64,
    received: u64,
    credited: u64,
    told: Sequence,
}

impl<'a> Connection<'a> {
    fn serve(shared: &'a Shared, mut link: Link) {
        let mut payload = Vec::new();
        let Ok(Received::Message(Message::Hello(hello))) = link.receive(&mut payload, Duration::from_secs(5))
        else {
            return;
        };
        let Ok(era) = admit(shared, &hello).map_err(|code| refuse(&mut link, code)) else { return };
        let mut connection = Self { shared, link, era, received: 0, credited: WINDOW, told: Sequence(0) };
        while connection.turn(&mut payload).is_some() {}
    }

    /// Takes one frame; `None` ends the connection.
    fn turn(&mut self, payload: &mut Vec<u8>) -> Option<()> {
        if self.told == Sequence(0) && self.received == 0 {
            self.welcome()?;
        }
        let received = self.link.receive(payload, Duration::from_millis(3));
        let mut store = lock(&self.shared.store);
        if self.shared.era.load(Ordering::SeqCst) != self.era {
            return None;
        }
        let message = match received {
            Ok(Received::Message(message)) => message,
            Ok(Received::Woken | Received::TimedOut) => {
                drop(store);
                self.grant()?;
                return self.report();
            }
            Ok(Received::Closed) | Err(_) => {
                self.shared.era.fetch_add(1, Ordering::SeqCst);
                store.session_over();
                return None;
            }
        };
        if let Some(fuse) = &mut store.fuse {
            *fuse = fuse.saturating_sub(1);
            if *fuse == 0 {
                store.fuse = None;
                self.shared.era.fetch_add(1, Ordering::SeqCst);
                store.crash(&mut lock(&self.shared.chance));
                return None;
            }
        }
        let checked = check_message(&message, &store.shapes(), payload.len());
        store.rule(checked.is_ok(), &format!("every message keeps the rules: {checked:?}"));
        self.received += payload.len() as u64;
        store.rule(self.received <= self.credited, "no more is sent than was credited");
        if matches!(message, Message::ResendTaken(_)) && store.crash_when_taken {
            self.shared.era.fetch_add(1, Ordering::SeqCst);
            store.crash(&mut lock(&self.shared.chance));
            return None;
        }
        let answers = take(&mut store, message, payload, &mut lock(&self.shared.chance));
        drop(store);
        for (answer, bytes) in answers? {
            self.link.send(&answer, &[&bytes]).ok()?;
        }
        self.report()
    }

    fn welcome(&mut self) -> Option<()> {
        let store = lock(&self.shared.store);
        let (generation, phase, durable) = (store.generation, store.phase(), store.durable);
        drop(store);
        let welcome = Welcome { generation, phase, durable, credit: WINDOW, software: Default::default() };
        self.told = durable.max(Sequence(1));
        self.link.send(&Message::Welcome(Box::new(welcome)), &[]).ok()?;
        let resend = lock(&self.shared.store).resend.clone();
        if let Some(resend) = resend {
            self.link.send(&Message::Resend(Box::new(resend)), &[]).ok()?;
        }
        self.link.flush().ok()
    }

    /// Gives credit only when nothing comes any more, so that whoever sends without it is found out.
    fn grant(&mut self) -> Option<()> {
        if self.received + WINDOW > self.credited {
            self.credited = self.received + WINDOW;
            self.link.send(&Message::Credit(Credit { upto: self.credited }), &[]).ok()?;
        }
        Some(())
    }

    fn report(&mut self) -> Option<()> {
        let store = lock(&self.shared.store);
        if self.shared.era.load(Ordering::SeqCst) != self.era {
            return None;
        }
        let durable = store.durable;
        drop(store);
        if durable >= self.told {
            self.told = durable.next();
            self.link.send(&Message::Durable(Durable { upto: durable }), &[]).ok()?;
        }
        self.link.flush().ok()
    }
}

/// Opens or joins a session; returns its era.
fn admit(shared: &Shared, hello: &Hello) -> Result<u64, RefusalCode> {
    let mut store = lock(&shared.store);
    let shapes = store.shapes();
    let checked = check_message(&Message::Hello(Box::new(hello.clone())), &[], 0);
    store.rule(checked.is_ok(), &format!("hello keeps the rules: {checked:?}"));
    if let Some(code) = store.refusals.pop() {
        return Err(code);
    }
    if *hello.disks != *shapes {
        return Err(RefusalCode::DiskMismatch);
    }
    if hello.generation.0 != 0 && hello.generation < store.generation {
        return Err(RefusalCode::Fenced);
    }
    if hello.acked > store.durable {
        return Err(RefusalCode::LostHistory);
    }
    let mut session = lock(&shared.session);
    if *session != hello.session {
        store.rule(hello.connection == 0, "a session begins with its first connection");
        *session = hello.session;
        shared.era.fetch_add(1, Ordering::SeqCst);
        store.session_over();
    }
    Ok(shared.era.load(Ordering::SeqCst))
}

fn refuse(link: &mut Link, code: RefusalCode) {
    let detail = heapless_detail(code);
    let sent = link.send(&Message::Refused(Box::new(Refused { code, detail })), &[]);
    drop(sent.and_then(|()| link.flush()));
    // The other end closes when it has read why.
    drop(link.receive(&mut Vec::new(), Duration::from_secs(1)));
}

fn heapless_detail(code: RefusalCode) -> heapless::String<512> {
    heapless::String::try_from(format!("the script says {code:?}").as_str()).expect("a short text")
}

/// Takes a message; `None` ends the connection.
fn take(
    store: &mut Store,
    message: Message,
    payload: &mut Vec<u8>,
    chance: &mut Chance,
) -> Option<Vec<(Message, Vec<u8>)>> {
    let mut answers = Vec::new();
    match message {
        Message::Seed(seed) => {
            store.rule(verify_payload(&seed.extents, payload).is_ok(), "every payload has its hash");
            store.seed(*seed, std::mem::take(payload));
        }
        Message::SeedSync(sync) => {
            store.sync(sync);
            answers.push((Message::SeedDurable(SeedDurable { token: sync.token }), Vec::new()));
        }
        Message::Batch(batch) => {
            store.rule(verify_payload(&batch.extents, payload).is_ok(), "every payload has its hash");
            store.item(batch.sequence, Item::Batch(batch, std::mem::take(payload)), chance);
        }
        Message::Marker(marker) => store.item(marker.sequence, Item::Marker(marker), chance),
        Message::HashQuery(query) => {
            let bytes = store.hashes(query.disk, query.first.0, query.count);
            answers.push((Message::Hashes(query), bytes));
        }
        Message::GranuleQuery(query) => {
            let bytes = store.granules(query.disk, &query.leaves);
            let count = u32::try_from(bytes.len() / 32).expect("a short answer");
            answers.push((Message::Granules(Granules { token: query.token, count }), bytes));
        }
        Message::ChangedQuery(query) => {
            let parts = store.changed(query.since);
            answers.extend(parts.into_iter().map(|part| (Message::Changed(Box::new(part)), Vec::new())));
        }
        Message::ResendTaken(taken) => store.resends_taken.push(taken),
        Message::Ping => answers.push((Message::Pong, Vec::new())),
        Message::Pong => {}
        Message::Goodbye => {
            store.goodbyes += 1;
            store.session_over();
            return None;
        }
        other => store.rule(false, &format!("only a source's messages come, not {other:?}")),
    }
    Some(answers)
}
