//! Partition tables.

use units::ByteOffset;

use super::{Content, ContentKind, DiskEnds};

/// Both copies of a GPT header (UEFI 2.10, 5.3.2), for sectors of 512 and of 4096 bytes.
pub(super) fn gpt(ends: &DiskEnds<'_>) -> Vec<Content> {
    let first = [512, 4096].into_iter();
    let last = [512, 4096].into_iter().filter_map(|sector| ends.len.0.checked_sub(sector));
    let found = first.chain(last).filter(|at| ends.has(*at, b"EFI PART"));
    let mut places: Vec<u64> = found.collect();
    places.sort_unstable();
    places.dedup();
    let content = |at| Content {
        kind: ContentKind::Gpt,
        at: ByteOffset(at),
        label: String::new(),
        uuid: String::new(),
    };
    places.into_iter().map(content).collect()
}

/// A boot signature with a table that makes sense; the protective one of a GPT is left to that.
pub(super) fn mbr(ends: &DiskEnds<'_>) -> Option<Content> {
    const PROTECTIVE: u8 = 0xee;
    if !ends.has(510, &[0x55, 0xaa]) {
        return None;
    }
    let entries = ends.bytes(446, 64)?.chunks_exact(16);
    let mut kinds = Vec::new();
    for entry in entries {
        // A partition is active or not: anything else is no table.
        if entry[0] & 0x7f != 0 {
            return None;
        }
        kinds.push(entry[4]);
    }
    let has_any = kinds.iter().any(|kind| *kind != 0 && *kind != PROTECTIVE);
    let (label, uuid) = (String::new(), ends.le32(440).map(|id| format!("{id:08x}")).unwrap_or_default());
    has_any.then_some(Content { kind: ContentKind::Mbr, at: ByteOffset(0), label, uuid })
}
