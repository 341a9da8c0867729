//! What must hold: after each recovery, and whenever something was promised.

use retention::{Afterwards, Lifecycle, PlanError, Policy};
use target::replica::{NotTaken, Received, ReplicaError, ReplicaLimits, Work};
use units::{ByteLen, DiskIndex, GRANULE_LEN, Hash, LeafIndex, Sequence};
use wire::HashQuery;

use super::keeping;
use super::material::roots_of;
use super::ops;
use super::oracle::Stance;
use super::rig::{Crashed, GUARD, Rig, disk_name};
use super::seen::Sight;

/// What a recovery says, before anything is done: nothing acked is lost (I1), the rest is bounded (I9).
pub(crate) fn found(rig: &mut Rig, machine: usize) {
    let (state_durable, applied, replays, lifecycle, base) = {
        let state = rig.shared[machine].lock();
        (state.durable.0, state.applied.0, state.replays.0, state.lifecycle.clone(), state.base.0)
    };
    let (acked, sent) = (rig.oracles[machine].acked, rig.oracles[machine].sent());
    assert!(state_durable >= acked, "I1: acked up to {acked}, recovered up to {state_durable}");
    assert!(state_durable <= sent, "I2: recovered up to {state_durable}, sent up to {sent}");
    let most = replays_at_most(rig);
    assert!(replays <= most, "I9: {replays} bytes of redo to replay, the limits allow {most}");
    note_found(rig, machine, acked, sent, state_durable, applied);
    keeping::found(rig, machine);
    settle_stance(rig, machine, &lifecycle);
    if matches!(lifecycle, Lifecycle::Registered | Lifecycle::Seeding { .. }) {
        assert_eq!(acked, 0, "I1: acked up to {acked}, found {lifecycle:?}");
        // The item that was to end the seed never came.
        rig.oracles[machine].images.clear();
    }
    if rig.oracles[machine].images.is_empty() {
        seeded_is_there(rig, machine, &lifecycle);
        return;
    }
    assert!(base <= state_durable, "I3: the history begins before it ends");
    if rig.oracles[machine].stance == Stance::Original {
        // Its first item comes from the target itself, and so comes again.
        return;
    }
    rig.oracles[machine].forget_after(state_durable);
    rig.oracles[machine].acked = state_durable;
    once(rig, machine, state_durable);
}

/// What the limits allow to be replayed: what one checkpoint leaves to the next, with the two rounds that were under way when it
/// became due, and what may wait, with the group that came last. By default that is 256 MiB, as `ReplicaLimits` asserts.
fn replays_at_most(rig: &Rig) -> u64 {
    let ReplicaLimits { checkpoint_len, round_len, lag_len, group_len, .. } = rig.shape.limits;
    let item = rig.shape.record_len_max;
    checkpoint_len.0 + 2 * (round_len.0 * 9 / 8).max(item) + lag_len.0 + group_len.0.max(item)
}

fn note_found(rig: &mut Rig, _machine: usize, acked: u64, sent: u64, durable: u64, applied: u64) {
    let sights = [
        (durable < sent, Sight::TornGroupCutBack),
        (durable > acked && durable < sent, Sight::TornGroupKeptInPart),
        (durable > acked, Sight::UnackedGroupSurvived),
        (applied > 0 && applied < durable, Sight::ReplayFromTheMiddle),
    ];
    sights.iter().filter(|(met, _)| *met).for_each(|(_, sight)| rig.sights.add(*sight));
}

/// The recovered lifecycle is the one that was confirmed, or the one that was asked for.
fn settle_stance(rig: &mut Rig, machine: usize, lifecycle: &Lifecycle) {
    let (stance, wanted) = (rig.oracles[machine].stance, rig.oracles[machine].wanted);
    let is = |expected: Stance| match (expected, lifecycle) {
        (Stance::Registered, Lifecycle::Registered)
        | (Stance::Original, Lifecycle::Original { .. })
        | (Stance::Seeding, Lifecycle::Seeding { .. })
        | (Stance::Following, Lifecycle::Protected) => true,
        (Stance::At(at), Lifecycle::Rewound { at: found }) => at == found.0,
        (Stance::Given(at), Lifecycle::Committed { at: found }) => at == found.0,
        (Stance::At(at), Lifecycle::Rewinding { to, then: Afterwards::Stand, .. }) => at == to.0,
        (Stance::Following, Lifecycle::Rewinding { then: Afterwards::Replicate, .. }) => true,
        _ => false,
    };
    let resumes = matches!(lifecycle, Lifecycle::Rewinding { .. });
    let asked = wanted.filter(|wanted| is(*wanted));
    let confirmed = !resumes && is(stance);
    assert!(
        asked.is_some() || confirmed,
        "I2: found {lifecycle:?}, confirmed was {stance:?}, asked for {wanted:?}"
    );
    rig.sights_of_lifecycle(lifecycle);
    if resumes {
        // It is not told to be done before it is.
        return;
    }
    let oracle = &mut rig.oracles[machine];
    if let Some(asked) = asked.filter(|_| !confirmed) {
        let begins = oracle.images.is_empty() && asked == Stance::Following;
        if begins {
            let seeded = oracle.seeded.clone();
            oracle.images.push(seeded.into());
        }
        oracle.stance = asked;
    }
    oracle.wanted = None;
}

/// What a seed sync confirmed is on the disks.
fn seeded_is_there(rig: &mut Rig, machine: usize, lifecycle: &Lifecycle) {
    let oracle = &mut rig.oracles[machine];
    let mut marks = oracle.through.clone();
    if let Lifecycle::Seeding { through, .. } = lifecycle {
        for (mark, found) in marks.iter_mut().zip(through) {
            assert!(found.0 >= *mark, "I1: seeded up to {mark} was durable, found {}", found.0);
            *mark = found.0;
        }
    } else {
        assert!(marks.iter().all(|mark| *mark == 0), "I1: found {lifecycle:?}, seeded was {marks:?}");
    }
    oracle.through.clone_from(&marks);
    let seeded = oracle.seeded.clone();
    for (disk, mark) in marks.iter().enumerate() {
        let found = rig.world.contents(&disk_name(machine, disk));
        // A seed that was repeated over a durable part may have changed it again.
        let sure = (mark / GRANULE_LEN * GRANULE_LEN) as usize;
        let differs = found[..sure].iter().zip(&seeded[disk]).position(|(a, b)| a != b);
        assert_eq!(differs, None, "I1: disk {disk} was seeded and durable up to {mark}");
    }
}

/// Duplicates and gaps change nothing (I7).
fn once(rig: &mut Rig, machine: usize, durable: u64) {
    let open =
        rig.oracles[machine].stance == Stance::Following && rig.lifecycle(machine) == Lifecycle::Protected;
    let newest = rig.oracles[machine].newest().clone();
    for (sequence, expected) in
        [(durable, NotTaken::Duplicate), (durable + 2, NotTaken::Gap { expected: Sequence(durable + 1) })]
    {
        if sequence == 0 {
            continue;
        }
        let item = rig.material.batch(sequence, rig.now, &newest);
        let (body, payload) = (item.body, item.payload);
        let item = Received { sequence: Sequence(sequence), time: rig.now, body, payload };
        let answer = rig.shared[machine].take(item);
        let expected = if open { expected } else { NotTaken::Closed };
        assert_eq!(answer, Err(expected), "I7: sequence {sequence} after {durable}");
        rig.sights.add(match expected {
            NotTaken::Duplicate => Sight::RefusedDuplicate,
            NotTaken::Gap { .. } => Sight::RefusedGap,
            NotTaken::Closed => Sight::RefusedWhileClosed,
        });
    }
}

/// Everything that must hold of a machine that was recovered, down to its disks and its history.
pub(crate) fn everything(rig: &mut Rig, machine: usize, thorough: bool) -> Result<(), Crashed> {
    // Some of it may have been done already, by whoever looked meanwhile.
    let resumes = rig.oracles[machine].wanted.is_some();
    rig.drain(machine)?;
    if resumes {
        rig.sights.add(Sight::RewindResumed);
        assert!(
            !matches!(rig.lifecycle(machine), Lifecycle::Rewinding { .. }),
            "liveness: a rewind resumes by itself"
        );
        rig.oracles[machine].confirm();
    }
    if rig.oracles[machine].images.is_empty() {
        return Ok(());
    }
    if rig.shared[machine].lock().full.is_some() {
        // Somebody makes room, and allows what there is.
        rig.world.set_capacity(ByteLen::gib(1));
        rig.drain(machine)?;
        if rig.shared[machine].lock().full.is_some() {
            keeping::set_policy(
                rig,
                machine,
                Policy { budget: ByteLen::gib(1), ..rig.shape.limits.retention },
            )?;
            rig.drain(machine)?;
        }
    }
    let (base, newest) = ops::window(rig, machine);
    let at = match rig.oracles[machine].stance {
        Stance::At(at) | Stance::Given(at) => at,
        _ => newest,
    };
    disks_are(rig, machine, at, "I2: after recovery");
    if rig.oracles[machine].stance == Stance::Original {
        return Ok(());
    }
    assert_eq!(rig.shared[machine].lock().written.0, newest, "I2: everything durable is applied");
    history(rig, machine, base, newest)?;
    match rig.oracles[machine].stance {
        Stance::Given(at) => given_is_given(rig, machine, at),
        Stance::Following => goes_on(rig, machine, thorough),
        _ => {
            if thorough {
                ops::rewind(rig, machine, base, Afterwards::Stand)?;
            }
            ops::rewind(rig, machine, newest, Afterwards::Replicate)?;
            goes_on(rig, machine, false)
        }
    }
}

/// The roots of every point are exact; outside there is none (I3).
pub(crate) fn history(rig: &mut Rig, machine: usize, base: u64, newest: u64) -> Result<(), Crashed> {
    for to in base..=newest {
        let roots = rig.roots(machine, to)?;
        roots_are(rig, machine, to, roots);
    }
    for to in [base.checked_sub(1), Some(newest + 1)].into_iter().flatten() {
        let refused = rig.roots(machine, to)?;
        let out = matches!(refused, Some(Err(ReplicaError::Plan(PlanError::OutOfWindow { .. }))));
        assert!(out, "I3: sequence {to} is outside {base} to {newest}, found {refused:?}");
        rig.sights.add(Sight::RefusedOutOfWindow);
    }
    Ok(())
}

/// The machine can be used: back, forward, and the stream goes on, over what was recovered.
fn goes_on(rig: &mut Rig, machine: usize, thorough: bool) -> Result<(), Crashed> {
    let (base, newest) = ops::window(rig, machine);
    if thorough {
        let to = rig.material.random.between(base, newest);
        ops::rewind(rig, machine, to, Afterwards::Stand)?;
        ops::rewind(rig, machine, newest, Afterwards::Replicate)?;
    }
    rig.take(machine, |material, sequence, time, image| material.batch(sequence, time, image))
        .expect("I2: the stream goes on after a recovery");
    rig.settle(machine)?;
    if rig.shared[machine].lock().full.is_some() {
        return Ok(());
    }
    let (base, newest) = ops::window(rig, machine);
    disks_are(rig, machine, newest, "I2: the stream went on after a recovery");
    if thorough { history(rig, machine, base, newest) } else { Ok(()) }
}

/// What was handed over is never touched again.
fn given_is_given(rig: &mut Rig, machine: usize, at: u64) -> Result<(), Crashed> {
    let (base, _) = ops::window(rig, machine);
    ops::rewind(rig, machine, base, Afterwards::Stand)?;
    assert_eq!(rig.oracles[machine].stance, Stance::Given(at), "what was handed over is not taken back");
    disks_are(rig, machine, at, "I6: disks that were handed over");
    Ok(())
}

/// Compares every disk with the image at a sequence, and what lies behind it with the guard (I6).
pub(crate) fn disks_are(rig: &Rig, machine: usize, sequence: u64, when: &str) {
    let image = rig.oracles[machine].image(sequence);
    for (disk, expected) in image.iter().enumerate() {
        let mut found = rig.world.contents(&disk_name(machine, disk));
        rig.oracles[machine].look_away(disk, sequence, expected, &mut found);
        let (found, guard) = found.split_at(expected.len());
        if found != &expected[..] {
            let at = found.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(0);
            let at_others: Vec<usize> = (0..rig.oracles[machine].images.len())
                .filter(|other| rig.oracles[machine].images[*other][disk] == found)
                .collect();
            panic!(
                "{when}: disk {disk} is not the image at {sequence}: differs at {at}; it is that at {at_others:?}"
            );
        }
        assert!(guard.iter().all(|byte| *byte == GUARD), "I6: what lies behind disk {disk} was written");
    }
}

/// Compares roots with those of the image at a sequence.
pub(crate) fn roots_are(
    rig: &mut Rig,
    machine: usize,
    to: u64,
    roots: Option<Result<Vec<Hash>, ReplicaError>>,
) {
    match roots {
        Some(Ok(_)) if rig.oracles[machine].is_spoilt(to) => {}
        Some(Ok(roots)) => {
            assert_eq!(roots, roots_of(rig.oracles[machine].image(to)), "I3: the roots at {to}");
        }
        Some(Err(_)) if ops::is_given_up(rig, machine, to) => {}
        Some(Err(error)) => {
            assert!(rig.may_fail, "I3: sequence {to} can't be had: {}", target::replica::chain(&error))
        }
        None => {
            let blocked = rig.may_fail || rig.shared[machine].lock().full.is_some();
            assert!(blocked, "liveness: no answer about sequence {to}");
        }
    }
}

/// Everything that differs between a sequence and the newest is named as changed.
pub(crate) fn changed_since(rig: &mut Rig, machine: usize, base: u64, newest: u64) -> Result<(), Crashed> {
    for since in base..=newest {
        let answer = rig.ask(machine, |then| Work::Changed { since: Sequence(since), then })?;
        let Some(Ok(Some(spans))) = answer else {
            let thinned =
                rig.shared[machine].lock().epochs.iter().any(|info| info.thinned && info.last.0 > since);
            let expired = thinned || since < ops::window(rig, machine).0;
            assert!(
                rig.may_fail || expired || rig.shared[machine].lock().full.is_some(),
                "changes since {since}: {answer:?}"
            );
            continue;
        };
        let (old, new) = (rig.oracles[machine].image(since), rig.oracles[machine].image(newest));
        for (disk, (old, new)) in old.iter().zip(new.iter()).enumerate() {
            let named = |at: u64| {
                spans.iter().any(|span| {
                    usize::from(span.disk.0) == disk && span.start.0 <= at && at < span.start.0 + span.len.0
                })
            };
            let differs = (0..old.len()).step_by(512).filter(|at| {
                let end = (at + 512).min(old.len());
                old[*at..end] != new[*at..end]
            });
            let unnamed: Vec<_> = differs.filter(|at| !named(*at as u64)).collect();
            assert!(unnamed.is_empty(), "changes since {since} on disk {disk} leave out {unnamed:?}");
        }
    }
    Ok(())
}

/// The hash of every leaf is that of what the disk holds.
pub(crate) fn hashes(rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
    for (disk, len) in rig.shape.machines[machine].clone().into_iter().enumerate() {
        let count = ByteLen(len).leaves() as u32;
        let query = HashQuery { disk: DiskIndex(disk as u16), first: LeafIndex(0), count };
        let answer = rig.ask(machine, |then| Work::Hashes { query, then })?;
        let Some(Ok(hashes)) = answer else {
            assert!(rig.may_fail || rig.shared[machine].lock().full.is_some(), "hashes: {answer:?}");
            continue;
        };
        let at = match rig.oracles[machine].stance {
            Stance::At(at) | Stance::Given(at) => at,
            _ => ops::window(rig, machine).1,
        };
        if rig.oracles[machine].is_spoilt(at) {
            continue;
        }
        let image = rig.oracles[machine].image(at);
        let expected: Vec<Hash> = image[disk].chunks(65536).map(|leaf| blake3::hash(leaf).into()).collect();
        assert_eq!(hashes, expected, "the hashes of disk {disk}");
    }
    Ok(())
}

impl Rig {
    fn sights_of_lifecycle(&mut self, lifecycle: &Lifecycle) {
        match lifecycle {
            Lifecycle::Rewound { .. } => self.sights.add(Sight::FoundRewound),
            Lifecycle::Committed { .. } => self.sights.add(Sight::FoundCommitted),
            Lifecycle::Seeding { .. } => self.sights.add(Sight::FoundSeeding),
            _ => {}
        }
    }
}
