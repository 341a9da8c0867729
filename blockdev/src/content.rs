//! What is on a disk, known by the marks that file systems and their likes leave: a function of bytes.
//!
//! What is not recognised here is found as bytes that are not zero ([`data_at`]): nothing is taken for empty that is not.

mod file_system;
mod member;
mod table;

use std::fmt;

use units::{ByteLen, ByteOffset};

use file_system::FILE_SYSTEMS;
use member::MEMBERS;

/// Bytes at either end of a disk that are looked at for marks.
pub(crate) const END_LEN: usize = 1 << 20;
/// Longest label or UUID that is shown.
const TEXT_LEN_MAX: usize = 256;

/// Something a disk holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What it is.
    pub kind: ContentKind,
    /// Where its mark is.
    pub at: ByteOffset,
    /// The name somebody gave it; may be empty.
    pub label: String,
    /// Its UUID or serial number, as people write it; may be empty.
    pub uuid: String,
}

/// What a disk can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the field's own names")]
pub enum ContentKind {
    Ext2,
    Ext3,
    Ext4,
    Xfs,
    Btrfs,
    Fat,
    ExFat,
    Ntfs,
    Iso9660,
    Squashfs,
    F2fs,
    Swap,
    LvmMember,
    RaidMember,
    Luks,
    ZfsMember,
    Bcache,
    Mbr,
    Gpt,
}

/// What was read of a disk: its size and both its ends.
#[derive(Clone, Copy, Debug)]
pub struct DiskEnds<'a> {
    /// The size of the disk.
    pub len: ByteLen,
    /// Bytes from its start.
    pub head: &'a [u8],
    /// Bytes up to its end.
    pub tail: &'a [u8],
}

impl ContentKind {
    /// Returns the name `blkid` has for it too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Fat => "vfat",
            Self::ExFat => "exfat",
            Self::Ntfs => "ntfs",
            Self::Iso9660 => "iso9660",
            Self::Squashfs => "squashfs",
            Self::F2fs => "f2fs",
            Self::Swap => "swap",
            Self::LvmMember => "LVM2_member",
            Self::RaidMember => "linux_raid_member",
            Self::Luks => "crypto_LUKS",
            Self::ZfsMember => "zfs_member",
            Self::Bcache => "bcache",
            Self::Mbr => "dos",
            Self::Gpt => "gpt",
        }
    }

    /// Tells whether it is of the FAT family, which can't keep a history safe.
    pub fn is_fat_family(self) -> bool {
        matches!(self, Self::Fat | Self::ExFat)
    }
}

impl fmt::Display for Content {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ContentKind::Mbr => "an MBR partition table".to_owned(),
            ContentKind::Gpt => "a GPT partition table".to_owned(),
            ContentKind::Swap => "swap space".to_owned(),
            ContentKind::LvmMember => "an LVM physical volume".to_owned(),
            ContentKind::RaidMember => "a member of a Linux RAID".to_owned(),
            ContentKind::Luks => "a LUKS volume".to_owned(),
            ContentKind::ZfsMember => "a member of a ZFS pool".to_owned(),
            ContentKind::Bcache => "a bcache device".to_owned(),
            kind => format!("file system {}", kind.name()),
        };
        write!(out, "{what} at {}", self.at)?;
        if !self.label.is_empty() {
            write!(out, ", label {:?}", self.label)?;
        }
        Ok(())
    }
}

/// Returns everything that is recognised on a disk; of a partition table that is there twice, both.
pub fn recognise(ends: &DiskEnds<'_>) -> Vec<Content> {
    let mut found: Vec<_> = FILE_SYSTEMS.iter().chain(MEMBERS).filter_map(|look| look(ends)).collect();
    found.extend(table::gpt(ends));
    // A FAT or NTFS boot sector ends as an MBR does.
    let boot =
        |content: &Content| matches!(content.kind, ContentKind::Fat | ContentKind::ExFat | ContentKind::Ntfs);
    if !found.iter().any(boot) {
        found.extend(table::mbr(ends));
    }
    found
}

/// Decodes what fuzzing gives: a whole, small disk.
pub(crate) fn recognise_any(bytes: &[u8]) -> Vec<Content> {
    recognise(&DiskEnds { len: ByteLen(bytes.len() as u64), head: bytes, tail: bytes })
}

/// A look at a disk for one kind of content.
type Look = fn(&DiskEnds<'_>) -> Option<Content>;

impl<'a> DiskEnds<'a> {
    /// Returns `len` bytes at `at`, if they were read.
    fn bytes(&self, at: u64, len: usize) -> Option<&'a [u8]> {
        let of = |part: &'a [u8], begin: u64| {
            let start = usize::try_from(at.checked_sub(begin)?).ok()?;
            part.get(start..start.checked_add(len)?)
        };
        let tail_begin = self.len.0.checked_sub(self.tail.len() as u64)?;
        of(self.head, 0).or_else(|| of(self.tail, tail_begin))
    }

    fn has(&self, at: u64, mark: &[u8]) -> bool {
        self.bytes(at, mark.len()) == Some(mark)
    }

    fn le16(&self, at: u64) -> Option<u16> {
        Some(u16::from_le_bytes(self.bytes(at, 2)?.try_into().ok()?))
    }

    fn le32(&self, at: u64) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes(at, 4)?.try_into().ok()?))
    }

    fn le64(&self, at: u64) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes(at, 8)?.try_into().ok()?))
    }

    fn be32(&self, at: u64) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes(at, 4)?.try_into().ok()?))
    }

    /// Returns a text that ends at a zero byte or with its field.
    fn text(&self, at: u64, len: usize) -> String {
        let bytes = self.bytes(at, len.min(TEXT_LEN_MAX)).unwrap_or_default();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let text = String::from_utf8_lossy(&bytes[..end]);
        text.trim_end().chars().filter(|letter| !letter.is_control()).collect()
    }

    /// Returns a UUID as it is written, or nothing if it is not set.
    fn uuid(&self, at: u64) -> String {
        let Some(bytes) = self.bytes(at, 16).filter(|bytes| bytes.iter().any(|byte| *byte != 0)) else {
            return String::new();
        };
        let hex = |part: &[u8]| part.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let parts = [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]];
        parts.map(hex).join("-")
    }
}

/// Returns where the first byte of `bytes` that is not zero lies, if one does; `bytes` begin at `at`.
pub(crate) fn data_at(at: ByteOffset, bytes: &[u8]) -> Option<ByteOffset> {
    let index = bytes.iter().position(|byte| *byte != 0)?;
    Some(ByteOffset(at.0 + index as u64))
}

#[cfg(test)]
mod tests;
