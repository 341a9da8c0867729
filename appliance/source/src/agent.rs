//! The agent: sessions one after the other, until a recovery point is durable or for ever.

use std::time::{Duration, Instant, SystemTime};

use blockdev::{ActivityStamp, HostEngine, PagePool};
use heapless::Vec as Bounded;
use link::Connector;
use units::{ByteLen, ByteOffset, Generation, Sequence, Timestamp};
use wire::{DiskShape, Hello, Message};

use crate::backoff;
use crate::compress::Compressor;
use crate::config::{Config, Schedule};
use crate::disks::Activity;
use crate::error::{Retry, SourceError};
use crate::leaf::LeafContent;
use crate::pace::Pace;
use crate::parcel::Chunk;
use crate::progress::{Counters, Event, Point, Report, Stage, progress};
use crate::random;
use crate::resume::seed_plan;
use crate::scan::Reader;
use crate::session::Session;
use crate::state::StateDirectory;
use crate::still::Held;
use crate::stop::Stop;
use crate::stream::Stream;
use crate::throttle::Throttle;

/// Rounds that follow at once when a disk was written while it was scanned.
const FUZZY_AGAIN_MAX: u32 = 3;
/// How often progress is told at most.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// A table this long is saved at every recovery point; a longer one no more often than it takes to write it at this rate.
const SAVE_ALWAYS_LEN: u64 = 16 << 20;
const SAVE_RATE: f64 = 8e6;

/// Everything one agent works with.
pub(crate) struct Agent<'a> {
    pub(crate) config: &'a Config,
    pub(crate) stop: &'a Stop,
    pub(crate) report: &'a mut dyn Report,
    pub(crate) connector: Connector,
    pub(crate) state: StateDirectory,
    pub(crate) reader: Reader<HostEngine>,
    pub(crate) activity: Activity,
    pub(crate) buffers: PagePool,
    pub(crate) stream: Stream,
    pub(crate) compressor: Compressor,
    /// By disk: what is seeded and durable at the target; the disks' ends once seeding is over.
    pub(crate) watermarks: Vec<ByteOffset>,
    /// Whether a seed frame may ever have been sent to these disks.
    pub(crate) seed_tried: bool,
    pub(crate) counters: Counters,
    pub(crate) counting_since: Instant,
    /// Everything counted since the agent started, and since when.
    pub(crate) totals: Counters,
    /// The disks' activity before the seed read its first byte, if this agent seeds from the start.
    pub(crate) seeded_since: Option<Vec<ActivityStamp>>,
    started: Instant,
    pub(crate) token: u64,
    clock: Timestamp,
    told_at: Instant,
    saved: Option<(Instant, Sequence, Generation)>,
    pub(crate) due: Instant,
    /// Told to make no points until told to go on.
    pub(crate) paused: bool,
    /// Writes held for a point of a group.
    pub(crate) held: Option<Held>,
    pub(crate) throttle: Throttle,
}

/// Why the target is not being written to, and since when.
struct Outage {
    since: Instant,
    failed: u32,
}

/// What an agent starts with.
pub(crate) struct Parts {
    /// Makes connections.
    pub(crate) connector: Connector,
    /// The locked state directory.
    pub(crate) state: StateDirectory,
    /// The disks.
    pub(crate) reader: Reader<HostEngine>,
    /// Tells whether the disks are being written.
    pub(crate) activity: Activity,
    /// Buffers for what is sent.
    pub(crate) buffers: PagePool,
    /// The leaf table as it was found.
    pub(crate) stream: Stream,
    /// Whether a table was found at all, so that an earlier agent may have sent something.
    pub(crate) seed_tried: bool,
}

impl<'a> Agent<'a> {
    /// Puts an agent together. Errors: the compressor.
    pub(crate) fn new(
        config: &'a Config,
        stop: &'a Stop,
        report: &'a mut dyn Report,
        parts: Parts,
    ) -> Result<Self, SourceError> {
        let Parts { connector, state, reader, activity, buffers, stream, seed_tried } = parts;
        let compressor =
            Compressor::new(config.compression).map_err(|error| SourceError::Compressor(error.into()))?;
        let (now, watermarks) = (Instant::now(), vec![ByteOffset(0); reader.disks().len()]);
        let (counters, clock) = (Counters::default(), Timestamp(0));
        Ok(Self {
            config,
            stop,
            report,
            connector,
            state,
            reader,
            activity,
            buffers,
            stream,
            compressor,
            watermarks,
            seed_tried,
            counters,
            counting_since: now,
            totals: counters,
            seeded_since: None,
            started: now,
            token: 0,
            clock,
            told_at: now,
            saved: None,
            due: now,
            paused: false,
            held: None,
            throttle: Throttle::new(now),
        })
    }

    /// Runs until one recovery point is durable (and returns it), or until the operator stops it. Errors: what cannot pass by
    /// itself, or the time to reach the target is over.
    pub(crate) fn run(mut self) -> Result<Option<Point>, SourceError> {
        let mut outage: Option<Outage> = None;
        loop {
            let before = (self.stream.acked(), self.watermarks.clone());
            let failure = match self.session() {
                Ok(point) => return Ok(Some(point)),
                Err(failure) => failure,
            };
            self.stream.lose();
            // Who waits for an order hears of it, and writes go on.
            self.held = None;
            self.config.orders.drop_all();
            if before != (self.stream.acked(), self.watermarks.clone()) {
                outage = None;
            }
            let ended = match failure.retry() {
                Retry::Later => self.wait_to_retry(failure, &mut outage),
                Retry::Never => Err(failure),
            };
            match (ended, self.config.schedule) {
                (Ok(()), _) => {}
                (Err(SourceError::Stopped), Schedule::Every(_)) => {
                    self.save()?;
                    return Ok(None);
                }
                (Err(failure), _) => return Err(failure),
            }
        }
    }

    /// Waits before the next attempt. Errors: no more time, the operator wants to stop.
    fn wait_to_retry(
        &mut self,
        failure: SourceError,
        outage: &mut Option<Outage>,
    ) -> Result<(), SourceError> {
        let now = Instant::now();
        if outage.is_none() {
            let cause = failure.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
            self.report.event(Event::Waiting { reason: format!("{failure}{cause}") });
        }
        let state = outage.get_or_insert(Outage { since: now, failed: 0 });
        let wait = backoff::delay(state.failed, random::word()?);
        state.failed = state.failed.saturating_add(1);
        if let Schedule::Once { timeout: Some(waited) } = self.config.schedule
            && now.duration_since(state.since) + wait > waited
        {
            let target = self.config.target.clone();
            return Err(SourceError::Unreachable { target, waited, source: Box::new(failure) });
        }
        while now.elapsed() < wait {
            if self.stop.asked() {
                return Err(SourceError::Stopped);
            }
            std::thread::sleep(wait.saturating_sub(now.elapsed()).min(Duration::from_millis(100)));
        }
        Ok(())
    }

    /// Opens a session and works in it until it is done or fails.
    fn session(&mut self) -> Result<Point, SourceError> {
        let session = Session::open(&self.connector, &self.config.target, &self.hello()?, self.stop)?;
        let outcome = self.work(&session);
        if outcome
            .as_ref()
            .err()
            .is_none_or(|failure| !matches!(failure, SourceError::Lost { .. } | SourceError::Closed { .. }))
        {
            session.close();
        }
        outcome
    }

    fn work(&mut self, session: &Session) -> Result<Point, SourceError> {
        let plan = seed_plan(&session.welcome, self.seed_tried);
        self.adopt(session)?;
        self.report.event(Event::Connected {
            target: self.config.target.clone(),
            generation: session.welcome.generation,
            durable: session.welcome.durable,
        });
        session.hear_out()?;
        let mut pace = Pace::new(Instant::now());
        match plan {
            Some(plan) => self.seed(session, &plan, &mut pace)?,
            None => self.watermarks = self.ends(),
        }
        let mut fuzzy = 0;
        loop {
            let occasion = self.next_occasion(session)?;
            self.take_resends(session)?;
            let start = Instant::now();
            let point = self.make_point(session, &mut pace, occasion)?;
            fuzzy = if point.consistency == wire::Consistency::Fuzzy { fuzzy + 1 } else { 0 };
            let again = (1..=FUZZY_AGAIN_MAX).contains(&fuzzy) || session.is_asked_again()?;
            self.save_if_due(again)?;
            self.report.event(Event::Point(point.clone()));
            match self.config.schedule {
                Schedule::Once { .. } if !again => {
                    self.save()?;
                    return Ok(Point { counters: self.totals, took: self.started.elapsed(), ..point });
                }
                Schedule::Every(interval) if !again => {
                    fuzzy = 0;
                    self.due = start + interval;
                }
                _ => {}
            }
        }
    }

    /// Takes what the target wants to have again into the next round, in the order that [`Stream::take_resends`] asks for.
    fn take_resends(&mut self, session: &Session) -> Result<(), SourceError> {
        let resends = session.take_resends()?;
        if resends.is_empty() {
            return Ok(());
        }
        let taken = self.stream.take_resends(&resends);
        self.save_now()?;
        taken.into_iter().try_for_each(|taken| session.send(Some(0), Message::ResendTaken(taken), None))
    }

    fn hello(&self) -> Result<Hello, SourceError> {
        let disks: Bounded<_, { units::DISKS_MAX }> =
            self.reader.disks().iter().map(|disk| DiskShape { len: disk.len }).collect();
        let software = concat!("landfall-source ", env!("CARGO_PKG_VERSION"));
        Ok(Hello {
            machine: self.config.machine.clone(),
            generation: self.stream.generation(),
            session: random::id()?,
            connection: 0,
            connections: self.config.connections,
            acked: self.stream.acked(),
            disks,
            software: heapless::String::try_from(software).unwrap_or_default(),
        })
    }

    /// Looks at the link when it is time, with some of the data about to be sent.
    pub(crate) fn look_at_link(
        &mut self,
        session: &Session,
        pace: &mut Pace,
        chunk: &Chunk,
        contents: &[Option<LeafContent>],
    ) {
        const SAMPLE: usize = 4;
        let differing =
            chunk.leaves().zip(contents).filter(|(_, content)| matches!(content, Some(LeafContent::Data(_))));
        let leaves: Vec<&[u8]> = differing.map(|((_, range), _)| &chunk.page[range]).collect();
        let len = leaves.iter().map(|leaf| leaf.len() as u64).sum();
        if pace.covered(len, Instant::now()) {
            let interval = pace.look(session.link_use(), session.lanes(), Instant::now());
            let level = self.compressor.level();
            self.compressor.observe(interval, &leaves[..leaves.len().min(SAMPLE)]);
            if level != self.compressor.level() {
                tracing::debug!(from = ?level, to = ?self.compressor.level(), "source.compression");
            }
        }
    }

    /// Tells how far a stage is, but not too often.
    pub(crate) fn tell(&mut self, stage: Stage, done: ByteLen, start: Instant) {
        if self.told_at.elapsed() >= TELL_EVERY {
            self.told_at = Instant::now();
            let total = self.reader.disks().iter().map(|disk| disk.len).sum();
            self.report.event(Event::Progress(progress(
                stage,
                total,
                done,
                self.counters.sent,
                start.elapsed(),
            )));
        }
    }

    /// Returns the time, never the same twice and never going back while the agent runs.
    pub(crate) fn now(&mut self) -> Timestamp {
        self.clock = Timestamp::from_system(SystemTime::now()).max(Timestamp(self.clock.0 + 1));
        self.clock
    }

    /// Returns the end of each disk.
    pub(crate) fn ends(&self) -> Vec<ByteOffset> {
        self.reader.disks().iter().map(|disk| ByteOffset(disk.len.0)).collect()
    }

    /// Saves the table, unless what is saved says the same. Errors: the state directory.
    pub(crate) fn save(&mut self) -> Result<(), SourceError> {
        let at = (self.stream.acked(), self.stream.generation());
        let adopted = self.stream.generation() != Generation(0);
        if adopted && self.saved.is_none_or(|(_, sequence, generation)| (sequence, generation) != at) {
            self.save_now()?;
        }
        Ok(())
    }

    /// Saves the table. Errors: the state directory.
    pub(crate) fn save_now(&mut self) -> Result<(), SourceError> {
        self.state.save(self.stream.saveable(), &self.watermarks)?;
        self.saved = Some((Instant::now(), self.stream.acked(), self.stream.generation()));
        Ok(())
    }

    fn save_if_due(&mut self, hurried: bool) -> Result<(), SourceError> {
        let len = crate::layout::encoded_len(self.stream.table());
        let pause = Duration::from_secs_f64(len as f64 / SAVE_RATE);
        let due = self.saved.is_none_or(|(at, ..)| at.elapsed() >= pause);
        if len <= SAVE_ALWAYS_LEN || due && !hurried { self.save() } else { Ok(()) }
    }
}
