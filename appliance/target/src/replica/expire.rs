//! Letting history go: whole epochs, or their redo, as `retention::plan_expiry` says. And the source waits where it says that.

use std::time::Duration;

use blockdev::{Engine, Volume};
use retention::{
    EpochSummary, Expired, ExpiryPlan, ExpiryReason, History, Hold, Holder, Kept, Lifecycle, Loss, Policy,
    plan_expiry,
};
use units::{ByteLen, Timestamp};
use wire::Consistency;

use super::apply::{Applier, Step};
use super::epochs::remove_epoch;
use super::error::ReplicaError;
use super::limits::ReplicaLimits;
use super::paths;
use super::planted::Planted;
use super::shared::{EpochInfo, Shrunk, State};

/// How often a busy machine looks for what goes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long ago the newest record came, told by a clock that never jumps.
#[derive(Default)]
pub(crate) struct Aging {
    newest: Timestamp,
    since: Timestamp,
    looked: Timestamp,
}

impl Aging {
    /// Returns the time since `newest` came, as far as this process has seen it pass.
    fn idle(&mut self, newest: Timestamp, now: Timestamp) -> Duration {
        if self.since == Timestamp(0) || self.newest != newest {
            (self.newest, self.since) = (newest, now);
        }
        now.since(self.since)
    }
}

impl<V> Applier<V> {
    /// Tells whether it is time to look for what goes, though there is other work.
    pub(crate) fn expiry_is_due(&mut self, now: Timestamp) -> bool {
        now.since(self.aging.looked) >= LOOK_EVERY
    }

    /// Lets one thing go, as the policy says: a pin that has expired, an epoch, its redo.
    pub(crate) fn expire<E: Engine>(&mut self, engine: &mut E, now: Timestamp) -> Result<Step, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        self.aging.looked = now;
        if self.head.head().lifecycle != Lifecycle::Protected {
            return Ok(Step::Idle);
        }
        if self.joining.is_some() {
            self.join_slice(engine)?;
            return Ok(Step::Worked);
        }
        if self.expire_pins(engine, now)? {
            return Ok(Step::Worked);
        }
        let plan = self.expiry_plan(now, None, false);
        if let Some(step) = plan.steps.first() {
            self.let_go(engine, step, now)?;
            return Ok(Step::Worked);
        }
        let mut state = self.shared.lock();
        state.held = plan.held;
        if let Some(kept) = plan.wanting.filter(|kept| *kept != Kept::Nothing && state.full.is_none()) {
            let what = format!("more: its history has reached its budget of {}", state.policy().budget);
            (state.full, state.kept) = (Some(what), Some(kept));
            drop(state);
            self.shared.changed();
        }
        Ok(Step::Idle)
    }

    /// Makes room on a full volume, or notes why none is made; the appender goes on once there is some.
    pub(crate) fn relieve<E: Engine>(&mut self, engine: &mut E, now: Timestamp) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        if self.shared.lock().full.is_none() {
            return Ok(());
        }
        let lacks = self.volume.usage()?.free < self.room_for_a_group();
        let protected = self.head.head().lifecycle == Lifecycle::Protected;
        if self.joining.is_some() && protected {
            return self.join_slice(engine);
        }
        let plan = if protected { self.expiry_plan(now, None, lacks) } else { ExpiryPlan::default() };
        if let Some(step) = plan.steps.first() {
            self.let_go(engine, step, now)?;
            if self.joining.is_some() {
                return Ok(());
            }
        } else if lacks || plan.wanting.as_ref().is_some_and(|kept| *kept != Kept::Nothing) {
            self.shared.lock().kept = plan.wanting;
            return Ok(());
        }
        // Room was made, or is there: the appender may try again.
        let mut state = self.shared.lock();
        (state.full, state.kept) = (None, None);
        drop(state);
        self.shared.committer.ring();
        Ok(())
    }

    /// Returns how much must be free for a group, whatever is in it: a new epoch, or both logs longer by as much.
    fn room_for_a_group(&self) -> ByteLen {
        let ReplicaLimits { log_chunk, group_len, .. } = self.limits;
        log_chunk + log_chunk + group_len + ByteLen(retention::RECORD_LEN_MAX as u64)
    }

    /// Says what goes now, by the machine's policy or another one; touches nothing.
    pub(crate) fn expiry_plan(&mut self, now: Timestamp, policy: Option<Policy>, full: bool) -> ExpiryPlan {
        let state = self.shared.lock();
        let sealed = state.epochs.iter().take_while(|info| info.sealed);
        let sealed: Vec<_> = sealed.map(|info| self.apart.summary(info)).collect();
        let open = state.epochs.iter().skip(sealed.len()).map(|info| info.redo + info.undo).sum();
        let newest = state.epochs.iter().map(|info| info.closed).next_back().unwrap_or_default();
        let (policy, mut holds) = (policy.unwrap_or(state.policy()), holds(&state));
        drop(state);
        holds.extend(self.view_holds());
        if self.limits.plants(Planted::PinUnheld) {
            holds.retain(|hold| hold.holder != Holder::Pin);
        }
        let idle = self.aging.idle(newest, now);
        let (sealed, holds) = (&sealed, &holds);
        let joins = !self.apart.lacks_room();
        plan_expiry(&History { sealed, open, newest, idle, policy, holds, full, joins })
    }

    fn let_go<E: Engine>(
        &mut self,
        engine: &mut E,
        step: &Expired,
        now: Timestamp,
    ) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let (machine, epoch) = (&self.head.head().name, step.epoch.epoch);
        let for_age = matches!(step.reason, ExpiryReason::Age { .. });
        match for_age {
            true => {
                tracing::info!(%machine, %epoch, loss = ?step.loss, reason = ?step.reason, "history expires")
            }
            false => {
                tracing::warn!(%machine, %epoch, loss = ?step.loss, reason = ?step.reason, "history goes for want of room")
            }
        }
        if !for_age && step.loss != Loss::End {
            self.end_views_from(epoch, "the retention volume is full, and the history it shows had to go");
        }
        match step.loss {
            Loss::Whole => self.drop_epoch(engine, step.epoch)?,
            Loss::Redo => self.thin_epoch(engine, step.epoch)?,
            Loss::End => return self.begin_join(engine, step, now),
        }
        self.apart.has_room();
        if !for_age {
            self.shared.lock().shrunk = Some(Shrunk { at: now, loss: step.loss });
        }
        Ok(())
    }

    /// 1. The head says that the history begins after this epoch, durable.
    /// 2. Its files are removed.
    ///
    /// A crash between leaves files that recovery removes.
    fn drop_epoch<E: Engine>(&mut self, engine: &mut E, epoch: EpochSummary) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        if self.limits.plants(Planted::RemovedBeforeHead) {
            remove_epoch(&self.volume, self.machine(), epoch.epoch)?;
        }
        self.head.update(engine, |head| {
            head.oldest_epoch = epoch.through.next();
            head.base = epoch.last;
            head.forget_expired();
        })?;
        remove_epoch(&self.volume, self.machine(), epoch.epoch)?;
        let mut state = self.shared.lock();
        let gone = state.epochs.pop_front();
        assert!(
            gone.is_some_and(|info| info.epoch == epoch.epoch && info.sealed),
            "the oldest sealed epoch goes"
        );
        state.base = epoch.last;
        state.timeline.expire(epoch.last.next());
        state.moments.expire(epoch.last.next());
        assert!(state.pins.iter().all(|pin| pin.sequence > epoch.last), "what is pinned stays");
        Ok(())
    }

    /// 1. The head says that the epoch has lost its redo, durable: no point inside it is promised any more.
    /// 2. The redo is removed.
    ///
    /// A crash between leaves a file that recovery removes.
    fn thin_epoch<E: Engine>(&mut self, engine: &mut E, epoch: EpochSummary) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        if !self.head.head().clone().thin(epoch.epoch) {
            tracing::warn!(epoch = %epoch.epoch, "too many runs of thinned epochs: this one keeps its redo");
            self.shared.lock().epoch_mut(epoch.epoch).indexed = false;
            return Ok(());
        }
        if self.limits.plants(Planted::RemovedBeforeHead) {
            self.volume.remove(&paths::redo(self.machine(), epoch.epoch))?;
        }
        self.head.update(engine, |head| assert!(head.thin(epoch.epoch), "it was just tried"))?;
        {
            let mut state = self.shared.lock();
            let info = state.epoch_mut(epoch.epoch);
            assert!(info.sealed && info.indexed, "what is thinned is sealed, and known by its index");
            (info.thinned, info.given_up, info.redo) = (true, info.redo, ByteLen::ZERO);
            state.timeline.thin(epoch.first, epoch.last);
            state.moments.thin(epoch.first, epoch.last);
        }
        Ok(self.volume.remove(&paths::redo(self.machine(), epoch.epoch))?)
    }
}

/// Returns what is to be known of an epoch to say whether it goes.
pub(crate) fn summary(info: &EpochInfo) -> EpochSummary {
    let EpochInfo { epoch, through, first, last, closed, redo, undo, .. } = *info;
    let thinnable = info.indexed && !info.thinned && last >= first;
    let joinable = info.indexed && info.thinned;
    EpochSummary { epoch, through, first, last, closed, redo, undo, thinnable, joinable }
}

/// Returns what must stay: the pins, and the newest consistent point while there is no newer; while a resync is under way, for whatever
/// reason.
pub(crate) fn holds(state: &State) -> Vec<Hold> {
    let pins = state.pins.iter().map(|pin| Hold { sequence: pin.sequence, holder: Holder::Pin });
    let newest = state.timeline.latest(Consistency::Crash).map(|point| {
        let yields = state.timeline.points().next_back().is_some_and(|last| last.sequence > point.sequence);
        Hold { sequence: point.sequence, holder: Holder::Newest { yields } }
    });
    let resync = state.timeline.kept_by_resync(state.base);
    let before = resync.map(|sequence| Hold { sequence, holder: Holder::Newest { yields: false } });
    pins.chain(before.or(newest)).collect()
}
