//! One round: every disk is scanned, what differs is sent, and a recovery point ends it.

use std::time::Instant;

use units::{ByteLen, ByteOffset};
use wire::GroupMark;

use crate::agent::Agent;
use crate::compare::Compare;
use crate::config::Label;
use crate::error::SourceError;
use crate::leaf::LeafContent;
use crate::pace::Pace;
use crate::parcel::{Chunk, Packer, Parcel};
use crate::progress::{Counters, Event, Point, Stage};
use crate::refine::{Differing, Refine};
use crate::session::Session;
use crate::still::Still;
use crate::stream::PointWords;

impl Agent<'_> {
    /// Scans every disk once, sends what differs, and returns when the recovery point is durable.
    ///
    /// The order that makes the point's time and consistency true: 1. the disks' activity is noted, in `still`; 2. every leaf is read;
    /// 3. the time is taken; 4. the activity is noted again. If it is the same, the disks were at that time exactly what was read.
    pub(crate) fn round(
        &mut self,
        session: &Session,
        pace: &mut Pace,
        still: Still,
        label: Label,
        group: Option<GroupMark>,
    ) -> Result<Point, SourceError> {
        let span = tracing::debug_span!("source.round", machine = %self.config.machine);
        let _entered = span.enter();
        // A seed that read every leaf while nobody wrote is a scan already: the disks hold what was seeded.
        let scanned = self.seeded_since.take().is_some_and(|since| since == still.since);
        if (!scanned || !self.stream.table().is_complete())
            && let Err(error) = self.send_differences(session, pace)
        {
            self.put_back(still);
            return Err(error);
        }
        let time = self.now();
        let time = still.moment.unwrap_or(time);
        let consistency = self.judge(still)?;
        let (sequence, roots) = self.send_point(session, PointWords { time, consistency, label, group })?;
        let counters = std::mem::take(&mut self.counters);
        self.totals.add(&counters);
        let took = self.counting_since.elapsed();
        self.counting_since = Instant::now();
        let generation = self.stream.generation();
        Ok(Point { sequence, generation, time, consistency, roots, counters, took })
    }

    fn send_differences(&mut self, session: &Session, pace: &mut Pace) -> Result<(), SourceError> {
        let start = Instant::now();
        self.reader.start(&vec![ByteOffset(0); self.reader.disks().len()])?;
        let mut compare = Compare::new();
        if self.stream.resyncs() && Compare::asks(&self.stream) {
            self.send_resync(session)?;
        }
        let mut refine = self.stream.resyncs().then(Refine::new);
        let new_packer = || Packer::new(session.payload_max, self.buffers.clone());
        // Parts of leaves come later than whole ones: each packer sees its own in order.
        let (mut packer, mut parts) = (new_packer(), new_packer());
        let mut full = Vec::new();
        let mut done = ByteLen::ZERO;
        while let Some(chunk) = self.reader.next()? {
            self.stream.settle(session.durable()?);
            compare.reach(session, &mut self.stream, chunk.disk, chunk.start.leaf())?;
            let len = ByteLen(chunk.page.len() as u64);
            self.counters.read += len;
            done += len;
            let mut contents = self.differing(&chunk);
            if let Some(refine) = &mut refine {
                take_for_refining(session, refine, &chunk, &mut contents)?;
                self.pack_refined(session, refine, &mut parts, &mut full, false)?;
            }
            if contents.iter().any(Option::is_some) {
                self.look_at_link(session, pace, &chunk, &contents);
                packer.pack(chunk, &contents, &mut self.compressor, &mut full);
            }
            for parcel in full.drain(..) {
                self.send_batch(session, parcel)?;
            }
            self.tell(Stage::Round, done, start);
        }
        if let Some(refine) = &mut refine {
            refine.ask(session)?;
            self.pack_refined(session, refine, &mut parts, &mut full, true)?;
        }
        for parcel in full.into_iter().chain(packer.finish()).chain(parts.finish()) {
            self.send_batch(session, parcel)?;
        }
        if compare.contradictions > 0 {
            let text = format!(
                "{} leaves of the target differed from what it had acked; they were sent again: look at `landfall status`",
                compare.contradictions
            );
            self.report.event(Event::Warning { text });
        }
        Ok(())
    }

    /// Packs the parts of leaves whose answers have come; with `all`, of every leaf that was asked about.
    fn pack_refined(
        &mut self,
        session: &Session,
        refine: &mut Refine,
        packer: &mut Packer,
        full: &mut Vec<Parcel>,
        all: bool,
    ) -> Result<(), SourceError> {
        while let Some(leaves) = refine.answered(session, all)? {
            for (leaf, parts) in leaves {
                let Differing { disk, leaf: at, hash, bytes } = leaf;
                match parts.is_empty() {
                    true => drop(self.stream.told(disk, at, hash)),
                    false => packer.pack_parts((disk, at, hash), &bytes, &parts, &mut self.compressor, full),
                }
            }
        }
        Ok(())
    }

    fn send_batch(&mut self, session: &Session, parcel: Parcel) -> Result<(), SourceError> {
        count(&mut self.counters, &parcel);
        self.send_item(session, parcel)
    }
}

/// Takes the leaves out of a chunk's contents about whose granules the target is asked first.
fn take_for_refining(
    session: &Session,
    refine: &mut Refine,
    chunk: &Chunk,
    contents: &mut [Option<LeafContent>],
) -> Result<(), SourceError> {
    for ((leaf, range), content) in chunk.leaves().zip(contents) {
        if let Some(LeafContent::Data(hash)) = *content
            && refine.wants()
        {
            *content = None;
            let bytes = chunk.page[range].to_vec();
            refine.take(session, Differing { disk: chunk.disk, leaf, hash, bytes })?;
        }
    }
    Ok(())
}

/// Counts a parcel that is sent.
pub(crate) fn count(counters: &mut Counters, parcel: &Parcel) {
    counters.changed += parcel.cover_len();
    counters.sent += ByteLen(parcel.payload_len() as u64);
}
