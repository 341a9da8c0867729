//! A source: the leaf table, the stream, the sweep over the disks, the packer and the exchange are the product's own; what drives
//! them here follows FORMAT.md 1.6 one small step at a time, where the agent has threads that wait.

use std::time::Duration;

use source::parts::{
    ChangedAnswer, Compressor, Exchange, Footing, Heard, LeafTable, Next, Outgoing, Packer, Parcel, SeedPlan,
    Stream, decode, encode, seed_plan,
};
use source::{Compression, SourceError, Stop};
use units::{ByteLen, ByteOffset, Sequence, Timestamp};
use wire::{DiskShape, Hello, Identity, Message, RefusalCode, Role, Welcome};

use super::guest::Guest;
use super::line::{Arrived, PING_AFTER, SILENCE};
use super::network::Network;
use super::working::Task;
use crate::sim::oracle::{Oracle, Stance};
use crate::sim::random::Random;
use crate::sim::seen::{Sight, Sights};

/// What a source may look at and change besides itself.
pub(crate) struct Around<'a> {
    pub network: &'a mut Network,
    pub oracle: &'a mut Oracle,
    pub random: &'a mut Random,
    pub sights: &'a mut Sights,
    pub guest: &'a Guest,
    /// What the machine at the target has received, and what time it is.
    pub received: Sequence,
    pub elapsed: Duration,
    pub wall: u64,
    /// Clocks are set here.
    pub is_set: bool,
}

impl Around<'_> {
    /// Says what happens, when a single seed is looked at.
    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        if super::is_told() {
            println!("{:>12.6} {}", self.elapsed.as_secs_f64(), what());
        }
    }
}

/// See the module.
pub(crate) struct Source {
    pub machine: usize,
    pub identity: Identity,
    pub stream: Stream,
    pub watermarks: Vec<ByteOffset>,
    pub seed_tried: bool,
    pub compressor: Compressor,
    pub session: Option<Session>,
    /// The table as it is on disk, and how it was before: a machine may come back from a snapshot.
    saved: Option<Vec<u8>>,
    older: Option<Vec<u8>>,
    pub token: u64,
    /// Recovery points that were durable, in all.
    pub points: u64,
    /// Why the last session ended.
    pub ended: String,
    calls_at: Duration,
    /// The last time its clock told, and how far that is ahead of the target's.
    clock: u64,
    pub ahead: i64,
}

/// An open session, or one that is being opened.
pub(crate) struct Session {
    pub id: [u8; 16],
    pub lanes: u8,
    pub lines: Vec<u64>,
    credits: Vec<u64>,
    welcome: Option<Welcome>,
    pub exchange: Option<Exchange>,
    pub task: Task,
}

/// Waits for nothing: whoever asks looks again in its next turn.
const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

impl Session {
    /// Looks for something that was heard.
    pub(crate) fn heard<T>(
        &self,
        ready: impl FnMut(&mut Heard) -> Option<T>,
    ) -> Result<Option<T>, SourceError> {
        self.exchange.as_ref().expect("the session is open").hear(AT_ONCE, &Stop::default(), ready)
    }

    pub(crate) fn has_room(&self) -> bool {
        self.exchange.as_ref().is_some_and(Exchange::has_room)
    }

    pub(crate) fn put(&self, lane: Option<usize>, message: Message, parcel: Option<Parcel>) {
        let exchange = self.exchange.as_ref().expect("the session is open");
        // A session that has failed is noticed in the next turn.
        let _ = exchange.put(lane, Outgoing { message, parcel }, &Stop::default());
    }

    pub(crate) fn payload_max(&self) -> usize {
        self.credits.iter().copied().min().map_or(0, |least| least as usize).min(wire::PAYLOAD_LEN_MAX)
    }
}

impl Source {
    pub(crate) fn new(machine: usize, lens: &[u64], compression: Compression) -> Self {
        let name = format!("machine-{machine}").parse().unwrap();
        let table = LeafTable::unknown(name, lens.iter().map(|len| ByteLen(*len)));
        Self {
            machine,
            identity: Identity { role: Role::Source, name: table.machine.clone() },
            stream: Stream::new(table),
            watermarks: lens.iter().map(|_| ByteOffset(0)).collect(),
            seed_tried: false,
            compressor: Compressor::new(compression).expect("there is memory for a compressor"),
            session: None,
            saved: None,
            older: None,
            token: 0,
            points: 0,
            ended: String::new(),
            calls_at: Duration::ZERO,
            clock: 0,
            ahead: 0,
        }
    }

    /// One small step: something that came, something that goes, or the next thing to do.
    pub(crate) fn turn(&mut self, around: &mut Around<'_>) {
        if self.session.is_none() {
            if around.elapsed >= self.calls_at {
                self.dial(around);
            }
            return;
        }
        if let Err(error) = self.step(around) {
            self.judge(&error);
            self.ended = error.to_string();
            around.tell(|| format!("source {}: {error}", self.machine));
            self.hang_up(around);
        }
    }

    /// What a source may never be told.
    fn judge(&self, error: &SourceError) {
        match error {
            SourceError::Refused { code: RefusalCode::LostHistory, detail, .. } => {
                panic!("I1: machine {} was acked more than the target has: {detail}", self.machine)
            }
            SourceError::Refused { code, detail, .. } if is_mistake(*code) => {
                panic!("a lawful source was refused as {code:?}: {detail}")
            }
            SourceError::Protocol { found, .. } => {
                panic!("I1: the target broke a rule to machine {}: {found}", self.machine)
            }
            _ => {}
        }
    }

    fn step(&mut self, around: &mut Around<'_>) -> Result<(), SourceError> {
        let lines = self.session.as_ref().map(|session| session.lines.clone()).unwrap_or_default();
        let lane = around.random.below(lines.len() as u64) as usize;
        match around.random.below(4) {
            0 | 1 => self.receive(lane, lines[lane], around),
            2 => self.transmit(lane, lines[lane], around),
            _ => self.work(around),
        }
    }

    /// Takes what comes next on one connection.
    fn receive(&mut self, lane: usize, line: u64, around: &mut Around<'_>) -> Result<(), SourceError> {
        let closed = || SourceError::Closed { target: "target".to_owned() };
        let away = &mut around.network.line(line).away;
        let (message, payload) = match away.take(around.elapsed) {
            Arrived::Frame(message, payload) => (message, payload),
            Arrived::Ended => return Err(closed()),
            Arrived::Nothing => {
                let silent = around.elapsed.saturating_sub(away.heard_at) > SILENCE;
                if silent {
                    around.sights.add(Sight::SourceGaveUpSilence);
                }
                return if silent { Err(closed()) } else { Ok(()) };
            }
        };
        if message == Message::Ping {
            around.network.line(line).home.put(&Message::Pong, &[], around.elapsed);
        }
        let session = self.session.as_ref().expect("there is a session");
        match &session.exchange {
            Some(exchange) => exchange.take(lane, message, &payload, "target"),
            None => self.greeted(message, around),
        }
    }

    /// Sends what is next on one connection, as far as its credit goes.
    fn transmit(&mut self, lane: usize, line: u64, around: &mut Around<'_>) -> Result<(), SourceError> {
        let home = &mut around.network.line(line).home;
        let Some(exchange) = self.session.as_ref().and_then(|session| session.exchange.as_ref()) else {
            return Ok(());
        };
        match exchange.next(lane) {
            Next::Send(Outgoing { message, parcel }) => {
                let payload = parcel.map(|parcel| parcel.payload().concat()).unwrap_or_default();
                home.put(&message, &payload, around.elapsed);
            }
            Next::Wait { blocked } => {
                if blocked {
                    around.sights.add(Sight::WaitedForCredit);
                }
                if around.elapsed.saturating_sub(home.put_at) > PING_AFTER {
                    home.put(&Message::Ping, &[], around.elapsed);
                }
            }
            Next::End { .. } => return Err(SourceError::Closed { target: "target".to_owned() }),
        }
        Ok(())
    }

    /// Opens the first connection of a new session.
    fn dial(&mut self, around: &mut Around<'_>) {
        let mut id = [0; 16];
        around.random.fill(&mut id);
        let lanes = around.random.between(1, 3) as u8;
        let (lines, credits) = (Vec::new(), Vec::new());
        let session =
            Session { id, lanes, lines, credits, welcome: None, exchange: None, task: Task::Greeting };
        self.session = Some(session);
        match around.oracle.stance {
            Stance::Registered => around.oracle.wanted = Some(Stance::Seeding),
            Stance::Original => around.oracle.wanted = Some(Stance::Following),
            _ => {}
        }
        self.call(around);
    }

    /// Opens the next connection of the session.
    fn call(&mut self, around: &mut Around<'_>) {
        let hello = self.hello();
        let session = self.session.as_mut().expect("a session is being opened");
        let line = around.network.open(self.machine, around.elapsed);
        session.lines.push(line);
        around.network.line(line).home.put(&Message::Hello(Box::new(hello)), &[], around.elapsed);
    }

    fn hello(&self) -> Hello {
        let session = self.session.as_ref().expect("a session is being opened");
        let generation =
            session.welcome.as_ref().map_or(self.stream.generation(), |welcome| welcome.generation);
        Hello {
            machine: self.identity.name.clone(),
            generation,
            session: session.id,
            connection: session.lines.len() as u8,
            connections: session.lanes,
            acked: self.stream.acked(),
            disks: self.shapes().into_iter().collect(),
            software: Default::default(),
        }
    }

    pub(crate) fn shapes(&self) -> Vec<DiskShape> {
        self.stream.table().disks().iter().map(|disk| DiskShape { len: disk.len() }).collect()
    }

    /// Takes the answer to a hello.
    fn greeted(&mut self, message: Message, around: &mut Around<'_>) -> Result<(), SourceError> {
        let welcome = match message {
            Message::Welcome(welcome) => *welcome,
            Message::Refused(refused) => {
                let (target, detail) = ("target".to_owned(), refused.detail.as_str().to_owned());
                around.sights.refused(refused.code);
                return Err(SourceError::Refused { target, code: refused.code, detail });
            }
            _ => return Ok(()),
        };
        let session = self.session.as_mut().expect("there is a session");
        session.credits.push(welcome.credit);
        let first = session.welcome.get_or_insert(welcome).clone();
        if session.lines.len() < usize::from(session.lanes) {
            self.call(around);
            return Ok(());
        }
        let credits = session.credits.clone();
        let exchange = Exchange::new(self.shapes(), first.durable, &credits);
        let session = self.session.as_mut().expect("there is a session");
        session.exchange = Some(exchange);
        session.task = match self.stream.footing(&first) {
            Footing::ChangedSince(since) => {
                around.sights.add(Sight::ResumedBehindTheTarget);
                let query = wire::ChangedQuery { since };
                session.put(Some(0), Message::ChangedQuery(query), None);
                Task::Asking
            }
            footing => {
                around.sights.add(match footing {
                    Footing::Exact => Sight::ResumedExactly,
                    _ => Sight::ResumedWithNothing,
                });
                Task::Adopting(ChangedAnswer::Pending)
            }
        };
        Ok(())
    }

    /// Adopts the welcome; then seeds, or compares and scans.
    pub(crate) fn adopt(&mut self, changed: &ChangedAnswer, around: &mut Around<'_>) {
        let session = self.session.as_ref().expect("there is a session");
        let welcome = session.welcome.clone().expect("an open session was welcomed");
        let plan = seed_plan(&welcome, self.seed_tried);
        around.tell(|| format!("source {}: {welcome:?}, {plan:?}, {changed:?}", self.machine));
        self.stream.adopt(&welcome, changed);
        let ends: Vec<_> = around.guest.disks.iter().map(|disk| ByteOffset(disk.len() as u64)).collect();
        let left = match plan {
            Some(plan) => {
                self.stream.forget_unseeded(&plan.from);
                self.watermarks.clone_from(&plan.from);
                (self.watermarks != ends).then_some(plan)
            }
            None => {
                self.watermarks = ends;
                None
            }
        };
        let session = self.session.as_mut().expect("there is a session");
        session.put(Some(0), Message::Ping, None);
        session.task = Task::HearingOut(left);
    }

    pub(crate) fn begin_seed(&mut self, plan: SeedPlan, around: &mut Around<'_>) -> Task {
        if plan.from.iter().any(|from| from.0 > 0) {
            around.sights.add(Sight::SeedResumed);
        }
        self.seed_tried = true;
        self.save();
        Task::seed(plan, self.packer(), &around.guest.disks)
    }

    pub(crate) fn packer(&self) -> Packer {
        let payload_max = self.session.as_ref().map_or(0, Session::payload_max);
        Packer::new(payload_max, super::buffers())
    }

    /// Returns the time by the source's own clock, which never gives the same twice nor goes back while it runs.
    pub(crate) fn now(&mut self, wall: u64) -> Timestamp {
        self.clock = wall.max(self.clock + 1);
        Timestamp(self.clock)
    }

    /// Saves the table: whole or not at all, as a rename does it.
    pub(crate) fn save(&mut self) {
        let mut bytes = Vec::new();
        encode(self.stream.saveable(), &self.watermarks, &mut bytes).expect("memory takes every byte");
        self.older = self.saved.replace(bytes).or(self.older.take());
    }

    /// Ends the session, however far it was.
    pub(crate) fn hang_up(&mut self, around: &mut Around<'_>) {
        let Some(session) = self.session.take() else { return };
        session.lines.iter().for_each(|line| around.network.line(*line).home.close());
        self.stream.lose();
        self.calls_at = around.elapsed + Duration::from_millis(around.random.between(100, 900));
    }

    /// Starts the agent anew with `--resync`: it trusts no table, and takes nothing for blank.
    pub(crate) fn resync(&mut self, around: &mut Around<'_>) {
        self.hang_up(around);
        (self.saved, self.older) = (None, None);
        self.stream = Stream::new(self.blank(around));
        self.seed_tried = true;
    }

    fn blank(&self, around: &Around<'_>) -> LeafTable {
        let lens = around.guest.disks.iter().map(|disk| ByteLen(disk.len() as u64));
        LeafTable::unknown(self.identity.name.clone(), lens)
    }

    /// Kills the agent and starts it anew: from the table it saved, from an older one, or from none.
    pub(crate) fn restart(&mut self, around: &mut Around<'_>) {
        self.hang_up(around);
        around.tell(|| format!("source {} restarts", self.machine));
        let table = match around.random.below(8) {
            0 if self.older.is_some() => {
                around.sights.add(Sight::SourceFromSnapshot);
                self.older.clone()
            }
            1 => {
                around.sights.add(Sight::SourceLostItsTable);
                None
            }
            _ => self.saved.clone(),
        };
        // Whoever takes the table away says `--resync`; an agent that was never here has none to take.
        self.seed_tried = self.saved.is_some();
        let table = match table {
            Some(bytes) => decode(&bytes).expect("a saved table is whole"),
            None => self.blank(around),
        };
        self.stream = Stream::new(table);
        self.clock = 0;
        if around.is_set {
            // Until somebody tells it, it has the time of its own battery.
            let off = around.random.pick(&[1_000, 60_000_000, 400 * 86_400_000_000]);
            self.ahead = if around.random.one_in(2) { off } else { -off };
        }
    }
}

/// Refusals that say the source has done something wrong.
fn is_mistake(code: RefusalCode) -> bool {
    use RefusalCode::{
        BadExtent, BadPayload, DiskMismatch, Gap, Malformed, NotAuthorised, Unexpected, UnknownMachine,
        WrongHash,
    };
    matches!(
        code,
        BadExtent
            | BadPayload
            | DiskMismatch
            | Gap
            | Malformed
            | NotAuthorised
            | Unexpected
            | UnknownMachine
            | WrongHash
    )
}
