//! One destage round: from the journal to the target disks.
//!
//! The order that keeps every point:
//! 1. before-images of granules this epoch has not captured are read from the target;
//! 2. they are appended to `undo`, and flushed;
//! 3. open views learn what will be overwritten, and where its content is now;
//! 4. only then the new content is written to the target.
//!
//! *Invariant:* no granule of the target is overwritten in an epoch before its before-image is durable.

use std::sync::Arc;

use blockdev::{DeviceSlot, Engine, Volume};
use retention::{
    Body, DecodeError, Effort, ExtentDecoder, IndexEntry, Log, RECORD_HEADER_LEN, RoundPlan, TailScan,
    encoded_len, plan_round,
};
use units::{ByteLen, ByteOffset, EpochNumber, Hash, Sequence, Timestamp};
use wire::{Extent, Span};

use super::apply::Applier;
use super::budget::Resident;
use super::error::ReplicaError;
use super::log_reader::LogReader;
use super::log_writer::{Entry, GROUP_LEN_MAX, RecordPlace};
use super::paths;
use super::planted::Planted;
use super::shared::Queued;
use super::transfer::{DiskWriter, ReadAt, cut, first_failure, flush_all, read_each};

type Item = Arc<Resident>;

impl<V> Applier<V> {
    /// Destages the oldest of what waits. Returns whether there was anything.
    pub(crate) fn destage<E: Engine>(&mut self, engine: &mut E, now: Timestamp) -> Result<bool, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let Some(first) = self.shared.lock().queue.front().cloned() else { return Ok(false) };
        if self.open.as_ref().is_none_or(|open| open.epoch != first.epoch) {
            self.open_epoch(engine, first.epoch)?;
        }
        let queued = self.round_items();
        let mut items = queued.iter().map(|item| self.load(engine, item)).collect::<Result<Vec<_>, _>>()?;
        if self.limits.plants(Planted::OldestWins) {
            items.reverse();
        }
        let extents: Vec<&[Extent]> = items.iter().map(extents_of).collect();
        let captured = &self.open.as_ref().expect("the epoch was just opened").captured;
        let plan = plan_round(&extents, captured, self.disks.len());
        let upto = queued.last().expect("a round has an item").sequence;
        let captured = self.capture(engine, &plan, upto, now)?;
        if self.limits.plants(Planted::ViewsToldLate) {
            self.write_round(engine, &plan, &items)?;
        }
        self.tell_views(&plan, &captured);
        self.write_round(engine, &plan, &items)?;
        self.finish_round(&queued, now);
        if self.unflushed >= self.limits.checkpoint_len.0 {
            self.checkpoint(engine)?;
        }
        Ok(true)
    }

    /// Chooses the items of a round: all of one epoch, and together not longer than a round, but at least one.
    fn round_items(&self) -> Vec<Queued> {
        let state = self.shared.lock();
        let epoch = state.queue.front().map(|item| item.epoch);
        let mut len = 0;
        let fits = |item: &&Queued| {
            len += item.content_len.0;
            Some(item.epoch) == epoch && (len <= self.limits.round_len.0 || len == item.content_len.0)
        };
        state.queue.iter().take_while(fits).cloned().collect()
    }

    /// Returns an item's body and payload: from memory, or again from the redo log, verified.
    fn load<E: Engine>(&mut self, engine: &mut E, item: &Queued) -> Result<Item, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        if let Some(resident) = &item.resident {
            return Ok(resident.clone());
        }
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
        let mut payload = vec![0; head.payload_len];
        let extents = body.extents();
        let sources = payload_sources(redo, head.payload_at(), extents);
        let starts = payload_starts(extents);
        super::log_reader::read_payloads(engine, &self.pool, &sources, |index, bytes| {
            ExtentDecoder::verify(&extents[index], bytes).map_err(damaged)?;
            payload[starts[index]..starts[index] + bytes.len()].copy_from_slice(bytes);
            Ok(())
        })?;
        Ok(Resident::passing(body, payload))
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

    /// Steps 1 and 2 of a round, in portions so that the memory they take does not depend on the round.
    fn capture<E: Engine>(
        &mut self,
        engine: &mut E,
        plan: &RoundPlan,
        upto: Sequence,
        now: Timestamp,
    ) -> Result<Vec<(EpochNumber, IndexEntry)>, ReplicaError> {
        const PORTION_SPANS: usize = 256;
        const _: () = assert!((PORTION_SPANS as u64 + 16) * units::LEAF_LEN < GROUP_LEN_MAX);
        let lost = if self.limits.plants(Planted::NoBeforeImage) { plan.capture.len() } else { 0 };
        let mut captured = Vec::new();
        self.forget_closed_views();
        for portion in plan.capture[lost..].chunks(PORTION_SPANS) {
            captured.extend(self.append_before_images(engine, portion, upto, now)?);
        }
        if plan.capture.is_empty() {
            return Ok(captured);
        }
        let open = self.open.as_mut().expect("a round belongs to the open epoch");
        plan.capture.iter().for_each(|span| open.captured.insert(span));
        self.shared.lock().epoch_mut(open.epoch).undo = ByteLen(open.undo.position().end.0);
        Ok(captured)
    }

    /// Reads what the spans hold, and appends it to the undo log as one durable group. Returns where that is, if
    /// there are views to be told.
    pub(crate) fn append_before_images<E: Engine>(
        &mut self,
        engine: &mut E,
        spans: &[Span],
        upto: Sequence,
        now: Timestamp,
    ) -> Result<Vec<(EpochNumber, IndexEntry)>, ReplicaError> {
        let mut images: Vec<(usize, Extent, Vec<u8>)> = Vec::with_capacity(spans.len());
        let slot = |span: &Span| self.disks[usize::from(span.disk.0)];
        let read = |span: &Span| ReadAt { slot: slot(span), at: span.start, len: span.len.as_usize() };
        let reads: Vec<_> = spans.iter().map(read).collect();
        // Whoever is behind saves its time, whoever is not saves space.
        let behind = self.shared.lock().lag.0 > self.limits.lag_len.0 / 8;
        let effort = if behind { Effort::Copy } else { Effort::Compress };
        let encoder = &mut self.encoder;
        read_each(engine, &self.pool, &reads, |index, content| {
            let (span, mut payload) = (&spans[index], Vec::new());
            let extent = encoder.encode(effort, span.disk, span.start, &content, &mut payload);
            images.push((index, extent, payload));
            Ok(())
        })?;
        images.sort_by_key(|(index, _, _)| *index);
        let records = before_records(images);
        let open = self.open.as_mut().expect("a round belongs to the open epoch");
        let entry = |(body, payload)| Entry { sequence: upto, received: now, body, payload };
        let entries: Vec<_> = records.iter().map(|(body, payload)| entry((body, payload))).collect();
        let (writes, places) = open.undo.stage(engine, &self.pool, &entries)?;
        first_failure(engine.run(writes)?)?;
        if !self.limits.plants(Planted::UndoNotFlushed) {
            flush_all(engine, &[open.undo.slot()])?;
        }
        open.undo.durable();
        if self.views.is_empty() {
            return Ok(Vec::new());
        }
        let epoch = open.epoch;
        let indexed =
            records.iter().zip(places).flat_map(|((body, _), place)| before_entries(body, place, upto));
        Ok(indexed.map(|entry| (epoch, entry)).collect())
    }

    /// Step 4 of a round.
    fn write_round<E: Engine>(
        &mut self,
        engine: &mut E,
        plan: &RoundPlan,
        items: &[Item],
    ) -> Result<(), ReplicaError> {
        let starts: Vec<_> = items.iter().map(|item| payload_starts(extents_of(item))).collect();
        let mut writer = DiskWriter::new(engine, &self.pool, &self.disks);
        let mut pieces = Pieces { decoder: &mut self.decoder, scratch: Vec::new(), holds: None };
        for write in &plan.writes {
            let (item, extent) = (&items[write.batch], &extents_of(&items[write.batch])[write.extent]);
            let start = starts[write.batch][write.extent];
            let payload = &item.payload[start..start + encoded_len(extent)];
            pieces.write(&mut writer, &write.span, extent, payload, (write.batch, write.extent))?;
        }
        writer.finish()
    }

    fn finish_round(&mut self, queued: &[Queued], now: Timestamp) {
        let mut state = self.shared.lock();
        for item in queued {
            let front = state.queue.pop_front().expect("the round is the front of the queue");
            assert_eq!(front.sequence, item.sequence, "the round is the front of the queue");
            assert_eq!(state.written.next(), item.sequence, "items are written in the order of sequences");
            state.written = item.sequence;
            state.lag = ByteLen(state.lag.0 - item.lag().0);
            self.unflushed += item.payload_len as u64 + 1;
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

/// Packs before-images into as few records as their limits allow.
fn before_records(images: Vec<(usize, Extent, Vec<u8>)>) -> Vec<(Body, Vec<u8>)> {
    let mut records: Vec<(Vec<Extent>, Vec<u8>)> = Vec::new();
    for (_, extent, bytes) in images {
        let fits = records.last().is_some_and(|(extents, payload)| {
            extents.len() < wire::EXTENTS_MAX && payload.len() + bytes.len() <= wire::PAYLOAD_LEN_MAX
        });
        if !fits {
            records.push(Default::default());
        }
        let (extents, payload) = records.last_mut().expect("a record was just added");
        extents.push(extent);
        payload.extend_from_slice(&bytes);
    }
    let body = |(extents, payload)| (Body::Before(retention::BeforeBody { extents }), payload);
    records.into_iter().map(body).collect()
}

/// Returns what an index has of a record of before-images.
fn before_entries(body: &Body, place: RecordPlace, sequence: Sequence) -> Vec<IndexEntry> {
    let payload_at = place.at.0 + (RECORD_HEADER_LEN + body.encoded_len()) as u64;
    let starts = payload_starts(body.extents());
    let entry = |(extent, start): (&Extent, usize)| {
        let payload_at = ByteOffset(payload_at + start as u64);
        IndexEntry { extent: extent.clone(), log: Log::Undo, sequence, payload_at }
    };
    body.extents().iter().zip(starts).map(entry).collect()
}

fn extents_of(item: &Item) -> &[Extent] {
    item.body.extents()
}

/// Returns where in the payload each extent's part starts.
pub(crate) fn payload_starts(extents: &[Extent]) -> Vec<usize> {
    let mut at = 0;
    let start = |extent| {
        let start = at;
        at += encoded_len(extent);
        start
    };
    extents.iter().map(start).collect()
}

pub(crate) fn payload_sources(
    slot: DeviceSlot,
    at: ByteOffset,
    extents: &[Extent],
) -> Vec<(DeviceSlot, ByteOffset, &Extent)> {
    let starts = payload_starts(extents);
    let place = |(extent, start): (_, usize)| (slot, ByteOffset(at.0 + start as u64), extent);
    extents.iter().zip(starts).map(place).collect()
}
