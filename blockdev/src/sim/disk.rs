//! The contents of one simulated disk: what is durable, and what was written since.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::CrashChoice;
use super::random::Random;

/// Bytes that reach the disk whole or not at all.
pub(super) const SECTOR: u64 = 512;
/// Bytes kept together in memory.
const CHUNK: u64 = 4096;
const CHUNK_USIZE: usize = CHUNK as usize;

const _: () = assert!(CHUNK.is_multiple_of(SECTOR));

/// A piece of durable content, shared between worlds until one of them changes it.
struct Chunk {
    bytes: [u8; CHUNK_USIZE],
    /// Its hash, once somebody asked.
    hash: OnceLock<u64>,
}

impl Clone for Chunk {
    /// Copies the bytes only: a copy is made to be changed.
    fn clone(&self) -> Self {
        Self { bytes: self.bytes, hash: OnceLock::new() }
    }
}

/// What a change puts on the disk.
#[derive(Clone)]
pub(super) enum Data {
    Bytes(Arc<[u8]>),
    Zero,
}

/// One write that is visible but not yet durable.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) at: u64,
    pub(super) len: u64,
    pub(super) data: Data,
}

impl Change {
    pub(super) fn bytes(at: u64, bytes: &[u8]) -> Self {
        Self { at, len: bytes.len() as u64, data: Data::Bytes(bytes.into()) }
    }

    pub(super) fn zeroes(at: u64, len: u64) -> Self {
        Self { at, len, data: Data::Zero }
    }

    fn end(&self) -> u64 {
        self.at + self.len
    }

    /// Copies the part that overlaps `into`, which starts at `at`.
    fn overlay(&self, at: u64, into: &mut [u8]) {
        let start = self.at.max(at);
        let end = self.end().min(at + into.len() as u64);
        if start >= end {
            return;
        }
        let place = &mut into[index(start - at)..index(end - at)];
        match &self.data {
            Data::Bytes(bytes) => place.copy_from_slice(&bytes[index(start - self.at)..index(end - self.at)]),
            Data::Zero => place.fill(0),
        }
    }
}

/// Returns a distance inside a buffer as an index.
fn index(distance: u64) -> usize {
    usize::try_from(distance).expect("a distance inside a buffer fits the address space")
}

/// One disk or file. Untouched sectors cost nothing.
///
/// *Invariant:* `pending` is in the order of completion, and `completed` counts all changes that ever were in it.
#[derive(Clone)]
pub(super) struct Disk {
    pub(super) len: u64,
    durable: Arc<BTreeMap<u64, Arc<Chunk>>>,
    pending: Vec<Change>,
    completed: u64,
    /// After a failed flush nothing written here becomes durable any more, though flushes report success: a kernel
    /// forgets which pages it could not write.
    forgetful: bool,
}

impl Disk {
    /// Makes a disk of `len` bytes that reads as zero.
    pub(super) fn new(len: u64) -> Self {
        assert!(len.is_multiple_of(SECTOR), "a disk is made of whole sectors");
        Self { len, durable: Arc::default(), pending: Vec::new(), completed: 0, forgetful: false }
    }

    /// Fills `into` with the newest contents from `at`.
    pub(super) fn read(&self, at: u64, into: &mut [u8]) {
        let end = at + into.len() as u64;
        assert!(end <= self.len, "a read lies on the disk");
        into.fill(0);
        for (number, chunk) in self.durable.range(at / CHUNK..end.div_ceil(CHUNK)) {
            let from = number * CHUNK;
            let (first, last) = (from.max(at), (from + CHUNK).min(end));
            into[index(first - at)..index(last - at)]
                .copy_from_slice(&chunk.bytes[index(first - from)..index(last - from)]);
        }
        for change in &self.pending {
            change.overlay(at, into);
        }
    }

    /// Makes a change visible, but not durable.
    pub(super) fn change(&mut self, change: Change) {
        assert!(change.end() <= self.len, "a change lies on the disk");
        assert!(
            change.at.is_multiple_of(SECTOR) && change.len.is_multiple_of(SECTOR),
            "a change is whole sectors"
        );
        self.pending.push(change);
        self.completed += 1;
    }

    /// Returns how many changes were completed so far: what a flush submitted now covers.
    pub(super) fn completed(&self) -> u64 {
        self.completed
    }

    /// Makes the first `through` changes ever completed durable.
    pub(super) fn flush(&mut self, through: u64) {
        assert!(through <= self.completed, "a flush covers completed changes only");
        if self.forgetful {
            return;
        }
        let first = self.completed - self.pending.len() as u64;
        let covered: Vec<Change> = self.pending.drain(..index(through.saturating_sub(first))).collect();
        for change in &covered {
            self.persist(change);
        }
    }

    /// Loses the ability to make anything durable, as after a failed flush.
    pub(super) fn forget_flushes(&mut self) {
        self.forgetful = true;
    }

    /// Flips one bit of the newest contents and of what is durable below.
    pub(super) fn flip(&mut self, at: u64, bit: u8) {
        assert!(at < self.len && bit < 8, "the bit lies on the disk");
        let sector = at - at % SECTOR;
        let hidden = self.pending.iter().any(|change| change.at <= at && at < change.end());
        let mut bytes = [0; SECTOR as usize];
        self.read(sector, &mut bytes);
        bytes[index(at - sector)] ^= 1 << bit;
        let flipped = Change::bytes(sector, &bytes);
        self.persist(&flipped);
        if hidden {
            self.change(flipped);
        }
    }

    /// Becomes what a crash leaves: for each sector what was durable or any version written since.
    pub(super) fn crash(&mut self, choice: CrashChoice, random: &mut Random) {
        let pending = std::mem::take(&mut self.pending);
        match choice {
            CrashChoice::None => {}
            CrashChoice::All => pending.iter().for_each(|change| self.persist(change)),
            // Whole writes lost and kept find other bugs than torn ones, so that both are tried.
            CrashChoice::Seeded(_) if random.one_in(3) => {
                pending.iter().filter(|_| random.one_in(2)).for_each(|change| self.persist(change));
            }
            CrashChoice::Seeded(_) => self.tear(&pending, random),
        }
        self.completed = 0;
        self.forgetful = false;
        assert!(self.pending.is_empty(), "after a crash everything found is durable");
    }

    /// Keeps for each sector, with equal chances, what was durable or one of the versions in `pending`.
    fn tear(&mut self, pending: &[Change], random: &mut Random) {
        let mut versions: BTreeMap<u64, u64> = BTreeMap::new();
        for change in pending {
            for sector in (change.at..change.end()).step_by(index(SECTOR)) {
                let seen = versions.entry(sector).or_insert(1);
                *seen += 1;
                // The n-th candidate replaces the choice so far once in n times: all end up equally likely.
                if random.one_in(*seen) {
                    self.persist_part(change, sector, SECTOR);
                }
            }
        }
    }

    /// Keeps a seeded number of the first sectors of a change that failed.
    pub(super) fn change_in_part(&mut self, change: &Change, random: &mut Random) {
        let kept = random.below(change.len / SECTOR + 1) * SECTOR;
        assert!(kept <= change.len, "no more is kept than was written");
        if kept > 0 {
            let data = match &change.data {
                Data::Bytes(bytes) => Data::Bytes(bytes[..index(kept)].into()),
                Data::Zero => Data::Zero,
            };
            self.change(Change { at: change.at, len: kept, data });
        }
    }

    fn persist(&mut self, change: &Change) {
        self.persist_part(change, change.at, change.len);
    }

    fn persist_part(&mut self, change: &Change, at: u64, len: u64) {
        assert!(at >= change.at && at + len <= change.end(), "a part lies inside its change");
        let durable = Arc::make_mut(&mut self.durable);
        let mut position = at;
        while position < at + len {
            let number = position / CHUNK;
            let part = ((number + 1) * CHUNK).min(at + len) - position;
            if part == CHUNK && matches!(change.data, Data::Zero) {
                durable.remove(&number);
            } else {
                let empty = || Arc::new(Chunk { bytes: [0; CHUNK_USIZE], hash: OnceLock::new() });
                let chunk = Arc::make_mut(durable.entry(number).or_insert_with(empty));
                chunk.hash.take();
                let from = index(position % CHUNK);
                change.overlay(position, &mut chunk.bytes[from..from + index(part)]);
            }
            position += part;
        }
    }

    /// Returns a hash of the newest contents: equal contents, equal hash, however they came about.
    pub(super) fn fingerprint(&self) -> u64 {
        if self.pending.is_empty() {
            let chunks = self.durable.iter();
            return chunks
                .fold(mix(self.len, 0), |sum, (number, chunk)| sum.wrapping_add(chunk.fingerprint(*number)));
        }
        let mut settled = self.clone();
        settled.crash(CrashChoice::All, &mut Random::new(0));
        settled.fingerprint()
    }
}

impl Chunk {
    /// Returns a hash of content and place; 0 for zeroes, so that they count as absent.
    fn fingerprint(&self, number: u64) -> u64 {
        let hash = *self.hash.get_or_init(|| {
            let (words, _) = self.bytes.as_chunks::<8>();
            let mixed = words.iter().fold((0, 0), |(hash, any), word| {
                let word = u64::from_le_bytes(*word);
                (mix(hash, word), any | word)
            });
            if mixed.1 == 0 { 0 } else { mixed.0.max(1) }
        });
        if hash == 0 { 0 } else { mix(hash, number.wrapping_add(1)) }
    }
}

/// Folds a word into a hash.
pub(super) fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ 0x9e37_79b9_7f4a_7c15)
        * u128::from(word ^ 0xd6e8_feb8_6659_fd93 ^ hash.rotate_left(23));
    (product as u64) ^ ((product >> 64) as u64) ^ word.rotate_left(32)
}
