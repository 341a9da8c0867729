//! What a destage round is made of: its items, what is to be written where, and what must be read before.

use std::sync::Arc;

use blockdev::DeviceSlot;
use retention::{
    BLOCK_LEN, BeforeBody, Body, DecodeError, Effort, ExtentDecoder, ExtentEncoder, RoundPlan, Write,
    encoded_len,
};
use units::{ByteLen, ByteOffset, MachineId, Sequence, Timestamp};
use wire::{Extent, Span};

use super::budget::Resident;
use super::error::ReplicaError;
use super::log_writer::{Entry, GROUP_LEN_MAX};
use super::paths;
use super::shared::Queued;
use super::transfer::{ReadAt, TRANSFER_LEN};

/// Bytes of before-images that make up one group of the undo log, at most.
pub(crate) const IMAGES_LEN_MAX: u64 = 16 << 20;
/// A group of as many granules as that, each with what its record says of it, is not too long for a group.
const _: () = assert!(IMAGES_LEN_MAX + IMAGES_LEN_MAX / units::GRANULE_LEN * 128 < GROUP_LEN_MAX);

/// An item of a round, with its payload.
pub(crate) struct Item {
    queued: Queued,
    kept: Arc<Resident>,
    /// The payload as far as it was read again, if it is not kept.
    read: Vec<u8>,
}

/// A round.
pub(crate) struct Round {
    pub(crate) items: Vec<Item>,
    pub(crate) plan: RoundPlan,
    /// The records of before-images that were read so far.
    pub(crate) images: Vec<(Body, Vec<u8>)>,
    machine: MachineId,
    effort: Effort,
    reads: Vec<ReadAt>,
    /// For each read, what it is for.
    purposes: Vec<Purpose>,
    taken: usize,
}

/// What a read is for.
enum Purpose {
    /// A before-image.
    Image(Span),
    /// A part of an item's payload.
    Payload(usize),
}

/// An extent of an item, and its payload.
pub(crate) struct Part<'r> {
    pub(crate) extent: &'r Extent,
    pub(crate) payload: &'r [u8],
}

/// Where a round reads from.
pub(crate) struct Sources<'s> {
    pub(crate) machine: MachineId,
    pub(crate) disks: &'s [DeviceSlot],
    pub(crate) redo: DeviceSlot,
}

impl Item {
    /// Makes an item of its list of extents, and perhaps its payload.
    pub(crate) fn new(queued: Queued, kept: Arc<Resident>) -> Self {
        Self { queued, kept, read: Vec::new() }
    }

    pub(crate) fn extents(&self) -> &[Extent] {
        self.kept.body.extents()
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.kept.payload.as_ref().unwrap_or(&self.read)
    }

    pub(crate) fn queued(&self) -> &Queued {
        &self.queued
    }

    /// Returns the reads that bring the payload, if it is not kept.
    fn reads(&self, redo: DeviceSlot) -> Vec<ReadAt> {
        if self.kept.payload.is_some() || self.queued.payload_len == 0 {
            return Vec::new();
        }
        let (block, from) = (BLOCK_LEN as u64, self.queued.place.payload_at.0);
        let start = from / block * block;
        let len = (from + self.queued.payload_len as u64).next_multiple_of(block) - start;
        let part = |at: u64| ReadAt {
            slot: redo,
            at: ByteOffset(start + at),
            len: ByteLen((len - at).min(TRANSFER_LEN as u64)).as_usize(),
        };
        (0..len).step_by(TRANSFER_LEN).map(part).collect()
    }

    /// Takes the next part of the payload: `bytes` of the log from `at` on. Errors: the payload is whole now, and damaged.
    fn take(&mut self, at: ByteOffset, bytes: &[u8], machine: MachineId) -> Result<(), ReplicaError> {
        let begun = self.queued.place.payload_at.0 + self.read.len() as u64;
        let skip = usize::try_from(begun - at.0).expect("parts come in order");
        let missing = self.queued.payload_len - self.read.len();
        self.read.extend_from_slice(&bytes[skip..bytes.len().min(skip + missing)]);
        if self.read.len() < self.queued.payload_len {
            return Ok(());
        }
        let damaged = |cause: DecodeError| ReplicaError::Damaged {
            file: paths::redo(machine, self.queued.epoch),
            at: self.queued.place.at,
            cause,
        };
        let mut parts = self.extents().iter().zip(payload_starts(self.extents()));
        let verify = |(extent, start): (&Extent, usize)| {
            ExtentDecoder::verify(extent, &self.read[start..start + encoded_len(extent)])
        };
        parts.try_for_each(verify).map_err(damaged)
    }
}

impl Round {
    /// Begins with the items of a round, all of one epoch, and its plan.
    pub(crate) fn new(items: Vec<Item>, plan: RoundPlan, effort: Effort, sources: &Sources<'_>) -> Self {
        let machine = sources.machine;
        let (reads, purposes) = (Vec::new(), Vec::new());
        let mut round = Self { items, plan, images: Vec::new(), machine, effort, reads, purposes, taken: 0 };
        if round.captures_at_once() {
            let image = |span: &Span| ReadAt {
                slot: sources.disks[usize::from(span.disk.0)],
                at: span.start,
                len: span.len.as_usize(),
            };
            round.reads = round.plan.capture.iter().map(image).collect();
            round.purposes = round.plan.capture.iter().copied().map(Purpose::Image).collect();
        }
        for (index, item) in round.items.iter().enumerate() {
            let reads = item.reads(sources.redo);
            round.purposes.extend(reads.iter().map(|_| Purpose::Payload(index)));
            round.reads.extend(reads);
        }
        round
    }

    /// Tells whether its before-images fit one group. Otherwise they are not read with the rest: the caller captures them in
    /// portions.
    pub(crate) fn captures_at_once(&self) -> bool {
        span_len(&self.plan.capture) <= IMAGES_LEN_MAX
    }

    /// Returns what must be read before it can be written.
    pub(crate) fn reads(&self) -> &[ReadAt] {
        &self.reads
    }

    /// Takes what the next read has found. Errors: it is damaged.
    pub(crate) fn take(&mut self, bytes: &[u8], encoder: &mut ExtentEncoder) -> Result<(), ReplicaError> {
        let (purpose, at) = (&self.purposes[self.taken], self.reads[self.taken].at);
        self.taken += 1;
        match *purpose {
            Purpose::Payload(item) => self.items[item].take(at, bytes, self.machine),
            Purpose::Image(span) => {
                add_image(&mut self.images, encoder, self.effort, &span, bytes);
                Ok(())
            }
        }
    }

    /// Returns what is written where, sorted by position.
    pub(crate) fn writes(&self) -> impl Iterator<Item = (&Write, Part<'_>)> {
        let starts: Vec<_> = self.items.iter().map(|item| payload_starts(item.extents())).collect();
        self.plan.writes.iter().map(move |write| {
            let (item, start) = (&self.items[write.batch], starts[write.batch][write.extent]);
            let extent = &item.extents()[write.extent];
            (write, Part { extent, payload: &item.payload()[start..start + encoded_len(extent)] })
        })
    }

    /// Returns what goes to the undo log.
    pub(crate) fn undo_entries(&self, received: Timestamp) -> Vec<Entry<'_>> {
        let sequence = self.upto();
        self.images.iter().map(|(body, payload)| Entry { sequence, received, body, payload }).collect()
    }

    /// Returns the last item's sequence.
    pub(crate) fn upto(&self) -> Sequence {
        self.items.last().expect("a round has an item").queued.sequence
    }
}

/// Encodes a before-image into the last of the records, or one more.
pub(crate) fn add_image(
    records: &mut Vec<(Body, Vec<u8>)>,
    encoder: &mut ExtentEncoder,
    effort: Effort,
    span: &Span,
    content: &[u8],
) {
    let fits = |(body, payload): &(Body, Vec<u8>)| {
        body.extents().len() < wire::EXTENTS_MAX && payload.len() + content.len() <= wire::PAYLOAD_LEN_MAX
    };
    if !records.last().is_some_and(fits) {
        records.push((Body::Before(BeforeBody { extents: Vec::new() }), Vec::new()));
    }
    let Some((Body::Before(before), payload)) = records.last_mut() else {
        unreachable!("records of before-images alone are made here")
    };
    before.extents.push(encoder.encode(effort, span.disk, span.start, content, payload));
}

/// Cuts spans into portions whose before-images fit one group each.
pub(crate) fn portions(spans: &[Span]) -> Vec<&[Span]> {
    let mut portions = Vec::new();
    let mut rest = spans;
    while !rest.is_empty() {
        let mut len = 0;
        let fits = |span: &&Span| {
            len += span.len.0;
            len <= IMAGES_LEN_MAX
        };
        let count = rest.iter().take_while(fits).count();
        assert!(count > 0, "a span lies within one leaf");
        let (portion, others) = rest.split_at(count);
        portions.push(portion);
        rest = others;
    }
    portions
}

fn span_len(spans: &[Span]) -> u64 {
    spans.iter().map(|span| span.len.0).sum()
}

/// Returns where in the payload each extent's part starts.
pub(crate) fn payload_starts(extents: &[Extent]) -> Vec<usize> {
    let mut at = 0;
    let start = |extent| {
        let start = at;
        at += encoded_len(extent);
        start
    };
    extents.iter().map(start).collect()
}
