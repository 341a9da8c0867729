//! Mistakes made on purpose: each must be caught, within what every run of the tests does anyway.

use std::panic::{AssertUnwindSafe, catch_unwind};

use blockdev::OperationKind;
use target::replica::Planted;

use super::explore::{Effort, Shard, Start, explore};
use super::rig::Shape;
use super::{faults, plan, rot, shapes, swarm, views};

/// Every mistake that can be planted.
pub(crate) const ALL: [Planted; 12] = [
    Planted::AckBeforeFlush,
    Planted::NoBeforeImage,
    Planted::UndoNotFlushed,
    Planted::DamageIsTail,
    Planted::PlaceUnchecked,
    Planted::FlushRetried,
    Planted::RemovedBeforeHead,
    Planted::OldestWins,
    Planted::TornGroupKept,
    Planted::RewindUnrecorded,
    Planted::CheckpointUnflushed,
    Planted::ViewsToldLate,
];

fn with(mistake: Planted) -> Shape {
    let mut shape = shapes::tiny();
    shape.limits.planted = Some(mistake);
    shape
}

/// A part of the tests, by name.
type Part<'a> = (&'static str, Box<dyn Fn() + 'a>);

/// Runs one part of the tests after the other with a mistake planted. Returns which part failed, and the check that did.
pub(crate) fn caught_by(mistake: Planted) -> Option<(&'static str, String)> {
    let shape = with(mistake);
    let effort = Effort { length: 2, thin: 1, ..plan::EFFORT };
    let whole = Shard { number: 0, of: 1 };
    let mut two = shape.clone();
    two.machines.push(vec![512]);
    let parts: [Part<'_>; 6] = [
        (
            "exhaustive",
            Box::new(|| drop(explore(&Start::new(1, &shape, &plan::PREFIX), &plan::ALPHABET, effort, whole))),
        ),
        ("flipped bits", Box::new(|| _ = rot::flip_each(&shape, plan::FLIP_STRIDE))),
        ("misplaced blocks", Box::new(|| _ = rot::misplace_blocks(&shape, plan::MISPLACED))),
        ("failing devices", Box::new(|| _ = faults::fail_each(&two, OperationKind::Flush))),
        (
            "views",
            Box::new(|| {
                (0..plan::VIEW_SEEDS)
                    .for_each(|seed| drop(views::run(seed, |shape| shape.limits.planted = Some(mistake))))
            }),
        ),
        (
            "random runs",
            Box::new(|| {
                (0..plan::SEEDS)
                    .for_each(|seed| drop(swarm::run(seed, 1, |shape| shape.limits.planted = Some(mistake))))
            }),
        ),
    ];
    parts.iter().find_map(|(part, run)| {
        let panic = catch_unwind(AssertUnwindSafe(run)).err()?;
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Some((*part, text.unwrap_or_default()))
    })
}
