//! Bytes that are not what was written: every answer is exact, or an error that names the file and the place (I4, I5).

use blockdev::{CrashChoice, SimWorld};
use retention::{Afterwards, EpochIndex, HEAD_LEN_MAX, Head, SmallFile as _};
use target::replica::{FailureKind, chain};
use units::ByteOffset;

use super::check;
use super::explore::told;
use super::ops::{Op, restart_in, rewind};
use super::oracle::Stance;
use super::random::Random;
use super::raw;
use super::rig::{Rig, Shape, machine_id};
use super::seeding::protect;
use super::seen::Part;

/// What was tried, and how it ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub tried: u64,
    /// Everything exact.
    pub exact: u64,
    /// Refused at recovery, with the reason.
    pub refused: u64,
    /// Recovered, and some of it refused with the reason.
    pub in_part: u64,
}

/// What must come of what was done to a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Nothing is lost, and what was broken is made whole.
    Healed,
    /// Nothing is lost.
    Harmless,
    /// Exact or refused.
    Truth,
}

/// A world with three epochs, everything on the disks but the last few groups of one batch each.
fn specimen(shape: &Shape, waiting: usize) -> Rig {
    let mut rig = Rig::create(5, shape).expect("nothing stops the world");
    protect(&mut rig, 0).expect("nothing stops the world");
    let script = [
        Op::Write,
        Op::Write,
        Op::Settle,
        Op::Write,
        Op::Settle,
        Op::Rotate,
        Op::Group,
        Op::Settle,
        Op::Write,
        Op::Settle,
        Op::Rotate,
        Op::Write,
        Op::Settle,
        Op::Write,
        Op::Settle,
    ];
    let waiting = std::iter::repeat_n(&Op::Write, waiting);
    script.iter().chain(waiting).for_each(|op| op.perform(&mut rig, 0).expect("nothing stops the world"));
    rig
}

fn files(world: &SimWorld) -> Vec<String> {
    raw::files_below(world, &format!("machines/{}", machine_id(0)))
}

/// Flips one bit at a time in every file of a journal, every `stride` bytes of what is in use.
pub(crate) fn flip_each(shape: &Shape, stride: usize) -> Tally {
    let mut tally = Tally::default();
    for waiting in [1, 4] {
        flip_each_of(&specimen(shape, waiting), stride, &mut tally);
    }
    tally
}

fn flip_each_of(rig: &Rig, stride: usize, tally: &mut Tally) {
    let settled = rig.world.after_crash(CrashChoice::All);
    for path in files(&settled) {
        let expected = match Part::of(&path) {
            Part::Head | Part::Index => Expected::Healed,
            _ => Expected::Truth,
        };
        let content = settled.contents(&path);
        let used: Vec<usize> = match Part::of(&path) {
            // Four copies with nothing between them.
            Part::Head => (0..4).flat_map(|copy| (0..600).map(move |at| copy * HEAD_LEN_MAX + at)).collect(),
            _ => (0..content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)).collect(),
        };
        for at in used.into_iter().step_by(stride) {
            let world = settled.after_crash(CrashChoice::All);
            world.flip_bit(&path, ByteOffset(at as u64), (at % 8) as u8);
            let what = || format!("a bit of {path} at {at} flips");
            told(what, || judge(rig, world, &path, expected, tally));
        }
    }
}

/// Copies blocks to where they do not belong, as a misdirected write does, and old ones to where they did.
pub(crate) fn misplace_blocks(shape: &Shape, tries: u64) -> Tally {
    let rig = specimen(shape, 4);
    let settled = rig.world.after_crash(CrashChoice::All);
    let logs: Vec<String> = files(&settled)
        .into_iter()
        .filter(|path| matches!(Part::of(path), Part::Redo | Part::Undo))
        .collect();
    let mut random = Random::new(11);
    let mut tally = Tally::default();
    for nth in 0..tries {
        let (from, to) = (
            &logs[random.below(logs.len() as u64) as usize],
            &logs[random.below(logs.len() as u64) as usize],
        );
        let world = settled.after_crash(CrashChoice::All);
        let used = |path: &str| {
            let content = settled.contents(path);
            content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last / 4096 + 1)
        };
        let source = random.below(used(from) as u64) as usize;
        // One behind the last: the tail, where the next group goes. There it does no harm.
        let blocks = (used(to) + 1).min(settled.contents(to).len() / 4096);
        let place = if random.one_in(3) { blocks - 1 } else { random.below(blocks as u64) as usize };
        let expected = if place == used(to) { Expected::Harmless } else { Expected::Truth };
        let bytes = settled.contents(from)[source * 4096..source * 4096 + 4096].to_vec();
        raw::write_file(&world, to, place as u64 * 4096, &bytes);
        let what = || format!("{nth}: block {source} of {from} is written to block {place} of {to}");
        told(what, || judge(&rig, world, to, expected, &mut tally));
    }
    tally
}

/// Recovers a damaged world: it is refused with a reason, or all it says is true.
fn judge(rig: &Rig, world: SimWorld, path: &str, expected: Expected, tally: &mut Tally) {
    // Nothing behind the very last group can prove that it was durable.
    let losable = u64::from(path.ends_with("epoch-00000003/redo"));
    let Some(mut next) = recover(rig, world, path, expected, tally) else { return };
    let whole = is_true(&mut next, losable, path);
    assert!(whole || expected == Expected::Truth, "I4: {path} loses nothing");
    if expected == Expected::Healed {
        healed(&mut next, path);
    }
    if whole { tally.exact += 1 } else { tally.in_part += 1 }
}

/// Recovers a world in which a device lied: the same, and what it swallowed of the newest group may be lost.
pub(crate) fn judge_lie(rig: &Rig, world: SimWorld, tally: &mut Tally) {
    let Some(mut next) = recover(rig, world, "the volume", Expected::Truth, tally) else { return };
    let whole = is_true(&mut next, 1, "the volume");
    if whole { tally.exact += 1 } else { tally.in_part += 1 }
}

/// Recovers a world, or counts that it was refused, for a reason that names its place.
fn recover(rig: &Rig, world: SimWorld, path: &str, expected: Expected, tally: &mut Tally) -> Option<Rig> {
    tally.tried += 1;
    match Rig::recover(world, &rig.shape, &rig.oracles, 3, rig.now) {
        Ok(found) => Some(found),
        Err(stopped) => {
            let error = stopped.1.expect("nothing stops the world").error;
            assert!(expected == Expected::Truth, "I4: {path} loses nothing, found: {}", chain(&error));
            names_its_place(error.kind(), &chain(&error));
            tally.refused += 1;
            None
        }
    }
}

/// Looks whether all that is said is true. Returns whether nothing was refused.
fn is_true(next: &mut Rig, losable: u64, path: &str) -> bool {
    next.may_fail = true;
    let (durable, acked) = (next.shared[0].lock().durable.0, next.oracles[0].acked);
    if durable < acked {
        let last = durable + losable >= acked;
        assert!(last, "I5: {path} was cut back from {acked} to {durable}, and nothing was said");
        next.oracles[0].acked = durable;
    }
    check::found(next, 0);
    look_around(next)
}

/// Looks at everything there is. Returns whether nothing was refused.
fn look_around(rig: &mut Rig) -> bool {
    rig.drain(0).expect("nothing stops the world");
    let refused = |rig: &Rig| {
        let state = rig.shared[0].lock();
        state.failure.as_ref().inspect(|(kind, what)| names_its_place(*kind, what)).is_some()
    };
    if refused(rig) {
        return false;
    }
    let (base, newest) = super::ops::window(rig, 0);
    check::disks_are(rig, 0, newest, "I4: after damage elsewhere");
    if !there_and_back(rig, base, newest) {
        return false;
    }
    let mut whole = true;
    for to in base..=newest {
        let roots = rig.roots(0, to).expect("nothing stops the world");
        whole &= matches!(roots, Some(Ok(_)));
        check::roots_are(rig, 0, to, roots.filter(Result::is_ok));
        if refused(rig) {
            return false;
        }
    }
    whole
}

/// Brings the disks to a point and forward again. What meets damage says so, and leaves the machine where another point
/// can be asked for. Returns whether nothing was refused.
fn there_and_back(rig: &mut Rig, base: u64, newest: u64) -> bool {
    let to = rig.material.random.between(base, newest);
    for (to, afterwards) in [(to, Afterwards::Stand), (newest, Afterwards::Replicate)] {
        rewind(rig, 0, to, afterwards).expect("nothing stops the world");
        let (failure, stalled) = {
            let state = rig.shared[0].lock();
            (state.failure.clone(), state.stalled.clone())
        };
        if let Some((kind, what)) = failure {
            names_its_place(kind, &what);
            return false;
        }
        if let Some(what) = stalled {
            names_its_place(FailureKind::Damaged, &what);
        }
    }
    rig.oracles[0].stance == Stance::Following && rig.oracles[0].wanted.is_none()
}

fn names_its_place(kind: FailureKind, what: &str) {
    assert_eq!(kind, FailureKind::Damaged, "I5: damage is called damage: {what}");
    let named = what.contains("epoch") || what.contains("machines/") || what.contains("sequence");
    assert!(named, "I4: an error names the file and the place: {what}");
}

/// What was flipped is whole again, without anybody having done anything.
fn healed(rig: &mut Rig, path: &str) {
    let content = rig.world.contents(path);
    match Part::of(path) {
        Part::Head => {
            let whole = content.chunks(HEAD_LEN_MAX).filter(|copy| Head::decode(copy).is_ok()).count();
            assert_eq!(whole, 4, "I4: every copy of the head is whole again");
        }
        _ => assert!(EpochIndex::decode(&content).is_ok(), "I4: the index is whole again"),
    }
    // And it stays so.
    let world = rig.world.after_crash(CrashChoice::None);
    restart_in(rig, world).expect("nothing stops the world");
    check::everything(rig, 0, false).expect("nothing stops the world");
}
