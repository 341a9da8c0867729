//! Disks in the form that vCenter takes: VMDK, `streamOptimized`, written front to back in one go.
//!
//! ```text
//! sector 0   header: version 3, flags 0x30001 (grains compressed, markers)
//!        1   descriptor, a text
//!       21   grain directory, then grain tables: where each grain is
//!        …   grains in order: marker (position, length), deflated 64 KiB; grains of zeros are left out
//!      end   marker of the end of the stream, one sector of zeros; nothing behind it
//! ```
//! *Invariant:* the identities in the descriptor are taken from the content, so the same disk gives the same bytes.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use rustix::fs::SeekFrom as Where;

use crate::{Error, Result};

const SECTOR: u64 = 512;
const GRAIN: u64 = 128 * SECTOR;
const TABLE_ENTRIES: u64 = 512;
const TABLE_SECTORS: u64 = TABLE_ENTRIES * 4 / SECTOR;
const DESCRIPTOR_SECTORS: u64 = 20;
const MAGIC: u32 = 0x564d_444b;
const VERSION: u32 = 3;
/// Line ends can be told (bit 0), grains are compressed (16), there are markers (17).
const FLAGS: u32 = 0x0003_0001;
const DEFLATE: u16 = 1;
const HEADS: u64 = 255;
const SECTORS_PER_TRACK: u64 = 63;

const _: () = assert!(GRAIN.is_multiple_of(SECTOR) && (TABLE_ENTRIES * 4).is_multiple_of(SECTOR));

/// Where everything is, in sectors: a function of the size of the disk.
#[derive(Clone, Copy, Debug)]
struct Layout {
    capacity: u64,
    grains: u64,
    tables: u64,
    directory_at: u64,
    tables_at: u64,
    grains_at: u64,
}

impl Layout {
    fn of(len: u64) -> Self {
        assert!(len > 0 && len.is_multiple_of(SECTOR), "a disk has whole sectors");
        let (capacity, grains) = (len / SECTOR, len.div_ceil(GRAIN));
        let tables = grains.div_ceil(TABLE_ENTRIES);
        let directory_at = 1 + DESCRIPTOR_SECTORS;
        let tables_at = directory_at + (tables * 4).div_ceil(SECTOR);
        Self {
            capacity,
            grains,
            tables,
            directory_at,
            tables_at,
            grains_at: tables_at + tables * TABLE_SECTORS,
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the file.
    pub len: u64,
    /// Bytes of the disk that are not zero, in whole grains.
    pub populated: u64,
}

/// Writes the disk in `raw` to `out`; `name` is what the file will be called. Errors: one can't be read, the other not written.
pub fn write(raw: &Path, out: &Path, name: &str) -> Result<Written> {
    let disk = File::open(raw).map_err(Error::file(raw, "opened"))?;
    let len = disk.metadata().map_err(Error::file(raw, "read"))?.len();
    let layout = Layout::of(len);
    let file = File::create(out).map_err(Error::file(out, "made"))?;
    let mut stream = Stream {
        out: BufWriter::new(file),
        layout,
        at: layout.grains_at,
        entries: vec![0; usize::try_from(layout.tables * TABLE_ENTRIES).expect("a disk has few tables")],
        content: Context::new(&SHA256),
    };
    stream.out.seek(SeekFrom::Start(layout.grains_at * SECTOR)).map_err(Error::file(out, "written"))?;
    let mut grain = vec![0; GRAIN as usize];
    let mut index = next_data(&disk, 0, len);
    while let Some(found) = index {
        let begin = found * GRAIN;
        let end = (begin + GRAIN).min(len);
        grain.fill(0);
        disk.read_exact_at(&mut grain[..(end - begin) as usize], begin).map_err(Error::file(raw, "read"))?;
        if grain.iter().any(|byte| *byte != 0) {
            stream.grain(found, &grain).map_err(Error::file(out, "written"))?;
        }
        index = next_data(&disk, found + 1, len);
    }
    stream.finish(name).map_err(Error::file(out, "written"))
}

/// Returns the first grain at or after this one that may hold something: the file system knows of holes.
fn next_data(disk: &File, grain: u64, len: u64) -> Option<u64> {
    let from = grain * GRAIN;
    if from >= len {
        return None;
    }
    match rustix::fs::seek(disk, Where::Data(from)) {
        Ok(at) => Some(at / GRAIN),
        Err(rustix::io::Errno::NXIO) => None,
        Err(_) => Some(grain),
    }
}

struct Stream {
    out: BufWriter<File>,
    layout: Layout,
    /// Where the next grain goes, in sectors.
    at: u64,
    entries: Vec<u32>,
    content: Context,
}

impl Stream {
    fn grain(&mut self, index: u64, bytes: &[u8]) -> std::io::Result<()> {
        assert!(index < self.layout.grains, "grain {index} is on the disk");
        self.content.update(&index.to_le_bytes());
        self.content.update(bytes);
        let mut encoder = ZlibEncoder::new(Vec::with_capacity(bytes.len()), Compression::best());
        encoder.write_all(bytes)?;
        let packed = encoder.finish()?;
        let mut record = (index * (GRAIN / SECTOR)).to_le_bytes().to_vec();
        record.extend_from_slice(&u32::try_from(packed.len()).expect("a grain is small").to_le_bytes());
        record.extend_from_slice(&packed);
        record.resize(record.len().next_multiple_of(SECTOR as usize), 0);
        let place = usize::try_from(index).expect("a disk has few grains");
        self.entries[place] = u32::try_from(self.at).map_err(|_| std::io::ErrorKind::FileTooLarge)?;
        self.at += record.len() as u64 / SECTOR;
        self.out.write_all(&record)
    }

    fn finish(mut self, name: &str) -> std::io::Result<Written> {
        let populated = self.entries.iter().filter(|entry| **entry != 0).count() as u64 * GRAIN;
        // The marker of the end: no sectors, no length, type 0.
        self.out.write_all(&[0; SECTOR as usize])?;
        let hash = self.content.finish();
        let layout = self.layout;
        let mut front = header(&layout);
        let mut text = descriptor(&layout, hash.as_ref(), name).into_bytes();
        assert!(text.len() as u64 <= DESCRIPTOR_SECTORS * SECTOR, "the descriptor has room");
        text.resize((DESCRIPTOR_SECTORS * SECTOR) as usize, 0);
        front.extend(text);
        let tables = (0..layout.tables).map(|table| layout.tables_at + table * TABLE_SECTORS);
        front.extend(tables.flat_map(|at| u32::try_from(at).expect("tables are in front").to_le_bytes()));
        front.resize((layout.tables_at * SECTOR) as usize, 0);
        front.extend(self.entries.iter().flat_map(|entry| entry.to_le_bytes()));
        assert_eq!(front.len() as u64, layout.grains_at * SECTOR, "the tables end where the grains begin");
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&front)?;
        self.out.flush()?;
        Ok(Written { len: (self.at + 1) * SECTOR, populated })
    }
}

fn header(layout: &Layout) -> Vec<u8> {
    let mut header = Vec::with_capacity(SECTOR as usize);
    for field in [MAGIC, VERSION, FLAGS] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    for field in [layout.capacity, GRAIN / SECTOR, 1, DESCRIPTOR_SECTORS] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    header.extend_from_slice(&512_u32.to_le_bytes());
    // No second directory; the first; where the grains begin.
    for field in [0, layout.directory_at, layout.grains_at] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    // Closed cleanly; then the four letters that a transfer as text would change.
    header.extend_from_slice(&[0, b'\n', b' ', b'\r', b'\n']);
    header.extend_from_slice(&DEFLATE.to_le_bytes());
    header.resize(SECTOR as usize, 0);
    header
}

fn descriptor(layout: &Layout, hash: &[u8], name: &str) -> String {
    let word = |at: usize| hash[at..at + 4].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // 0xffffffff and the number before it mean something else.
    let content = if word(0).as_str() >= "fffffffe" { "00000001".to_owned() } else { word(0) };
    let capacity = layout.capacity;
    let cylinders = (capacity / (HEADS * SECTORS_PER_TRACK)).min(65_535);
    format!(
        "# Disk DescriptorFile\nversion=1\nCID={content}\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n\n\
         # Extent description\nRDONLY {capacity} SPARSE \"{name}\"\n\n# The Disk Data Base\n#DDB\n\n\
         ddb.adapterType = \"lsilogic\"\nddb.geometry.cylinders = \"{cylinders}\"\nddb.geometry.heads = \"{HEADS}\"\n\
         ddb.geometry.sectors = \"{SECTORS_PER_TRACK}\"\nddb.longContentID = \"{}{}{}{content}\"\n\
         ddb.toolsInstallType = \"4\"\nddb.toolsVersion = \"2147483647\"\nddb.virtualHWVersion = \"15\"\n",
        word(4),
        word(8),
        word(12),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::process::Command;

    use flate2::read::ZlibDecoder;

    use super::*;

    /// A disk of 40 MiB with a little here and there, and an end that is no whole grain.
    fn specimen(directory: &Path) -> std::path::PathBuf {
        let raw = directory.join("raw");
        let disk = File::create(&raw).expect("a file");
        disk.set_len((40 << 20) + 1024).expect("it is sparse");
        for (at, byte) in [(0_u64, 1_u8), (70_000, 2), (20 << 20, 3), ((40 << 20) + 512, 4)] {
            disk.write_all_at(&[byte; 300], at).expect("it can be written");
        }
        raw
    }

    /// Walks the stream as strictly as vCenter does, and returns the grains.
    fn walk(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let number = |at: usize, len: usize| {
            bytes[at..at + len].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        assert_eq!((number(0, 4), number(4, 4), number(8, 4)), (u64::from(MAGIC), 3, 0x30001));
        let mut at = (number(64, 8) * SECTOR) as usize;
        let mut grains: Vec<(u64, Vec<u8>)> = Vec::new();
        loop {
            let (position, len) = (number(at, 8), number(at + 8, 4) as usize);
            if len == 0 {
                assert_eq!((position, number(at + 12, 4)), (0, 0), "the marker is that of the end");
                assert_eq!(at + SECTOR as usize, bytes.len(), "nothing is behind the end of the stream");
                return grains;
            }
            let mut grain = Vec::new();
            ZlibDecoder::new(&bytes[at + 12..at + 12 + len]).read_to_end(&mut grain).expect("it is deflated");
            assert_eq!(grain.len() as u64, GRAIN);
            assert!(grains.last().is_none_or(|(last, _)| *last < position), "grains are in order");
            grains.push((position, grain));
            at = (at + 12 + len).next_multiple_of(SECTOR as usize);
        }
    }

    #[test]
    fn a_strict_walk_finds_every_grain_in_order_and_the_end_at_the_end() {
        let directory = tempfile::tempdir().expect("a directory");
        let (raw, out) = (specimen(directory.path()), directory.path().join("out.vmdk"));
        let written = write(&raw, &out, "out.vmdk").expect("there is room");
        let bytes = std::fs::read(&out).expect("it was written");
        assert_eq!(written.len, bytes.len() as u64);
        let grains = walk(&bytes);
        let positions: Vec<_> = grains.iter().map(|(position, _)| position * SECTOR / GRAIN).collect();
        assert_eq!(positions, [0, 1, 320, 640]);
        assert_eq!(written.populated, 4 * GRAIN);
        assert_eq!(grains[1].1[70_000 - 65_536], 2);
    }

    #[test]
    fn the_same_disk_gives_the_same_bytes_and_another_one_another_identity() {
        let directory = tempfile::tempdir().expect("a directory");
        let raw = specimen(directory.path());
        let made = |name: &str| {
            let out = directory.path().join(name);
            write(&raw, &out, "disk.vmdk").expect("there is room");
            std::fs::read(&out).expect("it was written")
        };
        let first = made("a");
        assert!(first == made("b"), "twice the same");
        File::options().write(true).open(&raw).expect("it is there").write_all_at(&[9], 5).expect("written");
        let other = made("c");
        assert_ne!(first[512..1024], other[512..1024], "the descriptor names the content");
    }

    #[test]
    fn qemu_img_finds_no_fault_and_the_same_disk() {
        let directory = tempfile::tempdir().expect("a directory");
        let (raw, out) = (specimen(directory.path()), directory.path().join("out.vmdk"));
        write(&raw, &out, "out.vmdk").expect("there is room");
        let compared = Command::new("qemu-img")
            .args(["compare", "-f", "raw", "-F", "vmdk"])
            .arg(&raw)
            .arg(&out)
            .output();
        let compared = compared.expect("qemu-img runs");
        assert!(compared.status.success(), "{compared:?}");
        let checked = Command::new("qemu-img").arg("check").arg(&out).output().expect("qemu-img runs");
        assert!(checked.status.success(), "{checked:?}");
    }
}
