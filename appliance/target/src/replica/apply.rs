//! The applying half of a replica: what one step does, and in what order steps come.

use std::sync::{Arc, Weak};

use blockdev::{DeviceSlot, Engine, PagePool, Volume};
use retention::{ExtentDecoder, ExtentEncoder, Head, Lifecycle};
use units::{ByteLen, EpochNumber, MachineId, Timestamp};

use super::budget::ResidentBudget;
use super::error::ReplicaError;
use super::expire::Aging;
use super::join::{Apart, Joining};
use super::limits::ReplicaLimits;
use super::log_writer::LogWriter;
use super::planted::Planted;
use super::rewind::RewindRun;
use super::shared::Shared;
use super::slot_file::SlotFile;
use super::transfer::flush_all;
use super::verify::VerifyRun;
use super::view::{LiveView, ViewRun};
use super::work::Work;

/// Brings one machine's target disks up to its journal, and to any point of it.
pub struct Applier<V> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) volume: V,
    pub(crate) limits: ReplicaLimits,
    pub(crate) pool: PagePool,
    pub(crate) budget: ResidentBudget,
    pub(crate) head: SlotFile<Head>,
    /// The target disks, by index.
    pub(crate) disks: Vec<DeviceSlot>,
    pub(crate) open: Option<OpenEpoch>,
    pub(crate) run: Option<Run>,
    pub(crate) decoder: ExtentDecoder,
    pub(crate) encoder: ExtentEncoder,
    /// Bytes of redo written since the last checkpoint.
    pub(crate) unflushed: u64,
    pub(crate) last_round: Timestamp,
    /// When what waits now was first seen to wait.
    pub(crate) gathering: Option<Timestamp>,
    /// A rewind met damage: the disks stay between two points until another point is asked for.
    pub(crate) stalled: bool,
    /// The views that are open, and perhaps some that were closed.
    pub(crate) views: Vec<Weak<LiveView>>,
    pub(crate) aging: Aging,
    /// When the last step began.
    pub(crate) stepped: Timestamp,
    /// Two thinned epochs are becoming one.
    pub(crate) joining: Option<Joining>,
    /// What joining has failed for, until other history goes.
    pub(crate) apart: Apart,
}

/// The epoch that is being applied.
pub(crate) struct OpenEpoch {
    pub(crate) epoch: EpochNumber,
    pub(crate) redo: DeviceSlot,
    pub(crate) undo: LogWriter,
    pub(crate) captured: retention::GranuleSet,
}

/// Long work, done in slices so that other machines have their turn.
pub(crate) enum Run {
    Rewind(RewindRun),
    Verify(VerifyRun),
    View(ViewRun),
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something: another may follow at once.
    Worked,
    /// Nothing: what there is to do grows for a while.
    Gathering,
    /// Nothing: there is nothing to do.
    Idle,
}

/// How long a machine must have been quiet before it is checkpointed early.
const QUIET: std::time::Duration = std::time::Duration::from_millis(500);

impl<V> Applier<V> {
    /// Returns the state this applier moves.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the head as it is on the volume.
    pub fn head(&self) -> &Head {
        self.head.head()
    }

    /// Closes everything the machine has open on this engine.
    pub fn close<E: Engine>(mut self, engine: &mut E) {
        self.stop_joining(engine);
        self.end_views("the machine was taken away");
        let open = self.open.map(|open| [open.redo, open.undo.slot()]);
        let slots = self.disks.into_iter().chain(open.into_iter().flatten()).chain([self.head.slot()]);
        slots.for_each(|slot| drop(engine.detach(slot)));
        match self.run {
            Some(Run::Rewind(run)) => run.close(engine),
            Some(Run::Verify(run)) => run.close(engine),
            Some(Run::View(run)) => run.close(),
            None => {}
        }
    }

    pub(crate) fn machine(&self) -> MachineId {
        self.head.head().machine
    }
}

impl<V> Applier<V> {
    /// Does one bounded piece of work: one slice of long work, one work given, one destage round, a checkpoint. Errors: the
    /// caller puts the machine out with them ([`Shared::fail`]), unless they say otherwise.
    pub fn step<E: Engine>(&mut self, engine: &mut E, now: Timestamp) -> Result<Step, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        if self.shared.lock().failure.is_some() {
            return Ok(Step::Idle);
        }
        self.stepped = now;
        self.note_met_by_views(engine)?;
        if self.run.is_some() {
            return self.continue_run(engine).map(|()| Step::Worked);
        }
        // Only now: long work under way reads from epochs that would go.
        self.relieve(engine, now)?;
        if matches!(self.head.head().lifecycle, Lifecycle::Rewinding { .. }) && !self.stalled {
            self.resume_rewind(engine)?;
            return Ok(Step::Worked);
        }
        if let Some(work) = self.next_work() {
            self.perform(engine, work, now)?;
            return Ok(Step::Worked);
        }
        if self.expiry_is_due(now) && self.expire(engine, now)? == Step::Worked {
            return Ok(Step::Worked);
        }
        if self.end_original(engine)? {
            return Ok(Step::Worked);
        }
        if self.head.head().lifecycle == Lifecycle::Protected {
            let destaged = self.destage(engine, now);
            if let Err(error) = &destaged {
                self.note_undestaged(engine, error);
            }
            let step = destaged?;
            if step != Step::Idle {
                return Ok(step);
            }
        }
        let is_quiet = now.since(self.last_round) >= QUIET && !self.limits.plants(Planted::CheckpointNever);
        if self.unflushed > 0 && is_quiet {
            self.checkpoint(engine)?;
            return Ok(Step::Worked);
        }
        self.expire(engine, now)
    }

    /// Takes the next work, if nothing must be applied before it.
    fn next_work(&self) -> Option<Work> {
        let mut state = self.shared.lock();
        state.drop_unacked_for_rewind();
        // What is being committed right now is in neither the inbox nor the queue, but counts as received.
        let (everything_applied, written) = (state.received == state.written, state.written);
        // Until what was written before a crash is written again nobody knows which of two states a granule is in.
        let known = state.recovered <= written;
        let can_be_done = |work: &Work| match work {
            Work::View { to, .. } => *to <= written && known,
            work => everything_applied || !work.needs_everything_applied(),
        };
        let waits = state.work.front().is_some_and(|work| !can_be_done(work));
        // What makes room must not wait behind what waits for it.
        let next = if waits { state.work.iter().position(Work::waits_for_nothing)? } else { 0 };
        state.work.remove(next)
    }

    fn continue_run<E: Engine>(&mut self, engine: &mut E) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let done = match self.run.take() {
            Some(Run::Rewind(run)) => self.rewind_slice(engine, run)?.map(Run::Rewind),
            Some(Run::Verify(run)) => self.verify_slice(engine, run)?.map(Run::Verify),
            Some(Run::View(run)) => self.view_slice(engine, run)?.map(Run::View),
            None => None,
        };
        self.run = done;
        Ok(())
    }

    /// Does a piece of work that was given. An error of the work itself goes to whoever asked; an error of the machine also puts it
    /// out.
    fn perform<E: Engine>(&mut self, engine: &mut E, work: Work, now: Timestamp) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        match work {
            Work::Begin { lens, then } => told(then, self.begin(engine, lens)),
            Work::Seed(seed) => self.seed(engine, seed),
            Work::SeedSync { disk, through, then } => told(then, self.seed_sync(engine, disk, through)),
            Work::EndSeeding { then } => told(then, self.end_seeding(engine)),
            Work::Indexes { then } => {
                let indexes = self.indexes(engine);
                confined(then, indexes)
            }
            Work::MendIndex { epoch, then } => {
                let mended = self.mend_index(engine, epoch);
                confined(then, mended)
            }
            Work::NoteDamage { change, then } => told(then, self.change_damage(engine, change)),
            Work::Commit { then } => told(then, self.commit_point(engine)),
            Work::Hashes { query, then } => told(then, self.hashes(engine, &query)),
            Work::Granules { query, then } => told(then, self.granules(engine, &query)),
            Work::Changed { since, then } => told(then, self.changed_since(engine, since)),
            Work::Plan { to, then } => told(then, self.plan(engine, to)),
            Work::Rewind { to, afterwards, progress } => {
                let begun = self.begin_rewind(engine, to, afterwards, progress.clone());
                let refused = move |result: Result<(), _>| {
                    if let Err(error) = result {
                        progress.end(Err(error));
                    }
                };
                told(Box::new(refused), begun)
            }
            Work::SetPolicy { policy, then } => told(then, self.set_policy(engine, policy)),
            Work::Pin { pin, then } => told(then, self.pin(engine, pin)),
            Work::Unpin { sequence, then } => told(then, self.unpin(engine, sequence)),
            Work::PlanExpiry { policy, then } => {
                let full = self.shared.lock().full.is_some();
                told(then, Ok(self.expiry_plan(now, policy, full)))
            }
            Work::Verify { to, progress, then } => self.begin_verify(engine, to, progress, then),
            Work::View { to, then } => {
                self.begin_view(to, then);
                Ok(())
            }
        }
    }

    /// Makes everything written to the target disks durable, and records it.
    ///
    /// 1. The target disks are flushed.
    /// 2. `applied` is recorded in the head, durable.
    ///
    /// A crash between the two replays a little more than needed, which changes nothing.
    pub(crate) fn checkpoint<E: Engine>(&mut self, engine: &mut E) -> Result<(), ReplicaError> {
        let written = self.shared.lock().written;
        if !self.limits.plants(Planted::CheckpointUnflushed) {
            flush_all(engine, &self.disks)?;
        }
        self.head.update(engine, |head| head.applied = written)?;
        self.unflushed = 0;
        self.shared.lock().applied = written;
        self.shared.changed();
        Ok(())
    }

    /// Writes the lifecycle to the head and shows it; durable on return.
    pub(crate) fn set_lifecycle<E: Engine>(
        &mut self,
        engine: &mut E,
        next: Lifecycle,
    ) -> Result<(), ReplicaError> {
        self.stop_joining(engine);
        tracing::info!(machine = %self.head.head().name, lifecycle = ?next, "lifecycle changes");
        self.head.update(engine, |head| head.lifecycle = next.clone())?;
        let mut state = self.shared.lock();
        state.closed = state.stays_closed(&next);
        state.lifecycle = next;
        drop(state);
        self.shared.changed();
        Ok(())
    }

    /// Returns the size of each protected disk.
    pub(crate) fn lens(&self) -> Vec<ByteLen> {
        self.head.head().disks.iter().map(|disk| disk.len).collect()
    }
}

/// Tells whoever asked; damage is theirs to judge, and leaves the machine in service.
fn confined<T>(then: super::work::Then<T>, result: Result<T, ReplicaError>) -> Result<(), ReplicaError> {
    match result {
        Err(error) if error.kind() == super::error::FailureKind::Damaged => {
            then(Err(error));
            Ok(())
        }
        other => told(then, other),
    }
}

/// Tells whoever asked, and passes on what concerns the whole machine.
fn told<T>(then: super::work::Then<T>, result: Result<T, ReplicaError>) -> Result<(), ReplicaError> {
    let concern = match &result {
        Err(error) if error.kind() != super::error::FailureKind::Refused => Err(error.clone()),
        _ => Ok(()),
    };
    then(result);
    concern
}
