//! What can be done to a target, as one value each.

use std::sync::Arc;
use std::time::Duration;

use blockdev::SimWorld;
use retention::Afterwards;
use target::replica::{FailureKind, Progress, Work};
use units::{ByteLen, Sequence};
use wire::Consistency;

use super::oracle::Stance;
use super::rig::{Crashed, Rig};
use super::seeding;
use super::seen::Sight;
use super::{check, keeping, views};

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// One batch, committed.
    Write,
    /// A batch, a marker and a batch over the same places, committed as one group.
    Group,
    /// One step of the applier.
    Step,
    /// Everything is applied and checkpointed.
    Settle,
    /// Time for a new epoch, and a batch that begins it.
    Rotate,
    /// Back to a sequence: this many quarters of the way from the oldest to the newest.
    Back(u8),
    /// Back to a sequence while a batch is being committed.
    WeaveBack,
    /// Forward to the newest, and on.
    Forward,
    /// The window passes: what is old goes.
    Expire,
    /// The point the disks stand at is accepted.
    Accept,
    /// The process is killed and started again.
    Restart,
    /// Two batches, committed while the applier works.
    Weave,
    /// A step of the applier while batches are committed.
    WeaveStep,
    /// A proof of a point while batches are committed.
    WeaveProof,
    /// Questions: the plan of a rewind, roots, hashes, what changed.
    Ask,
    /// Many recovery points one after the other, committed as one group.
    Points,
    /// A resync begins: what follows is good only at the next recovery point.
    Resync,
    /// A view of a point is opened,
    View,
    /// and the oldest is closed.
    Unview,
    /// A point is pinned,
    Pin,
    /// and the oldest pin is let go.
    Unpin,
    /// The machine is given another policy.
    Policy,
    /// The disks begin to be filled.
    Begin,
    /// Some of the disks is filled.
    Seed,
    /// What was filled is made durable.
    SeedSync,
    /// The seed ends; the stream begins.
    EndSeeding,
}

impl Op {
    /// Performs the operation on one machine, and checks what can be checked at once.
    pub(crate) fn perform(self, rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
        match self {
            Self::Write => {
                send(rig, machine, 1);
                rig.commit()
            }
            Self::Group => {
                send(rig, machine, 1);
                // Refused or not: what follows must fit either.
                let _ = rig.take(machine, |material, sequence, time, image| {
                    material.marker(sequence, time, image, Consistency::Crash)
                });
                send(rig, machine, 1);
                rig.commit()
            }
            Self::Points => {
                for _ in 0..20 {
                    let _ = rig.take(machine, |material, sequence, time, image| {
                        material.marker(sequence, time, image, Consistency::Crash)
                    });
                }
                rig.commit()
            }
            Self::Resync => {
                let _ = rig.take(machine, |material, sequence, time, image| {
                    material.marker(sequence, time, image, Consistency::Resync)
                });
                send(rig, machine, 1);
                rig.commit()
            }
            Self::View => views::open(rig, machine),
            Self::Unview => {
                rig.views.close_one();
                Ok(())
            }
            Self::Pin => keeping::pin(rig, machine),
            Self::Unpin => keeping::unpin(rig, machine),
            Self::Policy => keeping::policy(rig, machine),
            Self::Step => rig.step(machine).map(|_| ()),
            Self::Settle => rig.settle(machine),
            Self::Rotate => {
                rig.quiet(2 * rig.shape.limits.epoch_age + Duration::from_secs(1));
                send(rig, machine, 1);
                rig.commit()
            }
            Self::Back(quarters) => {
                let (base, newest) = window(rig, machine);
                rewind(rig, machine, base + (newest - base) * u64::from(quarters) / 4, Afterwards::Stand)
            }
            Self::WeaveBack => {
                let (base, newest) = window(rig, machine);
                send(rig, machine, 1);
                rig.weaves_next = true;
                rewind(rig, machine, (base + newest) / 2, Afterwards::Stand)
            }
            Self::Forward => {
                rig.settle(machine)?;
                let state = rig.shared[machine].lock();
                let newest = state.durable.0;
                if state.received > state.durable {
                    // What waits for room would come after it.
                    return Ok(());
                }
                drop(state);
                rewind(rig, machine, newest, Afterwards::Replicate)
            }
            Self::Expire => {
                rig.drain(machine)?;
                rig.quiet(rig.shape.limits.retention.window() + Duration::from_secs(1));
                rig.drain(machine)
            }
            Self::Accept => accept(rig, machine),
            Self::Restart => restart(rig),
            Self::Weave => {
                send(rig, machine, 2);
                rig.commit_woven(machine)
            }
            Self::WeaveStep => rig.step_woven(machine, 2),
            Self::WeaveProof => weave_proof(rig, machine),
            Self::Ask => ask(rig, machine),
            Self::Begin => seeding::begin(rig, machine),
            Self::Seed => seeding::seed(rig, machine),
            Self::SeedSync => seeding::seed_sync(rig, machine),
            Self::EndSeeding => seeding::end_seeding(rig, machine),
        }
    }
}

fn send(rig: &mut Rig, machine: usize, batches: usize) {
    for _ in 0..batches {
        // A machine that stands at a point takes none; that is checked elsewhere.
        let _ = rig.take(machine, |material, sequence, time, image| material.batch(sequence, time, image));
    }
}

/// Returns the oldest and newest sequence there is.
pub(crate) fn window(rig: &Rig, machine: usize) -> (u64, u64) {
    let state = rig.shared[machine].lock();
    (state.base.0, state.durable.0)
}

/// Tells whether a point has expired, or lies inside an epoch that was thinned.
pub(crate) fn is_given_up(rig: &Rig, machine: usize, to: u64) -> bool {
    let state = rig.shared[machine].lock();
    to < state.base.0 || state.thinned_at(Sequence(to)).is_some()
}

/// Asks for a point and waits for it. What comes of it is checked: exact bytes, or a refusal that changed nothing.
pub(crate) fn rewind(rig: &mut Rig, machine: usize, to: u64, afterwards: Afterwards) -> Result<(), Crashed> {
    let before = rig.oracles[machine].stance;
    let wanted = match afterwards {
        Afterwards::Stand => Stance::At(to),
        Afterwards::Replicate => Stance::Following,
    };
    let progress = Arc::new(Progress::default());
    rig.oracles[machine].wanted = Some(wanted);
    rig.shared[machine].give(Work::Rewind { to: Sequence(to), afterwards, progress: progress.clone() });
    if std::mem::take(&mut rig.weaves_next) {
        // A group is on its way while the rewind waits for its turn.
        rig.commit_woven(machine)?;
    }
    for turn in 0..400 {
        if progress.ended().is_some() || rig.shared[machine].lock().failure.is_some() {
            break;
        }
        if turn == 200 && rig.shared[machine].lock().full.is_some() {
            // Before-images need room; nobody is left behind in a queue.
            rig.world.set_capacity(ByteLen::gib(1));
        }
        rig.commit()?;
        rig.step(machine)?;
    }
    match progress.ended() {
        Some(Ok(())) => {
            if matches!(before, Stance::At(_)) && matches!(wanted, Stance::At(_)) {
                rig.sights.add(Sight::RewindRetargeted);
            }
            rig.oracles[machine].confirm();
            check::disks_are(rig, machine, to, "I3: a rewind that ended well");
        }
        Some(Err(error)) if error.kind() == FailureKind::Refused => {
            rig.oracles[machine].wanted = None;
            let is_out = rig.shared[machine].lock().failure.is_some();
            let allowed = matches!(before, Stance::Following | Stance::At(_)) && !is_out;
            let expired = is_given_up(rig, machine, to);
            assert!(!allowed || expired, "I3: sequence {to} is in the window, and was refused: {error}");
        }
        // Damage, which the caller expects or not.
        Some(Err(_)) => {}
        None => {
            assert!(rig.may_fail, "liveness: a rewind to {to} does not end");
        }
    }
    Ok(())
}

fn accept(rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
    let stance = rig.oracles[machine].stance;
    if let Stance::At(at) = stance {
        rig.oracles[machine].wanted = Some(Stance::Given(at));
    }
    let answer = rig.ask(machine, |then| Work::Commit { then })?;
    match (stance, answer) {
        (Stance::At(_), Some(Ok(()))) => rig.oracles[machine].confirm(),
        (Stance::Given(_), Some(Ok(()))) => {}
        (Stance::At(_) | Stance::Given(_), other) => {
            assert!(rig.may_fail, "a point the disks stand at can be accepted: {other:?}");
        }
        (_, Some(Ok(()))) => panic!("I3: a point was accepted though the disks stand at none ({stance:?})"),
        (_, _) => {}
    }
    Ok(())
}

/// Kills the process and starts it again, in the same world.
fn restart(rig: &mut Rig) -> Result<(), Crashed> {
    let found = rig.world.after_kill();
    restart_in(rig, found)
}

/// Goes on in another world, after recovery.
pub(crate) fn restart_in(rig: &mut Rig, world: SimWorld) -> Result<(), Crashed> {
    let past = rig.steps();
    if let Some(step) = rig.cut_at {
        world.crash_at(step.saturating_sub(past).max(1));
    }
    let cut_at = rig.cut_at;
    let seed = rig.material.random.next();
    let stopped = match Rig::recover(world, &rig.shape, &rig.oracles, seed, rig.now) {
        Ok(next) => {
            let (mut sights, images) = (std::mem::take(&mut rig.sights), std::mem::take(&mut rig.images));
            rig.views.sights().for_each(|sight| sights.add(sight));
            let (trace, wall_ahead) = (rig.trace, rig.wall_ahead);
            *rig = next;
            (rig.sights, rig.images, rig.trace) = (sights, images, trace);
            (rig.past, rig.cut_at, rig.wall_ahead) = (past, cut_at, wall_ahead);
            (0..rig.shared.len()).for_each(|machine| check::found(rig, machine));
            return Ok(());
        }
        Err(stopped) => *stopped,
    };
    let (mut next, unrecovered) = stopped;
    if let Some(unrecovered) = unrecovered {
        let error = target::replica::chain(&unrecovered.error);
        panic!("I1: a machine can't be had after a restart: {error}");
    }
    rig.world = next.world.clone();
    rig.past = past;
    rig.sights.add(Sight::CrashInRecovery);
    next.alive()
}

fn weave_proof(rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
    if rig.oracles[machine].stance != Stance::Following {
        return Ok(());
    }
    rig.settle(machine)?;
    let (base, newest) = window(rig, machine);
    let to = (base + newest) / 2;
    let answer: Arc<std::sync::Mutex<Option<_>>> = Arc::default();
    let slot = answer.clone();
    rig.shared[machine].give(Work::Verify {
        to: Sequence(to),
        progress: Arc::default(),
        then: Box::new(move |roots| *slot.lock().unwrap() = Some(roots)),
    });
    rig.step_woven(machine, 4)?;
    rig.settle(machine)?;
    let roots = answer.lock().unwrap().take();
    check::roots_are(rig, machine, to, roots);
    Ok(())
}

fn ask(rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
    if rig.oracles[machine].images.is_empty() {
        return Ok(());
    }
    rig.settle(machine)?;
    let (base, newest) = window(rig, machine);
    check::changed_since(rig, machine, base, newest)?;
    check::hashes(rig, machine)?;
    let to = (base + newest) / 2;
    let roots = rig.roots(machine, to)?;
    check::roots_are(rig, machine, to, roots);
    let plan = rig.ask(machine, |then| Work::Plan { to: Sequence(to), then })?;
    if let Some(Err(error)) = plan {
        let expired = is_given_up(rig, machine, to);
        assert!(rig.may_fail || expired, "I3: sequence {to} is in the window and can't be planned: {error}");
    }
    Ok(())
}
