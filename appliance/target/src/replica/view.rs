//! Views: the state at one point, readable while the target disks go on.
//!
//! A view is a map (`retention::ViewMap`) that its readers and the applier share. Before the applier overwrites
//! anything on a target disk it makes the before-images durable, then tells every view, and only then writes. A reader
//! looks up, reads the target disk, and looks up again: what it read is the point's content exactly where the second
//! look still names the target disk; the rest is in a log by then, for good.
//!
//! *Invariant:* a view shows its point or an error, never anything else. What can't be kept for it ends it first.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

use blockdev::{Engine, Volume};
use retention::{EpochIndex, Hold, Holder, IndexEntry, Lifecycle, Place, PointRange, RoundPlan, ViewMap};
use units::{ByteLen, ByteOffset, EpochNumber, MachineId, Sequence};
use wire::Span;

use super::apply::{Applier, Run};
use super::error::{FailureKind, ReplicaError};
use super::planted::Planted;
use super::work::Then;

/// Runs a view's map may have: at the most about 1.4 GiB of memory.
const RUNS_MAX: usize = 8 << 20;
/// Damaged extents a view tells of at a time.
const MET_MAX: usize = 64;
const _: () = assert!(RUNS_MAX * retention::RUN_LEN <= 3 << 29);

/// The state of a machine's disks at one point. Dropping the last reference closes it.
pub struct LiveView {
    machine: MachineId,
    to: Sequence,
    lens: Vec<ByteLen>,
    map: RwLock<Known>,
    ended: OnceLock<String>,
    /// Extents that readers have found damaged, until the applier has noted them.
    met: Mutex<Vec<(EpochNumber, IndexEntry)>>,
}

/// A map, and the states the disks may have held since the view was opened.
struct Known {
    map: ViewMap,
    range: PointRange,
}

/// A view that is being opened: the indexes it needs are read one by one.
pub(crate) struct ViewRun {
    range: PointRange,
    wanted: std::vec::IntoIter<EpochNumber>,
    indexes: Vec<EpochIndex>,
    then: Then<Arc<LiveView>>,
}

impl LiveView {
    /// Returns the machine.
    pub fn machine(&self) -> MachineId {
        self.machine
    }

    /// Returns the point.
    pub fn to(&self) -> Sequence {
        self.to
    }

    /// Returns the size of each disk.
    pub fn lens(&self) -> &[ByteLen] {
        &self.lens
    }

    /// Returns why the view has ended, if it has: nothing can be read from it any more.
    pub fn ended(&self) -> Option<&str> {
        self.ended.get().map(String::as_str)
    }

    /// Returns what is known to be zero of a span without reading it: parts in order and without a gap, each with whether
    /// it is. `stretch` tells of its target disk whether there is a hole at a position, and how far that is true. Errors: the
    /// view has ended.
    pub fn zeroes(
        &self,
        span: &Span,
        stretch: impl Fn(ByteOffset) -> (bool, ByteLen),
    ) -> Result<Vec<(Span, bool)>, ReplicaError> {
        let mut found = Vec::new();
        for (part, place) in self.parts(span)? {
            if place != Place::Target {
                found.push((part, place == Place::Zero));
                continue;
            }
            let (mut at, end) = (part.start.0, part.start.0 + part.len.0);
            while at < end {
                let (hole, len) = stretch(ByteOffset(at));
                let len = ByteLen(len.0.clamp(1, end - at));
                let stretch = Span { disk: part.disk, start: ByteOffset(at), len };
                // What was overwritten meanwhile may be a hole only since.
                found.push((stretch, hole && self.is_untouched(&stretch)?));
                at += len.0;
            }
        }
        Ok(found)
    }

    fn is_untouched(&self, span: &Span) -> Result<bool, ReplicaError> {
        Ok(self.parts(span)?.iter().all(|(_, place)| *place == Place::Target))
    }

    /// Returns the parts of a span, each with the place of its content at this moment. Errors: the view has ended.
    pub(crate) fn parts(&self, span: &Span) -> Result<Vec<(Span, Place)>, ReplicaError> {
        let parts = self.map.read().unwrap_or_else(PoisonError::into_inner).map.lookup(span);
        match self.ended.get() {
            None => Ok(parts),
            Some(why) => Err(ReplicaError::ViewEnded { why: why.clone() }),
        }
    }

    /// Says that an extent of a log is damaged. Of too many some are forgotten: they are met again.
    pub(crate) fn meet(&self, epoch: EpochNumber, entry: &IndexEntry) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.len() < MET_MAX {
            met.push((epoch, entry.clone()));
        }
    }

    /// Returns the damaged extents that were met, and forgets them.
    pub(crate) fn take_met(&self) -> Vec<(EpochNumber, IndexEntry)> {
        std::mem::take(&mut *self.met.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn end(&self, why: &str) {
        if self.ended.set(why.to_owned()).is_ok() {
            tracing::warn!(machine = %self.machine, sequence = %self.to, why, "view ended");
        }
    }

    /// Returns the oldest epoch whose logs the view may read.
    fn from(&self) -> EpochNumber {
        self.map.read().unwrap_or_else(PoisonError::into_inner).map.from()
    }

    /// See [`ViewMap::overwrite`]. A map that can't be kept ends the view.
    fn overwrite(&self, plan: &RoundPlan, captured: &[(EpochNumber, IndexEntry)]) {
        let mut known = self.map.write().unwrap_or_else(PoisonError::into_inner);
        match known.map.overwrite(plan.writes.iter().map(|write| &write.span), captured) {
            Ok(()) if known.map.runs() <= RUNS_MAX => {}
            Ok(()) => self.end("too much was overwritten since it was opened; open it anew"),
            Err(error) => self.end(&error.to_string()),
        }
    }

    /// Makes the map anew for disks that may now hold any state between `low` and `high`, too. The range only grows: what was
    /// found in a log stays in a log.
    fn widen(&self, epochs: &[EpochIndex], low: Sequence, high: Sequence) {
        let mut known = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let range = known.range;
        let range = PointRange { low: range.low.min(low), high: range.high.max(high), to: self.to };
        match ViewMap::new(epochs, range, self.lens.len()) {
            Ok(map) => *known = Known { map, range },
            Err(error) => self.end(&error.to_string()),
        }
    }
}

impl ViewRun {
    /// Says that the view will not be opened.
    pub(crate) fn close(self) {
        (self.then)(Err(ReplicaError::ViewEnded { why: "the machine was taken away".to_owned() }));
    }
}

impl<V> Applier<V> {
    /// Begins to open a view of `to`, which was applied. Errors: the machine has no history to look at.
    pub(crate) fn begin_view(&mut self, to: Sequence, then: Then<Arc<LiveView>>) {
        let lifecycle = &self.head.head().lifecycle;
        if !matches!(
            lifecycle,
            Lifecycle::Protected | Lifecycle::Rewinding { .. } | Lifecycle::Rewound { .. }
        ) {
            let (wanted, found, allowed) =
                ("open a view", format!("{lifecycle:?}"), "protected, rewinding or rewound");
            return then(Err(ReplicaError::Unfit { wanted, found, allowed }));
        }
        let (low, high) = self.held();
        let first = low.min(to);
        let state = self.shared.lock();
        let newest = state.epochs.back().map(|info| info.epoch);
        let needed = state.epochs.iter().filter(|info| info.last >= first || Some(info.epoch) == newest);
        let wanted = needed.map(|info| info.epoch).collect::<Vec<_>>().into_iter();
        drop(state);
        let range = PointRange { low, high, to };
        self.run = Some(Run::View(ViewRun { range, wanted, indexes: Vec::new(), then }));
    }

    /// Reads the next index; after the last the view is open. Returns the rest.
    pub(crate) fn view_slice<E: Engine>(
        &mut self,
        engine: &mut E,
        mut run: ViewRun,
    ) -> Result<Option<ViewRun>, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let opened = match run.wanted.next().map(|epoch| self.index_of(engine, epoch)) {
            Some(Ok(index)) => {
                run.indexes.push(index);
                return Ok(Some(run));
            }
            Some(Err(error)) => Err(error),
            None => self.open_view(&run),
        };
        let concern = match &opened {
            // Damage to one point is told to whoever asked; the machine is as it was.
            Err(error) if matches!(error.kind(), FailureKind::Refused | FailureKind::Damaged) => Ok(None),
            Err(error) => Err(error.clone()),
            Ok(_) => Ok(None),
        };
        (run.then)(opened);
        concern
    }

    fn open_view(&mut self, run: &ViewRun) -> Result<Arc<LiveView>, ReplicaError> {
        let map = ViewMap::new(&run.indexes, run.range, self.disks.len())?;
        if map.runs() > RUNS_MAX {
            let (wanted, found, allowed) =
                ("open a view", format!("{} changes since", map.runs()), "a nearer point");
            return Err(ReplicaError::Unfit { wanted, found, allowed });
        }
        tracing::info!(machine = %self.head.head().name, sequence = %run.range.to, runs = map.runs(), "view opened");
        let view = Arc::new(LiveView {
            machine: self.machine(),
            to: run.range.to,
            lens: self.lens(),
            map: RwLock::new(Known { map, range: run.range }),
            ended: OnceLock::new(),
            met: Mutex::default(),
        });
        self.views.push(Arc::downgrade(&view));
        Ok(view)
    }

    /// Forgets the views that were closed or have ended.
    pub(crate) fn forget_closed_views(&mut self) {
        self.views.retain(|view| view.upgrade().is_some_and(|view| view.ended().is_none()));
    }

    pub(crate) fn each_view(&self) -> impl Iterator<Item = Arc<LiveView>> {
        self.views.iter().filter_map(Weak::upgrade)
    }

    /// Tells every view what a round is about to overwrite; what it captured is durable.
    pub(crate) fn tell_views(&self, plan: &RoundPlan, captured: &[(EpochNumber, IndexEntry)]) {
        let deaf = self.limits.plants(Planted::CaptureUntold);
        let hears = |view: &Arc<LiveView>| !deaf || captured.iter().all(|(epoch, _)| *epoch <= view.from());
        self.each_view().filter(hears).for_each(|view| view.overwrite(plan, captured));
    }

    /// Tells every view that the disks are about to be brought from where they are to `to`.
    pub(crate) fn widen_views<E: Engine>(&mut self, engine: &mut E, to: Sequence) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        self.forget_closed_views();
        if self.views.is_empty() {
            return Ok(());
        }
        let (low, high) = self.held();
        let indexes = self.indexes(engine)?;
        self.each_view().for_each(|view| view.widen(&indexes, low.min(to), high.max(to)));
        Ok(())
    }

    /// Returns what must stay for the sake of views.
    pub(crate) fn view_holds(&self) -> Vec<Hold> {
        let open = self.each_view().filter(|view| view.ended().is_none());
        open.map(|view| Hold { sequence: view.to, holder: Holder::View { from: view.from() } }).collect()
    }

    /// Ends the views that read from this epoch or one before it.
    pub(crate) fn end_views_from(&mut self, epoch: EpochNumber, why: &str) {
        self.each_view().filter(|view| view.from() <= epoch).for_each(|view| view.end(why));
    }

    /// Ends every view: what is on the target disks is about to be overwritten without history, or to be given away.
    pub(crate) fn end_views(&mut self, why: &str) {
        self.each_view().for_each(|view| view.end(why));
        self.views.clear();
    }
}
