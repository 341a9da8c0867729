//! Every rule of every message is broken once, and refused with the right code.

mod samples;

use samples::{disks, extents, samples};
use units::{ByteLen, ByteOffset, DiskIndex, Hash, LeafIndex, Sequence};
use wire::{
    CheckError, DiskShape, Encoding, Extent, HASHES_MAX, HashQuery, Message, RefusalCode, SeedSync,
    check_extents, check_message, extent_payloads, verify_payload,
};

fn raw(start: u64, len: u64) -> Extent {
    let encoding = Encoding::Raw { hash: Hash([1; 32]) };
    Extent { disk: DiskIndex(0), start: ByteOffset(start), len: ByteLen(len), encoding }
}

fn zero(start: u64, len: u64) -> Extent {
    Extent { encoding: Encoding::Zero, ..raw(start, len) }
}

fn zstd(start: u64, len: u64, encoded_len: u32) -> Extent {
    Extent { encoding: Encoding::Zstd { encoded_len, hash: Hash([2; 32]) }, ..raw(start, len) }
}

/// Checks against one disk of 1 MiB + 512 bytes, with exactly the payload the extents ask for.
fn check(extents: &[Extent]) -> Result<(), CheckError> {
    let payload_len = extents.iter().fold(0, |sum: u64, extent| sum.saturating_add(extent.payload_len()));
    check_extents(
        extents,
        &[DiskShape { len: ByteLen((1 << 20) + 512) }],
        payload_len.try_into().expect("64 bits"),
    )
}

#[test]
fn lawful_extents_pass() {
    let whole_leaf = raw(65536, 65536);
    let short_end = raw(1 << 20, 512);
    assert_eq!(check(&[zero(0, 65536), whole_leaf, zstd(131_072, 8192, 8191), short_end]), Ok(()));
    assert_eq!(check(&[zero(0, (1 << 20) + 512)]), Ok(()));
    assert_eq!(check(&[zstd(1 << 20, 512, 1)]), Ok(()));
}

#[test]
fn unlawful_extents_are_refused_by_name() {
    use CheckError as E;
    assert!(matches!(check(&[]), Err(E::NoExtents)));
    assert!(matches!(check(&[raw(0, 0)]), Err(E::EmptyExtent { extent: 0 })));
    assert!(matches!(check(&[raw(512, 4096)]), Err(E::Unaligned { .. })));
    assert!(matches!(check(&[raw(0, 512)]), Err(E::Unaligned { .. })));
    assert!(matches!(check(&[zero(0, 4097)]), Err(E::Unaligned { .. })));
    assert!(matches!(check(&[raw(1 << 20, 4096)]), Err(E::PastEnd { .. })));
    assert!(matches!(check(&[zero(u64::MAX - 4095, 4096)]), Err(E::PastEnd { .. })));
    assert!(matches!(check(&[zero(0, u64::MAX)]), Err(E::PastEnd { .. })));
    assert!(matches!(check(&[raw(61_440, 8192)]), Err(E::CrossesLeaf { .. })));
    assert!(matches!(check(&[raw(0, 131_072)]), Err(E::CrossesLeaf { .. })));
    assert!(matches!(check(&[zstd(61_440, 8192, 100)]), Err(E::CrossesLeaf { .. })));
    assert!(matches!(check(&[zstd(0, 4096, 0)]), Err(E::EncodedLen { .. })));
    assert!(matches!(check(&[zstd(0, 4096, 4096)]), Err(E::EncodedLen { .. })));
    assert!(matches!(check(&[raw(0, 8192), raw(4096, 4096)]), Err(E::Disorder { extent: 1 })));
    assert!(matches!(check(&[raw(8192, 4096), raw(0, 4096)]), Err(E::Disorder { extent: 1 })));
    assert!(matches!(check(&[raw(0, 4096), raw(0, 4096)]), Err(E::Disorder { extent: 1 })));
    let elsewhere = Extent { disk: DiskIndex(1), ..raw(0, 4096) };
    assert!(matches!(check(&[elsewhere]), Err(E::UnknownDisk { item: 0, disk: DiskIndex(1), disks: 1 })));
}

#[test]
fn disks_out_of_order_are_refused() {
    let mut swapped = extents();
    swapped.swap(0, 2);
    assert!(matches!(check_extents(&swapped, &disks(), 4173), Err(CheckError::Disorder { extent: 1 })));
}

#[test]
fn the_payload_is_exactly_what_the_extents_account_for() {
    for (len, lawful) in [(4172, false), (4173, true), (4174, false), (0, false)] {
        assert_eq!(check_extents(&extents(), &disks(), len).is_ok(), lawful, "{len}");
    }
    let error = check_extents(&extents(), &disks(), 0).expect_err("no payload came");
    assert_eq!(error.refusal_code(), RefusalCode::BadPayload);
}

#[test]
fn a_payload_is_cut_at_its_extents_and_every_part_is_verified() {
    let payload = (0..4096 + 77).map(|at| (at % 251) as u8).collect::<Vec<u8>>();
    let (first, second) = payload.split_at(4096);
    let mut extents = extents();
    extents[0].encoding = Encoding::Raw { hash: blake3::hash(first).into() };
    extents[2].encoding = Encoding::Zstd { encoded_len: 77, hash: blake3::hash(second).into() };
    let parts = extent_payloads(&extents, &payload).map(|(_, part)| part).collect::<Vec<_>>();
    assert_eq!(parts, [first, &[], second]);
    assert_eq!(verify_payload(&extents, &payload), Ok(()));
    for at in 0..payload.len() {
        let mut damaged = payload.clone();
        damaged[at] ^= 1;
        let error = verify_payload(&extents, &damaged).expect_err("a byte is wrong");
        assert!(
            matches!(error, CheckError::WrongHash { extent, .. } if extent == if at < 4096 { 0 } else { 2 })
        );
        assert_eq!(error.refusal_code(), RefusalCode::WrongHash);
    }
    assert!(matches!(verify_payload(&extents, &payload[1..]), Err(CheckError::PayloadLen { .. })));
}

/// Takes the sample of a name, changes it and returns the code it is refused with.
fn refused(name: &str, change: impl FnOnce(&mut Message)) -> RefusalCode {
    let (_, mut message, payload_len) =
        samples().into_iter().find(|sample| sample.0 == name).expect("a sample");
    assert_eq!(check_message(&message, &disks(), payload_len), Ok(()));
    change(&mut message);
    check_message(&message, &disks(), payload_len).expect_err("the rule is broken").refusal_code()
}

#[test]
fn a_hello_with_impossible_connections_or_disks_is_refused() {
    let hello = |change: fn(&mut wire::Hello)| {
        refused("00-hello", |message| match message {
            Message::Hello(hello) => change(hello),
            _ => unreachable!("the sample is a hello"),
        })
    };
    assert_eq!(hello(|hello| hello.connections = 0), RefusalCode::Malformed);
    assert_eq!(hello(|hello| hello.connections = 9), RefusalCode::Malformed);
    assert_eq!(hello(|hello| hello.connection = 4), RefusalCode::Malformed);
    assert_eq!(hello(|hello| hello.disks.clear()), RefusalCode::DiskMismatch);
    assert_eq!(hello(|hello| hello.disks[1].len = ByteLen(0)), RefusalCode::DiskMismatch);
    assert_eq!(hello(|hello| hello.disks[1].len = ByteLen(513)), RefusalCode::DiskMismatch);
    assert_eq!(hello(|hello| hello.disks[1].len = ByteLen(1 << 63)), RefusalCode::DiskMismatch);
}

#[test]
fn a_welcome_that_contradicts_itself_is_refused() {
    let welcome = |name: &str, change: fn(&mut wire::Welcome)| {
        refused(name, |message| match message {
            Message::Welcome(welcome) => change(welcome),
            _ => unreachable!("the sample is a welcome"),
        })
    };
    let seeding = |through: u64, count: usize| wire::Phase::Seeding {
        through: std::iter::repeat_n(ByteOffset(through), count).collect(),
        blank: false,
    };
    assert_eq!(welcome("01-welcome-protected", |welcome| welcome.durable = Sequence(298)), RefusalCode::Gap);
    for (through, count, code) in [
        (0, 1, RefusalCode::DiskMismatch),
        (0, 3, RefusalCode::DiskMismatch),
        (1 << 40, 2, RefusalCode::BadExtent),
    ] {
        let found = refused("01-welcome-seeding", |message| match message {
            Message::Welcome(welcome) => welcome.phase = seeding(through, count),
            _ => unreachable!("the sample is a welcome"),
        });
        assert_eq!(found, code);
    }
}

#[test]
fn sequence_zero_and_a_missing_root_are_refused() {
    let zero_batch = |message: &mut Message| match message {
        Message::Batch(batch) => batch.sequence = Sequence(0),
        _ => unreachable!("the sample is a batch"),
    };
    let zero_marker = |message: &mut Message| match message {
        Message::Marker(marker) => marker.sequence = Sequence(0),
        _ => unreachable!("the sample is a marker"),
    };
    let one_root = |message: &mut Message| match message {
        Message::Marker(marker) => marker.roots.truncate(1),
        _ => unreachable!("the sample is a marker"),
    };
    assert_eq!(refused("02-batch", zero_batch), RefusalCode::Gap);
    assert_eq!(refused("03-marker", zero_marker), RefusalCode::Gap);
    assert_eq!(refused("03-marker", one_root), RefusalCode::DiskMismatch);
    let rooted_resync = |message: &mut Message| match message {
        Message::Marker(marker) => marker.consistency = wire::Consistency::Resync,
        _ => unreachable!("the sample is a marker"),
    };
    assert_eq!(refused("03-marker", rooted_resync), RefusalCode::DiskMismatch);
}

#[test]
fn where_a_resync_begins_there_is_no_point() {
    let group = Some(wire::GroupMark { group: "shop".parse().expect("lawful"), number: 1 });
    let grouped_resync = |message: &mut Message| match message {
        Message::Marker(marker) => marker.group = group.clone(),
        _ => unreachable!("the sample is a marker"),
    };
    assert_eq!(refused("03-marker-resync", grouped_resync), RefusalCode::Malformed);
    let wanted_resync = |message: &mut Message| match message {
        Message::PointWanted(wanted) => wanted.consistency = wire::Consistency::Resync,
        _ => unreachable!("the sample wants a point"),
    };
    assert_eq!(refused("22-point-wanted", wanted_resync), RefusalCode::Malformed);
}

#[test]
fn questions_about_bytes_outside_the_disk_are_refused() {
    let query = |disk: u16, first: u64, count: u32| {
        Message::HashQuery(HashQuery { disk: DiskIndex(disk), first: LeafIndex(first), count })
    };
    let code = |message: Message| check_message(&message, &disks(), 0).map_err(|error| error.refusal_code());
    assert_eq!(code(query(1, 0, 1025)), Ok(()));
    for bad in [query(1, 0, 1026), query(1, 1025, 1), query(2, 0, 1), query(0, 0, 0), query(0, u64::MAX, 1)] {
        assert_eq!(code(bad), Err(RefusalCode::BadExtent));
    }
    assert_eq!(code(query(0, 0, HASHES_MAX as u32 + 1)), Err(RefusalCode::BadExtent));
    let sync = |through: u64| {
        Message::SeedSync(SeedSync { token: 1, disk: DiskIndex(1), through: ByteOffset(through) })
    };
    assert_eq!(code(sync((64 << 20) + 512)), Ok(()));
    assert_eq!(code(sync((64 << 20) + 513)), Err(RefusalCode::BadExtent));
    assert_eq!(code(sync(512)), Err(RefusalCode::BadExtent));
}

#[test]
fn an_answer_has_a_hash_for_each_leaf_and_spans_inside_the_disk() {
    let (_, hashes, _) = samples().into_iter().find(|sample| sample.0 == "11-hashes").expect("a sample");
    let error = check_message(&hashes, &disks(), 95).expect_err("a byte is missing");
    assert_eq!(error, CheckError::PayloadLen { found: 95, expected: 96 });
    let spans_past_the_end = |message: &mut Message| match message {
        Message::Changed(changed) => match changed.as_mut() {
            wire::Changed::Spans { spans, .. } => spans[0].start = ByteOffset(64 << 20),
            wire::Changed::Unknown => unreachable!("the sample has spans"),
        },
        _ => unreachable!("the sample is an answer"),
    };
    assert_eq!(refused("13-changed-spans", spans_past_the_end), RefusalCode::BadExtent);
    let again_past_the_end = |message: &mut Message| match message {
        Message::Resend(resend) => resend.spans[0].len = ByteLen::gib(1),
        _ => unreachable!("the sample asks for something again"),
    };
    assert_eq!(refused("18-resend", again_past_the_end), RefusalCode::BadExtent);
}

#[test]
fn questions_about_granules_name_each_leaf_once_in_order_on_the_disk() {
    let query = |disk: u16, leaves: &[u64]| {
        let leaves = leaves.iter().map(|leaf| LeafIndex(*leaf)).collect();
        let query = wire::GranuleQuery { token: 1, disk: DiskIndex(disk), leaves };
        check_message(&Message::GranuleQuery(Box::new(query)), &disks(), 0)
            .map_err(|error| error.refusal_code())
    };
    assert_eq!(query(1, &[0, 7, 1024]), Ok(()));
    for (disk, leaves) in
        [(1, &[1025][..]), (2, &[0]), (0, &[]), (0, &[3, 3]), (0, &[4, 3]), (1, &[0, u64::MAX])]
    {
        assert_eq!(query(disk, leaves), Err(RefusalCode::BadExtent), "{disk} {leaves:?}");
    }
    let answer = |count: u32, len: usize| {
        check_message(&Message::Granules(wire::Granules { token: 1, count }), &disks(), len)
    };
    assert_eq!(answer(16 * 1024, 16 * 1024 * 32), Ok(()));
    assert!(answer(16 * 1024 + 1, 0).is_err() && answer(0, 0).is_err() && answer(2, 63).is_err());
}
