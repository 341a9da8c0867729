//! Thinned epochs, some joined, against the model: the points at their starts and ends come back to the byte, those between are refused,
//! and from each the disks go on to any other and to the newest.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use retention::PlanError;

use crate::model::{Change, Fill, Journal};
use crate::plans::{Step, step, take};

/// Brings the disks to `to`, as a target does: what would be lost is captured first.
fn go(journal: &mut Journal, at: u64, to: u64, torn: Option<&Index>) -> u64 {
    journal.save(to);
    let plan = journal.plan(at, at, to).expect("a point that is kept can be had");
    if let Some(pieces) = torn {
        // A crash: the plan is made again over disks that hold both.
        journal.apply(&plan, pieces.index(plan.pieces.len() + 1));
        let plan = journal.plan(at.min(to), journal.newest(), to).expect("it can still be had");
        journal.apply(&plan, usize::MAX);
    } else {
        journal.apply(&plan, usize::MAX);
    }
    assert!(journal.disks == journal.images[to as usize], "the disks hold the image of {to}, to the byte");
    to
}

fn live(steps: &[Vec<Step>], thinned: &[Index], joined: &[Index], points: &[(Index, Option<Index>)]) {
    let mut journal = Journal::new();
    for steps in steps {
        steps.iter().for_each(|step| take(&mut journal, step));
        journal.cut();
        for epoch in thinned {
            journal.thin(epoch.index(journal.sealed_epochs()));
        }
        for epoch in joined {
            journal.join(epoch.index(journal.sealed_epochs()));
        }
        let newest = journal.newest();
        let mut at = newest;
        for (point, torn) in points {
            let to = journal.oldest() + point.index((newest - journal.oldest() + 1) as usize) as u64;
            if journal.is_kept(to) {
                at = go(&mut journal, at, to, torn.as_ref());
            } else {
                assert!(
                    matches!(journal.plan(at, at, to), Err(PlanError::Thinned { .. })),
                    "{to} is not kept"
                );
            }
        }
        go(&mut journal, at, newest, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_thinning_keeps_comes_back_to_the_byte_and_leads_anywhere(
        steps in vec(vec(step(), 0..10), 1..6),
        thinned in vec(any::<Index>(), 1..6),
        joined in vec(any::<Index>(), 0..4),
        points in vec(any::<(Index, Option<Index>)>(), 1..6),
    ) {
        live(&steps, &thinned, &joined, &points);
    }
}

#[test]
fn what_only_the_target_disk_holds_is_captured_before_it_is_left() {
    let mut journal = Journal::new();
    journal.receive(&[Change { disk: 1, start: 3, len: 2, fill: Fill::Byte(7) }]);
    journal.receive(&[Change { disk: 1, start: 3, len: 1, fill: Fill::Byte(9) }]);
    journal.cut();
    journal.thin(0);
    assert!(matches!(journal.plan(2, 2, 1), Err(PlanError::Thinned { .. })));
    go(&mut journal, 2, 0, None);
    go(&mut journal, 0, 2, None);
}

#[test]
fn a_joined_epoch_holds_the_first_before_image_of_each_granule_and_no_point_between() {
    let mut journal = Journal::new();
    for fill in [3, 5, 7] {
        journal.receive(&[
            Change { disk: 1, start: 3, len: 2, fill: Fill::Byte(fill) },
            Change { disk: 1, start: usize::from(fill), len: 1, fill: Fill::Byte(fill) },
        ]);
        journal.cut();
    }
    (0..3).for_each(|epoch| journal.thin(epoch));
    journal.join(1);
    journal.join(0);
    assert_eq!(journal.sealed_epochs(), 1);
    for lost in [1, 2] {
        assert!(matches!(journal.plan(3, 3, lost), Err(PlanError::Thinned { .. })), "{lost} was given up");
    }
    let at = go(&mut journal, 3, 0, None);
    go(&mut journal, at, 3, None);
}

#[test]
fn a_view_opened_after_a_rewind_has_what_that_captured_once_it_is_overwritten() {
    let mut journal = Journal::new();
    let change = |byte| Change { disk: 1, start: 3, len: 1, fill: Fill::Byte(byte) };
    journal.receive(&[change(7)]);
    journal.cut();
    journal.thin(0);
    go(&mut journal, 1, 0, None);
    go(&mut journal, 0, 1, None);
    journal.views = vec![journal.view(1, 1, 1).expect("the end of a thinned epoch can be had")];
    journal.receive(&[change(9)]);
    // Nobody captures it again in this epoch.
    journal.round(1);
    crate::views::check(&journal);
}
