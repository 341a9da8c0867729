//! Times: whatever is written is read again, whatever is read is lawful, and nothing panics.

use landfall_units::Timestamp;
use proptest::prelude::*;

/// The last moment of the year 9999, the last that RFC 3339 can write.
const LAST: u64 = 253_402_300_799_999_999;

fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_again(micros in 0..=LAST, whole in any::<bool>()) {
        let time = Timestamp(if whole { micros / 1_000_000 * 1_000_000 } else { micros });
        prop_assert_eq!(parse(&time.to_string()), Some(time));
    }

    #[test]
    fn the_order_of_texts_is_the_order_of_times(a in 0..=LAST, b in 0..=LAST) {
        let text = |micros: u64| Timestamp(micros / 1_000_000 * 1_000_000).to_string();
        prop_assert_eq!(text(a).cmp(&text(b)), (a / 1_000_000).cmp(&(b / 1_000_000)));
    }

    #[test]
    fn an_offset_is_taken_off(micros in 90_000_000_000..=LAST - 90_000_000_000, hours in 0..24u64, minutes in 0..60u64) {
        let utc = Timestamp(micros).to_string();
        let local = utc.trim_end_matches('Z');
        let offset = (hours * 60 + minutes) * 60_000_000;
        prop_assert_eq!(parse(&format!("{local}+{hours:02}:{minutes:02}")), Some(Timestamp(micros - offset)));
        prop_assert_eq!(parse(&format!("{local}-{hours:02}:{minutes:02}")), Some(Timestamp(micros + offset)));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        parse(&text);
    }

    #[test]
    fn what_looks_like_a_time_is_a_day_of_the_calendar_or_refused(
        year in 0..=9999u64, month in 0..=13u64, day in 0..=32u64, hour in 0..=25u64, second in 0..=61u64,
        zone in prop_oneof![Just("Z"), Just("+00:00"), Just("-23:59"), Just("+23:59"), Just("+24:00"), Just("")],
    ) {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let day_exists = (1..=12).contains(&month) && (1..=days[(month.max(1) - 1) as usize % 12]).contains(&day);
        let lawful = year >= 1970 && day_exists && hour < 24 && second < 60;
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:30:{second:02}{zone}");
        let read = parse(&text);
        match zone {
            "Z" | "+00:00" => prop_assert_eq!(read.is_some(), lawful, "{}", text),
            "" | "+24:00" => prop_assert_eq!(read, None),
            _ => prop_assert!(lawful || read.is_none(), "{}", text),
        }
        if let Some(time) = read {
            prop_assert_eq!(parse(&time.to_string()), Some(time), "{}", text);
        }
    }
}

#[test]
fn times_beyond_the_calendar_are_written_and_never_panic() {
    assert_eq!(Timestamp(LAST).to_string(), "9999-12-31T23:59:59.999999Z");
    assert_eq!(Timestamp(LAST + 1).to_string(), "10000-01-01T00:00:00Z");
    assert!(!Timestamp(u64::MAX).to_string().is_empty());
    assert_eq!(parse("9999-12-31T23:59:59-00:01"), None, "an offset does not lead beyond it");
    assert_eq!(parse("9999-12-31T23:58:59-00:01"), Some(Timestamp(LAST - 999_999)));
}
