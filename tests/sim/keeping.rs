//! What operators want kept: pins, some of which expire, and policies; and what must then be there.

use std::collections::VecDeque;
use std::time::Duration;

use retention::{Holder, Kept, Pin, PlanError, Policy, WhenFull};
use target::replica::{ReplicaError, Work, chain};
use units::{ByteLen, Sequence, Timestamp};

use super::judge;
use super::ops;
use super::rig::{Crashed, Rig};
use super::seen::Sight;

/// What one machine's operators were told, or asked for and were not told yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pins: Vec<Pin>,
    /// The pins as they would be.
    pins_wanted: Option<Vec<Pin>>,
    policy: Option<Policy>,
    policy_wanted: Option<Policy>,
    /// There was a policy with little room.
    pub is_tight: bool,
}

/// How far the stream was when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    marks: VecDeque<(Duration, Sequence)>,
}

impl Past {
    /// Notes how far the stream is now, by a clock that nobody sets.
    pub(crate) fn see(&mut self, now: Duration, newest: Sequence) {
        // What a crash has lost was never there.
        while self.marks.back().is_some_and(|(_, last)| *last > newest) {
            self.marks.pop_back();
        }
        if self.marks.back().is_none_or(|(_, last)| *last != newest) {
            self.marks.push_back((now, newest));
        }
    }

    /// Returns how far the stream was at a moment, and forgets what was before.
    pub(crate) fn at(&mut self, moment: Duration) -> Sequence {
        while self.marks.get(1).is_some_and(|(at, _)| *at <= moment) {
            self.marks.pop_front();
        }
        let front = self.marks.front().filter(|(at, _)| *at <= moment);
        front.map_or(Sequence(0), |(_, newest)| *newest)
    }
}

/// Tells of which pins the time may have come.
fn may_be_over(rig: &Rig) -> impl Fn(&Pin) -> bool + use<> {
    let (now, is_set) = (rig.now, rig.shape.clock_is_set);
    move |pin| pin.expires.is_some_and(|expires| is_set || expires <= now)
}

/// Pins a point, for a while or for good.
pub(crate) fn pin(rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
    if rig.oracles[machine].images.is_empty() || rig.oracles[machine].wishes.pins.len() >= 3 {
        return Ok(());
    }
    let (base, newest) = ops::window(rig, machine);
    let sequence = Sequence(rig.material.random.between(base, newest));
    let lasts = rig.material.random.pick(&[None, None, Some(90), Some(4000)]);
    let expires = lasts.map(|seconds| Timestamp(rig.now.0 + seconds * 1_000_000));
    let pin = Pin { sequence, expires, note: "kept".to_owned() };
    let mut wanted = rig.oracles[machine].wishes.pins.clone();
    wanted.retain(|other| other.sequence != sequence);
    wanted.push(pin.clone());
    rig.oracles[machine].wishes.pins_wanted = Some(wanted);
    let answer = rig.ask(machine, |then| Work::Pin { pin, then })?;
    let given_up = ops::is_given_up(rig, machine, sequence.0);
    match settle_pins(rig, machine, answer) {
        Some(Err(ReplicaError::Plan(PlanError::OutOfWindow { .. } | PlanError::Thinned { .. })))
            if given_up => {}
        Some(Err(error)) => assert!(rig.may_fail, "I3: {sequence} can't be pinned: {}", chain(&error)),
        Some(Ok(())) => rig.sights.add(Sight::PointPinned),
        None => assert!(rig.may_fail, "liveness: a point can be pinned at any time"),
    }
    Ok(())
}

/// Lets the oldest pin go.
pub(crate) fn unpin(rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
    let Some(first) = rig.oracles[machine].wishes.pins.first().cloned() else { return Ok(()) };
    let left = rig.oracles[machine].wishes.pins[1..].to_vec();
    rig.oracles[machine].wishes.pins_wanted = Some(left);
    let answer = rig.ask(machine, |then| Work::Unpin { sequence: first.sequence, then })?;
    match settle_pins(rig, machine, answer) {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            let lawful = rig.may_fail || may_be_over(rig)(&first);
            assert!(lawful, "I3: the pin at {} can't be let go: {}", first.sequence, chain(&error));
        }
        None => assert!(rig.may_fail, "liveness: a pin can be let go at any time"),
    }
    Ok(())
}

fn settle_pins(
    rig: &mut Rig,
    machine: usize,
    answer: Option<Result<(), ReplicaError>>,
) -> Option<Result<(), ReplicaError>> {
    let wishes = &mut rig.oracles[machine].wishes;
    match &answer {
        Some(Ok(())) => wishes.pins = wishes.pins_wanted.take().expect("it was just asked for"),
        // A machine that went out meanwhile may have done it.
        Some(Err(_)) | None if rig.may_fail => {}
        _ => wishes.pins_wanted = None,
    }
    forget_expired(rig, machine);
    answer
}

/// Gives the machine another policy.
pub(crate) fn policy(rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
    if rig.oracles[machine].images.is_empty() {
        return Ok(());
    }
    let random = &mut rig.material.random;
    let policy = Policy {
        when_full: random.pick(&[WhenFull::Shrink, WhenFull::Thin, WhenFull::Pause]),
        window_seconds: random.pick(&[600, 3600, 86_400]),
        budget: random.pick(&[ByteLen::kib(64), ByteLen::kib(256), ByteLen::gib(1), ByteLen::gib(1)]),
        ..Policy::default()
    };
    set_policy(rig, machine, policy)
}

/// Sets a policy, and waits until it is in force.
pub(crate) fn set_policy(rig: &mut Rig, machine: usize, policy: Policy) -> Result<(), Crashed> {
    let wishes = &mut rig.oracles[machine].wishes;
    wishes.policy_wanted = Some(policy);
    wishes.is_tight |= policy.budget < ByteLen::gib(1);
    let answer = rig.ask(machine, |then| Work::SetPolicy { policy: Some(policy), then })?;
    let wishes = &mut rig.oracles[machine].wishes;
    match answer {
        Some(Ok(())) => {
            (wishes.policy, wishes.policy_wanted) = (Some(policy), None);
            rig.sights.add(Sight::PolicyChanged);
        }
        Some(Err(error)) => assert!(rig.may_fail, "a policy is refused: {}", chain(&error)),
        None => assert!(rig.may_fail, "liveness: a policy can be set at any time"),
    }
    Ok(())
}

/// What a recovery finds of pins and policy is what was confirmed, or asked for.
pub(crate) fn found(rig: &mut Rig, machine: usize) {
    let (found, policy) = {
        let state = rig.shared[machine].lock();
        (state.pins.clone(), state.policy)
    };
    let is_over = may_be_over(rig);
    let wishes = &mut rig.oracles[machine].wishes;
    let wanted = wishes.pins_wanted.take();
    let same = |wished: &[Pin]| {
        let kept = wished.iter().filter(|pin| !is_over(pin)).all(|pin| found.contains(pin));
        kept && found.iter().all(|pin| wished.contains(pin))
    };
    let lawful = same(&wishes.pins) || wanted.as_deref().is_some_and(same);
    assert!(lawful, "I3: pinned were {:?} or {wanted:?}, found {found:?}", wishes.pins);
    if !found.is_empty() {
        rig.sights.add(Sight::PinFoundAfterACrash);
    }
    wishes.pins = found;
    let asked = wishes.policy_wanted.take().filter(|wanted| policy == Some(*wanted));
    assert!(
        asked.is_some() || policy == wishes.policy,
        "the policy was {:?}, found {policy:?}",
        wishes.policy
    );
    wishes.policy = policy;
}

/// What is pinned can be had, and nothing is let go before its time.
pub(crate) fn held(rig: &mut Rig, machine: usize) {
    forget_expired(rig, machine);
    let pins = rig.oracles[machine].wishes.pins.clone();
    for pin in pins {
        let gone = ops::is_given_up(rig, machine, pin.sequence.0);
        assert!(!gone, "I3: sequence {} is pinned, and can't be had any more", pin.sequence);
    }
    let state = rig.shared[machine].lock();
    let by_pin = |holder: &Holder| *holder == Holder::Pin;
    let sights = [
        (state.held.as_ref().is_some_and(|hold| by_pin(&hold.holder)), Sight::PinHeldHistory),
        (matches!(&state.kept, Some(Kept::Held(hold)) if by_pin(&hold.holder)), Sight::PinMetTheWantOfRoom),
        (state.kept == Some(Kept::Pause), Sight::PausedForWantOfRoom),
        (state.epochs.iter().any(|info| info.thinned), Sight::EpochThinned),
        (state.shrunk.is_some(), Sight::ShrunkForWantOfRoom),
    ];
    drop(state);
    sights.iter().filter(|(met, _)| *met).for_each(|(_, sight)| rig.sights.add(*sight));
}

/// While a resync is under way the last good point before it can be had.
pub(crate) fn good_before_resync(rig: &mut Rig, machine: usize) {
    let durable = rig.shared[machine].lock().durable.0;
    let kept = rig.oracles[machine].good_before_resync(durable);
    if kept != rig.oracles[machine].resync_keeps {
        // It may have gone for want of room before the resync began.
        let there = kept.filter(|good| !ops::is_given_up(rig, machine, *good));
        rig.oracles[machine].resync_keeps = there;
        return;
    }
    let Some(good) = kept else { return };
    assert!(
        !ops::is_given_up(rig, machine, good),
        "I3: a resync is under way, and the last good point {good} is gone"
    );
    rig.sights.add(Sight::ResyncUnderWay);
    let state = rig.shared[machine].lock();
    let held = [
        state.held.as_ref(),
        state.kept.as_ref().and_then(|kept| if let Kept::Held(hold) = kept { Some(hold) } else { None }),
    ];
    let is_it =
        |hold: &&retention::Hold| hold.holder == Holder::Newest { yields: false } && hold.sequence.0 == good;
    let met = held.into_iter().flatten().any(|hold| is_it(&hold));
    drop(state);
    if met {
        rig.sights.add(Sight::ResyncHeldHistory);
    }
}

/// Pins that are gone are those whose time has come.
fn forget_expired(rig: &mut Rig, machine: usize) {
    let held = rig.shared[machine].lock().pins.clone();
    let is_over = may_be_over(rig);
    let wishes = &mut rig.oracles[machine].wishes;
    // What is being changed right now is judged when that is done.
    let changes = |pin: &Pin| wishes.pins_wanted.as_ref().is_some_and(|wanted| !wanted.contains(pin));
    let gone: Vec<Pin> =
        wishes.pins.iter().filter(|pin| !held.contains(pin) && !changes(pin)).cloned().collect();
    for pin in gone {
        assert!(is_over(&pin), "I3: the pin at {} was let go before its time", pin.sequence);
        rig.sights.add(Sight::PinExpired);
        wishes.pins.retain(|other| *other != pin);
    }
}

/// While the policy says that the source waits, nothing acked goes but for age.
pub(crate) fn paused_or_kept(rig: &mut Rig, machine: usize) {
    if rig.shape.clock_is_set {
        return;
    }
    let (base, policy) = {
        let state = rig.shared[machine].lock();
        (state.base, state.policy())
    };
    let (now, roomy) = (Duration::from_micros(rig.now.0), rig.shape.capacity.is_none());
    let oracle = &mut rig.oracles[machine];
    let kept_for = policy.window();
    let keeps = policy.when_full == WhenFull::Pause || roomy && policy.budget >= ByteLen::gib(1);
    if !keeps || oracle.kept_since.is_none() {
        // What went under another policy is gone.
        oracle.kept_since = keeps.then_some((base, kept_for));
        return;
    }
    let (mut since, window) = oracle.kept_since.expect("it was just looked at");
    let window = window.min(kept_for);
    if let Some(begins) = now.checked_sub(window) {
        since = since.max(oracle.past.at(begins));
    }
    oracle.kept_since = Some((since, window));
    judge::i3_kept(machine, base, since);
}
