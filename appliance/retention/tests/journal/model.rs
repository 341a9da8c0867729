//! A journal in memory, built with real records, beside the images it must be able to give back.

use std::cell::RefCell;
use std::collections::BTreeSet;

use retention::{
    BLOCK_LEN, BatchBody, BeforeBody, Body, Effort, EpochIndex, ExtentDecoder, ExtentEncoder, GranuleSet,
    IndexEntry, Log, Placement, PlanError, PointRange, RECORD_ALIGN, RECORD_HEADER_LEN, Record, RewindPlan,
    RoundPlan, TakenOver, ViewMap, decode_body, decode_head, encode, encoded_len, plan_rewind, plan_round,
    taken_over, unsaved,
};
use units::{ByteLen, ByteOffset, DiskIndex, EpochNumber, Hash, Sequence, Timestamp};
use wire::{Encoding, Extent, Marker, Span};

use crate::specimen::{GENERATION, MACHINE};

/// One disk ends inside a granule, one crosses a leaf, one is a single sector.
pub(crate) const DISK_LENS: [usize; 3] = [4 * 4096 + 1536, 18 * 4096, 512];

/// The content of every disk.
pub(crate) type Image = Vec<Vec<u8>>;
/// A granule: its disk and number.
pub(crate) type Granule = (usize, usize);

/// What an extent of a batch is filled with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fill {
    Zero,
    Byte(u8),
    Noise(u64),
}

/// One change: `start` granules and `len` granules are cut to what the disk has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) disk: usize,
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) fill: Fill,
}

thread_local! {
    static CODEC: RefCell<(ExtentEncoder, ExtentDecoder)> =
        RefCell::new((ExtentEncoder::new(-5).unwrap(), ExtentDecoder::new().unwrap()));
}

/// One log of an epoch: its bytes and its last checksum.
struct LogBytes {
    bytes: Vec<u8>,
    previous: Hash,
}

struct Epoch {
    index: EpochIndex,
    redo: LogBytes,
    undo: LogBytes,
    captured: GranuleSet,
}

/// A batch that is durable and not yet on the disks.
struct Waiting {
    sequence: Sequence,
    extents: Vec<Extent>,
    payloads: Vec<Vec<u8>>,
}

/// The journal, the disks, and the truth about both.
pub(crate) struct Journal {
    epochs: Vec<Epoch>,
    waiting: Vec<Waiting>,
    pub(crate) disks: Image,
    /// The images by sequence; the first is that of sequence 0.
    pub(crate) images: Vec<Image>,
    /// The granules each sequence wrote; the first is that of sequence 0.
    touched: Vec<BTreeSet<Granule>>,
    /// The views that are open.
    pub(crate) views: Vec<ViewMap>,
}

impl Epoch {
    fn new(number: u64, first: Sequence, previous: Hash) -> Self {
        Self {
            index: EpochIndex::empty(MACHINE, GENERATION, EpochNumber(number), first),
            redo: LogBytes { bytes: Vec::new(), previous },
            undo: LogBytes { bytes: Vec::new(), previous: Hash::default() },
            captured: GranuleSet::new(DISK_LENS.len()),
        }
    }

    /// Encodes a record, decodes it again, and adds what was decoded to the index.
    fn append(&mut self, log: Log, sequence: Sequence, body: &Body, payload: &[u8], align: usize) {
        let epoch = self.index.epoch;
        let to = if log == Log::Redo { &mut self.redo } else { &mut self.undo };
        let position = ByteOffset(to.bytes.len() as u64);
        let placement =
            Placement { machine: MACHINE, generation: GENERATION, epoch, position, previous: to.previous };
        let received = Timestamp(sequence.0);
        let record = Record { placement, sequence, durable_len: position, received, body, payload };
        to.previous = encode(&record, align, |part| to.bytes.extend_from_slice(part)).checksum;
        let written = &to.bytes[position.0 as usize..];
        let head = decode_head(written).expect("what was encoded decodes");
        assert_eq!(head.placement, placement);
        let found = decode_body(&head, &written[RECORD_HEADER_LEN..]).expect("so does its body");
        assert_eq!(found, *body);
        self.index.add(log, &head.place(), &found);
    }

    fn content(&self, entry: &IndexEntry) -> Vec<u8> {
        let log = if entry.log == Log::Redo { &self.redo } else { &self.undo };
        let payload = &log.bytes[entry.payload_at.0 as usize..][..encoded_len(&entry.extent)];
        decoded(&entry.extent, payload)
    }
}

fn decoded(extent: &Extent, payload: &[u8]) -> Vec<u8> {
    ExtentDecoder::verify(extent, payload).expect("the payload is the extent's");
    let mut content = vec![0xee; extent.len.as_usize()];
    CODEC.with_borrow_mut(|(_, decoder)| decoder.decode(extent, payload, &mut content)).expect("it decodes");
    content
}

/// The number of granules of a disk.
pub(crate) fn granules_of(disk: usize) -> usize {
    DISK_LENS[disk].div_ceil(4096)
}

/// Where the bytes of a granule lie on its disk.
pub(crate) fn bytes_of((disk, granule): Granule) -> std::ops::Range<usize> {
    granule * 4096..((granule + 1) * 4096).min(DISK_LENS[disk])
}

fn range(span: &Span) -> std::ops::Range<usize> {
    span.start.0 as usize..(span.start.0 + span.len.0) as usize
}

fn granules(span: &Span) -> impl Iterator<Item = Granule> {
    let (disk, range) = (usize::from(span.disk.0), range(span));
    (range.start / 4096..range.end.div_ceil(4096)).map(move |granule| (disk, granule))
}

impl Journal {
    pub(crate) fn new() -> Self {
        let disk = |(disk, len): (usize, &usize)| {
            (0..*len).map(|at| (disk * 3 + at / 4096 * 17 + 1) as u8).collect()
        };
        let disks: Image = DISK_LENS.iter().enumerate().map(disk).collect();
        let epochs = vec![Epoch::new(1, Sequence(1), Hash::default())];
        let (images, touched) = (vec![disks.clone()], vec![BTreeSet::new()]);
        Self { epochs, waiting: Vec::new(), disks, images, touched, views: Vec::new() }
    }

    pub(crate) fn newest(&self) -> u64 {
        self.images.len() as u64 - 1
    }

    pub(crate) fn oldest(&self) -> u64 {
        self.epochs[0].index.first.0 - 1
    }

    /// The last sequence that is on the disks.
    pub(crate) fn applied(&self) -> u64 {
        self.waiting.first().map_or(self.newest(), |batch| batch.sequence.0 - 1)
    }

    pub(crate) fn sealed_epochs(&self) -> usize {
        self.epochs.len() - 1
    }

    fn open(&mut self) -> &mut Epoch {
        self.epochs.last_mut().expect("one epoch is open")
    }

    /// Receives a batch. It is on no disk before the next [`round`](Self::round).
    pub(crate) fn receive(&mut self, changes: &[Change]) {
        let mut image = self.images.last().expect("there is an image").clone();
        let (mut touched, mut sources) = (BTreeSet::new(), Vec::new());
        for &Change { disk, start, len, fill } in changes {
            let first = start % granules_of(disk);
            // Data never crosses a leaf; zeroes may.
            let leaf_end = if matches!(fill, Fill::Zero) { usize::MAX } else { (first / 16 + 1) * 16 };
            let end = (first + len.max(1)).min(granules_of(disk)).min(leaf_end);
            let own: Vec<Granule> = (first..end).map(|granule| (disk, granule)).collect();
            if own.iter().any(|granule| touched.contains(granule)) {
                continue;
            }
            let bytes = first * 4096..(end * 4096).min(DISK_LENS[disk]);
            fill.write(&mut image[disk][bytes.clone()]);
            touched.extend(own);
            sources.push((disk, bytes));
        }
        sources.sort_by_key(|(disk, bytes)| (*disk, bytes.start));
        let (mut extents, mut payloads) = (Vec::new(), Vec::new());
        for (disk, bytes) in sources {
            let (extent, payload) = encoded(disk, bytes.start, &image[disk][bytes]);
            extents.push(extent);
            payloads.push(payload);
        }
        let sequence = Sequence(self.newest() + 1);
        let body = Body::Batch(BatchBody { sequence, time: Timestamp(0), extents: extents.clone() });
        let align = if sequence.0.is_multiple_of(3) { BLOCK_LEN } else { RECORD_ALIGN };
        self.open().append(Log::Redo, sequence, &body, &payloads.concat(), align);
        self.waiting.push(Waiting { sequence, extents, payloads });
        self.images.push(image);
        self.touched.push(touched);
    }

    pub(crate) fn mark(&mut self) {
        let sequence = Sequence(self.newest() + 1);
        let consistency = wire::Consistency::Crash;
        let (label, roots) = (heapless::String::new(), heapless::Vec::new());
        let (time, group) = (Timestamp(sequence.0), None);
        let marker = Marker { sequence, time, consistency, label, roots, group };
        self.open().append(Log::Redo, sequence, &Body::Marker(Box::new(marker)), &[], BLOCK_LEN);
        self.images.push(self.images.last().expect("there is an image").clone());
        self.touched.push(BTreeSet::new());
    }

    /// One destage round of up to `most` batches: captures, then writes.
    pub(crate) fn round(&mut self, most: usize) {
        let round: Vec<Waiting> = self.waiting.drain(..most.min(self.waiting.len())).collect();
        let Some(last) = round.last().map(|batch| batch.sequence) else { return };
        let batches: Vec<&[Extent]> = round.iter().map(|batch| batch.extents.as_slice()).collect();
        let captured = &self.epochs.last().expect("one epoch is open").captured;
        let plan = plan_round(&batches, captured, DISK_LENS.len());
        let (mut extents, mut payload) = (Vec::new(), Vec::new());
        for span in &plan.capture {
            assert_eq!(span.start.leaf(), ByteOffset(span.start.0 + span.len.0 - 1).leaf());
            let content = &self.disks[usize::from(span.disk.0)][range(span)];
            let (extent, part) = encoded(usize::from(span.disk.0), span.start.0 as usize, content);
            extents.push(extent);
            payload.extend(part);
        }
        let known = self.open().index.entries.len();
        if !extents.is_empty() {
            let open = self.open();
            for span in &plan.capture {
                assert_eq!(open.captured.present(span), [], "no granule is captured twice in an epoch");
                open.captured.insert(span);
            }
            open.append(Log::Undo, last, &Body::Before(BeforeBody { extents }), &payload, BLOCK_LEN);
        }
        self.tell_views(&plan, known);
        let mut written = BTreeSet::new();
        for write in &plan.writes {
            let batch = &round[write.batch];
            let extent = &batch.extents[write.extent];
            let content = decoded(extent, &batch.payloads[write.extent]);
            self.write(&write.span, extent, &content);
            granules(&write.span).for_each(|granule| assert!(written.insert(granule), "written once"));
            assert_eq!(self.open().captured.missing(&write.span), [], "captured before it is written");
        }
        let applied = self.applied();
        assert!(self.disks == self.images[last.0 as usize], "a round brings the disks to its last batch");
        assert!(applied >= last.0);
    }

    /// Tells the views what a round is about to overwrite; its captures are the entries from `known` on.
    fn tell_views(&mut self, plan: &RoundPlan, known: usize) {
        let open = &self.epochs.last().expect("one epoch is open").index;
        let captured: Vec<_> =
            open.entries[known..].iter().map(|entry| (open.epoch, entry.clone())).collect();
        for view in &mut self.views {
            let writes = plan.writes.iter().map(|write| &write.span);
            view.overwrite(writes, &captured).expect("what is overwritten was kept");
        }
        crate::views::check(self);
    }

    /// Returns the content of an extent of a log.
    pub(crate) fn content(&self, epoch: EpochNumber, entry: &IndexEntry) -> Vec<u8> {
        let epoch = self.epochs.iter().find(|each| each.index.epoch == epoch);
        epoch.expect("an extent is in an epoch that is there").content(entry)
    }

    /// Makes the map of a view over disks that may hold any state between the two.
    pub(crate) fn view(&self, low: u64, high: u64, to: u64) -> Result<ViewMap, PlanError> {
        let indexes = self.epochs.iter().map(|epoch| epoch.index.clone());
        // Without what is of no use to it, as a target gives it.
        let first = Sequence(low.min(to));
        let needed: Vec<EpochIndex> =
            indexes.filter(|epoch| epoch.last >= first || epoch.epoch == self.newest_epoch()).collect();
        let range = PointRange { low: Sequence(low), high: Sequence(high), to: Sequence(to) };
        ViewMap::new(&needed, range, DISK_LENS.len())
    }

    fn newest_epoch(&self) -> EpochNumber {
        self.epochs.last().expect("one epoch is open").index.epoch
    }

    /// Writes the part of an extent that `span` covers.
    fn write(&mut self, span: &Span, extent: &Extent, content: &[u8]) {
        let from = span.start.since(extent.start).as_usize();
        let content = &content[from..from + span.len.as_usize()];
        self.disks[usize::from(span.disk.0)][range(span)].copy_from_slice(content);
    }

    /// Destages everything, seals the epoch and opens the next.
    pub(crate) fn cut(&mut self) {
        self.round(usize::MAX);
        let sealed = self.open();
        sealed.index.sort();
        let index = EpochIndex::decode(&sealed.index.encode()).expect("an index survives its file");
        assert_eq!(index, sealed.index);
        let (number, previous) = (index.epoch.0 + 1, sealed.redo.previous);
        self.epochs.push(Epoch::new(number, Sequence(self.newest() + 1), previous));
    }

    /// Loses the last record of an epoch's undo log, as rot would that nothing noticed.
    pub(crate) fn lose_undo(&mut self, epoch: usize) {
        let entries = &mut self.epochs[epoch].index.entries;
        let undo = |entry: &IndexEntry| entry.log == Log::Undo;
        let last = entries.iter().filter(|entry| undo(entry)).map(|entry| entry.sequence).max();
        entries.retain(|entry| !undo(entry) || Some(entry.sequence) != last);
    }

    /// Forgets the redo of a sealed epoch.
    pub(crate) fn thin(&mut self, epoch: usize) {
        assert!(epoch < self.sealed_epochs(), "the open epoch is whole");
        self.epochs[epoch].index.thin();
    }

    /// Makes one of a sealed epoch and the next, if both are thinned.
    pub(crate) fn join(&mut self, at: usize) {
        let thinned = |at: usize| at < self.sealed_epochs() && self.epochs[at].index.is_thinned();
        if !thinned(at) || !thinned(at + 1) {
            return;
        }
        let later = self.epochs.remove(at + 1);
        let earlier = &mut self.epochs[at];
        for TakenOver { entry, parts } in taken_over(&earlier.index, &later.index, DISK_LENS.len()) {
            let content = later.content(&entry);
            let (mut extents, mut payload) = (Vec::new(), Vec::new());
            for part in parts {
                assert_eq!(earlier.captured.present(&part), [], "no granule is captured twice in an epoch");
                earlier.captured.insert(&part);
                let from = part.start.since(entry.extent.start).as_usize();
                let content = &content[from..from + part.len.as_usize()];
                let (extent, bytes) = encoded(usize::from(part.disk.0), part.start.0 as usize, content);
                extents.push(extent);
                payload.extend(bytes);
            }
            let body = Body::Before(BeforeBody { extents });
            earlier.append(Log::Undo, later.index.last, &body, &payload, BLOCK_LEN);
        }
        earlier.index.join(&later.index, ByteOffset(0));
        let index = EpochIndex::decode(&earlier.index.encode()).expect("an index survives its file");
        assert_eq!(index, earlier.index);
    }

    /// Tells whether a sequence can be had: not what lies inside a thinned epoch.
    pub(crate) fn is_kept(&self, sequence: u64) -> bool {
        let inside = |epoch: &&Epoch| {
            let (first, last) = (epoch.index.first.0, epoch.index.last.0);
            epoch.index.is_thinned() && (first..last).contains(&sequence)
        };
        sequence >= self.oldest() && !self.epochs.iter().any(|epoch| inside(&epoch))
    }

    /// Captures what would be lost if the disks left the newest state for `to`.
    pub(crate) fn save(&mut self, to: u64) {
        let indexes: Vec<EpochIndex> = self.epochs.iter().map(|epoch| epoch.index.clone()).collect();
        let newest = Sequence(self.newest());
        let spans = unsaved(&indexes, Sequence(to), &self.open().captured);
        for span in spans {
            let content = self.disks[usize::from(span.disk.0)][range(&span)].to_vec();
            let (extent, payload) = encoded(usize::from(span.disk.0), span.start.0 as usize, &content);
            let open = self.open();
            open.captured.insert(&span);
            let body = Body::Before(BeforeBody { extents: vec![extent] });
            open.append(Log::Undo, newest, &body, &payload, BLOCK_LEN);
        }
    }

    /// Forgets the oldest sealed epochs.
    pub(crate) fn expire(&mut self, epochs: usize) {
        self.epochs.drain(..epochs.min(self.sealed_epochs()));
    }

    /// The granules written after `low`, up to `high`.
    pub(crate) fn touched(&self, low: u64, high: u64) -> BTreeSet<Granule> {
        self.touched[low as usize + 1..=high as usize].iter().flatten().copied().collect()
    }

    pub(crate) fn plan(&self, low: u64, high: u64, to: u64) -> Result<RewindPlan, PlanError> {
        let indexes: Vec<EpochIndex> = self.epochs.iter().map(|epoch| epoch.index.clone()).collect();
        let range = PointRange { low: Sequence(low), high: Sequence(high), to: Sequence(to) };
        plan_rewind(&indexes, range, DISK_LENS.len())
    }

    /// Does the first `most` pieces of a plan; returns the granules they are of.
    pub(crate) fn apply(&mut self, plan: &RewindPlan, most: usize) -> BTreeSet<Granule> {
        let mut written = BTreeSet::new();
        for piece in plan.pieces.iter().take(most) {
            let whole = piece.entry.span();
            let inside = whole.disk == piece.span.disk
                && range(&whole).start <= range(&piece.span).start
                && range(&piece.span).end <= range(&whole).end;
            assert!(inside, "a piece lies inside its extent");
            let epoch = self.epochs.iter().find(|epoch| epoch.index.epoch == piece.epoch);
            let content = epoch.expect("a piece is in an epoch that is there").content(&piece.entry);
            self.write(&piece.span, &piece.entry.extent, &content);
            granules(&piece.span).for_each(|granule| assert!(written.insert(granule), "no byte twice"));
        }
        written
    }
}

impl Fill {
    fn write(self, out: &mut [u8]) {
        match self {
            Self::Zero => out.fill(0),
            Self::Byte(byte) => out.fill(byte | 1),
            Self::Noise(seed) => {
                blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(out);
            }
        }
    }
}

fn encoded(disk: usize, start: usize, content: &[u8]) -> (Extent, Vec<u8>) {
    let mut payload = Vec::new();
    let (disk, start) = (DiskIndex(disk as u16), ByteOffset(start as u64));
    if content.iter().all(|&byte| byte == 0) {
        let len = ByteLen(content.len() as u64);
        return (Extent { disk, start, len, encoding: Encoding::Zero }, payload);
    }
    let extent = CODEC
        .with_borrow_mut(|(encoder, _)| encoder.encode(Effort::Compress, disk, start, content, &mut payload));
    (extent, payload)
}
