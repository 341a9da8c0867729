//! The marks of file systems and of swap.

use units::ByteOffset;

use super::{Content, ContentKind, DiskEnds, Look};

pub(super) const FILE_SYSTEMS: &[Look] = &[ext, xfs, btrfs, exfat, ntfs, fat, iso, squashfs, f2fs, swap];

fn content(kind: ContentKind, at: u64, label: String, uuid: String) -> Option<Content> {
    Some(Content { kind, at: ByteOffset(at), label, uuid })
}

/// `Documentation/filesystems/ext4/super.rst` of the kernel.
fn ext(ends: &DiskEnds<'_>) -> Option<Content> {
    const AT: u64 = 1024;
    const HAS_JOURNAL: u32 = 0x4;
    /// What only ext4 has: extents, 64 bit, flexible groups and the like.
    const EXT3_INCOMPATIBLE: u32 = 0x2 | 0x4 | 0x10;
    const EXT3_READ_ONLY: u32 = 0x1 | 0x2 | 0x4;
    if !ends.has(AT + 0x38, &[0x53, 0xef]) {
        return None;
    }
    let feature = |at: u64| ends.le32(AT + at).unwrap_or(0);
    let [compatible, incompatible, read_only] = [feature(0x5c), feature(0x60), feature(0x64)];
    let beyond = incompatible & !EXT3_INCOMPATIBLE != 0 || read_only & !EXT3_READ_ONLY != 0;
    let kind = match (beyond, compatible & HAS_JOURNAL != 0) {
        (true, _) => ContentKind::Ext4,
        (false, true) => ContentKind::Ext3,
        (false, false) => ContentKind::Ext2,
    };
    content(kind, AT, ends.text(AT + 0x78, 16), ends.uuid(AT + 0x68))
}

fn xfs(ends: &DiskEnds<'_>) -> Option<Content> {
    ends.has(0, b"XFSB").then_some(())?;
    content(ContentKind::Xfs, 0, ends.text(108, 12), ends.uuid(32))
}

fn btrfs(ends: &DiskEnds<'_>) -> Option<Content> {
    const AT: u64 = 64 << 10;
    ends.has(AT + 0x40, b"_BHRfS_M").then_some(())?;
    content(ContentKind::Btrfs, AT, ends.text(AT + 0x12b, 256), ends.uuid(AT + 0x20))
}

fn exfat(ends: &DiskEnds<'_>) -> Option<Content> {
    ends.has(3, b"EXFAT   ").then_some(())?;
    content(ContentKind::ExFat, 0, String::new(), serial(ends, 100))
}

fn ntfs(ends: &DiskEnds<'_>) -> Option<Content> {
    ends.has(3, b"NTFS    ").then_some(())?;
    let serial = ends.le64(72).map(|serial| format!("{serial:016X}")).unwrap_or_default();
    content(ContentKind::Ntfs, 0, String::new(), serial)
}

/// A boot sector that makes sense as a FAT's: the text in it is for people, and may be anything.
fn fat(ends: &DiskEnds<'_>) -> Option<Content> {
    let byte = |at: u64| ends.bytes(at, 1).map(|byte| byte[0]);
    let sector = ends.le16(11)?;
    let cluster = byte(13)?;
    let (reserved, tables, media) = (ends.le16(14)?, byte(16)?, byte(21)?);
    let sound = ends.has(510, &[0x55, 0xaa])
        && matches!(sector, 512 | 1024 | 2048 | 4096)
        && cluster.is_power_of_two()
        && reserved > 0
        && (1..=2).contains(&tables)
        && media >= 0xf0;
    let named = ends.has(54, b"FAT1") || ends.has(82, b"FAT32   ") || ends.has(54, b"FAT     ");
    if !sound || ends.has(3, b"NTFS    ") || ends.has(3, b"EXFAT   ") {
        return None;
    }
    // Of a boot sector that does not say so only a plausible size of its tables makes a FAT.
    let tables_len = ends.le16(22).map_or(0, u32::from).max(ends.le32(36).unwrap_or(0));
    if !named && tables_len == 0 {
        return None;
    }
    let (serial_at, label_at) = if ends.has(82, b"FAT32   ") { (67, 71) } else { (39, 43) };
    content(ContentKind::Fat, 0, ends.text(label_at, 11), serial(ends, serial_at))
}

fn serial(ends: &DiskEnds<'_>, at: u64) -> String {
    ends.le32(at).map(|serial| format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)).unwrap_or_default()
}

fn iso(ends: &DiskEnds<'_>) -> Option<Content> {
    const AT: u64 = 32 << 10;
    ends.has(AT + 1, b"CD001").then_some(())?;
    content(ContentKind::Iso9660, AT, ends.text(AT + 40, 32), String::new())
}

fn squashfs(ends: &DiskEnds<'_>) -> Option<Content> {
    (ends.has(0, b"hsqs") || ends.has(0, b"sqsh")).then_some(())?;
    content(ContentKind::Squashfs, 0, String::new(), String::new())
}

fn f2fs(ends: &DiskEnds<'_>) -> Option<Content> {
    const AT: u64 = 1024;
    ends.has(AT, &[0x10, 0x20, 0xf5, 0xf2]).then_some(())?;
    content(ContentKind::F2fs, AT, String::new(), ends.uuid(AT + 108))
}

/// The mark stands at the end of the first page, and pages differ in size.
fn swap(ends: &DiskEnds<'_>) -> Option<Content> {
    for page in [4096_u64, 8192, 16384, 32768, 65536] {
        if ends.has(page - 10, b"SWAPSPACE2") || ends.has(page - 10, b"SWAP-SPACE") {
            return content(ContentKind::Swap, page - 10, ends.text(1052, 16), ends.uuid(1036));
        }
    }
    None
}
