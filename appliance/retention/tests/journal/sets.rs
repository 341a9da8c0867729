//! Sets of granules and timelines at their edges.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use retention::{GranuleSet, Point, Timeline};
use units::{ByteLen, ByteOffset, DiskIndex, Sequence, Timestamp};
use wire::{Consistency, Span};

fn span(disk: u16, start: u64, len: u64) -> Span {
    Span { disk: DiskIndex(disk), start: ByteOffset(start), len: ByteLen(len) }
}

fn any_span() -> impl Strategy<Value = Span> {
    (0..2u16, 0..40u64, 1..90_000u64).prop_map(|(disk, granule, len)| span(disk, granule * 4096, len))
}

fn granules(span: &Span) -> impl Iterator<Item = (u16, u64)> + use<> {
    let (disk, first, len) = (span.disk.0, span.start.0 / 4096, span.len.0);
    (first..first + len.div_ceil(4096)).map(move |granule| (disk, granule))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_granule_set_is_the_set_of_its_granules(
        steps in vec((any_span(), any::<bool>()), 0..20), asked in any_span(),
    ) {
        let (mut set, mut model) = (GranuleSet::new(2), BTreeSet::new());
        for (span, insert) in &steps {
            if *insert {
                set.insert(span);
                model.extend(granules(span));
            } else {
                set.remove(span);
                model.retain(|granule| !granules(span).any(|removed| removed == *granule));
            }
        }
        prop_assert_eq!(set.granules(), model.len() as u64);
        let first = model.first().map(|&(disk, granule)| (DiskIndex(disk), ByteOffset(granule * 4096)));
        prop_assert_eq!(set.first_not_in(&GranuleSet::new(2)), first);
        prop_assert_eq!(set.first_not_in(&set.clone()), None);
        let (present, missing) = (set.present(&asked), set.missing(&asked));
        for (parts, wanted) in [(&present, true), (&missing, false)] {
            let found: Vec<_> = parts.iter().flat_map(granules).collect();
            let expected: Vec<_> = granules(&asked).filter(|granule| model.contains(granule) == wanted).collect();
            prop_assert_eq!(found, expected);
            let gaps = parts.windows(2).all(|pair| pair[0].start.0 + pair[0].len.0 < pair[1].start.0);
            prop_assert!(gaps, "neighbours are joined: {:?}", parts);
        }
        let mut parts = [present, missing].concat();
        parts.sort_by_key(|part| part.start);
        let mut at = asked.start.0;
        for part in parts {
            prop_assert_eq!((part.disk, part.start.0), (asked.disk, at));
            at += part.len.0;
        }
        prop_assert_eq!(at, asked.start.0 + asked.len.0, "the parts make up the span to its last byte");
    }
}

#[test]
fn a_set_holds_granules_beyond_16_tib() {
    let mut set = GranuleSet::new(1);
    let far = span(0, 1 << 62, 8192);
    set.insert(&far);
    set.insert(&span(0, (1 << 44) - 4096, 8192));
    assert_eq!(set.granules(), 4);
    assert_eq!(set.present(&far), [far]);
    assert_eq!(set.missing(&span(0, 1 << 44, 8192)), [span(0, (1 << 44) + 4096, 4096)]);
}

#[test]
fn parts_of_a_terabyte_are_found_without_walking_it() {
    let mut set = GranuleSet::new(1);
    let tebibyte = 1 << 40;
    set.insert(&span(0, 5 * 4096, 4096));
    set.insert(&span(0, tebibyte / 2, 8192));
    let begun = std::time::Instant::now();
    for _ in 0..20 {
        assert_eq!(
            set.present(&span(0, 0, tebibyte)),
            [span(0, 5 * 4096, 4096), span(0, tebibyte / 2, 8192)]
        );
        assert_eq!(set.missing(&span(0, 0, tebibyte)).len(), 3);
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "took {:?}", begun.elapsed());
}

fn point(sequence: u64, time: u64, consistency: Consistency) -> Point {
    let (sequence, time) = (Sequence(sequence), Timestamp(time));
    Point { sequence, time, consistency, label: String::new(), roots: Vec::new(), group: None }
}

proptest! {
    #[test]
    fn a_timeline_never_goes_back_whatever_the_clock_does(
        times in vec((0..50u64, 0..3u8), 0..20), expired in 0..25u64, asked in 0..60u64, floor in 0..3u8,
    ) {
        let consistency =
            |kind| [Consistency::Fuzzy, Consistency::Crash, Consistency::Application][usize::from(kind)];
        let mut timeline = Timeline::default();
        for (number, (time, kind)) in times.iter().enumerate() {
            timeline.push(point(number as u64 + 1, *time, consistency(*kind)));
        }
        timeline.expire(Sequence(expired));
        let points: Vec<Point> = timeline.points().cloned().collect();
        prop_assert!(points.windows(2).all(|pair| pair[0].time <= pair[1].time));
        prop_assert_eq!(points.len(), times.len().saturating_sub(expired.saturating_sub(1) as usize));
        prop_assert!(points.iter().all(|point| timeline.get(point.sequence) == Some(point)));
        prop_assert_eq!(timeline.get(Sequence(0)), None);
        let floor = consistency(floor);
        let good = |point: &&Point| point.consistency >= floor;
        prop_assert_eq!(timeline.latest(floor), points.iter().rfind(good));
        let early = |point: &&Point| good(point) && point.time <= Timestamp(asked);
        prop_assert_eq!(timeline.at(Timestamp(asked), floor), points.iter().rfind(early));
    }
}
