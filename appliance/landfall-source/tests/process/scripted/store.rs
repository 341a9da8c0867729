//! What the scripted target holds: what is durable, what a crash loses, and every rule that was broken.

use std::collections::BTreeMap;

use units::{ByteLen, ByteOffset, DiskIndex, Generation, Hash, LeafIndex, Sequence, disk_root};
use wire::{
    Batch, Changed, Consistency, DiskShape, Encoding, Extent, Marker, Phase, RefusalCode, Resend,
    ResendTaken, Seed, SeedSync, Span,
};

use super::Chance;

pub(crate) const LEAF: usize = 65536;

pub(crate) enum Item {
    Batch(Box<Batch>, Vec<u8>),
    Marker(Box<Marker>),
}

/// A machine's disks and stream at the target.
pub(crate) struct Store {
    pub(crate) generation: Generation,
    pub(crate) blank: bool,
    /// By disk, as of the last item received in order.
    pub(crate) content: Vec<Vec<u8>>,
    pub(crate) durable_content: Vec<Vec<u8>>,
    pub(crate) received: Sequence,
    pub(crate) durable: Sequence,
    /// By disk; empty once the stream has begun.
    pub(crate) through: Vec<u64>,
    pub(crate) markers: Vec<Marker>,
    pub(crate) violations: Vec<String>,
    /// Payload bytes and disk bytes received, of batches and seeds.
    pub(crate) payload_bytes: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) hashes_asked: u64,
    /// Leaves whose granules were asked for.
    pub(crate) granules_asked: u64,
    /// Where resyncs began, and how many extents had come in batches before.
    pub(crate) resyncs: Vec<(Sequence, usize)>,
    /// Whether the history is said not to reach back.
    pub(crate) forgetful: bool,
    /// What to refuse the next hellos with.
    pub(crate) refusals: Vec<RefusalCode>,
    /// What is asked for again in each session, and what the agent said to it.
    pub(crate) resend: Option<Resend>,
    pub(crate) resends_taken: Vec<ResendTaken>,
    /// Whether to crash when the agent has taken it.
    pub(crate) crash_when_taken: bool,
    /// Frames until a crash.
    pub(crate) fuse: Option<u64>,
    /// Whether a crash leaves every seed frame on the disks, synced or not; else it is left to chance.
    pub(crate) unsynced_stays: bool,
    pub(crate) crashes: u64,
    pub(crate) goodbyes: u64,
    reorder: BTreeMap<u64, Item>,
    written: Vec<(Sequence, Span)>,
    unsynced: Vec<(Vec<Extent>, Vec<u8>)>,
    durable_markers: usize,
}

impl Store {
    pub(crate) fn new(lens: &[usize]) -> Self {
        let content: Vec<Vec<u8>> = lens.iter().map(|len| vec![0; *len]).collect();
        Self {
            generation: Generation(1),
            blank: true,
            durable_content: content.clone(),
            content,
            received: Sequence(0),
            durable: Sequence(0),
            through: vec![0; lens.len()],
            markers: Vec::new(),
            violations: Vec::new(),
            payload_bytes: 0,
            disk_bytes: 0,
            hashes_asked: 0,
            granules_asked: 0,
            resyncs: Vec::new(),
            forgetful: false,
            refusals: Vec::new(),
            resend: None,
            resends_taken: Vec::new(),
            crash_when_taken: false,
            fuse: None,
            unsynced_stays: false,
            crashes: 0,
            goodbyes: 0,
            reorder: BTreeMap::new(),
            written: Vec::new(),
            unsynced: Vec::new(),
            durable_markers: 0,
        }
    }

    pub(crate) fn shapes(&self) -> Vec<DiskShape> {
        self.content.iter().map(|disk| DiskShape { len: ByteLen(disk.len() as u64) }).collect()
    }

    pub(crate) fn seeding(&self) -> bool {
        !self.through.is_empty()
    }

    pub(crate) fn phase(&self) -> Phase {
        if self.seeding() {
            let through = self.through.iter().map(|through| ByteOffset(*through)).collect();
            return Phase::Seeding { through, blank: self.blank };
        }
        Phase::Protected { last_marker: self.markers.last().map_or(Sequence(0), |marker| marker.sequence) }
    }

    pub(crate) fn rule(&mut self, kept: bool, rule: &str) {
        if !kept {
            self.violations.push(rule.to_owned());
        }
    }

    pub(crate) fn seed(&mut self, seed: Seed, payload: Vec<u8>) {
        let seeding = self.seeding();
        self.rule(seeding, "seed frames come only while seeding");
        for extent in &seed.extents {
            let through = self.through.get(usize::from(extent.disk.0)).copied().unwrap_or(u64::MAX);
            self.rule(extent.start.0 >= through, "no seed frame lies before a durable watermark");
        }
        self.count(&seed.extents, &payload);
        let extents = seed.extents.to_vec();
        apply(&mut self.content, &extents, &payload);
        self.unsynced.push((extents, payload));
    }

    pub(crate) fn sync(&mut self, sync: SeedSync) {
        for (extents, payload) in self.unsynced.drain(..) {
            apply(&mut self.durable_content, &extents, &payload);
        }
        let seeding = self.seeding();
        self.rule(seeding, "a seed sync comes only while seeding");
        if let Some(through) = self.through.get_mut(usize::from(sync.disk.0)) {
            let falls = sync.through.0 < *through;
            *through = sync.through.0;
            self.rule(!falls, "a watermark never falls");
        }
    }

    pub(crate) fn item(&mut self, sequence: Sequence, item: Item, chance: &mut Chance) {
        if self.seeding() {
            let ends = self.content.iter().map(|disk| disk.len() as u64).eq(self.through.iter().copied());
            self.rule(ends, "the stream begins when every disk is seeded to its end");
            self.through.clear();
        }
        let fresh = sequence > self.received && self.reorder.insert(sequence.0, item).is_none();
        self.rule(fresh, "no sequence comes twice");
        while let Some(item) = self.reorder.remove(&self.received.next().0) {
            self.received = self.received.next();
            self.take(item);
        }
        if chance.once_in(4) || self.markers.last().is_some_and(|marker| marker.sequence == self.received) {
            self.make_durable();
        }
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Batch(batch, payload) => {
                self.count(&batch.extents, &payload);
                apply(&mut self.content, &batch.extents, &payload);
                let spans = batch.extents.iter().map(|Extent { disk, start, len, .. }| Span {
                    disk: *disk,
                    start: *start,
                    len: *len,
                });
                self.written.extend(spans.map(|span| (batch.sequence, span)));
            }
            Item::Marker(marker) if marker.consistency == Consistency::Resync => {
                self.rule(marker.roots.is_empty(), "nothing is known where a resync begins");
                self.resyncs.push((marker.sequence, self.written.len()));
            }
            Item::Marker(marker) => {
                let roots: Vec<Hash> = self.content.iter().map(|disk| root(disk)).collect();
                self.rule(*marker.roots == *roots, "the roots at a marker are those of the disks");
                let later = self.markers.last().is_none_or(|last| last.time < marker.time);
                self.rule(later, "the times of markers rise");
                self.markers.push(*marker);
            }
        }
    }

    pub(crate) fn make_durable(&mut self) {
        self.durable = self.received;
        self.durable_content.clone_from(&self.content);
        self.durable_markers = self.markers.len();
    }

    /// Loses what is not durable; of seed frames not synced, any part may be on the disks all the same.
    pub(crate) fn crash(&mut self, chance: &mut Chance) {
        self.crashes += 1;
        for (extents, payload) in std::mem::take(&mut self.unsynced) {
            if self.unsynced_stays || chance.once_in(2) {
                apply(&mut self.durable_content, &extents, &payload);
            }
        }
        self.content.clone_from(&self.durable_content);
        self.received = self.durable;
        self.markers.truncate(self.durable_markers);
        self.written.retain(|(sequence, _)| *sequence <= self.durable);
        self.reorder.clear();
    }

    /// A session ended without a crash: what is out of order is dropped, the rest is made durable.
    pub(crate) fn session_over(&mut self) {
        self.reorder.clear();
        self.make_durable();
    }

    pub(crate) fn hashes(&mut self, disk: DiskIndex, first: u64, count: u32) -> Vec<u8> {
        self.hashes_asked += u64::from(count);
        let leaves =
            self.durable_content[usize::from(disk.0)].chunks(LEAF).skip(first as usize).take(count as usize);
        leaves.flat_map(|leaf| *blake3::hash(leaf).as_bytes()).collect()
    }

    pub(crate) fn granules(&mut self, disk: DiskIndex, leaves: &[LeafIndex]) -> Vec<u8> {
        self.granules_asked += leaves.len() as u64;
        let disk = &self.durable_content[usize::from(disk.0)];
        let leaf =
            |leaf: &LeafIndex| &disk[leaf.0 as usize * LEAF..disk.len().min((leaf.0 as usize + 1) * LEAF)];
        let granules = leaves.iter().map(leaf).flat_map(|leaf| leaf.chunks(4096));
        granules.flat_map(|granule| *blake3::hash(granule).as_bytes()).collect()
    }

    pub(crate) fn changed(&self, since: Sequence) -> Vec<Changed> {
        if self.forgetful {
            return vec![Changed::Unknown];
        }
        let later: Vec<Span> = self
            .written
            .iter()
            .filter(|(sequence, _)| *sequence > since && *sequence <= self.durable)
            .map(|(_, span)| *span)
            .collect();
        let mut parts: Vec<Changed> = later
            .chunks(wire::SPANS_MAX / 4)
            .map(|part| Changed::Spans { spans: part.iter().copied().collect(), last: false })
            .collect();
        parts.push(Changed::Spans { spans: Default::default(), last: true });
        parts
    }

    fn count(&mut self, extents: &[Extent], payload: &[u8]) {
        self.payload_bytes += payload.len() as u64;
        self.disk_bytes += extents.iter().map(|extent| extent.len.0).sum::<u64>();
    }
}

fn apply(content: &mut [Vec<u8>], extents: &[Extent], payload: &[u8]) {
    for (extent, part) in wire::extent_payloads(extents, payload) {
        let at = extent.start.0 as usize;
        let into = &mut content[usize::from(extent.disk.0)][at..at + extent.len.0 as usize];
        match extent.encoding {
            Encoding::Zero => into.fill(0),
            Encoding::Raw { .. } => into.copy_from_slice(part),
            Encoding::Zstd { .. } => {
                into.copy_from_slice(&zstd::bulk::decompress(part, into.len()).expect("a zstd frame"))
            }
        }
    }
}

fn root(disk: &[u8]) -> Hash {
    let leaves: Vec<Hash> = disk.chunks(LEAF).map(|leaf| blake3::hash(leaf).into()).collect();
    disk_root(ByteLen(disk.len() as u64), &leaves)
}
