//! What scrubbing keeps: its bytes, and what is refused.

use retention::{
    DecodeError, LeafPage, LeafTable, PAGE_LEN, ScrubAt, ScrubPass, ScrubRecord, SmallFile as _,
};
use units::{DiskIndex, EpochNumber, Hash, LeafIndex, Sequence, Timestamp};

use crate::specimen::{GENERATION, MACHINE, TIME, assert_golden, each_bit_flip, unhex};

fn page() -> LeafPage {
    let (disk, first, hashes) = (DiskIndex(2), LeafIndex(2048), vec![Hash([1; 32]), Hash([0xfe; 32])]);
    LeafPage { machine: MACHINE, generation: GENERATION, sequence: Sequence(812), disk, first, hashes }
}

fn record() -> ScrubRecord {
    let last = ScrubPass {
        started: TIME,
        until: Timestamp(TIME.0 + 90_000_000),
        done: 5 << 30,
        total: 5 << 30,
        found: 3,
        proved: true,
    };
    let begun = ScrubPass { started: last.until, until: last.until, ..ScrubPass::default() };
    let table = LeafTable { file: 1, generation: GENERATION, sequence: Sequence(812) };
    ScrubRecord {
        revision: 9,
        machine: MACHINE,
        begun: Some(begun),
        last: Some(last),
        leaves: Some(table),
        paused: true,
        at: Some(ScrubAt {
            generation: GENERATION,
            epoch: EpochNumber(17),
            table: Some(LeafTable { file: 0, sequence: Sequence(900), ..table }),
            pages: 300,
        }),
    }
}

#[test]
fn pages_and_records_have_the_bytes_of_the_format_and_survive_being_written() {
    let bytes = page().encode();
    assert_golden("leaf-page", &bytes, include_str!("golden/leaf-page.hex"));
    let mut padded = bytes;
    padded.resize(PAGE_LEN, 0xee);
    assert_eq!(LeafPage::decode(&padded), Ok(page()));
    let bytes = record().encode();
    assert_golden("scrub-record", &bytes, include_str!("golden/scrub-record.hex"));
    assert_eq!(ScrubRecord::decode(&bytes), Ok(record()));
}

#[test]
fn a_record_of_the_first_version_is_one_whose_pass_begins_anew() {
    let older = unhex(include_str!("golden/scrub-record-1.hex"));
    assert_eq!(ScrubRecord::decode(&older), Ok(ScrubRecord { at: None, ..record() }));
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused() {
    let (page, record) = (page().encode(), record().encode());
    each_bit_flip(&page, 0..page.len(), |at, flipped| {
        assert!(LeafPage::decode(flipped).is_err(), "byte {at} of a page");
    });
    each_bit_flip(&record, 0..record.len(), |at, flipped| {
        assert!(ScrubRecord::decode(flipped).is_err(), "byte {at} of a record");
    });
    (0..page.len()).for_each(|len| assert!(LeafPage::decode(&page[..len]).is_err(), "page cut at {len}"));
    (0..record.len()).for_each(|len| assert!(ScrubRecord::decode(&record[..len]).is_err(), "cut at {len}"));
}

#[test]
fn a_page_without_leaves_is_refused() {
    let none = LeafPage { hashes: Vec::new(), ..page() };
    assert!(matches!(LeafPage::decode(&none.encode()), Err(DecodeError::Bounds { .. })));
}
