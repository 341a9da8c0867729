//! Filling blank disks: straight to the target, with no history, because there is nothing to go back to.

use blockdev::Engine;
use retention::{Lifecycle, encoded_len};
use units::{ByteLen, ByteOffset, DiskIndex, Sequence};
use wire::{Extent, Span};

use super::apply::Applier;
use super::destage::Pieces;
use super::error::ReplicaError;
use super::transfer::{DiskWriter, flush_all};

impl<V> Applier<V> {
    /// Remembers the disks' sizes and begins to fill them.
    pub(crate) fn begin<E: Engine>(
        &mut self,
        engine: &mut E,
        lens: Vec<ByteLen>,
    ) -> Result<(), ReplicaError> {
        assert_eq!(lens.len(), self.disks.len(), "the disks were compared before");
        if self.head.head().lifecycle != Lifecycle::Registered {
            return Ok(());
        }
        let through = vec![ByteOffset(0); lens.len()];
        self.head.update(engine, |head| {
            head.disks.iter_mut().zip(&lens).for_each(|(disk, len)| disk.len = *len)
        })?;
        self.shared.lock().lens = lens;
        self.set_lifecycle(engine, Lifecycle::Seeding { through, blank: false })
    }

    /// Writes seeded data; not durable before [`seed_sync`](Self::seed_sync).
    pub(crate) fn seed<E: Engine>(
        &mut self,
        engine: &mut E,
        extents: &[Extent],
        payload: &[u8],
    ) -> Result<(), ReplicaError> {
        let mut writer = DiskWriter::new(engine, &self.pool, &self.disks);
        let mut pieces = Pieces { decoder: &mut self.decoder, scratch: Vec::new(), holds: None };
        let mut at = 0;
        for (index, extent) in extents.iter().enumerate() {
            let bytes = &payload[at..at + encoded_len(extent)];
            at += bytes.len();
            let span = Span { disk: extent.disk, start: extent.start, len: extent.len };
            pieces.write(&mut writer, &span, extent, bytes, (0, index))?;
        }
        writer.finish()
    }

    /// 1. The target disk is flushed. 2. The watermark is recorded, durable.
    pub(crate) fn seed_sync<E: Engine>(
        &mut self,
        engine: &mut E,
        disk: DiskIndex,
        through: ByteOffset,
    ) -> Result<(), ReplicaError> {
        let Lifecycle::Seeding { through: mut marks, blank } = self.head.head().lifecycle.clone() else {
            return Ok(());
        };
        flush_all(engine, &self.disks)?;
        let mark = &mut marks[usize::from(disk.0)];
        *mark = through.max(*mark);
        let lifecycle = Lifecycle::Seeding { through: marks, blank };
        self.head.update(engine, |head| head.lifecycle = lifecycle.clone())?;
        self.shared.lock().lifecycle = lifecycle;
        Ok(())
    }

    /// 1. The target disks are flushed: they hold the state at sequence 0. 2. The head says that the stream has begun, durable.
    pub(crate) fn end_seeding<E: Engine>(&mut self, engine: &mut E) -> Result<(), ReplicaError> {
        if !matches!(self.head.head().lifecycle, Lifecycle::Seeding { .. }) {
            return Ok(());
        }
        flush_all(engine, &self.disks)?;
        assert_eq!(self.head.head().applied, Sequence(0), "a seed comes before the stream");
        self.set_lifecycle(engine, Lifecycle::Protected)
    }
}
