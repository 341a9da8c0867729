use super::*;

/// A small disk that holds nothing but these marks.
pub(super) fn disk(len: usize, marks: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, mark) in marks {
        bytes[*at..at + mark.len()].copy_from_slice(mark);
    }
    bytes
}

/// One small disk for each kind: where its mark is, and how long it is.
fn golden() -> Vec<(ContentKind, Vec<u8>, usize, usize)> {
    use ContentKind as Kind;
    const MAGIC: &[u8] = &[0x53, 0xef];
    const RAID: &[u8] = &[0xfc, 0x4e, 0x2b, 0xa9, 1, 0, 0, 0];
    const BCACHE: &[u8] =
        &[0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81];
    let fat: &[u8] = &[0, 2, 4, 1, 0, 2, 0, 2, 0, 8, 0xf8, 8, 0];
    let mut all = vec![
        (Kind::Ext2, disk(2048, &[(1080, MAGIC)]), 1080, 2),
        (Kind::Ext3, disk(2048, &[(1080, MAGIC), (1024 + 0x5c, &[4])]), 1080, 2),
        (Kind::Ext4, disk(2048, &[(1080, MAGIC), (1024 + 0x60, &[0x40])]), 1080, 2),
        (Kind::Xfs, disk(512, &[(0, b"XFSB")]), 0, 4),
        (Kind::Btrfs, disk(66 << 10, &[(0x10040, b"_BHRfS_M")]), 0x10040, 8),
        (Kind::ExFat, disk(512, &[(3, b"EXFAT   "), (510, &[0x55, 0xaa])]), 3, 8),
        (Kind::Ntfs, disk(512, &[(3, b"NTFS    "), (510, &[0x55, 0xaa])]), 3, 8),
        (Kind::Fat, disk(512, &[(11, fat), (54, b"FAT16   "), (510, &[0x55, 0xaa])]), 510, 2),
        (Kind::Iso9660, disk(34 << 10, &[(0x8001, b"CD001")]), 0x8001, 5),
        (Kind::Squashfs, disk(512, &[(0, b"hsqs")]), 0, 4),
        (Kind::F2fs, disk(2048, &[(1024, &[0x10, 0x20, 0xf5, 0xf2])]), 1024, 4),
        (Kind::LvmMember, disk(2048, &[(512, b"LABELONE"), (536, b"LVM2 001")]), 512, 8),
        (Kind::RaidMember, disk(8192, &[(4096, RAID)]), 4096, 8),
        (Kind::RaidMember, disk(128 << 10, &[(64 << 10, &RAID[..4])]), 64 << 10, 4),
        (Kind::Luks, disk(512, &[(0, b"LUKS\xba\xbe")]), 0, 6),
        (Kind::Luks, disk(17 << 10, &[(16 << 10, b"SKUL\xba\xbe")]), 16 << 10, 6),
        (Kind::ZfsMember, disk(129 << 10, &[(128 << 10, &[0x0c, 0xb1, 0xba])]), 128 << 10, 3),
        (Kind::Bcache, disk(8192, &[(4120, BCACHE)]), 4120, 16),
        (Kind::Mbr, disk(512, &[(450, &[0x83]), (510, &[0x55, 0xaa])]), 510, 2),
        (Kind::Gpt, disk(2048, &[(512, b"EFI PART")]), 512, 8),
    ];
    for page in [4096, 8192, 16384, 32768, 65536] {
        all.push((Kind::Swap, disk(page, &[(page - 10, b"SWAPSPACE2")]), page - 10, 10));
    }
    all
}

#[test]
fn each_kind_is_recognised_by_its_mark_and_by_nothing_else() {
    for (kind, bytes, ..) in golden() {
        let found: Vec<_> = recognise_any(&bytes).into_iter().map(|content| content.kind).collect();
        assert_eq!(found, [kind]);
    }
    assert_eq!(recognise_any(&vec![0; 1 << 20]), []);
}

#[test]
fn no_flipped_bit_in_a_mark_leaves_it_recognised() {
    for (kind, bytes, at, len) in golden() {
        for bit in at * 8..(at + len) * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let found = recognise_any(&flipped);
            assert!(found.iter().all(|content| content.kind != kind), "{kind:?}, bit {bit}: {found:?}");
        }
    }
}

#[test]
fn a_truncated_disk_is_never_taken_for_more_than_it_holds() {
    for (kind, bytes, at, len) in golden() {
        for end in 0..bytes.len() {
            let found = recognise_any(&bytes[..end]);
            let whole = end >= at + len;
            assert!(whole || found.iter().all(|content| content.kind != kind), "{kind:?} cut at {end}");
        }
    }
}

#[test]
fn both_copies_of_a_table_are_found_and_a_protective_one_is_no_table() {
    let bytes = disk(
        1 << 20,
        &[(450, &[0xee]), (510, &[0x55, 0xaa]), (512, b"EFI PART"), ((1 << 20) - 512, b"EFI PART")],
    );
    let found: Vec<_> =
        recognise_any(&bytes).into_iter().map(|content| (content.kind, content.at.0)).collect();
    assert_eq!(found, [(ContentKind::Gpt, 512), (ContentKind::Gpt, (1 << 20) - 512)]);
}

#[test]
fn labels_are_shown_without_what_could_harm_a_terminal() {
    let bytes = disk(512, &[(0, b"XFSB"), (108, b"a\x1b[2Jb \0xx"), (32, &[0xab; 16])]);
    let found = recognise_any(&bytes).remove(0);
    assert_eq!(found.label, "a[2Jb");
    assert_eq!(found.uuid, "abababab-abab-abab-abab-abababababab");
    assert_eq!(found.to_string(), "file system xfs at byte 0, label \"a[2Jb\"");
}

#[test]
fn the_first_byte_that_is_not_zero_is_found() {
    let mut bytes = vec![0; 4096];
    assert_eq!(data_at(ByteOffset(1 << 20), &bytes), None);
    bytes[777] = 1;
    assert_eq!(data_at(ByteOffset(1 << 20), &bytes), Some(ByteOffset((1 << 20) + 777)));
}
