//! One connection of a session without its socket: a function of what comes in and of the machine's state, to what goes out.
//!
//! A driver brings messages, looks in from time to time and sends what is to be sent; nothing here waits, so that the
//! simulator drives the very same code. The order of a connection: 1. a machine's disks begin to be filled, behind what an
//! earlier session has seeded; 2. what an earlier session brought in the stream becomes durable; 3. the welcome; 4. messages,
//! one at a time, while [`Conversation::is_ready`].
//!
//! *Invariant:* no ack goes out for what the machine's state does not call durable.

/// What a message of the source does.
mod incoming;
/// Recovery points that the policy wants.
mod wanting;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use retention::Lifecycle;
use units::Sequence;
use wire::{Applied, Credit, DiskShape, Durable, Hello, Message, RefusalCode, Welcome};

use crate::account::{Account, extents_cost};
use crate::admission::phase;
use crate::machine::{Machine, Session, lock};
use crate::refusal::SessionEnd;
use crate::replica::{Planted, ReplicaError, ResidentBudget, Then, Work};

use self::incoming::Item;
use self::wanting::Wanting;

/// How long a new session waits for what an earlier one has brought to be durable.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);

/// A message with its payload, to be sent.
pub type Outgoing = (Message, Vec<u8>);
/// Called when there may be something new to send; must not block.
pub type Wake = Arc<dyn Fn() + Send + Sync>;
/// Messages for the source that another thread has made ready.
type Outbox = Arc<Mutex<VecDeque<Outgoing>>>;
/// Where the result of work arrives.
type Answer = mpsc::Receiver<Result<(), ReplicaError>>;

/// A connection whose hello was admitted. Dropping it leaves the session.
pub struct Conversation {
    machine: Arc<Machine>,
    session: Arc<Session>,
    connection: u8,
    disks: Vec<DiskShape>,
    watch: u64,
    wake: Wake,
    budget: ResidentBudget,
    outbox: Outbox,
    outgoing: VecDeque<Outgoing>,
    account: Account,
    window: u64,
    durable: Sequence,
    applied: Sequence,
    /// Up to this token the first connection has told what is to be sent again.
    asked_again: u64,
    wanting: Wanting,
    stage: Stage,
}

/// What a conversation waits for before it takes a message.
enum Stage {
    /// Nothing was done yet.
    New,
    /// The disks begin to be filled, or go on to be.
    Beginning(Answer),
    /// What an earlier session brought is becoming durable.
    Settling { since: Instant },
    /// Nothing: the source was welcomed.
    Open,
    /// The seed ends; then this item is taken.
    EndingSeed { answer: Answer, item: Item },
}

impl Conversation {
    /// Begins with an admitted hello. The source may have `window` payload bytes under way; `budget` lends buffers.
    pub fn new(admitted: Admitted, window: u64, budget: ResidentBudget, wake: Wake) -> Self {
        static NEXT_WATCH: AtomicU64 = AtomicU64::new(1);
        let Admitted { machine, session, hello } = admitted;
        let watch = NEXT_WATCH.fetch_add(1, Ordering::Relaxed);
        machine.shared.watch(watch, wake.clone());
        Self {
            connection: hello.connection,
            disks: hello.disks.to_vec(),
            machine,
            session,
            watch,
            wake,
            budget,
            outbox: Outbox::default(),
            outgoing: VecDeque::new(),
            account: Account::new(window),
            window,
            durable: Sequence(0),
            applied: Sequence(0),
            asked_again: 0,
            wanting: Wanting::default(),
            stage: Stage::New,
        }
    }

    /// Returns the machine the source speaks for.
    pub fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    /// Tells whether another message may be brought now. Not before the welcome, and not while as much is under way as may be.
    pub fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Open) && !self.account.is_full()
    }

    /// Tells whether the source was welcomed.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::EndingSeed { .. })
    }

    /// Returns the next message to send.
    pub fn next_outgoing(&mut self) -> Option<Outgoing> {
        self.outgoing.pop_front()
    }

    /// Goes on with what has changed since the last look. What is to be sent is to be sent even if this ends the session. Errors:
    /// why it ends.
    pub fn look(&mut self, now: Instant) -> Result<(), SessionEnd> {
        match std::mem::replace(&mut self.stage, Stage::Open) {
            Stage::New => {
                let lifecycle = self.machine.shared.lock().lifecycle.clone();
                // Done in its turn: what an earlier session seeded, and its watermarks, are settled by then.
                let hurries = self.machine.shared.plants(Planted::SeedUnsettled);
                self.stage = match lifecycle {
                    Lifecycle::Seeding { .. } if hurries => Stage::Settling { since: now },
                    Lifecycle::Registered | Lifecycle::Seeding { .. } | Lifecycle::Original { .. } => {
                        Stage::Beginning(self.begin())
                    }
                    _ => Stage::Settling { since: now },
                };
                self.look(now)
            }
            Stage::Beginning(answer) => match arrived(&answer)? {
                true => self.settle(now, now),
                false => {
                    self.stage = Stage::Beginning(answer);
                    Ok(())
                }
            },
            Stage::Settling { since } => self.settle(since, now),
            Stage::EndingSeed { answer, item } => {
                if arrived(&answer)? {
                    self.take_ordered(item)?;
                } else {
                    self.stage = Stage::EndingSeed { answer, item };
                }
                self.report()
            }
            Stage::Open => self.report(),
        }
    }

    /// Welcomes the source once all that was received before is durable.
    fn settle(&mut self, since: Instant, now: Instant) -> Result<(), SessionEnd> {
        let recorded = !matches!(self.machine.shared.lock().lifecycle, Lifecycle::Original { .. });
        let durable = self.session.resume_point(&self.machine.shared)?.filter(|_| recorded);
        let Some(durable) = durable else {
            if now.duration_since(since) < SETTLE_WITHIN {
                self.stage = Stage::Settling { since };
                return Ok(());
            }
            let is_full = self.machine.shared.lock().full.is_some();
            let code = if is_full { RefusalCode::Full } else { RefusalCode::Busy };
            return Err(SessionEnd::refused(code, "what an earlier session brought is not durable yet"));
        };
        let phase = {
            let mut state = self.machine.shared.lock();
            if self.connection == 0 {
                state.resends.begin_session();
            }
            phase(&state)
        };
        self.durable = durable;
        self.stage = Stage::Open;
        let generation = self.machine.generation;
        let welcome = Welcome { generation, phase, durable, credit: self.window, software: software() };
        self.send(Message::Welcome(Box::new(welcome)));
        self.report()
    }

    /// Tells the source what has changed since it was last told: acks, credits, answers; or why the session ends.
    fn report(&mut self) -> Result<(), SessionEnd> {
        let (durable, applied, end, again, wanted) = {
            let state = self.machine.shared.lock();
            let tells = self.connection == 0 && state.lifecycle == Lifecycle::Protected;
            let again = if tells { state.resends.after(self.asked_again) } else { Vec::new() };
            let wanted = if tells { self.wanting.look(&state.timeline, &state.policy()) } else { None };
            (self.machine.shared.acked(&state), state.applied, SessionEnd::of_state(&state), again, wanted)
        };
        if let Some(wanted) = wanted {
            self.send(Message::PointWanted(wanted));
        }
        for resend in again {
            self.asked_again = resend.token;
            self.send(Message::Resend(Box::new(resend)));
        }
        self.account.release(durable);
        if durable > self.durable {
            self.durable = durable;
            self.send(Message::Durable(Durable { upto: durable }));
        }
        if applied > self.applied {
            self.applied = applied;
            self.send(Message::Applied(Applied { upto: applied }));
        }
        self.outgoing.append(&mut lock(&self.outbox));
        if let Some(upto) = self.account.grant() {
            self.send(Message::Credit(Credit { upto }));
        }
        if let Some(end) = end {
            return Err(end);
        }
        if self.session.broken.load(Ordering::Relaxed) {
            return Err(SessionEnd::refused(RefusalCode::Busy, "a connection of this session was lost"));
        }
        Ok(())
    }

    fn send(&mut self, message: Message) {
        self.outgoing.push_back((message, Vec::new()));
    }

    fn begin(&self) -> Answer {
        let lens = self.disks.iter().map(|disk| disk.len).collect();
        self.ask(|then| Work::Begin { lens, then })
    }

    /// Gives work to the applier; its result arrives.
    fn ask(&self, work: impl FnOnce(Then<()>) -> Work) -> Answer {
        let (sender, receiver) = mpsc::channel();
        let wake = self.wake.clone();
        self.machine.shared.give(work(Box::new(move |result| {
            // Whoever asked may be gone.
            let _ = sender.send(result);
            wake();
        })));
        receiver
    }

    /// Returns a receiver of a result that puts messages in the outbox; `len` is how much memory they may take.
    fn answer<T: 'static>(
        &self,
        len: usize,
        messages: impl FnOnce(T) -> Vec<Outgoing> + Send + 'static,
    ) -> Then<T> {
        let (outbox, wake) = (self.outbox.clone(), self.wake.clone());
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
            wake();
        })
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.machine.shared.unwatch(self.watch);
        self.machine.leave(&self.session, self.connection);
    }
}

/// Tells whether the result of work is there. Errors: it failed, or nobody will do it any more.
fn arrived(answer: &Answer) -> Result<bool, SessionEnd> {
    match answer.try_recv() {
        Ok(Ok(())) => Ok(true),
        Ok(Err(error)) => Err(SessionEnd::refused(RefusalCode::DeviceFailed, crate::replica::chain(&error))),
        Err(mpsc::TryRecvError::Empty) => Ok(false),
        Err(mpsc::TryRecvError::Disconnected) => {
            Err(SessionEnd::refused(RefusalCode::Stopping, "the target is stopping"))
        }
    }
}

/// A connection that may begin.
pub struct Admitted {
    pub(crate) machine: Arc<Machine>,
    pub(crate) session: Arc<Session>,
    pub(crate) hello: Box<Hello>,
}

fn software() -> heapless::String<32> {
    heapless::String::try_from(concat!("landfalld ", env!("CARGO_PKG_VERSION"))).unwrap_or_default()
}
