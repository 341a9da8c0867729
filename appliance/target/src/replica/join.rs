//! Making one of two thinned epochs, so that of an hour that was thinned one point stays.
//!
//! 1. What the later captured and the earlier did not is appended to the earlier's undo log, durable. It is true of the earlier alone,
//!    too (`retention::taken_over`): a crash leaves before-images that nobody needs.
//! 2. The index of both is written beside that of the earlier, under another name, durable.
//! 3. Views that read what goes end, if there is no room otherwise.
//! 4. The head says that the later is joined into the earlier, durable: the point between them is promised no more.
//! 5. The earlier's old index and the files of the later are removed.
//!
//! A crash before 4 leaves an index that recovery removes, one after it what it removes of the later. Steps 1 and 2 are done in
//! slices between other work; whatever forbids the joining meanwhile ends it, and nothing has changed.

use std::collections::BTreeSet;

use blockdev::{DeviceSlot, Engine, Volume};
use retention::{
    Effort, EpochIndex, EpochSummary, Expired, ExpiryReason, ExtentDecoder, JOINED_ENTRIES_MAX, Log, Loss,
    Placement, Tail, TailScan, TakenOver, may_join, taken_over,
};
use units::{ByteLen, ByteOffset, EpochNumber, Hash, Timestamp};

use super::apply::Applier;
use super::epochs::remove_epoch;
use super::error::{FailureKind, ReplicaError};
use super::expire::{holds, summary};
use super::log_reader::{LogReader, read_payloads};
use super::log_writer::{Entry, LogPosition, LogWriter};
use super::paths;
use super::planted::Planted;
use super::round::{IMAGES_LEN_MAX, add_image};
use super::shared::{EpochInfo, Shrunk};
use super::transfer::{first_failure, flush_all};

/// Bytes the earlier's log is lengthened by at a time: there is little room.
const CHUNK: ByteLen = ByteLen::mib(1);

/// Two thinned epochs that are becoming one.
pub(crate) struct Joining {
    /// The index of the earlier, with what it has taken over so far.
    earlier: EpochIndex,
    later: EpochIndex,
    reason: ExpiryReason,
    /// When it began.
    at: Timestamp,
    rest: std::vec::IntoIter<TakenOver>,
    /// The undo log of the earlier.
    undo: LogWriter,
    /// That of the later.
    source: DeviceSlot,
}

/// What can't be joined, as far as this process has seen.
#[derive(Default)]
pub(crate) struct Apart {
    /// What is damaged, or too large.
    unfit: BTreeSet<EpochNumber>,
    /// There was no room for what is taken over.
    no_room: bool,
}

impl Apart {
    pub(crate) fn lacks_room(&self) -> bool {
        self.no_room
    }

    /// Says that other history went.
    pub(crate) fn has_room(&mut self) {
        self.no_room = false;
    }

    pub(crate) fn summary(&self, info: &EpochInfo) -> EpochSummary {
        let summary = summary(info);
        EpochSummary { joinable: summary.joinable && !self.unfit.contains(&info.epoch), ..summary }
    }
}

impl<V> Applier<V> {
    /// Ends what has begun of a joining; nothing has changed but the length of a log.
    pub(crate) fn stop_joining<E: Engine>(&mut self, engine: &mut E) {
        if let Some(joining) = self.joining.take() {
            drop(engine.detach(joining.undo.slot()));
            drop(engine.detach(joining.source));
        }
    }

    /// Begins to join an epoch and the next, as planned.
    pub(crate) fn begin_join<E: Engine>(
        &mut self,
        engine: &mut E,
        step: &Expired,
        now: Timestamp,
    ) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        assert!(self.joining.is_none(), "one joining at a time");
        let (earlier, later) = self.neighbours(step.epoch.epoch).expect("what is planned is there");
        let begun = self.open_join(engine, earlier.epoch, later.epoch, step.reason, now);
        self.confine_join(engine, earlier.epoch, begun)
    }

    /// Returns an epoch and the next, if both are there and sealed.
    fn neighbours(&self, epoch: EpochNumber) -> Option<(EpochSummary, EpochSummary)> {
        let state = self.shared.lock();
        let at = state.epochs.iter().position(|info| info.epoch == epoch)?;
        let (earlier, later) = (state.epochs.get(at)?, state.epochs.get(at + 1)?);
        (earlier.sealed && later.sealed).then(|| (summary(earlier), summary(later)))
    }

    /// Damage, or no room, ends the joining and nothing else.
    fn confine_join<E: Engine>(
        &mut self,
        engine: &mut E,
        epoch: EpochNumber,
        result: Result<(), ReplicaError>,
    ) -> Result<(), ReplicaError> {
        let Err(error) = result else { return Ok(()) };
        self.stop_joining(engine);
        match error {
            ReplicaError::Full { .. } => self.apart.no_room = true,
            error if error.kind() == FailureKind::Damaged => {
                tracing::warn!(%epoch, %error, "an epoch is not joined with the next");
                self.apart.unfit.insert(epoch);
            }
            error => return Err(error),
        }
        Ok(())
    }

    fn open_join<E: Engine>(
        &mut self,
        engine: &mut E,
        first: EpochNumber,
        second: EpochNumber,
        reason: ExpiryReason,
        at: Timestamp,
    ) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let (mut earlier, later) = (self.index_of(engine, first)?, self.index_of(engine, second)?);
        if earlier.entries.len() + later.entries.len() > JOINED_ENTRIES_MAX {
            self.apart.unfit.insert(first);
            return Ok(());
        }
        let slot = engine.attach(self.volume.open(&paths::undo(self.machine(), first))?)?;
        let position = match self.undo_end(engine, slot, &mut earlier) {
            Ok(position) => position,
            Err(error) => {
                drop(engine.detach(slot));
                return Err(error);
            }
        };
        let undo = LogWriter::new(engine, slot, position, CHUNK);
        let opened = self.volume.open(&paths::undo(self.machine(), second)).map_err(ReplicaError::from);
        let source = match opened.and_then(|device| Ok(engine.attach(device)?)) {
            Ok(source) => source,
            Err(error) => {
                drop(engine.detach(slot));
                return Err(error);
            }
        };
        let rest = taken_over(&earlier, &later, self.disks.len()).into_iter();
        self.joining = Some(Joining { earlier, later, reason, at, rest, undo, source });
        Ok(())
    }

    /// Finds where the undo log of a sealed epoch ends, behind what an earlier try has taken over: that is added to the index.
    fn undo_end<E: Engine>(
        &mut self,
        engine: &mut E,
        slot: DeviceSlot,
        index: &mut EpochIndex,
    ) -> Result<LogPosition, ReplicaError> {
        flush_all(engine, &[slot])?;
        let (machine, generation, epoch) = (index.machine, index.generation, index.epoch);
        let (position, previous, known) = (ByteOffset(0), Hash::default(), index.undo_len);
        let placement = Placement { machine, generation, epoch, position, previous };
        let scan = TailScan::new(placement, Some(previous), known);
        let log_end =
            LogReader::new(engine, &self.pool, slot, Log::Undo).walk(scan, None, |head, body| {
                if head.placement.position >= known {
                    index.add(Log::Undo, &head.place(), body);
                }
            })?;
        let previous = log_end.previous.unwrap_or_default();
        match log_end.tail {
            Tail::At(end) => Ok(LogPosition { machine, generation, epoch, end, previous }),
            Tail::Damaged { at, cause } => {
                Err(ReplicaError::Damaged { file: paths::undo(machine, epoch), at, cause })
            }
        }
    }

    /// Goes on with the joining: takes over some more, or ends it.
    pub(crate) fn join_slice<E: Engine>(&mut self, engine: &mut E) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let Some(joining) = &self.joining else { return Ok(()) };
        let (epoch, reason) = (joining.earlier.epoch, joining.reason);
        let may = self.neighbours(epoch).is_some_and(|(earlier, later)| {
            let mut holds = holds(&self.shared.lock());
            holds.extend(self.view_holds());
            may_join(&earlier, &later, &holds, reason)
        });
        if !may {
            self.stop_joining(engine);
            return Ok(());
        }
        let done = match self.take_over(engine) {
            Ok(true) => Ok(()),
            Ok(false) => self.end_join(engine),
            Err(error) => Err(error),
        };
        self.confine_join(engine, epoch, done)
    }

    /// Step 1: appends the next before-images as one durable group. Returns whether there were any.
    fn take_over<E: Engine>(&mut self, engine: &mut E) -> Result<bool, ReplicaError> {
        let joining = self.joining.as_mut().expect("a joining is under way");
        let mut len = 0;
        let mut taken: Vec<TakenOver> = Vec::new();
        while let Some(next) = joining.rest.as_slice().first()
            && len + next.entry.extent.len.0 <= IMAGES_LEN_MAX
        {
            len += next.entry.extent.len.0;
            taken.extend(joining.rest.next());
        }
        if taken.is_empty() {
            assert!(joining.rest.as_slice().is_empty(), "a before-image lies within one leaf");
            return Ok(false);
        }
        let (machine, later) = (joining.later.machine, joining.later.epoch);
        let sources: Vec<_> =
            taken.iter().map(|each| (joining.source, each.entry.payload_at, &each.entry.extent)).collect();
        let (mut records, mut content) = (Vec::new(), Vec::new());
        let (decoder, encoder) = (&mut self.decoder, &mut self.encoder);
        read_payloads(engine, &self.pool, &sources, |number, payload| {
            let TakenOver { entry, parts } = &taken[number];
            let file = || paths::undo(machine, later);
            let damaged = |cause| ReplicaError::Damaged { file: file(), at: entry.payload_at, cause };
            ExtentDecoder::verify(&entry.extent, payload).map_err(damaged)?;
            content.resize(entry.extent.len.as_usize(), 0);
            decoder.decode(&entry.extent, payload, &mut content).map_err(damaged)?;
            for part in parts {
                let from = part.start.since(entry.extent.start).as_usize();
                let part_content = &content[from..from + part.len.as_usize()];
                add_image(&mut records, encoder, Effort::Compress, part, part_content);
            }
            Ok(())
        })?;
        let (sequence, received) = (joining.later.last, joining.later.closed);
        let entries: Vec<_> =
            records.iter().map(|(body, payload)| Entry { sequence, received, body, payload }).collect();
        let (writes, places) = joining.undo.stage(engine, &self.pool, &entries)?;
        first_failure(engine.run(writes)?)?;
        flush_all(engine, &[joining.undo.slot()])?;
        joining.undo.durable();
        let placed = records.iter().zip(&places);
        placed.for_each(|((body, _), place)| joining.earlier.add(Log::Undo, place, body));
        Ok(true)
    }

    /// Steps 2 to 5.
    fn end_join<E: Engine>(&mut self, engine: &mut E) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let (mut index, later, reason, at) = {
            let joining = self.joining.as_ref().expect("a joining is under way");
            (joining.earlier.clone(), joining.later.clone(), joining.reason, joining.at)
        };
        self.stop_joining(engine);
        let epoch = index.epoch;
        let (through, given_up) = {
            let mut state = self.shared.lock();
            let (first, second) = (*state.epoch_mut(epoch), *state.epoch_mut(later.epoch));
            (second.through, first.given_up + second.given_up)
        };
        index.join(&later, ByteOffset(given_up.0));
        let mut head = self.head.head().clone();
        if !head.join(epoch, through) {
            tracing::warn!(%epoch, "too many joined epochs: this one stays as it is");
            self.apart.unfit.insert(epoch);
            return Ok(());
        }
        self.write_index_through(engine, &index, through)?;
        if !matches!(reason, ExpiryReason::Age { .. }) {
            self.end_views_from(through, "the retention volume is full, and the history it shows had to go");
        }
        if self.limits.plants(Planted::RemovedBeforeHead) {
            remove_epoch(&self.volume, self.machine(), later.epoch)?;
        }
        self.head.update(engine, |head| assert!(head.join(epoch, through), "it was just tried"))?;
        {
            let mut state = self.shared.lock();
            state.epochs.retain(|info| info.epoch != later.epoch);
            let info = state.epoch_mut(epoch);
            assert!(
                info.thinned && info.sealed && info.indexed,
                "what is joined is thinned, and known by its index"
            );
            (info.through, info.last, info.closed) = (through, index.last, index.closed);
            (info.given_up, info.undo) = (given_up, ByteLen(index.undo_len.0));
            state.timeline.thin(index.first, index.last);
            state.moments.thin(index.first, index.last);
            state.damage = self.head.head().damage.clone();
            state.shrunk = Some(Shrunk { at, loss: Loss::End });
            assert!(state.thinned_at(index.last).is_none(), "the end of a joined epoch can be had");
        }
        let undo = (paths::undo(self.machine(), epoch), ByteLen(index.undo_len.0));
        if let Err(error) = self.volume.shorten(&undo.0, undo.1.round_up(retention::BLOCK_LEN as u64)) {
            tracing::warn!(path = undo.0, %error, "the unused end of a log is not given back");
        }
        self.remove_other_indexes(epoch)?;
        remove_epoch(&self.volume, self.machine(), later.epoch)?;
        self.shared.changed();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
