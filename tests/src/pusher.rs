//! A source of our own making: pushes batches as told, over the real protocol.
//!
//! It has no disk and no leaf table; it exists to put a chosen load, or a chosen mistake, on a master target.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use link::{Connector, Credentials, Limits, Link, Received};
use units::{ByteLen, ByteOffset, DiskIndex, Generation, Hash, Sequence, Timestamp};
use wire::{Batch, Consistency, Encoding, Extent, Marker, Message, Phase};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// One session over one connection.
pub struct Pusher {
    link: Link,
    phase: Phase,
    generation: Generation,
    sequence: Sequence,
    credit: u64,
    sent: u64,
    durable: Sequence,
    applied: Sequence,
    payload: Vec<u8>,
}

/// A piece of new content for one disk.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'data> {
    /// The disk.
    pub disk: DiskIndex,
    /// Where it starts; a multiple of 4 KiB.
    pub start: ByteOffset,
    /// The content; a multiple of 4 KiB long, not across a multiple of 64 KiB.
    pub data: &'data [u8],
}

impl Pusher {
    /// Connects as a machine, with the certificates in `identity`, and opens a session for disks of these sizes. Errors: no
    /// connection, or the target refuses.
    pub fn connect(address: &str, identity: &Path, machine: &str, disks: &[ByteLen]) -> Result<Self> {
        let credentials = Credentials::read(identity).context("reading the certificates")?;
        let mut link = Connector::new(&credentials)?.connect(address, &Limits::default())?;
        let mut hello = crate::client::hello(machine, disks)?;
        hello.session[12] = machine.bytes().fold(0, u8::wrapping_add);
        link.send(&Message::Hello(Box::new(hello)), &[])?;
        link.flush()?;
        let mut payload = Vec::new();
        let Received::Message(Message::Welcome(welcome)) = link.receive(&mut payload, ANSWER_MAX)? else {
            bail!("{machine} was not welcomed");
        };
        let (durable, credit, generation) = (welcome.durable, welcome.credit, welcome.generation);
        let phase = welcome.phase;
        Ok(Self {
            link,
            phase,
            generation,
            sequence: durable,
            credit,
            sent: 0,
            durable,
            applied: Sequence(0),
            payload,
        })
    }

    /// Returns what the target wanted first.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Returns the generation the session writes in.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Returns the last sequence that was sent.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Returns the last sequence that was acked.
    pub fn durable(&self) -> Sequence {
        self.durable
    }

    /// Sends one batch, as soon as there is credit for it, without waiting for its ack; pieces sorted by disk and position.
    /// Errors: the session has ended.
    pub fn send(&mut self, pieces: &[Piece<'_>]) -> Result<Sequence> {
        let len: u64 = pieces.iter().map(|piece| piece.data.len() as u64).sum();
        let deadline = Instant::now() + ANSWER_MAX;
        while self.sent + len > self.credit {
            ensure!(Instant::now() < deadline, "no credit for {len} bytes");
            self.listen(ANSWER_MAX)?;
        }
        let batch = Batch {
            sequence: self.sequence.next(),
            time: now(),
            extents: pieces.iter().map(extent).collect(),
        };
        let payload: Vec<_> = pieces.iter().map(|piece| piece.data).collect();
        self.send_raw(&Message::Batch(Box::new(batch)), &payload)?;
        self.sequence = self.sequence.next();
        Ok(self.sequence)
    }

    /// Sends a recovery point without roots. Errors: the session has ended.
    pub fn mark(&mut self) -> Result<Sequence> {
        let marker = Marker {
            sequence: self.sequence.next(),
            time: now(),
            consistency: Consistency::Crash,
            label: Default::default(),
            roots: Default::default(),
            group: None,
        };
        self.send_raw(&Message::Marker(Box::new(marker)), &[])?;
        self.sequence = self.sequence.next();
        Ok(self.sequence)
    }

    /// Sends any message as it is, right or wrong, and flushes. Errors: the session has ended.
    pub fn send_raw(&mut self, message: &Message, payload: &[&[u8]]) -> Result<()> {
        self.link.send(message, payload)?;
        self.link.flush()?;
        self.sent += payload.iter().map(|part| part.len() as u64).sum::<u64>();
        Ok(())
    }

    /// Waits until a sequence is acked. Errors: the session has ended, or a minute has passed.
    pub fn wait_durable(&mut self, upto: Sequence) -> Result<()> {
        self.wait(|pusher| pusher.durable >= upto)
    }

    /// Waits until a sequence is on the target disks. Errors: as [`Pusher::wait_durable`].
    pub fn wait_applied(&mut self, upto: Sequence) -> Result<()> {
        self.wait(|pusher| pusher.applied >= upto)
    }

    fn wait(&mut self, reached: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = Instant::now() + ANSWER_MAX;
        while !reached(self) {
            ensure!(Instant::now() < deadline, "still at {} durable, {} applied", self.durable, self.applied);
            self.listen(Duration::from_secs(1))?;
        }
        Ok(())
    }

    /// Takes in one message of the target, if one comes in time. Errors: the session has ended; a refusal is told whole.
    pub fn listen(&mut self, limit: Duration) -> Result<()> {
        match self.link.receive(&mut self.payload, limit)? {
            Received::Message(Message::Durable(ack)) => self.durable = self.durable.max(ack.upto),
            Received::Message(Message::Applied(applied)) => self.applied = self.applied.max(applied.upto),
            Received::Message(Message::Credit(credit)) => self.credit = self.credit.max(credit.upto),
            Received::Message(Message::Ping) => self.send_raw(&Message::Pong, &[])?,
            Received::Message(Message::Refused(refused)) => {
                bail!("refused: {:?}: {}", refused.code, refused.detail)
            }
            Received::Message(Message::Goodbye) | Received::Closed => {
                bail!("the target has ended the session")
            }
            Received::Message(_) | Received::Woken | Received::TimedOut => {}
        }
        Ok(())
    }

    /// Ends the session as wanted.
    pub fn goodbye(mut self) -> Result<()> {
        self.send_raw(&Message::Goodbye, &[])?;
        self.link.close(Duration::from_secs(1));
        Ok(())
    }
}

fn extent(piece: &Piece<'_>) -> Extent {
    Extent {
        disk: piece.disk,
        start: piece.start,
        len: ByteLen(piece.data.len() as u64),
        encoding: Encoding::Raw { hash: Hash(*blake3::hash(piece.data).as_bytes()) },
    }
}

fn now() -> Timestamp {
    Timestamp::from_system(std::time::SystemTime::now())
}
