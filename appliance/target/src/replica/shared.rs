//! What the two halves of a replica, its sessions and its operators share.
//!
//! The appender moves `received → durable`, the applier `durable → written → applied`. Nothing here does I/O.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use retention::{
    Body, Damage, Head, Hold, Kept, Lifecycle, Log, Loss, Moments, Pin, PlanError, Policy, RecordPlace,
    Timeline,
};
use units::{ByteLen, ByteOffset, EpochNumber, Generation, Hash, Sequence, Timestamp};

use super::budget::Resident;
use super::error::{FailureKind, ReplicaError};
use super::kept_index::KeptIndex;
use super::log_writer::LogPosition;
use super::planted::Planted;
use super::resend::Resends;
use super::work::Work;

/// A batch or marker that was received and checked, but is not durable.
#[derive(Debug)]
pub struct Received {
    /// Its place in the stream.
    pub sequence: Sequence,
    /// When it came, by the target's clock.
    pub time: Timestamp,
    /// The batch or marker.
    pub body: Body,
    /// The batch's payload, hashes checked.
    pub payload: Vec<u8>,
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It is known already: to be acked and dropped.
    Duplicate,
    /// An earlier one is missing.
    Gap {
        /// The one that must come next.
        expected: Sequence,
    },
    /// The replica takes none now.
    Closed,
}

/// A durable item that waits to be written to the target disks.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) sequence: Sequence,
    pub(crate) epoch: EpochNumber,
    /// Where its record lies in the redo log, and which it is.
    pub(crate) place: RecordPlace,
    pub(crate) payload_len: usize,
    /// Bytes of target disk it covers.
    pub(crate) content_len: ByteLen,
    /// Body and payload, or the body alone, as the memory budget allows; the redo log has them in any case.
    pub(crate) resident: Option<Arc<Resident>>,
}

impl Queued {
    /// Returns what the item counts in the lag: its whole record, which is read again after a crash. Never nothing.
    pub(crate) fn lag(&self) -> ByteLen {
        self.place.end.since(self.place.at)
    }
}

/// An epoch, as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochInfo {
    /// Its number.
    pub epoch: EpochNumber,
    /// The last of those that were joined into it; itself if none were.
    pub through: EpochNumber,
    /// Its first sequence.
    pub first: Sequence,
    /// Its last sequence so far; below `first` while it is empty.
    pub last: Sequence,
    /// When its last record was received.
    pub closed: Timestamp,
    /// It takes no more, and its index is written.
    pub sealed: bool,
    /// Its index is on the volume.
    pub indexed: bool,
    /// It has lost its redo: only its start and its end can be had.
    pub thinned: bool,
    /// Bytes of redo it has lost.
    pub given_up: ByteLen,
    /// Bytes of redo.
    pub redo: ByteLen,
    /// Bytes of undo.
    pub undo: ByteLen,
}

/// History that went for want of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// When.
    pub at: Timestamp,
    /// What of it.
    pub loss: Loss,
}

/// How far a resync is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// When the session that compares began to, by the target's clock.
    pub since: Timestamp,
    /// Bytes of all disks before the place the source has asked about last.
    pub compared: ByteLen,
    /// Payload bytes received since then.
    pub received: ByteLen,
}

/// Where the appender goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppendStart {
    pub(crate) position: LogPosition,
    /// The log exists; otherwise it is made.
    pub(crate) exists: bool,
}

/// The state of one replica.
#[derive(Debug)]
pub struct State {
    /// The generation that may write.
    pub generation: Generation,
    /// Where the replica stands.
    pub lifecycle: Lifecycle,
    /// Size of each protected disk, by index; empty before the first session.
    pub lens: Vec<ByteLen>,
    /// The last item that was taken.
    pub received: Sequence,
    /// The last item that is durable in the redo log.
    pub durable: Sequence,
    /// The last item that was written to the target disks.
    pub written: Sequence,
    /// The last item that is durable on the target disks.
    pub applied: Sequence,
    /// The last item that a recovery found: up to here the target disks may hold what was written before it.
    pub recovered: Sequence,
    /// Bytes of redo durable but not written.
    pub lag: ByteLen,
    /// Bytes of redo that the last recovery found durable but not checkpointed, to be written again.
    pub replays: ByteLen,
    /// The epochs, oldest first.
    pub epochs: VecDeque<EpochInfo>,
    /// The recovery points.
    pub timeline: Timeline,
    /// Which sequence each second ended with.
    pub moments: Moments,
    /// The machine's own policy.
    pub policy: Option<Policy>,
    /// The policy of machines that have none.
    pub defaults: Policy,
    /// The points that are kept beyond the policy.
    pub pins: Vec<Pin>,
    /// The oldest state the history reaches.
    pub base: Sequence,
    /// Why the machine is out.
    pub failure: Option<(FailureKind, String)>,
    /// What there was no room for, while the retention volume is full.
    pub full: Option<String>,
    /// Why no room is made, while it is full.
    pub kept: Option<Kept>,
    /// What keeps epochs that are older than the window.
    pub held: Option<Hold>,
    /// When history went for want of room, the last time since the start.
    pub shrunk: Option<Shrunk>,
    /// Why a rewind stopped between two points; another point may be asked for.
    pub stalled: Option<String>,
    /// What of the history, or of the disks, is lost.
    pub damage: Vec<Damage>,
    /// What the source is to send again.
    pub resends: Resends,
    /// What was seen of target disks that are not as they should be, by index.
    pub sights: BTreeMap<usize, String>,
    /// How far the resync under way is, in the session that goes on with it.
    pub compared: Option<Compared>,
    /// The epoch that ends with the next item: some of its logs can't be read, and its index must get out of memory.
    pub(crate) ends: Option<EpochNumber>,
    /// No item is taken: a failback or its like has been asked for.
    pub(crate) closed: bool,
    pub(crate) inbox: VecDeque<Received>,
    pub(crate) queue: VecDeque<Queued>,
    /// Of each epoch that is not sealed.
    pub(crate) indexes: BTreeMap<EpochNumber, KeptIndex>,
    pub(crate) work: VecDeque<Work>,
    pub(crate) start: Option<AppendStart>,
}

/// Rings for a thread that has something to do.
#[derive(Clone, Default)]
pub struct Bell {
    rung: Arc<(Mutex<bool>, Condvar)>,
}

impl Bell {
    /// Wakes the thread that waits, or lets its next wait return at once.
    pub fn ring(&self) {
        let mut rung = self.rung.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *rung = true;
        self.rung.1.notify_all();
    }

    /// Waits for a ring, `most` at the longest.
    pub fn wait(&self, most: Duration) {
        let rung = self.rung.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let waited = self.rung.1.wait_timeout_while(rung, most, |rung| !*rung);
        *waited.unwrap_or_else(std::sync::PoisonError::into_inner).0 = false;
    }
}

/// Called after each change that somebody may wait for; must not block.
pub type Watcher = Arc<dyn Fn() + Send + Sync>;

/// One replica's state, and the bells of those who work on it.
pub struct Shared {
    state: Mutex<State>,
    watchers: Mutex<Vec<(u64, Watcher)>>,
    /// Rings for the thread that commits.
    pub committer: Bell,
    /// Rings for the thread that applies.
    pub worker: Bell,
    /// The mistake that is made on purpose.
    #[cfg(feature = "planted-bugs")]
    pub(crate) planted: std::sync::OnceLock<Planted>,
}

impl Shared {
    /// Returns the state of a machine that could not be recovered: it takes nothing, and says why.
    pub fn out_of_service(head: &Head, error: &ReplicaError) -> Self {
        let state = State::of(head, Policy::default());
        let shared = Self::new(state, Bell::default(), Bell::default());
        shared.fail(error);
        shared
    }

    pub(crate) fn new(state: State, committer: Bell, worker: Bell) -> Self {
        Self {
            state: Mutex::new(state),
            watchers: Mutex::default(),
            committer,
            worker,
            #[cfg(feature = "planted-bugs")]
            planted: std::sync::OnceLock::new(),
        }
    }

    /// Locks the state. A thread that panicked while it held the lock has put this machine, and no other, out.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            let mut state = poisoned.into_inner();
            let what = "a thread of landfalld panicked while it changed this machine's state".to_owned();
            state.failure.get_or_insert((FailureKind::Device, what));
            state
        })
    }

    /// Takes the next item of the stream. Errors: see [`NotTaken`]; then the item is dropped.
    pub fn take(&self, item: Received) -> Result<(), NotTaken> {
        let mut state = self.lock();
        if state.closed || state.failure.is_some() || state.lifecycle != Lifecycle::Protected {
            return Err(NotTaken::Closed);
        }
        let expected = state.received.next();
        if item.sequence < expected && !self.plants(Planted::DuplicateTaken) {
            return Err(NotTaken::Duplicate);
        }
        if item.sequence > expected {
            return Err(NotTaken::Gap { expected });
        }
        state.received = expected;
        state.inbox.push_back(Received { sequence: expected, ..item });
        drop(state);
        self.committer.ring();
        Ok(())
    }

    /// Adds work for the applier, to be done in the order it is given; refuses it at once when the machine is out.
    pub fn give(&self, work: Work) {
        let mut state = self.lock();
        if let Some((_, why)) = &state.failure {
            let (wanted, found, allowed) = ("work on a machine", format!("out: {why}"), "in service");
            drop(state);
            return work.refuse(&ReplicaError::Unfit { wanted, found, allowed });
        }
        state.closed |= work.closes_stream();
        state.work.push_back(work);
        drop(state);
        self.worker.ring();
    }

    /// Has the source send these runs of bytes again in its next round, now or whenever it connects; they lie on the disks. Kept in
    /// memory until a consistent marker vouches for them: see [`Resends::pending`].
    pub fn request_resend(&self, spans: &[wire::Span]) {
        let mut state = self.lock();
        let lies = |span: &wire::Span| {
            let len = state.lens.get(usize::from(span.disk.0)).copied().unwrap_or_default();
            span.start.checked_add(span.len).is_some_and(|end| end.0 <= len.0)
        };
        assert!(spans.iter().all(lies), "what is asked for again lies on a protected disk");
        state.resends.request(spans);
        drop(state);
        self.changed();
    }

    /// Puts the machine out, the first reason first. Everyone waiting is told.
    pub fn fail(&self, error: &ReplicaError) {
        let what = chain(error);
        let mut state = self.lock();
        let (generation, lifecycle) = (state.generation, &state.lifecycle);
        tracing::error!(%generation, ?lifecycle, error = %what, "machine is out");
        state.failure.get_or_insert((error.kind(), what));
        let abandoned = std::mem::take(&mut state.work);
        state.inbox.clear();
        // Nobody destages them any more, and other machines need the memory.
        state.queue.iter_mut().for_each(|queued| queued.resident = None);
        drop(state);
        abandoned.into_iter().for_each(|work| work.refuse(error));
        self.changed();
    }

    /// Has `watcher` called after each change, until [`unwatch`](Self::unwatch) with the same id.
    pub fn watch(&self, id: u64, watcher: Watcher) {
        self.watchers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((id, watcher));
    }

    /// Ends a watch.
    pub fn unwatch(&self, id: u64) {
        let mut watchers = self.watchers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        watchers.retain(|(each, _)| *each != id);
    }

    /// Tells every watcher that something changed.
    pub(crate) fn changed(&self) {
        let watchers = self.watchers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        watchers.iter().for_each(|(_, watcher)| watcher());
    }
}

impl State {
    /// Returns the state a head alone tells: nothing is waiting, the log has yet to be made.
    pub(crate) fn of(head: &Head, defaults: Policy) -> Self {
        let (machine, generation, epoch) = (head.machine, head.generation, head.oldest_epoch);
        let (end, previous) = (ByteOffset(0), Hash::default());
        let position = LogPosition { machine, generation, epoch, end, previous };
        Self {
            generation,
            lifecycle: head.lifecycle.clone(),
            lens: head.disks.iter().map(|disk| disk.len).collect(),
            received: head.applied,
            durable: head.applied,
            written: head.applied,
            applied: head.applied,
            recovered: head.applied,
            lag: ByteLen::ZERO,
            replays: ByteLen::ZERO,
            epochs: Default::default(),
            timeline: Timeline::default(),
            moments: Moments::default(),
            policy: head.policy,
            defaults,
            pins: head.pins.clone(),
            base: head.base,
            failure: None,
            full: None,
            kept: None,
            held: None,
            shrunk: None,
            stalled: None,
            damage: head.damage.clone(),
            resends: Resends::default(),
            sights: BTreeMap::new(),
            compared: None,
            ends: None,
            closed: false,
            inbox: Default::default(),
            queue: Default::default(),
            indexes: BTreeMap::new(),
            work: Default::default(),
            start: Some(AppendStart { position, exists: false }),
        }
    }

    /// Returns the policy in force.
    pub fn policy(&self) -> Policy {
        self.policy.unwrap_or(self.defaults)
    }

    /// Says why a sequence of the history can't be had, if it lies inside a thinned epoch.
    pub fn thinned_at(&self, sequence: Sequence) -> Option<PlanError> {
        let inside = |info: &&EpochInfo| info.thinned && (info.first..info.last).contains(&sequence);
        self.epochs.iter().find(inside).map(|info| PlanError::Thinned {
            wanted: sequence,
            epoch: info.epoch,
            start: Sequence(info.first.0 - 1),
            end: info.last,
        })
    }

    /// Counts a durable item in the resync under way.
    pub(crate) fn count_resync(&mut self, body: &Body, received: Timestamp, payload: ByteLen) {
        if let Body::Marker(marker) = body
            && marker.consistency == wire::Consistency::Resync
        {
            let (compared, received) = (ByteLen::ZERO, (received, ByteLen::ZERO));
            self.compared = Some(Compared { since: received.0, compared, received: received.1 });
        }
        if self.timeline.resync().is_none() {
            self.compared = None;
        }
        if let Some(compared) = &mut self.compared {
            compared.received += payload;
        }
    }

    /// Notes that the source has asked about a disk up to here.
    pub(crate) fn asked_about(&mut self, disk: units::DiskIndex, upto: ByteOffset) {
        let before: ByteLen = self.lens.iter().take(usize::from(disk.0)).copied().sum();
        if let Some(compared) = &mut self.compared {
            compared.compared = compared.compared.max(before + ByteLen(upto.0));
        }
    }

    /// Returns the bytes the journal takes on the volume.
    pub fn journal_len(&self) -> ByteLen {
        self.epochs.iter().map(|epoch| epoch.redo + epoch.undo).sum()
    }

    /// Tells whether a failback or its like has been asked for, so that no item is taken.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Tells whether no item may be taken in this lifecycle, or for the sake of a rewind that waits for its turn.
    pub(crate) fn stays_closed(&self, lifecycle: &Lifecycle) -> bool {
        let flows = !matches!(
            lifecycle,
            Lifecycle::Rewinding { .. } | Lifecycle::Rewound { .. } | Lifecycle::Committed { .. }
        );
        !flows || self.work.iter().any(Work::closes_stream)
    }

    /// While the volume is full, what was received but never acked would keep a rewind waiting for ever, or a question that it waits
    /// behind: it is dropped, and the source sends it again. What is being committed right now is waited for.
    pub(crate) fn drop_unacked_for_rewind(&mut self) {
        let unacked = self.received.0 - self.durable.0;
        let waits = self.work.iter().any(Work::closes_stream);
        if waits && self.full.is_some() && unacked == self.inbox.len() as u64 {
            self.inbox.clear();
            self.received = self.durable;
        }
    }

    /// Says that the epoch takes no more, and that its index is on the volume or can be made from its logs.
    pub(crate) fn seal(&mut self, epoch: EpochNumber) {
        self.epoch_mut(epoch).sealed = true;
        self.indexes.remove(&epoch);
    }

    /// Adds a durable record to the index that is kept of its epoch.
    pub(crate) fn index(&mut self, epoch: EpochNumber, log: Log, place: &RecordPlace, body: &Body) {
        if let Some(index) = self.indexes.get_mut(&epoch) {
            index.add(log, place, body);
        }
    }

    pub(crate) fn epoch_mut(&mut self, epoch: EpochNumber) -> &mut EpochInfo {
        let found = self.epochs.iter_mut().rev().find(|each| each.epoch == epoch);
        found.expect("an epoch in use is listed until it expires")
    }
}

/// Returns an error with all its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
