//! Rounds and rewinds against the model: whatever was kept comes back, to the byte, and nothing else is touched.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::FileFailurePersistence;
use retention::PlanError;
use units::Sequence;

use crate::model::{Change, DISK_LENS, Fill, Granule, Journal, bytes_of, granules_of};

/// What happens while the machine is replicated.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Batch(Vec<Change>),
    Marker,
    Round(usize),
    Epoch,
}

/// What happens to the disks afterwards.
#[derive(Clone, Debug)]
enum Move {
    /// To a point.
    To(Index),
    /// Towards a point; a crash comes after some pieces.
    Torn(Index, Index),
    /// Towards a point; afterwards each granule holds its state at any sequence between.
    Mixed(Index, Vec<Index>),
}

/// Steps, how many of the oldest epochs then go, and moves; at the end of which the disks go to the newest point.
type Stage = (Vec<Step>, usize, Vec<Move>);

fn change() -> impl Strategy<Value = Change> {
    let fill = prop_oneof![
        2 => Just(Fill::Zero),
        4 => any::<u8>().prop_map(Fill::Byte),
        1 => any::<u64>().prop_map(Fill::Noise),
    ];
    (0..DISK_LENS.len(), 0..18usize, 1..6usize, fill).prop_map(|(disk, start, len, fill)| Change {
        disk,
        start,
        len,
        fill,
    })
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => vec(change(), 1..4).prop_map(Step::Batch),
        1 => Just(Step::Marker),
        2 => (1..4usize).prop_map(Step::Round),
        2 => Just(Step::Epoch),
    ]
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        any::<Index>().prop_map(Move::To),
        any::<(Index, Index)>().prop_map(|(to, pieces)| Move::Torn(to, pieces)),
        (any::<Index>(), vec(any::<Index>(), 1..12)).prop_map(|(to, states)| Move::Mixed(to, states)),
    ]
}

fn stages() -> impl Strategy<Value = Vec<Stage>> {
    vec((vec(step(), 0..14), 0..3usize, vec(a_move(), 0..5)), 1..3)
}

/// The lowest and the highest sequence whose state may be on the disks.
type Between = (u64, u64);

pub(crate) fn take(journal: &mut Journal, step: &Step) {
    match step {
        Step::Batch(changes) => journal.receive(changes),
        Step::Marker => journal.mark(),
        Step::Round(most) => journal.round(*most),
        Step::Epoch => journal.cut(),
    }
}

fn point(journal: &Journal, to: &Index) -> u64 {
    let (oldest, newest) = (journal.oldest(), journal.newest());
    oldest + to.index((newest - oldest + 1) as usize) as u64
}

/// Moves the disks to `to` and checks every byte of it.
fn go(journal: &mut Journal, (low, high): Between, to: u64) -> Between {
    let plan = journal.plan(low, high, to).expect("a point inside the history can be had");
    let touched = journal.touched(low.min(to), high.max(to));
    let before = journal.disks.clone();
    let written = journal.apply(&plan, usize::MAX);
    assert_eq!(written, touched, "the plan is what was written between, all of it, and nothing else");
    assert_eq!(plan.len().0, written.iter().map(|&granule| bytes_of(granule).len() as u64).sum::<u64>());
    assert_eq!(plan.is_empty(), written.is_empty());
    assert!(journal.disks == journal.images[to as usize], "the disks hold the image of {to}, to the byte");
    assert_untouched(journal, &before, &written);
    (to, to)
}

fn assert_untouched(journal: &Journal, before: &[Vec<u8>], written: &BTreeSet<Granule>) {
    for (disk, (now, before)) in journal.disks.iter().zip(before).enumerate() {
        for granule in (0..granules_of(disk)).filter(|&granule| !written.contains(&(disk, granule))) {
            let bytes = bytes_of((disk, granule));
            assert!(now[bytes.clone()] == before[bytes], "nothing else is touched");
        }
    }
}

fn make(journal: &mut Journal, (low, high): Between, a_move: &Move) -> Between {
    match a_move {
        Move::To(to) => {
            let to = point(journal, to);
            go(journal, (low, high), to)
        }
        Move::Torn(to, pieces) => {
            let to = point(journal, to);
            let plan = journal.plan(low, high, to).expect("a point inside the history can be had");
            journal.apply(&plan, pieces.index(plan.pieces.len() + 1));
            (low.min(to), high.max(to))
        }
        Move::Mixed(to, states) => {
            let to = point(journal, to);
            let (low, high) = (low.min(to), high.max(to));
            for (granule, state) in journal.touched(low, high).into_iter().zip(states.iter().cycle()) {
                let state = low as usize + state.index((high - low + 1) as usize);
                let bytes = bytes_of(granule);
                let content = journal.images[state][granule.0][bytes.clone()].to_vec();
                journal.disks[granule.0][bytes].copy_from_slice(&content);
            }
            (low, high)
        }
    }
}

fn assert_window(journal: &Journal) {
    let (oldest, newest) = (journal.oldest(), journal.newest());
    let refused =
        |wanted| Err(PlanError::OutOfWindow { wanted, oldest: Sequence(oldest), newest: Sequence(newest) });
    let plan = |to| journal.plan(newest, newest, to);
    assert_eq!(plan(newest + 1), refused(Sequence(newest + 1)));
    if oldest > 0 {
        assert_eq!(plan(oldest - 1), refused(Sequence(oldest - 1)));
    }
}

fn live(stages: &[Stage]) {
    let mut journal = Journal::new();
    for (steps, expire, moves) in stages {
        steps.iter().for_each(|step| take(&mut journal, step));
        // What is durable but not yet on the disks can be reached as well.
        let (applied, newest) = (journal.applied(), journal.newest());
        let ahead = journal.plan(applied, applied, newest).expect("the newest point can be had");
        let disks = journal.disks.clone();
        journal.apply(&ahead, usize::MAX);
        assert!(journal.disks == journal.images[newest as usize]);
        journal.disks = disks;
        journal.round(usize::MAX);
        journal.expire(*expire);
        assert_window(&journal);
        let moved = moves.iter().fold((newest, newest), |at, each| make(&mut journal, at, each));
        go(&mut journal, moved, newest);
    }
    // Every point that is left, there and back.
    let newest = journal.newest();
    for to in (journal.oldest()..=newest).step_by(3) {
        let at = go(&mut journal, (newest, newest), to);
        go(&mut journal, at, newest);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 6000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_point_of_the_history_comes_back_to_the_byte(stages in stages()) {
        live(&stages);
    }
}

#[test]
fn a_granule_no_epoch_holds_is_refused_and_not_guessed() {
    let mut journal = Journal::new();
    let change = Change { disk: 1, start: 3, len: 1, fill: Fill::Byte(7) };
    journal.receive(&[change]);
    // Not destaged: nothing was captured, so what was there before is not in the journal.
    match journal.plan(1, 1, 0) {
        Err(PlanError::Unresolved { disk, start, wanted, from }) => {
            assert_eq!((disk.0, start.0, wanted.0, from.0), (1, 3 * 4096, 0, 1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_later_before_image_never_stands_in_for_a_lost_one() {
    let mut journal = Journal::new();
    let change = |fill| Change { disk: 1, start: 3, len: 1, fill };
    for byte in [7, 9] {
        journal.receive(&[change(Fill::Byte(byte))]);
        journal.cut();
    }
    go(&mut journal, (2, 2), 0);
    go(&mut journal, (0, 0), 2);
    journal.lose_undo(0);
    assert!(matches!(journal.plan(2, 2, 0), Err(PlanError::Unresolved { .. })));
    go(&mut journal, (2, 2), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lost_before_images_refuse_a_point_or_do_not_matter_to_it(
        steps in vec(step(), 1..16), to in any::<Index>(), epoch in any::<Index>(),
    ) {
        let mut journal = Journal::new();
        steps.iter().for_each(|step| take(&mut journal, step));
        journal.cut();
        journal.lose_undo(epoch.index(journal.sealed_epochs()));
        let (to, newest) = (point(&journal, &to), journal.newest());
        match journal.plan(newest, newest, to) {
            Ok(plan) => {
                journal.apply(&plan, usize::MAX);
                prop_assert!(journal.disks == journal.images[to as usize]);
            }
            Err(error) => prop_assert!(matches!(error, PlanError::Unresolved { .. }), "{}", error),
        }
    }
}

#[test]
fn a_journal_without_epochs_reaches_only_its_beginning() {
    let range = |to| retention::PointRange { low: Sequence(0), high: Sequence(0), to: Sequence(to) };
    assert_eq!(retention::plan_rewind(&[], range(0), 1).map(|plan| plan.is_empty()), Ok(true));
    assert!(matches!(retention::plan_rewind(&[], range(1), 1), Err(PlanError::OutOfWindow { .. })));
}
