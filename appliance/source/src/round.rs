//! One round: every disk is scanned, what differs is sent, and a recovery point ends it.

use std::time::Instant;

use units::{ByteLen, ByteOffset};
use wire::{GroupMark, Message};

use crate::agent::Agent;
use crate::compare::REGION_LEAVES;
use crate::config::Label;
use crate::error::SourceError;
use crate::pace::Pace;
use crate::parcel::{Chunk, Parcel};
use crate::progress::{Counters, Event, Point, Stage};
use crate::session::Session;
use crate::still::Still;
use crate::stream::PointWords;
use crate::sweep::{AwaitedGranules, Sweep};

impl Agent<'_> {
    /// Scans every disk once, sends what differs, and returns when the recovery point is durable.
    ///
    /// The order that makes the point's time and consistency true: 1. the disks' activity is noted, in `still`; 2. every leaf is read;
    /// 3. the time is taken; 4. the activity is noted again. If it is the same, the disks were at that time exactly what was read.
    pub(crate) fn round(
        &mut self,
        session: &Session,
        pace: &mut Pace,
        still: Still,
        label: Label,
        group: Option<GroupMark>,
    ) -> Result<Point, SourceError> {
        let span = tracing::debug_span!("source.round", machine = %self.config.machine);
        let _entered = span.enter();
        // A seed that read every leaf while nobody wrote is a scan already: the disks hold what was seeded.
        let scanned = self.seeded_since.take().is_some_and(|since| since == still.since);
        if (!scanned || !self.stream.table().is_complete())
            && let Err(error) = self.send_differences(session, pace)
        {
            self.put_back(still);
            return Err(error);
        }
        let time = self.now();
        let time = still.moment.unwrap_or(time);
        let consistency = self.judge(still)?;
        let (sequence, roots) = self.send_point(session, PointWords { time, consistency, label, group })?;
        let counters = std::mem::take(&mut self.counters);
        self.totals.add(&counters);
        let took = self.counting_since.elapsed();
        self.counting_since = Instant::now();
        let generation = self.stream.generation();
        Ok(Point { sequence, generation, time, consistency, roots, counters, took })
    }

    /// Drives a [`Sweep`] over the disks, in the order it asks for.
    fn send_differences(&mut self, session: &Session, pace: &mut Pace) -> Result<(), SourceError> {
        let start = Instant::now();
        self.reader.start(&vec![ByteOffset(0); self.reader.disks().len()])?;
        if Sweep::begins_resync(&self.stream) {
            self.send_resync(session)?;
        }
        let mut sweep = Sweep::new(&self.stream, session.payload_max, &self.buffers);
        let mut done = ByteLen::ZERO;
        while let Some(chunk) = self.reader.next()? {
            self.stream.settle(session.durable()?);
            self.compare(session, &mut sweep, &chunk)?;
            let len = ByteLen(chunk.page.len() as u64);
            self.counters.read += len;
            done += len;
            let mut contents = self.stream.differing(&chunk);
            for question in sweep.refine(&chunk, &mut contents) {
                session.send(Some(0), Message::GranuleQuery(Box::new(question)), None)?;
            }
            self.take_granules(session, &mut sweep, false)?;
            if contents.iter().any(Option::is_some) {
                self.look_at_link(session, pace, &chunk, &contents);
            }
            sweep.pack(chunk, &contents, &mut self.compressor);
            self.send_parcels(session, &mut sweep)?;
            self.tell(Stage::Round, done, start);
        }
        if let Some(question) = sweep.ask_rest() {
            session.send(Some(0), Message::GranuleQuery(Box::new(question)), None)?;
        }
        self.take_granules(session, &mut sweep, true)?;
        sweep.finish();
        self.send_parcels(session, &mut sweep)?;
        let contradictions = sweep.contradictions();
        if contradictions > 0 {
            let text = format!(
                "{contradictions} leaves of the target differed from what it had acked; they were sent again: look at `landfall status`"
            );
            self.report.event(Event::Warning { text });
        }
        Ok(())
    }

    /// Asks for the hashes of badly known regions, and waits for those that the chunk needs.
    fn compare(&mut self, session: &Session, sweep: &mut Sweep, chunk: &Chunk) -> Result<(), SourceError> {
        loop {
            while let Some(query) = sweep.question(&self.stream) {
                let region = usize::try_from(query.first.0 / REGION_LEAVES).unwrap_or(0);
                let lane = region % session.lanes();
                session.send(Some(lane), Message::HashQuery(query), None)?;
            }
            let Some(query) = sweep.awaits(chunk) else { return Ok(()) };
            sweep.told(&mut self.stream, &session.hashes(query)?);
        }
    }

    /// Takes the answers about granules that have come; with `all`, waits for every one.
    fn take_granules(&mut self, session: &Session, sweep: &mut Sweep, all: bool) -> Result<(), SourceError> {
        while let Some(AwaitedGranules { token, count, is_urgent }) = sweep.awaits_granules() {
            let Some(hashes) = session.granules(token, count, all || is_urgent)? else { return Ok(()) };
            sweep.told_granules(&mut self.stream, &hashes, &mut self.compressor);
        }
        Ok(())
    }

    fn send_parcels(&mut self, session: &Session, sweep: &mut Sweep) -> Result<(), SourceError> {
        while let Some(parcel) = sweep.parcel() {
            self.send_batch(session, parcel)?;
        }
        Ok(())
    }

    fn send_batch(&mut self, session: &Session, parcel: Parcel) -> Result<(), SourceError> {
        count(&mut self.counters, &parcel);
        self.send_item(session, parcel)
    }
}

/// Counts a parcel that is sent.
pub(crate) fn count(counters: &mut Counters, parcel: &Parcel) {
    counters.changed += parcel.cover_len();
    counters.sent += ByteLen(parcel.payload_len() as u64);
}
