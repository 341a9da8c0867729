//! What a welcome means for the leaf table: pure rules, tried one by one below.

use units::{ByteOffset, Generation, Sequence};
use wire::{Phase, Welcome};

/// How far the source's own knowledge reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The generation of the leaf table; 0 if there is none.
    pub(crate) generation: Generation,
    /// The sequence the leaf table stands for once everything sent and not acked is forgotten.
    pub(crate) acked: Sequence,
}

/// What has to be done to the leaf table before it speaks for the target at the welcome's durable sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Footing {
    /// Nothing: it does.
    Exact,
    /// Forget what the target says was written after this sequence.
    ChangedSince(Sequence),
    /// Forget everything: it is of another generation, or there is none.
    Nothing,
    /// The target has less than it acked; only the operator can decide to resync.
    LostHistory,
}

/// Tells what the table is worth after this welcome.
pub(crate) fn footing(standing: Standing, welcome: &Welcome) -> Footing {
    if standing.generation != welcome.generation {
        return Footing::Nothing;
    }
    match standing.acked.cmp(&welcome.durable) {
        std::cmp::Ordering::Equal => Footing::Exact,
        std::cmp::Ordering::Less => Footing::ChangedSince(standing.acked),
        std::cmp::Ordering::Greater => Footing::LostHistory,
    }
}

/// What is left to seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedPlan {
    /// By disk: where to go on.
    pub from: Vec<ByteOffset>,
    /// Whether leaves of zeroes can be left out.
    pub zeroes_skipped: bool,
}

/// Tells what to seed after this welcome, if anything. Zeroes are left out only if the disks were blank and nothing was ever
/// sent to them: an earlier try may have put data, past the watermark, where there are zeroes now.
pub fn seed_plan(welcome: &Welcome, tried_before: bool) -> Option<SeedPlan> {
    let Phase::Seeding { through, blank } = &welcome.phase else { return None };
    let untouched = !tried_before && through.iter().all(|through| through.0 == 0);
    Some(SeedPlan { from: through.to_vec(), zeroes_skipped: *blank && untouched })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn welcome(generation: u64, durable: u64, phase: Phase) -> Welcome {
        let (generation, durable) = (Generation(generation), Sequence(durable));
        Welcome { generation, phase, durable, credit: 1 << 20, software: Default::default() }
    }

    fn protected(generation: u64, durable: u64) -> Welcome {
        welcome(generation, durable, Phase::Protected { last_marker: Sequence(0) })
    }

    fn seeding(through: [u64; 2], blank: bool) -> Welcome {
        let through = through.into_iter().map(ByteOffset).collect();
        welcome(1, 0, Phase::Seeding { through, blank })
    }

    #[test]
    fn the_table_is_trusted_only_for_the_sequence_it_stands_for() {
        let standing = Standing { generation: Generation(2), acked: Sequence(10) };
        assert_eq!(footing(standing, &protected(2, 10)), Footing::Exact);
        assert_eq!(footing(standing, &protected(2, 17)), Footing::ChangedSince(Sequence(10)));
        assert_eq!(footing(standing, &protected(3, 10)), Footing::Nothing);
        assert_eq!(footing(standing, &protected(2, 9)), Footing::LostHistory);
    }

    #[test]
    fn zeroes_are_skipped_only_on_disks_nobody_wrote_to() {
        let skipped =
            |through, blank, tried| seed_plan(&seeding(through, blank), tried).unwrap().zeroes_skipped;
        assert!(skipped([0, 0], true, false));
        assert!(!skipped([0, 0], false, false));
        assert!(!skipped([0, 0], true, true));
        assert!(!skipped([0, 1 << 20], true, false));
        assert_eq!(seed_plan(&protected(1, 5), false), None);
    }
}
