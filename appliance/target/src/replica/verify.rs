//! Hashing target disks: leaves for a comparison, roots for a proof, at any point of the history.

use std::sync::Arc;

use blockdev::{Engine, Volume};
use retention::{Piece, RewindPlan};
use units::{ByteLen, ByteOffset, DiskIndex, GRANULE_LEN, Hash, LEAF_LEN, LeafIndex, Sequence, disk_root};
use wire::{GranuleQuery, HashQuery, Span};

use super::apply::{Applier, Run};
use super::error::{FailureKind, ReplicaError};
use super::fetch::OpenLogs;
use super::progress::Progress;
use super::transfer::{ReadAt, TRANSFER_LEN, cut, read_each};
use super::work::Then;

/// Bytes of disk hashed in one slice.
const SLICE_LEN: u64 = 16 << 20;
const _: () = assert!(SLICE_LEN.is_multiple_of(LEAF_LEN) && (TRANSFER_LEN as u64).is_multiple_of(LEAF_LEN));

/// A verification under way: a walk over the disks, with the pieces of the point laid over what they hold now.
pub(crate) struct VerifyRun {
    plan: RewindPlan,
    /// The first piece that is not behind the walk.
    next: usize,
    disk: usize,
    at: ByteOffset,
    leaves: Vec<Hash>,
    roots: Vec<Hash>,
    logs: OpenLogs,
    progress: Arc<Progress>,
    then: Then<Vec<Hash>>,
}

impl VerifyRun {
    /// Gives the logs it has open back.
    pub(crate) fn close<E: Engine>(mut self, engine: &mut E) {
        self.logs.close(engine);
    }
}

impl<V> Applier<V> {
    /// Begins to compute the roots at `to`. The disks are read only; until the end nothing is destaged.
    pub(crate) fn begin_verify<E: Engine>(
        &mut self,
        engine: &mut E,
        to: Sequence,
        progress: Arc<Progress>,
        then: Then<Vec<Hash>>,
    ) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        match self.plan(engine, to) {
            Ok(plan) => {
                progress.expect(self.lens().into_iter().sum::<ByteLen>().0);
                let (disk, at, logs) = (0, ByteOffset(0), OpenLogs::default());
                let (leaves, roots) = (Vec::new(), Vec::new());
                self.run = Some(Run::Verify(VerifyRun {
                    plan,
                    next: 0,
                    disk,
                    at,
                    leaves,
                    roots,
                    logs,
                    progress,
                    then,
                }));
            }
            Err(error) => {
                progress.end(Err(error.clone()));
                then(Err(error));
            }
        }
        Ok(())
    }

    /// Hashes the next slice. Returns the rest.
    pub(crate) fn verify_slice<E: Engine>(
        &mut self,
        engine: &mut E,
        mut run: VerifyRun,
    ) -> Result<Option<VerifyRun>, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let result = self.hash_slice(engine, &mut run);
        if result.is_ok() && run.disk < self.disks.len() {
            return Ok(Some(run));
        }
        run.logs.close(engine);
        if let Err(error) = &result {
            self.note_met(engine, &run.plan.pieces, error);
        }
        let roots = std::mem::take(&mut run.roots);
        // The roots first: whoever sees the end must find them.
        (run.then)(result.clone().map(|()| roots));
        run.progress.end(result.clone());
        match result {
            // Damage to one point is told to whoever asked; the disks and the other points are as they were.
            Err(error) if error.kind() == FailureKind::Damaged => Ok(None),
            other => other.map(|()| None),
        }
    }

    fn hash_slice<E: Engine>(&mut self, engine: &mut E, run: &mut VerifyRun) -> Result<(), ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let disk_len = self.lens()[run.disk];
        let len = ByteLen((disk_len.0 - run.at.0).min(SLICE_LEN));
        let disk = DiskIndex(u16::try_from(run.disk).expect("a machine has at most 256 disks"));
        let slice = Span { disk, start: run.at, len };
        let overlay = self.overlay(engine, run, &slice)?;
        run.leaves.extend(self.leaves(engine, &slice, &overlay)?);
        run.progress.advance(len.0);
        run.at = ByteOffset(run.at.0 + len.0);
        if run.at.0 == disk_len.0 {
            run.roots.push(disk_root(disk_len, &std::mem::take(&mut run.leaves)));
            (run.disk, run.at) = (run.disk + 1, ByteOffset(0));
        }
        Ok(())
    }

    /// Returns the parts of the slice that were different at the point, with their content.
    fn overlay<E: Engine>(
        &mut self,
        engine: &mut E,
        run: &mut VerifyRun,
        slice: &Span,
    ) -> Result<Vec<(Span, Vec<u8>)>, ReplicaError>
    where
        V: Volume<Device = E::Device>,
    {
        let end = (slice.disk, slice.start.0 + slice.len.0);
        let starts_inside = |piece: &&Piece| (piece.span.disk, piece.span.start.0) < end;
        let pieces: Vec<Piece> =
            run.plan.pieces[run.next..].iter().take_while(starts_inside).cloned().collect();
        // A piece that reaches past the slice is met again by the next one.
        let behind = |piece: &&Piece| (piece.span.disk, piece.span.start.0 + piece.span.len.0) <= end;
        run.next += pieces.iter().take_while(behind).count();
        let payloads = self.payloads(engine, &mut run.logs, &pieces)?;
        let mut overlay = Vec::with_capacity(pieces.len());
        for (piece, &source) in pieces.iter().zip(&payloads.of_piece) {
            if let Some(part) = intersection(&piece.span, slice) {
                overlay.push((part, self.content(piece, &payloads.bytes[source], &part)?));
            }
        }
        Ok(overlay)
    }

    /// Decodes the part `part` of a piece.
    fn content(&mut self, piece: &Piece, payload: &[u8], part: &Span) -> Result<Vec<u8>, ReplicaError> {
        let extent = &piece.entry.extent;
        if matches!(extent.encoding, wire::Encoding::Zero) {
            return Ok(vec![0; part.len.as_usize()]);
        }
        let mut whole = vec![0; extent.len.as_usize()];
        let damaged = |cause| ReplicaError::Damaged { file: "payload".to_owned(), at: part.start, cause };
        self.decoder.decode(extent, payload, &mut whole).map_err(damaged)?;
        let from = part.start.since(extent.start).as_usize();
        Ok(whole[from..from + part.len.as_usize()].to_vec())
    }

    /// Returns the hash of each leaf of a span of whole leaves, with `overlay` laid over what the disk holds.
    fn leaves<E: Engine>(
        &mut self,
        engine: &mut E,
        span: &Span,
        overlay: &[(Span, Vec<u8>)],
    ) -> Result<Vec<Hash>, ReplicaError> {
        assert!(span.start.is_multiple_of(LEAF_LEN), "leaves are hashed whole");
        let parts: Vec<_> = cut(span, TRANSFER_LEN).collect();
        let slot = self.disks[usize::from(span.disk.0)];
        let read = |part: &Span| ReadAt { slot, at: part.start, len: part.len.as_usize() };
        let reads: Vec<_> = parts.iter().map(read).collect();
        let mut hashes = vec![Vec::new(); parts.len()];
        read_each(engine, &self.pool, &reads, |index, mut buffer| {
            for (over, content) in overlay {
                if let Some(common) = intersection(over, &parts[index]) {
                    let to = common.start.since(parts[index].start).as_usize();
                    let from = common.start.since(over.start).as_usize();
                    let len = common.len.as_usize();
                    buffer[to..to + len].copy_from_slice(&content[from..from + len]);
                }
            }
            hashes[index] = buffer.chunks(LEAF_LEN as usize).map(|leaf| blake3::hash(leaf).into()).collect();
            Ok(())
        })?;
        Ok(hashes.concat())
    }

    /// Answers a question about granules: what the disk holds now.
    pub(crate) fn granules<E: Engine>(
        &mut self,
        engine: &mut E,
        query: &GranuleQuery,
    ) -> Result<Vec<Hash>, ReplicaError> {
        let disk = usize::from(query.disk.0);
        let (slot, disk_len) = (self.disks[disk], self.lens()[disk]);
        let read =
            |leaf: &LeafIndex| ReadAt { slot, at: leaf.offset(), len: leaf.len_on(disk_len).as_usize() };
        let reads: Vec<_> = query.leaves.iter().map(read).collect();
        let mut hashes = vec![Vec::new(); reads.len()];
        read_each(engine, &self.pool, &reads, |index, buffer| {
            let granules = buffer.chunks(GRANULE_LEN as usize);
            hashes[index] = granules.map(|granule| blake3::hash(granule).into()).collect();
            Ok(())
        })?;
        Ok(hashes.concat())
    }

    /// Answers a hash query: what the disk holds now.
    pub(crate) fn hashes<E: Engine>(
        &mut self,
        engine: &mut E,
        query: &HashQuery,
    ) -> Result<Vec<Hash>, ReplicaError> {
        let disk_len = self.lens()[usize::from(query.disk.0)];
        let end = LeafIndex(query.first.0 + u64::from(query.count)).offset().0.min(disk_len.0);
        let start = query.first.offset();
        let span = Span { disk: query.disk, start, len: ByteLen(end - start.0) };
        let hashes = self.leaves(engine, &span, &[])?;
        self.shared.lock().asked_about(query.disk, ByteOffset(end));
        Ok(hashes)
    }
}

fn intersection(a: &Span, b: &Span) -> Option<Span> {
    let start = a.start.max(b.start);
    let end = (a.start.0 + a.len.0).min(b.start.0 + b.len.0);
    let overlaps = a.disk == b.disk && start.0 < end;
    overlaps.then(|| Span { disk: a.disk, start, len: ByteLen(end - start.0) })
}
