//! The table of partitions: GPT (UEFI 2.10, chapter 5), at both ends of the disk, with fixed identities.

use flate2::Crc;

/// Bytes of a sector.
pub const SECTOR_LEN: u64 = 512;
/// Sectors at each end that the table takes: the protective record, the header, 128 entries.
const TABLE_SECTORS: u64 = 34;
const ENTRIES: usize = 128;
const ENTRY_LEN: usize = 128;
const HEADER_LEN: usize = 92;
const NAME_LETTERS: usize = 36;

/// A GUID in the order of its letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guid(pub u128);

/// A partition.
#[derive(Clone, Copy, Debug)]
pub struct Partition {
    /// What it is for.
    pub kind: Guid,
    /// Which one it is.
    pub identity: Guid,
    /// Its name, of 36 letters at most.
    pub name: &'static str,
    /// Its first sector.
    pub first: u64,
    /// Its last sector.
    pub last: u64,
}

/// The table, as it lies on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The first 34 sectors.
    pub front: Vec<u8>,
    /// The last 33 sectors.
    pub back: Vec<u8>,
}

impl Guid {
    /// Returns it as it is kept: the first three groups have their bytes turned round.
    fn bytes(self) -> [u8; 16] {
        let mut bytes = self.0.to_be_bytes();
        bytes[..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        bytes
    }
}

/// Makes the table of a disk with so many sectors.
pub fn table(disk: Guid, sectors: u64, partitions: &[Partition]) -> Table {
    assert!(sectors > 2 * TABLE_SECTORS && partitions.len() <= ENTRIES, "there is room for the table");
    let mut entries = vec![0; ENTRIES * ENTRY_LEN];
    let mut end = TABLE_SECTORS - 1;
    for (partition, entry) in partitions.iter().zip(entries.chunks_exact_mut(ENTRY_LEN)) {
        assert!(
            end < partition.first && partition.first <= partition.last,
            "partitions are in order and apart"
        );
        end = partition.last;
        entry[..16].copy_from_slice(&partition.kind.bytes());
        entry[16..32].copy_from_slice(&partition.identity.bytes());
        entry[32..40].copy_from_slice(&partition.first.to_le_bytes());
        entry[40..48].copy_from_slice(&partition.last.to_le_bytes());
        let letters = partition.name.encode_utf16();
        assert!(letters.clone().count() <= NAME_LETTERS, "{} is a short name", partition.name);
        for (letter, place) in letters.zip(entry[56..].chunks_exact_mut(2)) {
            place.copy_from_slice(&letter.to_le_bytes());
        }
    }
    assert!(end < sectors - TABLE_SECTORS + 1, "the last partition ends before the second table");
    let last = sectors - 1;
    let mut front = protective(sectors);
    front.extend(header(disk, 1, last, 2, &entries, sectors));
    front.extend_from_slice(&entries);
    let mut back = entries.clone();
    back.extend(header(disk, last, 1, last - 32, &entries, sectors));
    Table { front, back }
}

fn header(disk: Guid, own: u64, other: u64, entries_at: u64, entries: &[u8], sectors: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(512);
    header.extend_from_slice(b"EFI PART");
    header.extend_from_slice(&0x0001_0000_u32.to_le_bytes());
    header.extend_from_slice(&92_u32.to_le_bytes());
    header.extend_from_slice(&[0; 8]);
    for sector in [own, other, TABLE_SECTORS, sectors - TABLE_SECTORS] {
        header.extend_from_slice(&sector.to_le_bytes());
    }
    header.extend_from_slice(&disk.bytes());
    header.extend_from_slice(&entries_at.to_le_bytes());
    header.extend_from_slice(&128_u32.to_le_bytes());
    header.extend_from_slice(&128_u32.to_le_bytes());
    header.extend_from_slice(&checksum(entries).to_le_bytes());
    assert_eq!(header.len(), HEADER_LEN, "the header has the length it says");
    let sum = checksum(&header);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    header.resize(512, 0);
    header
}

/// The first sector: it tells programs of the old kind that the disk is taken.
fn protective(sectors: u64) -> Vec<u8> {
    let mut record = vec![0; 512];
    let len = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    // One entry: not active, from 0/0/2, of type 0xee, to the end, from sector 1.
    record[446..454].copy_from_slice(&[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff]);
    record[454..458].copy_from_slice(&1_u32.to_le_bytes());
    record[458..462].copy_from_slice(&len.to_le_bytes());
    record[510..].copy_from_slice(&[0x55, 0xaa]);
    record
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = Crc::new();
    sum.update(bytes);
    sum.sum()
}
