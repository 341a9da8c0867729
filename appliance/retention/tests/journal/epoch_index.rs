//! The index file of an epoch.

use retention::{DecodeError, EpochIndex, Log, SmallFile as _};
use units::{ByteLen, ByteOffset, DiskIndex, Hash, Sequence};

use crate::specimen::{EPOCH, GENERATION, MACHINE, assert_golden, each_bit_flip, index, unhex};

#[test]
fn an_index_has_the_bytes_of_the_format_and_survives_being_written() {
    let bytes = index().encode();
    assert_golden("index", &bytes, include_str!("golden/index.hex"));
    assert_eq!(EpochIndex::decode(&bytes), Ok(index()));
    let padded = [bytes.as_slice(), &[0; 100]].concat();
    assert_eq!(EpochIndex::decode(&padded), Ok(index()));
}

#[test]
fn indexes_of_earlier_versions_have_no_groups_and_the_first_no_moments() {
    let read = |golden| EpochIndex::decode(&unhex(golden)).expect("an earlier version is read");
    let second = read(include_str!("golden/index-2.hex"));
    // The records it was made from were of that version too: they are chained otherwise.
    let mut older = EpochIndex { last_checksum: second.last_checksum, redo_len: second.redo_len, ..index() };
    older.points.iter_mut().for_each(|point| point.group = None);
    assert_eq!(second, older);
    older.moments.clear();
    assert_eq!(read(include_str!("golden/index-1.hex")), older);
}

#[test]
fn a_thinned_index_knows_its_before_images_and_its_last_point() {
    let mut thinned = index();
    assert!(!thinned.is_thinned());
    thinned.thin();
    assert!(thinned.is_thinned() && thinned.entries.iter().all(|entry| entry.log == Log::Undo));
    assert_eq!((thinned.entries.len(), thinned.points.len(), thinned.moments.len()), (3, 1, 1));
    assert_eq!(EpochIndex::decode(&thinned.encode()), Ok(thinned));
}

#[test]
fn every_flipped_bit_of_an_index_is_refused() {
    let mut bytes = index().encode();
    let len = bytes.len();
    bytes.resize(4096, 0);
    each_bit_flip(&bytes, 0..len, |at, flipped| match (at, EpochIndex::decode(flipped)) {
        (0..4, Err(DecodeError::Magic { .. }))
        | (4..6, Err(DecodeError::Version { .. } | DecodeError::Checksum { .. }))
        | (6..8, Err(DecodeError::Reserved))
        | (8..16, Err(DecodeError::Short { .. }))
        | (8.., Err(DecodeError::Checksum { part: "file" })) => {}
        (_, other) => panic!("byte {at}: {other:?}"),
    });
}

#[test]
fn every_truncation_of_an_index_is_refused() {
    let bytes = index().encode();
    for len in 0..bytes.len() {
        let refused = EpochIndex::decode(&bytes[..len]);
        assert!(
            matches!(refused, Err(DecodeError::Short { found, .. }) if found == len),
            "{len}: {refused:?}"
        );
    }
}

#[test]
fn a_head_is_no_index() {
    let head = crate::specimen::heads()[0].encode();
    assert!(matches!(
        EpochIndex::decode(&head),
        Err(DecodeError::Magic { found: [b'L', b'F', b'H', b'D'], .. })
    ));
}

#[test]
fn an_index_tells_where_each_payload_is() {
    let index = index();
    assert_eq!((index.first, index.last), (Sequence(41), Sequence(42)));
    assert_eq!(index.points.len(), 1);
    assert_ne!(index.last_checksum, Hash::default());
    let places: Vec<_> = index
        .entries
        .iter()
        .map(|entry| (entry.extent.disk.0, entry.log, entry.sequence.0, entry.payload_at.0))
        .collect();
    let redo = places.iter().find(|place| place.1 == Log::Redo && place.0 == 0).unwrap().3;
    let undo = places.iter().find(|place| place.1 == Log::Undo && place.0 == 0).unwrap().3;
    let expected: Vec<_> = [(0, 0), (1, 512), (2, 612)]
        .into_iter()
        .flat_map(|(disk, skip)| [(disk, Log::Redo, 41, redo + skip), (disk, Log::Undo, 41, undo + skip)])
        .collect();
    assert_eq!(places, expected);
}

#[test]
fn an_epoch_without_records_ends_before_it_begins() {
    let empty = EpochIndex::empty(MACHINE, GENERATION, EPOCH, Sequence(9));
    assert_eq!((empty.first, empty.last, empty.redo_len), (Sequence(9), Sequence(8), ByteOffset(0)));
    assert_eq!(EpochIndex::decode(&empty.encode()), Ok(empty));
}

#[test]
fn what_no_plan_could_work_with_is_refused_even_under_a_right_checksum() {
    let refusal = |change: &dyn Fn(&mut EpochIndex)| {
        let mut index = index();
        change(&mut index);
        match EpochIndex::decode(&index.encode()) {
            Err(DecodeError::Bounds { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refusal(&|index| index.first = Sequence(0)), "first sequence");
    assert_eq!(refusal(&|index| index.last = Sequence(39)), "last sequence");
    assert_eq!(refusal(&|index| index.last = Sequence(u64::MAX)), "last sequence");
    assert_eq!(refusal(&|index| index.entries[0].extent.start = ByteOffset(512)), "start of an extent");
    assert_eq!(refusal(&|index| index.entries[0].extent.len = ByteLen(0)), "length of an extent");
    assert_eq!(refusal(&|index| index.entries[4].extent.len = ByteLen(u64::MAX)), "length of an extent");
    assert_eq!(refusal(&|index| index.entries[4].extent.len = ByteLen(1 << 63)), "length of an extent");
    assert_eq!(refusal(&|index| index.entries[0].extent.disk = DiskIndex(256)), "disk of an extent");
    assert_eq!(refusal(&|index| index.entries[0].extent.len = ByteLen(2 << 20)), "payload of an extent");
    assert_eq!(refusal(&|index| index.entries[0].payload_at = index.redo_len), "position of a payload");
    assert_eq!(refusal(&|index| index.entries[1].payload_at = ByteOffset(u64::MAX)), "position of a payload");
    assert_eq!(refusal(&|index| index.entries[0].sequence = Sequence(43)), "sequence of an entry");
}
