//! Mistakes made on purpose: each must be caught, within what every run of the tests does anyway.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use blockdev::OperationKind;
use target::replica::Planted;

use super::explore::{Effort, Shard, Start, explore};
use super::rig::Shape;
use super::{bounded, faults, fleet, hotplug, plan, rot, shapes, swarm, views};

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// In the target.
    Of(Planted),
    /// In how target disks are opened: one that is not there is made.
    DiskMade,
    /// In what follows when a device hangs: the machine is opened anew at once, while the operation is still under way.
    HangRetried,
}

/// Every mistake that can be planted, with what one of must begin the message of the check that finds it: the invariant, or
/// an assertion of the product's own.
pub(crate) const ALL: [(Mistake, &[&str]); 26] = [
    (Mistake::Of(Planted::AckBeforeFlush), &["I1:"]),
    (Mistake::Of(Planted::NoBeforeImage), &["I2:", "I3:", "containment:"]),
    (Mistake::Of(Planted::UndoNotFlushed), &["I2:", "I3:"]),
    (Mistake::Of(Planted::DamageIsTail), &["I5:"]),
    (Mistake::Of(Planted::PlaceUnchecked), &["I4:"]),
    (Mistake::Of(Planted::FlushRetried), &["I12:", "I1:"]),
    (Mistake::Of(Planted::RemovedBeforeHead), &["I1:"]),
    (Mistake::Of(Planted::OldestWins), &["I2:", "I3:"]),
    (Mistake::Of(Planted::TornGroupKept), &["I2:", "groups start at blocks"]),
    (Mistake::Of(Planted::RewindUnrecorded), &["I2:"]),
    (Mistake::Of(Planted::CheckpointUnflushed), &["I2:"]),
    (Mistake::Of(Planted::ViewsToldLate), &["I4:"]),
    (Mistake::Of(Planted::AckOfReceived), &["I1:"]),
    (Mistake::Of(Planted::AckOfAnother), &["I1:"]),
    (Mistake::Of(Planted::DuplicateTaken), &["I7:"]),
    (Mistake::Of(Planted::GenerationUnchecked), &["I11:"]),
    (Mistake::Of(Planted::CreditUnchecked), &["I8:"]),
    (Mistake::Of(Planted::ResumeUnsettled), &["I7:"]),
    (Mistake::Of(Planted::SeedUnsettled), &["I1:", "I3:"]),
    (Mistake::Of(Planted::CheckpointNever), &["I9:"]),
    (Mistake::Of(Planted::PointsByClock), &["I2:"]),
    (Mistake::Of(Planted::CaptureUntold), &["I4:"]),
    (Mistake::Of(Planted::PinUnheld), &["I3:", "what is pinned stays"]),
    (Mistake::Of(Planted::ThinnedUnsaved), &["I2:", "I3:"]),
    (Mistake::DiskMade, &["I6:"]),
    (Mistake::HangRetried, &["I1:", "I2:", "I3:", "I12:"]),
];

impl Mistake {
    fn plant(self, shape: &mut Shape) {
        match self {
            Self::Of(planted) => shape.limits.planted = Some(planted),
            Self::DiskMade => shape.creates_disks = true,
            Self::HangRetried => shape.retries_hangs = true,
        }
    }

    /// Returns the part of the tests that is to find it, unless any may.
    fn part(self) -> Option<&'static str> {
        use Planted::{
            AckOfAnother, AckOfReceived, CaptureUntold, CheckpointNever, CreditUnchecked, DamageIsTail,
            FlushRetried, GenerationUnchecked, PinUnheld, PlaceUnchecked, PointsByClock, ResumeUnsettled,
            SeedUnsettled, ThinnedUnsaved, ViewsToldLate,
        };
        match self {
            Self::DiskMade => Some("vanishing disks"),
            Self::HangRetried => Some("random runs"),
            Self::Of(ViewsToldLate) => Some("views"),
            Self::Of(CheckpointNever) => Some("long runs"),
            Self::Of(CaptureUntold | PinUnheld | ThinnedUnsaved) => Some("random runs"),
            Self::Of(DamageIsTail) => Some("flipped bits"),
            Self::Of(PlaceUnchecked) => Some("misplaced blocks"),
            Self::Of(FlushRetried) => Some("failing devices"),
            Self::Of(
                AckOfAnother | AckOfReceived | CreditUnchecked | GenerationUnchecked | PointsByClock
                | ResumeUnsettled | SeedUnsettled,
            ) => Some("installations"),
            Self::Of(_) => None,
        }
    }
}

fn with(mistake: Mistake, mut shape: Shape) -> Shape {
    mistake.plant(&mut shape);
    shape
}

/// A part of the tests, by name.
type Part<'a> = (&'static str, Box<dyn Fn() + 'a>);

/// What a panic said.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Runs installations until a check that is `wanted` fails; if none does, the first other one that did fails.
fn run_installations(adjust: impl Fn(&mut Shape), wanted: &[&str]) {
    let mut other = None;
    for seed in 0..plan::PLANTED_FLEETS {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| fleet::run(seed, 1, &adjust))) else { continue };
        if wanted.iter().any(|check| text_of(&*panic).contains(check)) {
            resume_unwind(panic);
        }
        other.get_or_insert(panic);
    }
    if let Some(panic) = other {
        resume_unwind(panic);
    }
}

/// Runs one part of the tests after the other with a mistake planted, which a check that is `wanted` is to find. Returns which part
/// failed, and the check that did.
pub(crate) fn caught_by(mistake: Mistake, wanted: &[&str]) -> Option<(&'static str, String)> {
    let shape = with(mistake, shapes::tiny());
    let effort = Effort { length: 2, thin: 1, ..plan::EFFORT };
    let whole = Shard { number: 0, of: 1 };
    let two = with(mistake, shapes::two());
    let adjust = |shape: &mut Shape| mistake.plant(shape);
    let lasting = with(mistake, shapes::lasting());
    let parts: [Part<'_>; 9] = [
        (
            "exhaustive",
            Box::new(|| drop(explore(&Start::new(1, &shape, &plan::PREFIX), &plan::ALPHABET, effort, whole))),
        ),
        ("flipped bits", Box::new(|| _ = rot::flip_each(&shape, plan::FLIP_STRIDE))),
        ("misplaced blocks", Box::new(|| _ = rot::misplace_blocks(&shape, plan::MISPLACED))),
        ("failing devices", Box::new(|| _ = faults::fail_each(&two, OperationKind::Flush))),
        ("vanishing disks", Box::new(|| hotplug::pull_out(&two))),
        ("views", Box::new(|| (0..plan::VIEW_SEEDS).for_each(|seed| _ = views::run(seed, adjust)))),
        ("long runs", Box::new(|| _ = bounded::crash_long_runs(&lasting, plan::LONG_RUNS))),
        ("random runs", Box::new(|| (0..plan::SEEDS).for_each(|seed| drop(swarm::run(seed, 1, adjust))))),
        ("installations", Box::new(|| run_installations(adjust, wanted))),
    ];
    let mine = parts.iter().filter(|(part, _)| mistake.part().is_none_or(|only| only == *part));
    mine.into_iter().find_map(|(part, run)| {
        let panic = catch_unwind(AssertUnwindSafe(run)).err()?;
        Some((*part, text_of(&*panic)))
    })
}
