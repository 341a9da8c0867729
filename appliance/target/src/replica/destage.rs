//! Destaging: from the journal to the target disks, in rounds.
//!
//! The order that keeps every point, for each round:
//! 1. before-images of granules this epoch has not captured are read from the target;
//! 2. they are appended to `undo`, and flushed;
//! 3. open views learn what will be overwritten, and where its content is now;
//! 4. only then the new content is written to the target.
//!
//! While step 4 of a round runs, step 1 of the next does, and the writes of its step 2. They never touch the same granules: what a
//! round writes was captured before, by itself or an earlier one, and what the next round reads was not.
//!
//! *Invariant:* no granule of the target is overwritten in an epoch before its before-image is durable.

use blockdev::{DeviceSlot, Engine, Volume};
use retention::{
    DecodeError, Effort, ExtentDecoder, IndexEntry, Log, RecordPlace, RoundPlan, TailScan, entries_of,
    plan_round,
};
use units::{ByteLen, ByteOffset, EpochNumber, Hash, Sequence, Timestamp};
use wire::{Extent, Span};

use super::apply::{Applier, Step};
use super::budget::Resident;
use super::error::ReplicaError;
use super::log_reader::LogReader;
use super::log_writer::Entry;
use super::paths;
use super::planted::Planted;
use super::round::{Item, Round, Sources, add_image, portions};
use super::shared::Queued;
use super::transfer::{DiskWriter, ReadAt, cut, first_failure, flush_all, read_each};

/// Rounds that one step destages, so that one is written while the next is read.
const ROUNDS_TOGETHER: usize = 4;

/// Extents of undo logs and their epochs, for views.
type Captured = Vec<(EpochNumber, IndexEntry)>;

impl<V> Applier<V> {
    /// Destages the oldest of what waits, some rounds of it.
    pub(crate) fn destage<E: Engine>(&mut self, engine: &mut E, now: Timestamp) -> Result<Step, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let Some(first) = self.shared.lock().queue.front().cloned() else { return Ok(Step::Idle) };
        if !self.is_round_due(now) {
            return Ok(Step::Gathering);
        }
        self.gathering = None;
        if self.open.as_ref().is_none_or(|open| open.epoch != first.epoch) {
            self.open_epoch(engine, first.epoch)?;
        }
        self.forget_closed_views();
        let mut ready: Option<Round> = None;
        for number in 0.. {
            let goes_on = number < ROUNDS_TOGETHER && self.unflushed < self.limits.checkpoint_len.0;
            let behind = ready.as_ref().map_or(0, |round| round.items.len());
            let next = if goes_on || number == 0 { self.next_round(engine, behind)? } else { None };
            if ready.is_none() && next.is_none() {
                break;
            }
            ready = self.advance(engine, ready, next, now)?;
        }
        if self.unflushed >= self.limits.checkpoint_len.0 && !self.limits.plants(Planted::CheckpointNever) {
            self.checkpoint(engine)?;
        }
        Ok(Step::Worked)
    }

    /// Tells whether what waits is to be destaged now. A little that comes alone is gathered: one flush serves more of it, what is
    /// overwritten meanwhile is written once, and acks don't wait for the device behind it.
    fn is_round_due(&mut self, now: Timestamp) -> bool {
        let since = *self.gathering.get_or_insert(now);
        let state = self.shared.lock();
        let asked = state.closed || !state.work.is_empty();
        asked || state.lag >= self.limits.gather_len || now.since(since) >= self.limits.gather_age
    }

    /// Writes the round that is ready, and makes the next one ready: steps 1 to 3 of it, of which 1 runs meanwhile. Returns the
    /// next.
    fn advance<E: Engine>(
        &mut self,
        engine: &mut E,
        ready: Option<Round>,
        mut next: Option<Round>,
        now: Timestamp,
    ) -> Result<Option<Round>, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let staged = self.transfer(engine, ready.as_ref(), next.as_mut(), now)?;
        if let Some(round) = ready {
            self.finish_round(&round, now);
        }
        let Some(next) = next else { return Ok(None) };
        let captured = match next.captures_at_once() {
            true => self.end_capture(engine, &next, staged?)?,
            false => self.capture_in_portions(engine, &next, now)?,
        };
        if self.limits.plants(Planted::ViewsToldLate) {
            self.transfer(engine, Some(&next), None, now)??;
        }
        self.tell_views(&next.plan, &captured);
        Ok(Some(next))
    }

    /// Plans the round of the items behind the first `skip` that wait, which are being destaged; `None` if none do.
    fn next_round<E: Engine>(&mut self, engine: &mut E, skip: usize) -> Result<Option<Round>, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let queued = self.round_items(skip);
        if queued.is_empty() {
            return Ok(None);
        }
        let mut items = Vec::with_capacity(queued.len());
        for queued in queued {
            let kept = match &queued.resident {
                Some(kept) => kept.clone(),
                None => Resident::passing(self.read_body(engine, &queued)?),
            };
            items.push(Item::new(queued, kept));
        }
        let redo = self.whole_redo(engine)?;
        let sources = Sources { machine: self.machine(), disks: &self.disks, redo };
        let plan = self.plan_items(&items);
        Ok(Some(Round::new(items, plan, self.effort(), &sources)))
    }

    fn plan_items(&self, items: &[Item]) -> RoundPlan {
        let captured = &self.open.as_ref().expect("a round belongs to the open epoch").captured;
        let order = self.order(items);
        let extents: Vec<&[Extent]> = order.iter().map(|at| items[*at].extents()).collect();
        let mut plan = plan_round(&extents, captured, self.disks.len());
        plan.writes.iter_mut().for_each(|write| write.batch = order[write.batch]);
        if self.limits.plants(Planted::NoBeforeImage) {
            plan.capture.clear();
        }
        plan
    }

    /// Returns which item comes after which: that of their sequences, in which they are.
    fn order(&self, items: &[Item]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..items.len()).collect();
        if self.limits.plants(Planted::OldestWins) {
            order.reverse();
        }
        order
    }

    /// Returns what is done to make before-images smaller: whoever is behind saves its time, whoever is not saves space.
    fn effort(&self) -> Effort {
        let behind = self.shared.lock().lag.0 > self.limits.lag_len.0 / 8;
        if behind { Effort::Copy } else { Effort::Compress }
    }

    /// Chooses the items of a round: all of the open epoch, and together not longer than a round, but at least one.
    fn round_items(&self, skip: usize) -> Vec<Queued> {
        let state = self.shared.lock();
        let epoch = self.open.as_ref().map(|open| open.epoch);
        let mut len = 0;
        let fits = |item: &&Queued| {
            len += item.content_len.0;
            Some(item.epoch) == epoch && (len <= self.limits.round_len.0 || len == item.content_len.0)
        };
        state.queue.iter().skip(skip).take_while(fits).cloned().collect()
    }

    /// Reads an item's list of extents again from the redo log, verified.
    fn read_body<E: Engine>(&mut self, engine: &mut E, item: &Queued) -> Result<retention::Body, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let redo = self.whole_redo(engine)?;
        let damaged = |cause| ReplicaError::Damaged {
            file: paths::redo(self.head.head().machine, item.epoch),
            at: item.place.at,
            cause,
        };
        let scan = TailScan::new(self.placement(item.place.at), None, ByteOffset(0));
        let (head, body) =
            LogReader::new(engine, &self.pool, redo, Log::Redo).record_at(&scan)?.map_err(damaged)?;
        if head.checksum != item.place.checksum {
            // Whole, and of this place, but an older one: the write of the newer never reached the disk.
            let (found, expected) = (head.checksum.to_string(), item.place.checksum.to_string());
            return Err(damaged(DecodeError::Misplaced { what: "record", found, expected }));
        }
        Ok(body)
    }

    /// Returns the open epoch's redo log, opened anew if it has grown past what was opened: whoever appends to it lengthens it
    /// through a device of its own.
    fn whole_redo<E: Engine>(&mut self, engine: &mut E) -> Result<DeviceSlot, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let machine = self.head.head().machine;
        let open = self.open.as_mut().expect("a round belongs to the open epoch");
        let durable = self.shared.lock().epoch_mut(open.epoch).redo;
        if engine.geometry(open.redo).len < durable {
            let longer = engine.attach(self.volume.open(&paths::redo(machine, open.epoch))?)?;
            drop(engine.detach(std::mem::replace(&mut open.redo, longer)));
            assert!(engine.geometry(open.redo).len >= durable, "what is durable is in the file");
        }
        Ok(open.redo)
    }

    fn placement(&self, position: ByteOffset) -> retention::Placement {
        let (head, open) = (self.head.head(), self.open.as_ref().expect("a round belongs to the open epoch"));
        let (machine, generation, epoch) = (head.machine, head.generation, open.epoch);
        retention::Placement { machine, generation, epoch, position, previous: Hash::default() }
    }

    /// Step 4 of the round that is ready; meanwhile, step 1 of the next, and the writes of 2. Returns where its records of
    /// before-images will be once they are durable; the inner error: there is no room for them, and the undo log is as before.
    fn transfer<E: Engine>(
        &mut self,
        engine: &mut E,
        ready: Option<&Round>,
        mut next: Option<&mut Round>,
        now: Timestamp,
    ) -> Result<Result<Vec<RecordPlace>, ReplicaError>, ReplicaError> {
        let mut writer = DiskWriter::new(engine, &self.pool, &self.disks);
        writer.read_ahead(next.as_ref().map_or(&[], |next| next.reads()));
        let mut pieces = Pieces { decoder: &mut self.decoder, scratch: Vec::new(), holds: None };
        for (write, parts) in ready.iter().flat_map(|round| round.writes()) {
            pieces.write(
                &mut writer,
                &write.span,
                parts.extent,
                parts.payload,
                (write.batch, write.extent),
            )?;
            while let Some((next, bytes)) = next.as_mut().zip(writer.arrived()) {
                next.take(&bytes, &mut self.encoder)?;
            }
        }
        let Some(next) = next else { return writer.finish().map(|()| Ok(Vec::new())) };
        while let Some(bytes) = writer.next_read()? {
            next.take(&bytes, &mut self.encoder)?;
        }
        let entries = next.undo_entries(now);
        let mut staged = Ok(Vec::new());
        if !entries.is_empty() {
            let undo = &mut self.open.as_mut().expect("a round belongs to the open epoch").undo;
            staged = undo.stage(writer.engine(), &self.pool, &entries).and_then(|(writes, places)| {
                writes.into_iter().try_for_each(|write| writer.submit(write))?;
                Ok(places)
            });
        }
        writer.finish()?;
        Ok(staged)
    }

    /// The rest of step 2: the before-images that were written become durable.
    fn end_capture<E: Engine>(
        &mut self,
        engine: &mut E,
        round: &Round,
        places: Vec<RecordPlace>,
    ) -> Result<Captured, ReplicaError> {
        if places.is_empty() {
            return Ok(Captured::new());
        }
        let captured = self.make_durable(engine, &round.images, &places)?;
        self.note_captured(&round.plan);
        Ok(captured)
    }

    /// Steps 1 and 2 of a round whose before-images are too many for one group.
    fn capture_in_portions<E: Engine>(
        &mut self,
        engine: &mut E,
        round: &Round,
        now: Timestamp,
    ) -> Result<Captured, ReplicaError> {
        let mut captured = Captured::new();
        for portion in portions(&round.plan.capture) {
            captured.extend(self.append_before_images(engine, portion, round.upto(), now)?);
        }
        self.note_captured(&round.plan);
        Ok(captured)
    }

    fn note_captured(&mut self, plan: &RoundPlan) {
        let open = self.open.as_mut().expect("a round belongs to the open epoch");
        plan.capture.iter().for_each(|span| open.captured.insert(span));
        self.shared.lock().epoch_mut(open.epoch).undo = ByteLen(open.undo.position().end.0);
    }

    /// Reads what the spans hold, and appends it to the undo log as one durable group. Returns where that is, if
    /// there are views to be told.
    pub(crate) fn append_before_images<E: Engine>(
        &mut self,
        engine: &mut E,
        spans: &[Span],
        upto: Sequence,
        now: Timestamp,
    ) -> Result<Captured, ReplicaError> {
        let slot = |span: &Span| self.disks[usize::from(span.disk.0)];
        let read = |span: &Span| ReadAt { slot: slot(span), at: span.start, len: span.len.as_usize() };
        let reads: Vec<_> = spans.iter().map(read).collect();
        let (mut records, effort, encoder) = (Vec::new(), self.effort(), &mut self.encoder);
        read_each(engine, &self.pool, &reads, |index, content| {
            add_image(&mut records, encoder, effort, &spans[index], &content);
            Ok(())
        })?;
        let open = self.open.as_mut().expect("a round belongs to the open epoch");
        let entry = |(body, payload)| Entry { sequence: upto, received: now, body, payload };
        let entries: Vec<_> = records.iter().map(|(body, payload)| entry((body, payload))).collect();
        let (writes, places) = open.undo.stage(engine, &self.pool, &entries)?;
        first_failure(engine.run(writes)?)?;
        self.make_durable(engine, &records, &places)
    }

    /// Flushes the undo log, whose last group these records are. Returns what views are to be told of it.
    fn make_durable<E: Engine>(
        &mut self,
        engine: &mut E,
        records: &[(retention::Body, Vec<u8>)],
        places: &[RecordPlace],
    ) -> Result<Captured, ReplicaError> {
        let open = self.open.as_mut().expect("a round belongs to the open epoch");
        if !self.limits.plants(Planted::UndoNotFlushed) {
            flush_all(engine, &[open.undo.slot()])?;
        }
        open.undo.durable();
        let epoch = open.epoch;
        let placed = || records.iter().zip(places).map(|((body, _), place)| (place, body));
        let mut state = self.shared.lock();
        placed().for_each(|(place, body)| state.index(epoch, Log::Undo, place, body));
        drop(state);
        if self.views.is_empty() {
            return Ok(Captured::new());
        }
        let entries = placed().flat_map(|(place, body)| entries_of(Log::Undo, place, body));
        Ok(entries.map(|entry| (epoch, entry)).collect())
    }

    fn finish_round(&mut self, round: &Round, now: Timestamp) {
        let mut state = self.shared.lock();
        for item in round.items.iter().map(Item::queued) {
            let front = state.queue.pop_front().expect("the round is the front of the queue");
            assert_eq!(front.sequence, item.sequence, "the round is the front of the queue");
            assert_eq!(state.written.next(), item.sequence, "items are written in the order of sequences");
            state.written = item.sequence;
            state.lag = ByteLen(state.lag.0 - item.lag().0);
            self.unflushed += item.lag().0;
        }
        drop(state);
        self.last_round = now;
        self.shared.committer.ring();
        self.shared.changed();
    }
}

/// Writes parts of extents, and keeps the last decoded one for the next part of it.
pub(crate) struct Pieces<'d> {
    pub(crate) decoder: &'d mut ExtentDecoder,
    pub(crate) scratch: Vec<u8>,
    pub(crate) holds: Option<(usize, usize)>,
}

impl Pieces<'_> {
    /// Writes the part `span` of `extent`. `id` tells one extent from another within one writer.
    pub(crate) fn write<E: Engine>(
        &mut self,
        writer: &mut DiskWriter<'_, E>,
        span: &Span,
        extent: &Extent,
        payload: &[u8],
        id: (usize, usize),
    ) -> Result<(), ReplicaError> {
        if matches!(extent.encoding, wire::Encoding::Zero) {
            return cut(span, usize::MAX >> 1).try_for_each(|part| writer.zero(&part));
        }
        let damaged = |cause| ReplicaError::Damaged { file: "payload".to_owned(), at: span.start, cause };
        if span.len == extent.len {
            return self.decoder.decode(extent, payload, writer.put(span)?).map_err(damaged);
        }
        if self.holds != Some(id) {
            self.scratch.resize(extent.len.as_usize(), 0);
            self.decoder.decode(extent, payload, &mut self.scratch).map_err(damaged)?;
            self.holds = Some(id);
        }
        let from = span.start.since(extent.start).as_usize();
        writer.put(span)?.copy_from_slice(&self.scratch[from..from + span.len.as_usize()]);
        Ok(())
    }
}
