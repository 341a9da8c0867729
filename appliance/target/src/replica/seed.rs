//! Filling blank disks: straight to the target, with no history, because there is nothing to go back to.

use blockdev::Engine;
use retention::{GranuleSet, Lifecycle};
use units::{ByteLen, ByteOffset, DiskIndex, Sequence};
use wire::Extent;

use super::apply::Applier;
use super::destage::Pieces;
use super::error::ReplicaError;
use super::shared::Shared;
use super::transfer::{DiskWriter, flush_all};
use super::work::{Then, Work};

/// Bytes of payload after which a step takes no further seed, so that other machines have their turn.
const TOGETHER_LEN: u64 = 32 << 20;

/// Seeded data to be written to the disks. Not durable before a sync.
pub struct SeedWork {
    /// The extents; checked against the disks, hashes verified.
    pub extents: Vec<Extent>,
    /// Their payload.
    pub payload: Vec<u8>,
    /// Told when its payload is on its way to the disks, and its memory free.
    pub then: Then<()>,
}

impl SeedWork {
    /// Tells whether it touches nothing that is marked: then the two may be written in any order.
    fn is_apart_from(&self, touched: &GranuleSet) -> bool {
        self.extents.iter().all(|extent| touched.present(&extent.span()).is_empty())
    }

    fn mark(&self, touched: &mut GranuleSet) {
        self.extents.iter().for_each(|extent| touched.insert(&extent.span()));
    }
}

impl<V> Applier<V> {
    /// Remembers the disks' sizes and begins to fill them.
    pub(crate) fn begin<E: Engine>(
        &mut self,
        engine: &mut E,
        lens: Vec<ByteLen>,
    ) -> Result<(), ReplicaError> {
        assert_eq!(lens.len(), self.disks.len(), "the disks were compared before");
        if let Lifecycle::Original { found } = self.head.head().lifecycle {
            return self.begin_original(engine, lens, found);
        }
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

    /// Writes seeded data, with what comes behind it meanwhile: the disks never wait for the next seed, as long as there is one. Not
    /// durable before [`seed_sync`](Self::seed_sync).
    pub(crate) fn seed<E: Engine>(&mut self, engine: &mut E, first: SeedWork) -> Result<(), ReplicaError> {
        self.end_views("the disks are being filled anew");
        let mut writer = DiskWriter::new(engine, &self.pool, &self.disks);
        let mut pieces = Pieces { decoder: &mut self.decoder, scratch: Vec::new(), holds: None };
        let (mut touched, mut len) = (GranuleSet::new(self.disks.len()), 0);
        let mut next = Some(first);
        for number in 0.. {
            let Some(SeedWork { extents, payload, then }) = next.inspect(|seed| seed.mark(&mut touched))
            else {
                break;
            };
            let parts = wire::extent_payloads(&extents, &payload).enumerate();
            let written = { parts }.try_for_each(|(index, (extent, bytes))| {
                pieces.write(&mut writer, &extent.span(), extent, bytes, (number, index))
            });
            len += payload.len() as u64;
            self.budget.give_back(payload);
            then(written.clone());
            written?;
            next = if len < TOGETHER_LEN { next_seed(&self.shared, &touched) } else { None };
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

/// Takes the seed that waits in front, unless it touches what is marked.
fn next_seed(shared: &Shared, touched: &GranuleSet) -> Option<SeedWork> {
    let apart = |work: &mut Work| matches!(work, Work::Seed(seed) if seed.is_apart_from(touched));
    match shared.lock().work.pop_front_if(apart)? {
        Work::Seed(seed) => Some(seed),
        _ => unreachable!("only a seed was taken"),
    }
}

#[cfg(test)]
mod tests {
    use units::GRANULE_LEN;
    use wire::Encoding;

    use super::*;

    fn seed(first: u64) -> SeedWork {
        let (start, len) = (ByteOffset(first * GRANULE_LEN), ByteLen(4 * GRANULE_LEN));
        let extents = vec![Extent { disk: DiskIndex(0), start, len, encoding: Encoding::Zero }];
        SeedWork { extents, payload: Vec::new(), then: Box::new(drop) }
    }

    #[test]
    fn seeds_that_share_a_granule_are_not_written_together() {
        let mut touched = GranuleSet::new(1);
        seed(4).mark(&mut touched);
        let apart: Vec<_> = (0..12).filter(|first| seed(*first).is_apart_from(&touched)).collect();
        assert_eq!(apart, [0, 8, 9, 10, 11]);
    }
}
