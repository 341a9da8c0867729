//! Changed leaves, packed into what one frame carries. Nothing here knows where the frame goes.

use std::ops::Range;

use blockdev::{PageBuf, PagePool};
use units::{ByteLen, ByteOffset, DiskIndex, Hash, LEAF_LEN, LeafIndex};
use wire::{EXTENTS_MAX, Encoding, Extent, PAYLOAD_LEN_MAX};

use crate::compress::{Compressor, Level};
use crate::leaf::{LeafContent, ZeroHashes};
use crate::table::LeafTable;
use crate::unacked::Run;

/// Disk bytes one parcel covers at most, so that a long run of zeroes does not become one huge piece of work.
pub(crate) const COVER_LEN_MAX: u64 = 64 << 20;
/// A chunk with at least this part of its bytes to send travels in the buffer it was read into, without a copy.
const WHOLE_DENOMINATOR: usize = 2;

/// What one frame carries: extents, and their payload.
#[derive(Debug)]
pub struct Parcel {
    /// Sorted by disk and position, not overlapping; none crosses a leaf but runs of zeroes.
    pub extents: Vec<Extent>,
    /// What each extent holds on the disk (a run of zeroes may be many leaves).
    contents: Vec<LeafContent>,
    buffer: Option<PageBuf>,
    slices: Vec<Range<usize>>,
    payload_len: usize,
    cover_len: u64,
}

impl Parcel {
    fn with_buffer(buffer: Option<PageBuf>) -> Self {
        Self {
            extents: Vec::new(),
            contents: Vec::new(),
            buffer,
            slices: Vec::new(),
            payload_len: 0,
            cover_len: 0,
        }
    }

    /// Returns the payload, in the order of the extents.
    pub fn payload(&self) -> Vec<&[u8]> {
        let bytes = self.buffer.as_deref().unwrap_or_default();
        self.slices.iter().map(|slice| &bytes[slice.clone()]).collect()
    }

    /// Returns how many bytes of payload there are.
    pub fn payload_len(&self) -> usize {
        self.payload_len
    }

    /// Returns how many bytes of disk the extents cover.
    pub(crate) fn cover_len(&self) -> ByteLen {
        ByteLen(self.cover_len)
    }

    /// Returns the runs of disk the extents cover.
    pub fn runs(&self) -> Vec<Run> {
        self.extents
            .iter()
            .map(|extent| Run { disk: extent.disk, start: extent.start, len: extent.len })
            .collect()
    }

    /// Tells the table what the target will hold once it has the parcel.
    pub fn teach(&self, table: &mut LeafTable, zeroes: &ZeroHashes) {
        for (extent, content) in self.extents.iter().zip(&self.contents) {
            let leaves = table.disk_mut(extent.disk);
            let disk_len = leaves.len();
            for leaf in extent.start.leaf().0..(extent.start.0 + extent.len.0).div_ceil(LEAF_LEN) {
                let leaf = LeafIndex(leaf);
                match content {
                    LeafContent::Data(hash) => leaves.learn(leaf, *hash),
                    LeafContent::Zero => leaves.learn(leaf, zeroes.of(leaf.len_on(disk_len))),
                }
            }
        }
    }

    fn add(&mut self, extent: Extent, content: LeafContent) {
        self.payload_len += usize::try_from(extent.payload_len()).expect("a payload fits the address space");
        self.cover_len += extent.len.0;
        let last = self.extents.last_mut();
        let whole = content == LeafContent::Zero && self.contents.last() == Some(&LeafContent::Zero);
        match last.filter(|last| whole && continues(last, &extent)) {
            Some(last) => last.len += extent.len,
            None => {
                self.extents.push(extent);
                self.contents.push(content);
            }
        }
    }

    fn add_slice(&mut self, slice: Range<usize>) {
        match self.slices.last_mut().filter(|last| last.end == slice.start) {
            Some(last) => last.end = slice.end,
            None => self.slices.push(slice),
        }
    }
}

/// Tells whether `next` is more zeroes right behind `last`.
fn continues(last: &Extent, next: &Extent) -> bool {
    last.encoding == Encoding::Zero && last.disk == next.disk && last.start.0 + last.len.0 == next.start.0
}

/// A chunk of a disk as it was read, leaf-aligned.
#[derive(Debug)]
pub struct Chunk {
    /// The disk.
    pub disk: DiskIndex,
    /// Where it starts: a multiple of the leaf length.
    pub start: ByteOffset,
    /// Its bytes: whole leaves, unless it ends where the disk ends.
    pub page: PageBuf,
}

impl Chunk {
    /// Returns each leaf with its index and its place in the page.
    pub fn leaves(&self) -> impl Iterator<Item = (LeafIndex, Range<usize>)> + use<> {
        let (first, len) = (self.start.leaf().0, self.page.len());
        let leaf_len = ByteLen(LEAF_LEN).as_usize();
        (0..len.div_ceil(leaf_len)).map(move |at| {
            let range = at * leaf_len..((at + 1) * leaf_len).min(len);
            (LeafIndex(first + at as u64), range)
        })
    }
}

/// Packs leaves into parcels.
pub struct Packer {
    payload_max: usize,
    pool: PagePool,
    open: Option<Parcel>,
}

impl Packer {
    /// Makes a packer of parcels of at most `payload_max` bytes, whose buffers come from `pool`. Panics if a leaf does not
    /// fit a parcel, or a parcel a frame: the session checks the credit it is given.
    pub fn new(payload_max: usize, pool: PagePool) -> Self {
        assert!(payload_max >= ByteLen(LEAF_LEN).as_usize(), "a parcel holds a leaf");
        assert!(payload_max <= PAYLOAD_LEN_MAX, "a frame holds a parcel");
        Self { payload_max, pool, open: None }
    }

    /// Packs the leaves of a chunk that are to be sent (`contents`, by leaf of the chunk); full parcels go to `full`.
    pub fn pack(
        &mut self,
        chunk: Chunk,
        contents: &[Option<LeafContent>],
        compressor: &mut Compressor,
        full: &mut Vec<Parcel>,
    ) {
        let data = |content: &Option<LeafContent>| matches!(content, Some(LeafContent::Data(_)));
        let raw_len: usize = chunk
            .leaves()
            .zip(contents)
            .filter(|(_, content)| data(content))
            .map(|((_, range), _)| range.len())
            .sum();
        let most =
            raw_len > 0 && raw_len >= chunk.page.len() / WHOLE_DENOMINATOR && raw_len <= self.payload_max;
        if most && compressor.level() == Level::None {
            full.push(whole(chunk, contents));
            return;
        }
        for ((leaf, range), content) in chunk.leaves().zip(contents) {
            let len = ByteLen(range.len() as u64);
            let extent = |encoding| Extent { disk: chunk.disk, start: leaf.offset(), len, encoding };
            match *content {
                None => {}
                Some(LeafContent::Zero) => self.put(extent(Encoding::Zero), LeafContent::Zero, &[], full),
                Some(LeafContent::Data(hash)) => {
                    let bytes = &chunk.page[range];
                    match compressor.compress(bytes) {
                        Some(encoded) => {
                            let encoded_len = u32::try_from(encoded.len()).expect("less than a leaf");
                            let encoding = Encoding::Zstd { encoded_len, hash: blake3::hash(encoded).into() };
                            self.put(extent(encoding), LeafContent::Data(hash), encoded, full);
                        }
                        None => {
                            self.put(extent(Encoding::Raw { hash }), LeafContent::Data(hash), bytes, full)
                        }
                    }
                }
            }
        }
    }

    /// Packs parts of one leaf, all into one parcel: with its other parts as they are, the target then holds the leaf whose hash is
    /// `hash`. `parts` are aligned to granules, ascending, and not empty.
    pub fn pack_parts(
        &mut self,
        (disk, leaf, hash): (DiskIndex, LeafIndex, Hash),
        bytes: &[u8],
        parts: &[Range<usize>],
        compressor: &mut Compressor,
        full: &mut Vec<Parcel>,
    ) {
        let len: usize = parts.iter().map(Range::len).sum();
        let fits = |open: &Parcel| {
            open.payload_len + len <= self.payload_max
                && open.extents.len() + parts.len() <= EXTENTS_MAX
                && open.cover_len + len as u64 <= COVER_LEN_MAX
        };
        if !self.open.as_ref().is_none_or(fits) {
            full.extend(self.open.take());
        }
        for part in parts {
            let piece = &bytes[part.clone()];
            let start = ByteOffset(leaf.offset().0 + part.start as u64);
            let extent = |encoding| Extent { disk, start, len: ByteLen(piece.len() as u64), encoding };
            let content = LeafContent::Data(hash);
            if units::is_zero(piece) {
                self.put(extent(Encoding::Zero), content, &[], full);
            } else if let Some(encoded) = compressor.compress(piece) {
                let encoded_len = u32::try_from(encoded.len()).expect("less than a leaf");
                let encoding = Encoding::Zstd { encoded_len, hash: blake3::hash(encoded).into() };
                self.put(extent(encoding), content, encoded, full);
            } else {
                self.put(extent(Encoding::Raw { hash: blake3::hash(piece).into() }), content, piece, full);
            }
        }
    }

    /// Closes the open parcel, if there is one.
    pub fn finish(&mut self) -> Option<Parcel> {
        self.open.take()
    }

    fn put(&mut self, extent: Extent, content: LeafContent, payload: &[u8], full: &mut Vec<Parcel>) {
        let fits = |open: &Parcel| {
            open.payload_len + payload.len() <= self.payload_max
                && open.extents.len() < EXTENTS_MAX
                && open.cover_len + extent.len.0 <= COVER_LEN_MAX
        };
        if !self.open.as_ref().is_none_or(fits) {
            full.extend(self.open.take());
        }
        let open = self.open.get_or_insert_with(|| Parcel::with_buffer(None));
        if !payload.is_empty() {
            // The pool is made large enough for all that can be under way; should it not be, memory is taken elsewhere.
            let lend =
                || self.pool.lend(self.payload_max).unwrap_or_else(|| PageBuf::zeroed(self.payload_max));
            let buffer = open.buffer.get_or_insert_with(lend);
            let range = open.payload_len..open.payload_len + payload.len();
            buffer[range.clone()].copy_from_slice(payload);
            open.add_slice(range);
        }
        open.add(extent, content);
    }
}

/// Makes a parcel of a chunk of which most is to be sent as it is, in the buffer it was read into.
fn whole(chunk: Chunk, contents: &[Option<LeafContent>]) -> Parcel {
    let leaves = chunk.leaves();
    let Chunk { disk, page, .. } = chunk;
    let mut parcel = Parcel::with_buffer(Some(page));
    for ((leaf, range), content) in leaves.zip(contents) {
        let Some(content) = *content else { continue };
        let encoding = match content {
            LeafContent::Zero => Encoding::Zero,
            LeafContent::Data(hash) => {
                parcel.add_slice(range.clone());
                Encoding::Raw { hash }
            }
        };
        parcel
            .add(Extent { disk, start: leaf.offset(), len: ByteLen(range.len() as u64), encoding }, content);
    }
    parcel
}

#[cfg(test)]
mod tests {
    use wire::{DiskShape, check_extents, verify_payload};

    use super::*;
    use crate::config::Compression;
    use crate::leaf;

    const LEAF: usize = LEAF_LEN as usize;

    fn chunk(start: u64, bytes: &[u8]) -> Chunk {
        Chunk { disk: DiskIndex(0), start: ByteOffset(start), page: PageBuf::copy_of(bytes) }
    }

    fn contents(chunk: &Chunk) -> Vec<Option<LeafContent>> {
        chunk.leaves().map(|(_, range)| Some(leaf::content(&chunk.page[range]))).collect()
    }

    fn packer(payload_max: usize) -> Packer {
        Packer::new(payload_max, PagePool::new(4, payload_max))
    }

    fn pack(packer: &mut Packer, mode: Compression, chunks: Vec<Chunk>) -> Vec<Parcel> {
        let (mut compressor, mut full) = (Compressor::new(mode).unwrap(), Vec::new());
        for chunk in chunks {
            let contents = contents(&chunk);
            packer.pack(chunk, &contents, &mut compressor, &mut full);
        }
        full.extend(packer.finish());
        full
    }

    /// Puts parcels on a blank disk, after every rule of the protocol was checked.
    fn applied(parcels: &[Parcel], disk_len: usize) -> Vec<u8> {
        let mut disk = vec![0xaa; disk_len];
        for parcel in parcels {
            let payload = parcel.payload().concat();
            assert_eq!(payload.len(), parcel.payload_len());
            check_extents(&parcel.extents, &[DiskShape { len: ByteLen(disk_len as u64) }], payload.len())
                .unwrap();
            verify_payload(&parcel.extents, &payload).unwrap();
            for (extent, part) in wire::extent_payloads(&parcel.extents, &payload) {
                let at = extent.start.0 as usize;
                let into = &mut disk[at..at + extent.len.0 as usize];
                match extent.encoding {
                    Encoding::Zero => into.fill(0),
                    Encoding::Raw { .. } => into.copy_from_slice(part),
                    Encoding::Zstd { .. } => {
                        into.copy_from_slice(&zstd::bulk::decompress(part, into.len()).unwrap());
                    }
                }
            }
        }
        disk
    }

    /// Leaves by letter: `0` zero, `t` text that shrinks, `n` noise that does not; the last is cut to 512 bytes.
    fn image(leaves: &str) -> Vec<u8> {
        let mut bytes = vec![0; leaves.len() * LEAF];
        for (kind, leaf) in leaves.bytes().zip(bytes.chunks_mut(LEAF)) {
            match kind {
                b'0' => {}
                b't' => leaf.iter_mut().zip(b"status=ok\n".iter().cycle()).for_each(|(to, from)| *to = *from),
                _ => blake3::Hasher::new().finalize_xof().fill(leaf),
            }
        }
        bytes.truncate(bytes.len() - LEAF + 512);
        bytes
    }

    #[test]
    fn whatever_is_packed_unpacks_to_the_same_disk() {
        for mode in [Compression::None, Compression::Fast, Compression::Zstd1] {
            for payload_max in [LEAF, 3 * LEAF, PAYLOAD_LEN_MAX] {
                let bytes = image("0ntt00n0tttttttttnnnnnn0000000000ttn");
                let pieces = bytes.chunks(16 * LEAF).zip((0..).step_by(16 * LEAF));
                let chunks = pieces.map(|(piece, start)| chunk(start as u64, piece)).collect();
                let parcels = pack(&mut packer(payload_max), mode, chunks);
                assert!(parcels.iter().all(|parcel| parcel.payload_len() <= payload_max));
                assert!(applied(&parcels, bytes.len()) == bytes, "{mode:?} {payload_max}");
            }
        }
    }

    #[test]
    fn a_full_chunk_travels_in_its_own_buffer() {
        let bytes = image("nnnnnnnn0nnnnnnnn")[..16 * LEAF].to_vec();
        let chunk = chunk(0, &bytes);
        let address = chunk.page.as_ptr();
        let parcels = pack(&mut packer(PAYLOAD_LEN_MAX), Compression::None, vec![chunk]);
        let payload = parcels[0].payload();
        assert_eq!(payload[0].as_ptr(), address);
        assert_eq!((parcels.len(), payload.len()), (1, 2), "neighbours are one slice");
    }

    #[test]
    fn runs_of_zeroes_are_one_extent_and_bounded() {
        let chunks = (0..80).map(|at| chunk(at << 20, &vec![0; 1 << 20])).collect();
        let parcels = pack(&mut packer(PAYLOAD_LEN_MAX), Compression::None, chunks);
        let covers: Vec<_> =
            parcels.iter().map(|parcel| (parcel.extents.len(), parcel.cover_len().0 >> 20)).collect();
        assert_eq!(covers, [(1, 64), (1, 16)]);
    }

    #[test]
    fn the_table_learns_what_the_parcel_carries() {
        let bytes = image("0tn00");
        let chunk = chunk(0, &bytes);
        let expected: Vec<_> = bytes.chunks(LEAF).map(|leaf| blake3::hash(leaf).into()).collect();
        let mut table = LeafTable::unknown("m".parse().unwrap(), [ByteLen(bytes.len() as u64)]);
        for parcel in pack(&mut packer(PAYLOAD_LEN_MAX), Compression::Fast, vec![chunk]) {
            parcel.teach(&mut table, &ZeroHashes::new());
        }
        assert_eq!(table.disk(DiskIndex(0)).complete(), Some(&expected[..]));
    }

    #[test]
    fn scattered_leaves_share_a_parcel() {
        let (mut packer, mut full) = (packer(PAYLOAD_LEN_MAX), Vec::new());
        let mut compressor = Compressor::new(Compression::None).unwrap();
        for at in 0..20 {
            let chunk = chunk(at << 20, &image("nnnnnnnnnnnnnnnnn")[..16 * LEAF]);
            let mut contents = contents(&chunk);
            contents.iter_mut().skip(1).for_each(|content| *content = None);
            packer.pack(chunk, &contents, &mut compressor, &mut full);
        }
        assert_eq!(full.len(), 1);
        assert_eq!((full[0].extents.len(), packer.finish().unwrap().extents.len()), (16, 4));
    }
}
