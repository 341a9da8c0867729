//! Bringing the target disks to a point of the history, in either direction.
//!
//! 1. Everything durable is applied, what the target disks alone hold is captured, they are flushed, and open views learn
//!    where the disks will go.
//! 2. The head says what is being done, durable: from here on a crash resumes it.
//! 3. Every piece of the plan is written; each is whole granules, so that doing it twice changes nothing.
//! 4. The target disks are flushed.
//! 5. The head says that the disks stand at the point, durable.

use std::sync::Arc;

use blockdev::{Engine, Volume};
use retention::{
    Afterwards, EpochIndex, IndexEntry, Lifecycle, Log, Piece, PointRange, RewindPlan, plan_rewind,
};
use units::Sequence;
use wire::Span;

use super::apply::{Applier, Run};
use super::destage::Pieces;
use super::error::{FailureKind, ReplicaError};
use super::fetch::OpenLogs;
use super::planted::Planted;
use super::progress::Progress;
use super::shared::EpochInfo;
use super::transfer::{DiskWriter, flush_all};

/// Bytes of target disk one slice brings to the point.
const SLICE_LEN: u64 = 64 << 20;

/// A rewind under way.
pub(crate) struct RewindRun {
    plan: RewindPlan,
    next: usize,
    logs: OpenLogs,
    progress: Arc<Progress>,
}

impl RewindRun {
    /// Gives the logs it has open back.
    pub(crate) fn close<E: Engine>(mut self, engine: &mut E) {
        self.logs.close(engine);
    }
}

impl<V> Applier<V> {
    /// Returns the index of every epoch, oldest first.
    pub(crate) fn indexes<E: Engine>(&mut self, engine: &mut E) -> Result<Vec<EpochIndex>, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let epochs: Vec<_> = self.shared.lock().epochs.iter().map(|info| info.epoch).collect();
        epochs.into_iter().map(|epoch| self.index_of(engine, epoch)).collect()
    }

    /// Returns the sequences whose states the disks may hold now.
    pub(crate) fn held(&self) -> (Sequence, Sequence) {
        let written = self.shared.lock().written;
        match self.head.head().lifecycle {
            Lifecycle::Rewinding { low, .. } => (low, written),
            Lifecycle::Rewound { at } | Lifecycle::Committed { at } => (at, at),
            _ => (written, written),
        }
    }

    /// Says what a rewind to `to` would write; touches nothing.
    pub(crate) fn plan<E: Engine>(&mut self, engine: &mut E, to: Sequence) -> Result<RewindPlan, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let indexes = self.indexes_from(engine, to)?;
        self.plan_with(&indexes, to)
    }

    fn plan_with(&self, indexes: &[EpochIndex], to: Sequence) -> Result<RewindPlan, ReplicaError> {
        let (low, high) = self.held();
        Ok(plan_rewind(indexes, PointRange { low, high, to }, self.disks.len())?)
    }

    /// Returns the indexes a plan to bring the disks to `to` needs, oldest first: those of the epochs that lie behind it or behind
    /// what the disks hold, and its own; all of them if the history does not reach back so far.
    fn indexes_from<E: Engine>(
        &mut self,
        engine: &mut E,
        to: Sequence,
    ) -> Result<Vec<EpochIndex>, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let first = self.held().0.min(to);
        let state = self.shared.lock();
        let newest = state.epochs.back().map(|info| info.epoch);
        let needed =
            |info: &&EpochInfo| first < state.base || info.last >= first || Some(info.epoch) == newest;
        let needed: Vec<_> = state.epochs.iter().filter(needed).map(|info| info.epoch).collect();
        drop(state);
        needed.into_iter().map(|epoch| self.index_of(engine, epoch)).collect()
    }

    /// Steps 1 and 2 of a rewind. Errors: the point can't be had, and nothing has changed.
    pub(crate) fn begin_rewind<E: Engine>(
        &mut self,
        engine: &mut E,
        to: Sequence,
        then: Afterwards,
        progress: Arc<Progress>,
    ) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let plan = match self.check_rewind(to, then).and_then(|()| self.plan_saved(engine, to)) {
            Ok(plan) => plan,
            Err(error) => {
                let mut state = self.shared.lock();
                state.closed = state.stays_closed(&self.head.head().lifecycle);
                return Err(error);
            }
        };
        self.checkpoint(engine)?;
        self.widen_views(engine, to)?;
        let low = self.held().0.min(to);
        if self.limits.plants(Planted::RewindUnrecorded) {
            self.head.forget_to_write(|head| head.lifecycle = Lifecycle::Rewinding { low, to, then });
        } else {
            self.set_lifecycle(engine, Lifecycle::Rewinding { low, to, then })?;
        }
        self.stalled = false;
        self.shared.lock().stalled = None;
        progress.expect(plan.len().0);
        self.run = Some(Run::Rewind(RewindRun { plan, next: 0, logs: OpenLogs::default(), progress }));
        Ok(())
    }

    /// Captures what the target disks alone hold and `to` would overwrite, then plans. Errors: the point can't be had; what was
    /// captured does no harm.
    fn plan_saved<E: Engine>(&mut self, engine: &mut E, to: Sequence) -> Result<RewindPlan, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let indexes = self.indexes_from(engine, to)?;
        if self.save_thinned(engine, &indexes, to)? {
            return self.plan(engine, to);
        }
        self.plan_with(&indexes, to)
    }

    /// Checks that there is a history to go to, and that replication would go on from its end.
    fn check_rewind(&self, to: Sequence, then: Afterwards) -> Result<(), ReplicaError> {
        let (lifecycle, newest) = (&self.head.head().lifecycle, self.shared.lock().written);
        let unfit = |wanted, found, allowed| Err(ReplicaError::Unfit { wanted, found, allowed });
        match lifecycle {
            Lifecycle::Protected | Lifecycle::Rewinding { .. } | Lifecycle::Rewound { .. } => {}
            other => {
                return unfit("bring the disks to a point", format!("{other:?}"), "protected or rewound");
            }
        }
        if then == Afterwards::Replicate && to != newest {
            return unfit("go on replicating", to.to_string(), "the newest sequence");
        }
        Ok(())
    }

    /// Takes up a rewind that a crash cut off.
    pub(crate) fn resume_rewind<E: Engine>(&mut self, engine: &mut E) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let Lifecycle::Rewinding { to, then, .. } = self.head.head().lifecycle else { return Ok(()) };
        self.begin_rewind(engine, to, then, Arc::default())
    }

    /// Step 3 of a rewind, one slice of it; then 4 and 5. Returns the rest.
    pub(crate) fn rewind_slice<E: Engine>(
        &mut self,
        engine: &mut E,
        mut run: RewindRun,
    ) -> Result<Option<RewindRun>, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let result = self.rewind_pieces(engine, &mut run);
        if result.is_ok() && run.next < run.plan.pieces.len() {
            return Ok(Some(run));
        }
        run.logs.close(engine);
        if let Err(error) = &result {
            self.note_met(engine, &run.plan.pieces, error);
        }
        let result = result.and_then(|()| self.end_rewind(engine));
        run.progress.end(result.clone());
        match result {
            // The damage is to one point: the machine may be brought to another.
            Err(error) if error.kind() == FailureKind::Damaged => {
                tracing::error!(error = %super::shared::chain(&error), "rewind stopped at damage: choose another point");
                self.stalled = true;
                self.shared.lock().stalled = Some(super::shared::chain(&error));
                Ok(None)
            }
            other => other.map(|()| None),
        }
    }

    /// Writes the next pieces, while the payloads of those behind them are read.
    fn rewind_pieces<E: Engine>(&mut self, engine: &mut E, run: &mut RewindRun) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let count = pieces_within(&run.plan.pieces[run.next..], SLICE_LEN);
        let pieces = &run.plan.pieces[run.next..run.next + count];
        let group = self.group(engine, &mut run.logs, pieces)?;
        let mut writer = DiskWriter::new(engine, &self.pool, &self.disks);
        let mut parts = Pieces { decoder: &mut self.decoder, scratch: Vec::new(), holds: None };
        writer.read_ahead(&group.reads.reads);
        let mut write = |writer: &mut DiskWriter<'_, E>, number, pieces: &[Piece], payload: &[u8]| {
            let each =
                |piece: &Piece| parts.write(writer, &piece.span, &piece.entry.extent, payload, (0, number));
            pieces.iter().try_for_each(each)
        };
        group.deliver_empty(|number, pieces, payload| write(&mut writer, number, pieces, payload))?;
        let mut read = 0;
        while let Some(bytes) = writer.next_read()? {
            group.deliver(read, &bytes, |number, pieces, payload| {
                write(&mut writer, number, pieces, payload)
            })?;
            read += 1;
        }
        writer.finish()?;
        run.progress.advance(pieces.iter().map(|piece| piece.span.len.0).sum());
        run.next += count;
        Ok(())
    }

    /// Steps 4 and 5 of a rewind.
    fn end_rewind<E: Engine>(&mut self, engine: &mut E) -> Result<(), ReplicaError> {
        let Lifecycle::Rewinding { to, then, .. } = self.head.head().lifecycle else {
            unreachable!("a rewind runs while the head says so")
        };
        flush_all(engine, &self.disks)?;
        let newest = self.shared.lock().written;
        let next = match then {
            Afterwards::Stand => Lifecycle::Rewound { at: to },
            Afterwards::Replicate => {
                assert_eq!(to, newest, "replication goes on from the newest state only");
                Lifecycle::Protected
            }
        };
        self.set_lifecycle(engine, next)
    }

    /// Accepts the point the disks stand at. The head alone says it; durable on return. Errors: they stand at none.
    pub(crate) fn commit_point<E: Engine>(&mut self, engine: &mut E) -> Result<(), ReplicaError> {
        match self.head.head().lifecycle {
            Lifecycle::Rewound { at } => {
                self.end_views("the machine was committed: its disks are its own again");
                self.set_lifecycle(engine, Lifecycle::Committed { at })
            }
            Lifecycle::Committed { .. } => Ok(()),
            ref other => {
                let (wanted, found, allowed) = ("accept a point", format!("{other:?}"), "rewound");
                Err(ReplicaError::Unfit { wanted, found, allowed })
            }
        }
    }

    /// Lists what was written after `since`, or `None` if the history begins later.
    pub(crate) fn changed_since<E: Engine>(
        &mut self,
        engine: &mut E,
        since: Sequence,
    ) -> Result<Option<Vec<Span>>, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let (known, epochs) = {
            let state = self.shared.lock();
            let after = || state.epochs.iter().filter(|info| info.last > since);
            let known = since >= state.base && !after().any(|info| info.thinned);
            (known, after().map(|info| info.epoch).collect::<Vec<_>>())
        };
        if !known {
            return Ok(None);
        }
        let mut spans = Vec::new();
        for epoch in epochs {
            let index = self.index_of(engine, epoch)?;
            let after = index.entries.iter().filter(|entry| entry.log == Log::Redo && entry.sequence > since);
            spans.extend(after.map(IndexEntry::span));
        }
        Ok(Some(spans))
    }
}

/// Returns how many pieces at the front make up at most `most` bytes; at least one.
fn pieces_within(pieces: &[Piece], most: u64) -> usize {
    let mut len = 0;
    let fits = |piece: &&Piece| {
        len += piece.span.len.0;
        len <= most || len == piece.span.len.0
    };
    pieces.iter().take_while(fits).count()
}
