//! The marks of what makes other devices of disks.

use units::ByteOffset;

use super::{Content, ContentKind, DiskEnds, Look};

pub(super) const MEMBERS: &[Look] = &[lvm, raid, luks, zfs, bcache];

const RAID_MAGIC: u32 = 0xa92b_4efc;

fn content(kind: ContentKind, at: u64, label: String, uuid: String) -> Option<Content> {
    Some(Content { kind, at: ByteOffset(at), label, uuid })
}

/// The label of a physical volume is in one of the first four sectors.
fn lvm(ends: &DiskEnds<'_>) -> Option<Content> {
    let at = (0..4)
        .map(|sector| sector * 512)
        .find(|at| ends.has(*at, b"LABELONE") && ends.has(at + 24, b"LVM2 001"))?;
    content(ContentKind::LvmMember, at, String::new(), ends.text(at + 32, 32))
}

/// Superblocks 1.0 at the end, 1.1 at the start, 1.2 at 4 KiB (md(4)); 0.90 at the last 64 KiB but one that is whole.
fn raid(ends: &DiskEnds<'_>) -> Option<Content> {
    let end = |align: u64, back: u64| (ends.len.0 & !(align - 1)).checked_sub(back);
    let first_form = [end(4096, 8192).or(Some(0)), Some(0), Some(4096)];
    let found = first_form
        .into_iter()
        .flatten()
        .find(|at| ends.le32(*at) == Some(RAID_MAGIC) && ends.le32(at + 4) == Some(1));
    if let Some(at) = found {
        return content(ContentKind::RaidMember, at, ends.text(at + 32, 32), ends.uuid(at + 16));
    }
    let at = end(64 << 10, 64 << 10)?;
    let is_old = ends.le32(at) == Some(RAID_MAGIC) || ends.be32(at) == Some(RAID_MAGIC);
    is_old.then_some(())?;
    content(ContentKind::RaidMember, at, String::new(), String::new())
}

fn luks(ends: &DiskEnds<'_>) -> Option<Content> {
    if ends.has(0, b"LUKS\xba\xbe") {
        return content(ContentKind::Luks, 0, String::new(), ends.text(168, 40));
    }
    // The second header of LUKS2, whose first was lost, is at one of these.
    let second = (14..=22).map(|power| 1_u64 << power).find(|at| ends.has(*at, b"SKUL\xba\xbe"))?;
    content(ContentKind::Luks, second, String::new(), ends.text(second + 168, 40))
}

/// One of the uberblocks of the first two labels.
fn zfs(ends: &DiskEnds<'_>) -> Option<Content> {
    const MAGIC: u64 = 0x00ba_b10c;
    let uberblocks = (128_u64..256).chain(384..512).map(|kib| kib << 10);
    let at = uberblocks.into_iter().find(|at| {
        let mark = ends.le64(*at);
        mark == Some(MAGIC) || mark == Some(MAGIC.swap_bytes())
    })?;
    content(ContentKind::ZfsMember, at, String::new(), String::new())
}

fn bcache(ends: &DiskEnds<'_>) -> Option<Content> {
    const MAGIC: [u8; 16] =
        [0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81];
    ends.has(4096 + 24, &MAGIC).then_some(())?;
    content(ContentKind::Bcache, 4096, String::new(), ends.uuid(4096 + 40))
}
