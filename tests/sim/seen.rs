//! What a run must have met to be worth anything: the *sometimes*-assertions.

use std::collections::BTreeMap;
use std::fmt;

use blockdev::OperationKind;
use wire::RefusalCode;

/// Lists sights, together with the runs that must meet them.
macro_rules! sights {
    ($($(#[$doc:meta])* $list:ident: $($sight:ident),+;)+) => {
        /// Something interesting that must happen in a run at least once.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Sight {
            $($($sight,)+)+
        }

        impl Sight {
            $($(#[$doc])* pub(crate) const $list: &[Self] = &[$(Self::$sight),+];)+
        }
    };
}

sights! {
    /// What random runs of one target must meet.
    REPLICA:
        CrashInRedoAppend,
        CrashInRedoFlush,
        CrashInRedoGrowth,
        CrashInUndoAppend,
        CrashInUndoFlush,
        CrashInEpochCreation,
        CrashInTargetWrite,
        CrashInCheckpointFlush,
        CrashInHeadWrite,
        CrashInHeadFlush,
        CrashInIndexCreation,
        CrashInIndexWrite,
        CrashInExpiryAfterHead,
        CrashInRewindHead,
        CrashInRewindWrite,
        CrashInRewindFlush,
        CrashInSeedWrite,
        CrashInRecovery,
        CrashBetweenOperations,
        KilledThenPowerLost,
        TornGroupCutBack,
        TornGroupKeptInPart,
        UnackedGroupSurvived,
        ReplayFromTheMiddle,
        ReadBackFromRedo,
        RewindResumed,
        RewindRetargeted,
        FoundRewound,
        FoundCommitted,
        FoundSeeding,
        EpochExpired,
        RefusedOutOfWindow,
        RefusedDuplicate,
        RefusedGap,
        RefusedWhileClosed,
        VolumeFull,
        RoomMade,
        DeviceFailed,
        DeviceHung,
        DeviceSlow,
        WentOnBesideOneThatIsOut,
        ViewOpened,
        ViewWaitedForReplay,
        ViewRead,
        ViewReadInsideAStep,
        ViewOvertaken,
        ViewEndedForRoom,
        PointPinned,
        PinFoundAfterACrash,
        PinExpired,
        PinHeldHistory,
        PinMetTheWantOfRoom,
        PolicyChanged,
        PausedForWantOfRoom,
        EpochThinned,
        ShrunkForWantOfRoom,
        ResyncUnderWay,
        ResyncHeldHistory,
        TwoMachinesInOneRound,
        AppliedInsideACommit,
        CommittedInsideAStep;
    /// What random runs of whole installations must meet besides.
    FLEET:
        ResumedExactly,
        ResumedBehindTheTarget,
        ResumedWithNothing,
        ComparedByHashes,
        SeedResumed,
        QuietPoint,
        FuzzyPoint,
        WaitedForCredit,
        SourceGaveUpSilence,
        TargetGaveUpSilence,
        SourceFromSnapshot,
        SourceLostItsTable,
        ConversationHeldBack,
        RefusedBusy,
        RefusedFenced,
        RefusedRewound,
        RefusedOut,
        FrameTwice,
        CutInsideASession,
        HalfOpen,
        ClockSetForward,
        ClockSetBack,
        RefinedByGranules,
        ResyncBegan,
        AskedToSendAgain,
        TargetRotted,
        RotRepaired,
        Reprotected,
        ReprotectedOnOriginals,
        GhostRefused;
    /// What is too rare to be demanded of the few runs of a test.
    RARE:
        RefusedFull,
        RefusedOverCredit;
}

/// How often each was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sights(BTreeMap<Sight, u64>);

impl Sights {
    pub(crate) fn add(&mut self, sight: Sight) {
        *self.0.entry(sight).or_default() += 1;
    }

    /// Notes why a source was refused.
    pub(crate) fn refused(&mut self, code: RefusalCode) {
        match code {
            RefusalCode::Busy => self.add(Sight::RefusedBusy),
            RefusalCode::Fenced => self.add(Sight::RefusedFenced),
            RefusalCode::Rewound => self.add(Sight::RefusedRewound),
            RefusalCode::DeviceFailed | RefusalCode::Damaged => self.add(Sight::RefusedOut),
            RefusalCode::Full => self.add(Sight::RefusedFull),
            _ => {}
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(sight, count)| *self.0.entry(*sight).or_default() += count);
    }

    pub(crate) fn count(&self, sight: Sight) -> u64 {
        self.0.get(&sight).copied().unwrap_or(0)
    }

    /// Returns what of `wanted` was never met.
    pub(crate) fn missing(&self, wanted: &[Sight]) -> Vec<Sight> {
        wanted.iter().copied().filter(|sight| self.count(*sight) == 0).collect()
    }
}

impl fmt::Display for Sights {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(sight, count)| write!(out, "\n  {count:>9} × {sight:?}"))
    }
}

/// A part of the world, by the name of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Redo,
    Undo,
    Index,
    Head,
    Directory,
    Target,
}

/// What was under way on a part when the world stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    Io(OperationKindOrd),
    Create,
    Remove,
}

/// [`OperationKind`] with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OperationKindOrd {
    Write,
    Flush,
    Grow,
    Other,
}

impl From<OperationKind> for Act {
    fn from(kind: OperationKind) -> Self {
        Self::Io(match kind {
            OperationKind::Write | OperationKind::WriteZeroes => OperationKindOrd::Write,
            OperationKind::Flush => OperationKindOrd::Flush,
            OperationKind::Grow => OperationKindOrd::Grow,
            _ => OperationKindOrd::Other,
        })
    }
}

impl Part {
    /// Tells which part a file or disk is.
    pub(crate) fn of(name: &str) -> Self {
        match name.rsplit('/').next() {
            Some("redo") => Self::Redo,
            Some("undo") => Self::Undo,
            Some("index") => Self::Index,
            Some("head") => Self::Head,
            Some(last) if last.starts_with("epoch-") => Self::Directory,
            _ => Self::Target,
        }
    }
}

/// Returns what a cut through `act` on `part` is, while the disks are being `seeded` or `rewound` or neither.
pub(crate) fn sight_of(act: Act, part: Part, seeding: bool, rewinding: bool) -> Option<Sight> {
    use OperationKindOrd::{Flush, Grow, Write};
    Some(match (act, part) {
        (Act::Io(Write), Part::Redo) => Sight::CrashInRedoAppend,
        (Act::Io(Flush), Part::Redo) => Sight::CrashInRedoFlush,
        (Act::Io(Grow), Part::Redo) => Sight::CrashInRedoGrowth,
        (Act::Io(Write), Part::Undo) => Sight::CrashInUndoAppend,
        (Act::Io(Flush), Part::Undo) => Sight::CrashInUndoFlush,
        (Act::Create, Part::Redo | Part::Undo) => Sight::CrashInEpochCreation,
        (Act::Create, Part::Index) => Sight::CrashInIndexCreation,
        (Act::Io(Write), Part::Index) => Sight::CrashInIndexWrite,
        (Act::Remove, Part::Redo | Part::Undo | Part::Directory) => Sight::CrashInExpiryAfterHead,
        (Act::Io(Write), Part::Target) if rewinding => Sight::CrashInRewindWrite,
        (Act::Io(Flush), Part::Target) if rewinding => Sight::CrashInRewindFlush,
        (Act::Io(Write), Part::Target) if seeding => Sight::CrashInSeedWrite,
        (Act::Io(Write), Part::Target) => Sight::CrashInTargetWrite,
        (Act::Io(Flush), Part::Target) => Sight::CrashInCheckpointFlush,
        (Act::Io(Write | Flush), Part::Head) if rewinding => Sight::CrashInRewindHead,
        (Act::Io(Write), Part::Head) => Sight::CrashInHeadWrite,
        (Act::Io(Flush), Part::Head) => Sight::CrashInHeadFlush,
        _ => return None,
    })
}
