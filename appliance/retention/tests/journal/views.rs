//! Views against the model: opened at every moment, they hold their image at every later one.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::FileFailurePersistence;
use retention::{Place, ViewMap};
use units::{ByteLen, ByteOffset, DiskIndex, Sequence};
use wire::Span;

use crate::model::{Change, DISK_LENS, Fill, Journal};
use crate::plans::{Step, step, take};

/// What happens while views are open.
#[derive(Clone, Debug)]
enum Act {
    Journal(Step),
    /// A view is opened at a point.
    Open(Index),
    /// The oldest view is closed.
    Close,
    /// The disks go towards a point, by some pieces, then to it, then to the newest; or views are opened there.
    Rewind(Index, Index, Vec<Index>),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => step().prop_map(Act::Journal),
        4 => any::<Index>().prop_map(Act::Open),
        1 => Just(Act::Close),
        1 => (any::<Index>(), any::<Index>(), vec(any::<Index>(), 0..3))
            .prop_map(|(to, pieces, open)| Act::Rewind(to, pieces, open)),
    ]
}

/// Returns what a view shows of its span, read as a server would.
fn shown(journal: &Journal, map: &ViewMap, span: &Span) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (part, place) in map.lookup(span) {
        let (at, len) = (part.start.0 as usize, part.len.as_usize());
        assert_eq!(at, span.start.0 as usize + bytes.len(), "parts follow one another");
        match place {
            Place::Zero => bytes.resize(bytes.len() + len, 0),
            Place::Target => bytes.extend(&journal.disks[usize::from(part.disk.0)][at..at + len]),
            Place::Log { epoch, entry } => {
                let from = at - entry.extent.start.0 as usize;
                bytes.extend(&journal.content(epoch, &entry)[from..from + len]);
            }
        }
    }
    bytes
}

/// Checks that each view shows its image, in one piece and in pieces that start and end anywhere.
pub(crate) fn check(journal: &Journal) {
    for map in &journal.views {
        for (disk, image) in journal.images[map.to().0 as usize].iter().enumerate() {
            let disk_index = DiskIndex(disk as u16);
            for step in [DISK_LENS[disk], 7000] {
                for start in (0..DISK_LENS[disk]).step_by(step) {
                    let end = (start + step).min(DISK_LENS[disk]);
                    let len = ByteLen((end - start) as u64);
                    let span = Span { disk: disk_index, start: ByteOffset(start as u64), len };
                    assert!(shown(journal, map, &span) == image[start..end], "a view of {} holds", map.to());
                }
            }
        }
    }
}

fn open(journal: &mut Journal, to: &Index, low: u64, high: u64) {
    let (oldest, newest) = (journal.oldest(), journal.applied());
    let to = oldest + to.index((newest - oldest + 1) as usize) as u64;
    let map = journal.view(low, high, to).expect("a point that was applied can be viewed");
    journal.views.push(map);
}

/// Lets every view know that the disks may from now on hold any state between the two.
fn widen(journal: &mut Journal, low: u64, high: u64) {
    let points: Vec<u64> = journal.views.iter().map(|map| map.to().0).collect();
    journal.views = points.into_iter().map(|to| journal.view(low, high, to).unwrap()).collect();
}

fn rewind(journal: &mut Journal, to: &Index, pieces: &Index, opened: &[Index]) {
    journal.round(usize::MAX);
    let newest = journal.newest();
    let to = to.index(newest as usize + 1) as u64;
    widen(journal, to, newest);
    let plan = journal.plan(newest, newest, to).unwrap();
    journal.apply(&plan, pieces.index(plan.pieces.len() + 1));
    check(journal);
    journal.apply(&plan, usize::MAX);
    check(journal);
    opened.iter().for_each(|point| open(journal, point, to, to));
    check(journal);
    widen(journal, to, newest);
    let back = journal.plan(to, to, newest).unwrap();
    journal.apply(&back, pieces.index(back.pieces.len() + 1));
    check(journal);
    journal.apply(&back, usize::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 800,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_view_opened_at_any_moment_holds_its_image_at_every_later_one(acts in vec(act(), 1..40)) {
        let mut journal = Journal::new();
        for act in &acts {
            match act {
                Act::Journal(step) => take(&mut journal, step),
                Act::Open(to) => {
                    let applied = journal.applied();
                    open(&mut journal, to, applied, applied);
                }
                Act::Close => drop(journal.views.pop()),
                Act::Rewind(to, pieces, opened) => rewind(&mut journal, to, pieces, opened),
            }
            check(&journal);
        }
    }
}

fn change(start: usize, byte: u8) -> Change {
    Change { disk: 1, start, len: 1, fill: Fill::Byte(byte) }
}

#[test]
fn what_the_epoch_of_the_point_overwrites_again_comes_from_its_redo() {
    let mut journal = Journal::new();
    journal.receive(&[change(3, 7)]);
    journal.round(1);
    let point = journal.view(1, 1, 1).unwrap();
    let span = Span { disk: DiskIndex(1), start: ByteOffset(3 * 4096), len: ByteLen(4096) };
    assert_eq!(point.lookup(&span), [(span, Place::Target)]);
    journal.views = vec![point];
    journal.receive(&[change(3, 9)]);
    journal.round(1);
    assert!(matches!(journal.views[0].lookup(&span)[..], [(_, Place::Log { .. })]));
    check(&journal);
}

#[test]
fn an_overwriting_that_nobody_captured_is_refused_and_not_guessed() {
    let mut journal = Journal::new();
    journal.receive(&[change(3, 7)]);
    journal.round(1);
    let mut view = journal.view(1, 1, 1).unwrap();
    let span = |start: u64| Span { disk: DiskIndex(1), start: ByteOffset(start * 4096), len: ByteLen(4096) };
    assert_eq!(view.overwrite([span(3)].iter(), &[]), Ok(()));
    let lost = view.overwrite([span(3), span(4)].iter(), &[]);
    assert!(
        matches!(lost, Err(retention::PlanError::Unresolved { start, .. }) if start == ByteOffset(16384))
    );
}

#[test]
fn a_point_that_is_not_in_the_history_has_no_view() {
    let journal = Journal::new();
    let range = retention::PointRange { low: Sequence(0), high: Sequence(0), to: Sequence(1) };
    assert!(matches!(ViewMap::new(&[], range, 1), Err(retention::PlanError::OutOfWindow { .. })));
    assert_eq!(journal.view(0, 0, 0).unwrap().runs(), 0);
}
