//! What one round asks and sends, without a session: a driver brings the chunks of all disks in order, sends the questions, waits for
//! the answers that are awaited, and sends the parcels. The agent does that with threads, the simulator one step at a time.
//!
//! The order that makes what is sent enough: 1. [`Sweep::question`] until there is none; 2. while [`Sweep::awaits`] names a question, its
//! answer goes to [`Sweep::told`]; 3. [`Sweep::look`] says what of the chunk differs, [`Sweep::refine`] takes some of it to ask about its
//! granules, [`Sweep::pack`] packs the rest; 4. the parcels are given out one after the other, each as the next item. After the last
//! chunk: [`Sweep::ask_rest`], every answer, [`Sweep::finish`].

use std::collections::VecDeque;

use blockdev::PagePool;
use units::{Hash, Sequence};
use wire::{GranuleQuery, HashQuery, Resend, ResendTaken};

use crate::compare::Compare;
use crate::compress::Compressor;
use crate::leaf::LeafContent;
use crate::parcel::{Chunk, Packer, Parcel};
use crate::refine::{Differing, Refine};
use crate::stream::Stream;

/// One round on its way over the disks.
pub struct Sweep {
    compare: Compare,
    /// Only in a resync.
    refine: Option<Refine>,
    packer: Packer,
    /// Parts of leaves come later than whole ones: each packer sees its own in order.
    parts: Packer,
    full: VecDeque<Parcel>,
}

/// A question about granules that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwaitedGranules {
    /// Which.
    pub token: u64,
    /// How many hashes the answer has.
    pub count: usize,
    /// Too many wait: nothing more is read before it is there.
    pub is_urgent: bool,
}

impl Sweep {
    /// Begins a round at the start of the first disk. `payload_max` and `buffers` as for [`Packer::new`].
    pub fn new(stream: &Stream, payload_max: usize, buffers: &PagePool) -> Self {
        let packer = || Packer::new(payload_max, buffers.clone());
        Self {
            compare: Compare::new(),
            refine: stream.resyncs().then(Refine::new),
            packer: packer(),
            parts: packer(),
            full: VecDeque::new(),
        }
    }

    /// Tells whether the round begins with the marker of a resync, [`Stream::next_resync`], before anything else of it.
    pub fn begins_resync(stream: &Stream) -> bool {
        stream.resyncs() && Compare::asks(stream)
    }

    /// Returns the next question about leaves that is to be sent; `None` when enough wait for their answers.
    pub fn question(&mut self, stream: &Stream) -> Option<HashQuery> {
        self.compare.question(stream)
    }

    /// Returns the question whose answer is needed before the chunk is looked at.
    pub fn awaits(&self, chunk: &Chunk) -> Option<HashQuery> {
        self.compare.awaits(chunk.disk, chunk.start.leaf())
    }

    /// Learns the answer to the question that is awaited. Panics if it has not a hash for each leaf: that is checked where it is received.
    pub fn told(&mut self, stream: &mut Stream, hashes: &[Hash]) {
        self.compare.told(stream, hashes);
    }

    /// Returns how many leaves the target holds otherwise than it acked, so far.
    pub fn contradictions(&self) -> u64 {
        self.compare.contradictions()
    }

    /// Takes the leaves out of a chunk's `contents` about whose granules the target is asked first. Returns the questions to be sent,
    /// when there are enough of them.
    pub fn refine(&mut self, chunk: &Chunk, contents: &mut [Option<LeafContent>]) -> Vec<GranuleQuery> {
        let Some(refine) = &mut self.refine else { return Vec::new() };
        let mut questions = Vec::new();
        for ((leaf, range), content) in chunk.leaves().zip(contents) {
            if let Some(LeafContent::Data(hash)) = *content
                && refine.wants()
            {
                *content = None;
                let bytes = chunk.page[range].to_vec();
                questions.extend(refine.take(Differing { disk: chunk.disk, leaf, hash, bytes }));
            }
        }
        questions
    }

    /// Packs what is left of a chunk's contents.
    pub fn pack(&mut self, chunk: Chunk, contents: &[Option<LeafContent>], compressor: &mut Compressor) {
        if contents.iter().any(Option::is_some) {
            let mut full = Vec::new();
            self.packer.pack(chunk, contents, compressor, &mut full);
            self.full.extend(full);
        }
    }

    /// Returns the oldest question about granules that waits for its answer.
    pub fn awaits_granules(&self) -> Option<AwaitedGranules> {
        self.refine.as_ref()?.awaits()
    }

    /// Takes the answer to the oldest question about granules: what is equal is known, what differs is packed. Panics if it has not a
    /// hash for each granule: that is checked where it is received.
    pub fn told_granules(&mut self, stream: &mut Stream, hashes: &[Hash], compressor: &mut Compressor) {
        let refined = self.refine.as_mut().map(|refine| refine.told(hashes)).unwrap_or_default();
        let mut full = Vec::new();
        for (Differing { disk, leaf, hash, bytes }, parts) in refined {
            match parts.is_empty() {
                true => drop(stream.told(disk, leaf, hash)),
                false => self.parts.pack_parts((disk, leaf, hash), &bytes, &parts, compressor, &mut full),
            }
        }
        self.full.extend(full);
    }

    /// Returns the last question about granules, after the last chunk.
    pub fn ask_rest(&mut self) -> Option<GranuleQuery> {
        self.refine.as_mut()?.ask()
    }

    /// Closes what is still open, after the last answer. Panics if one is missing: its leaves would never be sent.
    pub fn finish(&mut self) {
        assert!(self.awaits_granules().is_none(), "a round ends after its last answer");
        self.full.extend(self.packer.finish());
        self.full.extend(self.parts.finish());
    }

    /// Returns the next parcel that is to be sent.
    pub fn parcel(&mut self) -> Option<Parcel> {
        self.full.pop_front()
    }
}

impl Stream {
    /// Looks at each leaf of a chunk: `Some` is what differs from what the target holds, as far as is known.
    pub fn differing(&self, chunk: &Chunk) -> Vec<Option<LeafContent>> {
        let leaves = self.table().disk(chunk.disk);
        let differs = |(at, range): (units::LeafIndex, std::ops::Range<usize>)| {
            let len = units::ByteLen(range.len() as u64);
            let content = crate::leaf::content(&chunk.page[range]);
            let hash = match content {
                LeafContent::Zero => self.zeroes().of(len),
                LeafContent::Data(hash) => hash,
            };
            (leaves.get(at) != Some(hash)).then_some(content)
        };
        chunk.leaves().map(differs).collect()
    }

    /// Takes what the target wants to have again into the next round, between two rounds. The order that makes the answer true: 1. its
    /// leaves become unknown, so that no round passes over them; 2. the table that says so is durable; 3. the target is told what this
    /// returns. Panics if something is unacked.
    pub fn take_resends(&mut self, resends: &[Resend]) -> Vec<ResendTaken> {
        let take = |resend: &Resend| {
            let after: Sequence = self.forget_spans(&resend.spans);
            ResendTaken { token: resend.token, after }
        };
        resends.iter().map(take).collect()
    }
}
