//! The appending half of a replica, and the group commit that serves all machines at once.
//!
//! The order that makes an ack true:
//! 1. the group is written behind the last durable one;
//! 2. the redo log is flushed;
//! 3. only then `durable` moves, and with it the ack.
//!
//! *Invariant:* nothing is acked before its redo record is durable (I1).

use std::collections::BTreeMap;
use std::sync::Arc;

use blockdev::{
    Completion, DeviceError, DeviceSlot, Engine, Operation, PagePool, Request, Volume, VolumeError,
};
use retention::{Body, EpochIndex, Lifecycle, Log, Moment, Point, RecordPlace};
use units::{ByteLen, ByteOffset, EpochNumber, Sequence, Timestamp};

use super::budget::ResidentBudget;
use super::error::ReplicaError;
use super::kept_index::KeptIndex;
use super::limits::ReplicaLimits;
use super::log_writer::{Entry, LogPosition, LogWriter};
use super::paths;
use super::planted::Planted;
use super::shared::{AppendStart, EpochInfo, Queued, Received, Shared};

/// Appends what one machine sends to its redo log.
pub struct Appender {
    shared: Arc<Shared>,
    limits: ReplicaLimits,
    budget: ResidentBudget,
    log: Option<LogWriter>,
    opened: Timestamp,
}

impl<'a> From<&'a Received> for Entry<'a> {
    fn from(item: &'a Received) -> Self {
        Self { sequence: item.sequence, received: item.time, body: &item.body, payload: &item.payload }
    }
}

/// A group on its way to the volume.
struct Group {
    items: Vec<Received>,
    places: Vec<RecordPlace>,
    slot: DeviceSlot,
}

impl Appender {
    pub(crate) fn new(shared: Arc<Shared>, limits: ReplicaLimits, budget: ResidentBudget) -> Self {
        Self { shared, limits, budget, log: None, opened: Timestamp(0) }
    }

    /// Returns the state this appender moves.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Closes the log, for instance because the machine is removed.
    pub fn close<E: Engine>(&mut self, engine: &mut E) {
        if let Some(log) = self.log.take() {
            drop(engine.detach(log.slot()));
        }
    }

    fn stage<E: Engine, V: Volume<Device = E::Device>>(
        &mut self,
        engine: &mut E,
        pool: &PagePool,
        volume: &V,
        now: Timestamp,
    ) -> Result<Option<(Group, Vec<Request>)>, ReplicaError> {
        let items = self.next_items(now);
        if items.is_empty() {
            return Ok(None);
        }
        match self.stage_items(engine, pool, volume, now, &items) {
            Ok((writes, places, slot)) => Ok(Some((Group { items, places, slot }, writes))),
            Err(error) => {
                // Nothing was written: the items wait for room, or for the machine to be put out.
                let mut state = self.shared.lock();
                items.into_iter().rev().for_each(|item| state.inbox.push_front(item));
                Err(error)
            }
        }
    }

    fn next_items(&self, now: Timestamp) -> Vec<Received> {
        let mut state = self.shared.lock();
        if state.failure.is_some() || state.full.is_some() || state.lag >= self.limits.lag_len {
            return Vec::new();
        }
        // An epoch that is due ends behind the next recovery point: then its end is one.
        let due = self.log.as_ref().is_some_and(|log| self.is_due(log, now));
        let ends = |items: &[Received]| {
            due && items.last().is_some_and(|item: &Received| matches!(item.body, Body::Marker(_)))
        };
        let mut len = 0;
        let mut items: Vec<Received> = Vec::new();
        while !ends(&items)
            && let Some(item) = state.inbox.pop_front_if(|item| {
                // Records without payload take their room too.
                len += item.body.record_len_bound(item.payload.len()) as u64;
                items.is_empty() || len <= self.limits.group_len.0
            })
        {
            items.push(item);
        }
        assert!(
            items.is_empty()
                || matches!(state.lifecycle, Lifecycle::Protected | Lifecycle::Original { .. })
                || state.closed,
            "only a stream is appended"
        );
        items
    }

    fn stage_items<E: Engine, V: Volume<Device = E::Device>>(
        &mut self,
        engine: &mut E,
        pool: &PagePool,
        volume: &V,
        now: Timestamp,
        items: &[Received],
    ) -> Result<(Vec<Request>, Vec<RecordPlace>, DeviceSlot), ReplicaError> {
        self.open_log(engine, volume, now, items[0].sequence)?;
        let log = self.log.as_mut().expect("the log was just opened");
        let entries: Vec<_> = items.iter().map(Entry::from).collect();
        let (writes, places) = log.stage(engine, pool, &entries)?;
        Ok((writes, places, log.slot()))
    }

    /// Opens the log the next item goes to: the one recovery found, or that of a new epoch when it is time for one.
    fn open_log<E: Engine, V: Volume<Device = E::Device>>(
        &mut self,
        engine: &mut E,
        volume: &V,
        now: Timestamp,
        first: Sequence,
    ) -> Result<(), ReplicaError> {
        let position = match &self.log {
            Some(log) if !self.ends(log, now) => return Ok(()),
            Some(log) => next_epoch(log.position()),
            None => {
                let start = self.shared.lock().start.expect("a protected machine has a log to go on with");
                if start.exists {
                    let slot = engine.attach(volume.open(&redo_path(start.position))?)?;
                    self.log = Some(LogWriter::new(engine, slot, start.position, self.limits.log_chunk));
                    self.opened = now;
                    return Ok(());
                }
                start.position
            }
        };
        let slot = self.make_epoch(engine, volume, position)?;
        self.close(engine);
        self.log = Some(LogWriter::new(engine, slot, position, self.limits.log_chunk));
        self.opened = now;
        let (redo, undo, given_up) = (ByteLen::ZERO, ByteLen::ZERO, ByteLen::ZERO);
        let last = Sequence(first.0 - 1);
        let info = EpochInfo {
            epoch: position.epoch,
            through: position.epoch,
            first,
            last,
            closed: now,
            sealed: false,
            indexed: false,
            thinned: false,
            given_up,
            redo,
            undo,
        };
        let index = EpochIndex::empty(position.machine, position.generation, position.epoch, first);
        let mut state = self.shared.lock();
        state.epochs.push_back(info);
        state.indexes.insert(position.epoch, KeptIndex::begin(self.budget.indexes(), index));
        Ok(())
    }

    /// Makes the files of an epoch: first `undo`, then `redo`, whose existence makes the epoch exist.
    fn make_epoch<E: Engine, V: Volume<Device = E::Device>>(
        &self,
        engine: &mut E,
        volume: &V,
        position: LogPosition,
    ) -> Result<DeviceSlot, ReplicaError> {
        let LogPosition { machine, epoch, .. } = position;
        match volume.create(&paths::undo(machine, epoch), self.limits.log_chunk) {
            // Left over from a crash between the two.
            Ok(_) | Err(VolumeError::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(engine.attach(volume.create(&paths::redo(machine, epoch), self.limits.log_chunk)?)?)
    }

    /// Tells whether the epoch ends before the next item: it is due and its last item is a recovery point, or it is twice over.
    fn ends(&self, log: &LogWriter, now: Timestamp) -> bool {
        let state = self.shared.lock();
        let newest = state.timeline.points().next_back().map(|point| point.sequence);
        let at_point = newest == Some(state.durable);
        let wanted = state.ends == Some(log.position().epoch) && log.position().end.0 > 0;
        drop(state);
        wanted || self.is_past(log, now, 2) || (at_point && self.is_due(log, now))
    }

    fn is_due(&self, log: &LogWriter, now: Timestamp) -> bool {
        self.is_past(log, now, 1)
    }

    /// Tells whether the epoch is older or larger than this many times what it should be. A clock that went back counts as age: it
    /// would keep the epoch open for as long as it went back.
    fn is_past(&self, log: &LogWriter, now: Timestamp, times: u32) -> bool {
        let len = log.position().end.0;
        let old = now < self.opened || now.since(self.opened) >= self.limits.epoch_age * times;
        len > 0 && (len >= self.limits.epoch_len.0 * u64::from(times) || old)
    }

    /// Says that the group is durable: moves the marks, wakes the applier and the sessions.
    fn finish(&mut self, group: Group) {
        let log = self.log.as_mut().expect("a group was staged to an open log");
        log.durable();
        let position = log.position();
        let mut state = self.shared.lock();
        let was_empty = state.queue.is_empty();
        for (item, place) in group.items.into_iter().zip(group.places) {
            assert_eq!(item.sequence, state.durable.next(), "the redo log holds every sequence, in order");
            state.durable = item.sequence;
            if let Body::Marker(marker) = &item.body {
                let newest = state.timeline.points().next_back().map(|point| point.time);
                let before = newest.is_some_and(|newest| marker.time < newest);
                if !before || !self.limits.plants(Planted::PointsByClock) {
                    state.timeline.push(Point::from(marker.as_ref()));
                }
                state.resends.vouched(marker.sequence, marker.consistency);
            }
            if let Some(moment) = Moment::of(&item.body) {
                state.moments.push(moment);
            }
            let info = state.epoch_mut(position.epoch);
            (info.last, info.closed) = (item.sequence, item.time);
            let payload_len = item.payload.len();
            state.count_resync(&item.body, item.time, ByteLen(payload_len as u64));
            let content_len = content_len(&item.body);
            state.index(position.epoch, Log::Redo, &place, &item.body);
            let resident = self.budget.keep(item.body, item.payload);
            let (sequence, epoch) = (item.sequence, position.epoch);
            let queued = Queued { sequence, epoch, place, payload_len, content_len, resident };
            state.lag += queued.lag();
            state.queue.push_back(queued);
        }
        state.epoch_mut(position.epoch).redo = ByteLen(position.end.0);
        state.start = Some(AppendStart { position, exists: true });
        // Whoever gathers looks again by itself.
        let rings = was_empty || state.lag >= self.limits.gather_len || !state.work.is_empty();
        drop(state);
        if rings {
            self.shared.worker.ring();
        }
        self.shared.changed();
    }

    fn fail(&mut self, error: &ReplicaError) {
        match error {
            ReplicaError::Full { what } => {
                tracing::warn!(what, "retention volume is full");
                self.shared.lock().full.get_or_insert(what.clone());
                self.shared.worker.ring();
                self.shared.changed();
            }
            other => self.shared.fail(other),
        }
    }
}

/// Returns how much of the target disks an item covers.
pub(crate) fn content_len(body: &Body) -> ByteLen {
    body.extents().iter().map(|extent| extent.len).sum()
}

fn next_epoch(position: LogPosition) -> LogPosition {
    LogPosition { epoch: EpochNumber(position.epoch.0 + 1), end: ByteOffset(0), ..position }
}

fn redo_path(position: LogPosition) -> String {
    paths::redo(position.machine, position.epoch)
}

/// Payload bytes after which a round takes no further machine.
const ROUND_LEN_MAX: usize = 8 << 20;

/// Commits what the machines have received, in one round: all writes together, then all flushes together. Takes machines in
/// the order given, up to 8 MiB of payload: the caller gives another the first turn each time. Returns whether anything was committed. Errors: the engine itself failed. A failure of one machine's log puts that machine out
/// and no other.
pub fn commit_all<E: Engine, V: Volume<Device = E::Device>>(
    engine: &mut E,
    pool: &PagePool,
    volume: &V,
    appenders: &mut [&mut Appender],
    now: Timestamp,
) -> Result<bool, ReplicaError> {
    let mut groups = Vec::new();
    let mut writes = Vec::new();
    let mut staged = 0;
    for (index, appender) in appenders.iter_mut().enumerate() {
        if staged >= ROUND_LEN_MAX {
            break;
        }
        match appender.stage(engine, pool, volume, now) {
            Ok(Some((group, requests))) => {
                staged += group.items.iter().map(|item| item.payload.len()).sum::<usize>();
                groups.push((index, group));
                writes.extend(requests);
            }
            Ok(None) => {}
            Err(error) => appender.fail(&error),
        }
    }
    if groups.is_empty() {
        return Ok(false);
    }
    let mut failed = failures(engine.run(writes)?);
    let whole = groups.iter().filter(|(index, group)| {
        !failed.contains_key(&group.slot) && !appenders[*index].limits.plants(Planted::AckBeforeFlush)
    });
    let flushes: Vec<_> =
        whole.map(|(_, group)| Request { slot: group.slot, tag: 0, operation: Operation::Flush }).collect();
    failed.extend(failures(engine.run(flushes)?));
    let retried = |(index, group): &&(usize, Group)| {
        appenders[*index].limits.plants(Planted::FlushRetried) && failed.contains_key(&group.slot)
    };
    let retried: Vec<_> = groups.iter().filter(retried).map(|(_, group)| group.slot).collect();
    retried.iter().for_each(|slot| drop(failed.remove(slot)));
    for (index, group) in groups {
        match failed.get(&group.slot) {
            None => appenders[index].finish(group),
            Some(error) => appenders[index].fail(&error.clone().into()),
        }
    }
    Ok(true)
}

fn failures(done: Vec<Completion>) -> BTreeMap<DeviceSlot, DeviceError> {
    done.into_iter().filter_map(|completion| Some((completion.slot, completion.outcome.err()?))).collect()
}
