//! The first full copy: every disk from its watermark to its end, straight to the target disks, unnumbered.

use std::time::Instant;

use heapless::Vec as Bounded;
use units::{ByteLen, ByteOffset, DiskIndex};
use wire::{Message, Seed, SeedSync};

use crate::agent::Agent;
use crate::error::SourceError;
use crate::leaf::LeafContent;
use crate::pace::Pace;
use crate::parcel::{Chunk, Packer, Parcel};
use crate::progress::Stage;
use crate::resume::SeedPlan;
use crate::round::count;
use crate::session::Session;

/// Disk bytes between two watermarks.
const SYNC_EVERY: u64 = 256 << 20;
/// Between two savings of the table at least this many times its own length is seeded.
const SAVE_FACTOR: u64 = 32;

/// A position of a disk that is to become its watermark.
#[derive(Clone, Copy, Debug)]
struct Boundary {
    disk: DiskIndex,
    through: ByteOffset,
}

/// A watermark on its way: the frames before it went over several connections, so that it takes two steps.
#[derive(Debug)]
enum Syncing {
    /// Every other connection has been asked to make durable what it carried; the watermark stays where it is.
    Others { boundary: Boundary, tokens: Vec<u64> },
    /// The first connection has been asked, and with it for the new watermark.
    First { boundary: Boundary, token: u64 },
}

/// Where a seed stands.
struct Seeding {
    packer: Packer,
    syncing: Option<Syncing>,
    since_sync: u64,
    since_save: u64,
    done: ByteLen,
}

impl Agent<'_> {
    /// Seeds what is left, and returns when all of it is durable and the table is saved.
    ///
    /// The order that makes a resumed seed true: 1. a table is saved that says an attempt was made; 2. frames; 3. a watermark is
    /// durable at the target; 4. the table is saved with what lies before it; 5. the stream's first item, after the last table.
    pub(crate) fn seed(
        &mut self,
        session: &Session,
        plan: &SeedPlan,
        pace: &mut Pace,
    ) -> Result<(), SourceError> {
        self.stream.forget_unseeded(&plan.from);
        self.watermarks.clone_from(&plan.from);
        if self.watermarks == self.ends() {
            return Ok(());
        }
        if self.watermarks.iter().all(|through| through.0 == 0) {
            self.seeded_since = Some(self.activity.stamps()?);
        }
        self.seed_tried = true;
        self.save_now()?;
        self.reader.start(&plan.from)?;
        let packer = Packer::new(session.payload_max, self.buffers.clone());
        let done = ByteLen(plan.from.iter().map(|from| from.0).sum());
        let start = Instant::now();
        let mut seeding = Seeding { packer, syncing: None, since_sync: 0, since_save: 0, done };
        let mut full = Vec::new();
        while let Some(chunk) = self.reader.next()? {
            session.durable()?;
            let end =
                Boundary { disk: chunk.disk, through: ByteOffset(chunk.start.0 + chunk.page.len() as u64) };
            self.seed_chunk(session, chunk, plan, pace, &mut seeding, &mut full)?;
            let disk_ends = end.through.0 == self.reader.disks()[usize::from(end.disk.0)].len.0;
            if seeding.since_sync >= SYNC_EVERY || disk_ends {
                if let Some(parcel) = seeding.packer.finish() {
                    self.send_seed(session, parcel)?;
                }
                self.sync(session, &mut seeding, true)?;
                seeding.since_sync = 0;
                seeding.syncing = Some(self.begin_sync(session, end)?);
            }
            self.sync(session, &mut seeding, false)?;
            self.tell(Stage::Seed, seeding.done, start);
        }
        self.sync(session, &mut seeding, true)?;
        assert_eq!(self.watermarks, self.ends(), "a seed ends with every disk durable to its end");
        self.save_now()
    }

    fn seed_chunk(
        &mut self,
        session: &Session,
        chunk: Chunk,
        plan: &SeedPlan,
        pace: &mut Pace,
        seeding: &mut Seeding,
        full: &mut Vec<Parcel>,
    ) -> Result<(), SourceError> {
        let len = chunk.page.len() as u64;
        self.counters.read += ByteLen(len);
        seeding.done += ByteLen(len);
        seeding.since_sync += len;
        seeding.since_save += len;
        let mut contents = self.stream.differing(&chunk);
        for ((leaf, _), content) in chunk.leaves().zip(&mut contents) {
            if plan.zeroes_skipped && *content == Some(LeafContent::Zero) {
                self.stream.zero_left_out(chunk.disk, leaf);
                *content = None;
            }
        }
        if contents.iter().any(Option::is_some) {
            self.look_at_link(session, pace, &chunk, &contents);
            seeding.packer.pack(chunk, &contents, &mut self.compressor, full);
        }
        full.drain(..).try_for_each(|parcel| self.send_seed(session, parcel))
    }

    fn send_seed(&mut self, session: &Session, parcel: Parcel) -> Result<(), SourceError> {
        count(&mut self.counters, &parcel);
        self.stream.seeded(&parcel);
        let extents =
            Bounded::from_slice(&parcel.extents).expect("a parcel has at most as many extents as a seed");
        session.send(None, Message::Seed(Box::new(Seed { extents })), Some(parcel))
    }

    /// Asks for a new watermark; everything before it is queued by now.
    fn begin_sync(&mut self, session: &Session, boundary: Boundary) -> Result<Syncing, SourceError> {
        if session.lanes() == 1 {
            let token = self.ask_sync(session, 0, boundary)?;
            return Ok(Syncing::First { boundary, token });
        }
        let held = Boundary { through: self.watermarks[usize::from(boundary.disk.0)], ..boundary };
        let tokens =
            (1..session.lanes()).map(|lane| self.ask_sync(session, lane, held)).collect::<Result<_, _>>()?;
        Ok(Syncing::Others { boundary, tokens })
    }

    fn ask_sync(&mut self, session: &Session, lane: usize, boundary: Boundary) -> Result<u64, SourceError> {
        self.token += 1;
        let sync = SeedSync { token: self.token, disk: boundary.disk, through: boundary.through };
        session.send(Some(lane), Message::SeedSync(sync), None)?;
        Ok(self.token)
    }

    /// Takes a watermark that is on its way as far as it has come; with `wait`, until it is durable.
    fn sync(&mut self, session: &Session, seeding: &mut Seeding, wait: bool) -> Result<(), SourceError> {
        while let Some(syncing) = seeding.syncing.take() {
            let (next, moved) = self.sync_step(session, seeding, syncing, wait)?;
            seeding.syncing = next;
            if !moved {
                break;
            }
        }
        Ok(())
    }

    /// Takes one step, if it can be taken; tells whether it was.
    fn sync_step(
        &mut self,
        session: &Session,
        seeding: &mut Seeding,
        syncing: Syncing,
        wait: bool,
    ) -> Result<(Option<Syncing>, bool), SourceError> {
        match syncing {
            Syncing::Others { boundary, mut tokens } => {
                while let Some(token) = tokens.last().copied() {
                    if !session.seed_durable(token, wait)? {
                        return Ok((Some(Syncing::Others { boundary, tokens }), false));
                    }
                    tokens.pop();
                }
                let token = self.ask_sync(session, 0, boundary)?;
                Ok((Some(Syncing::First { boundary, token }), true))
            }
            Syncing::First { boundary, token } => {
                if !session.seed_durable(token, wait)? {
                    return Ok((Some(Syncing::First { boundary, token }), false));
                }
                self.watermarks[usize::from(boundary.disk.0)] = boundary.through;
                let table_len = crate::layout::encoded_len(self.stream.table());
                if seeding.since_save >= SYNC_EVERY.max(SAVE_FACTOR * table_len) {
                    seeding.since_save = 0;
                    self.save_now()?;
                }
                Ok((None, true))
            }
        }
    }
}
