//! Filling blank disks: straight to the target, with no history, because there is nothing to go back to.

use blockdev::Engine;
use retention::{GranuleSet, Lifecycle};
use units::{ByteLen, ByteOffset, DiskIndex, Sequence};
use wire::Extent;

use super::apply::Applier;
use super::destage::Pieces;
use super::error::ReplicaError;
use super::transfer::{DiskWriter, flush_all};
use super::work::{Then, Work};

/// Bytes of payload written together.
const TOGETHER_LEN: u64 = 8 << 20;

/// Seeded data to be written to the disks. Not durable before a sync.
pub struct SeedWork {
    /// The extents; checked against the disks, hashes verified.
    pub extents: Vec<Extent>,
    /// Their payload.
    pub payload: Vec<u8>,
    /// Told when written.
    pub then: Then<()>,
}

impl SeedWork {
    /// Marks what it touches and returns its payload's length, or `None` if some of it is marked already.
    fn mark(&self, touched: &mut GranuleSet) -> Option<u64> {
        if self.extents.iter().any(|extent| !touched.present(&extent.span()).is_empty()) {
            return None;
        }
        self.extents.iter().for_each(|extent| touched.insert(&extent.span()));
        Some(self.payload.len() as u64)
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

    /// Takes the seeds that wait behind one another, as far as they don't touch the same granules and make up one transfer: they may
    /// then be written in any order.
    pub(crate) fn waiting_seeds(&self, first: SeedWork) -> Vec<SeedWork> {
        let mut touched = GranuleSet::new(self.disks.len());
        let mut len = first.mark(&mut touched).unwrap_or(0);
        let mut seeds = vec![first];
        let mut state = self.shared.lock();
        while len < TOGETHER_LEN
            && let Some(work) = state.work.pop_front_if(|work| matches!(work, Work::Seed(_)))
        {
            let Work::Seed(seed) = work else { unreachable!("only seeds were taken") };
            match seed.mark(&mut touched) {
                Some(more) => {
                    len += more;
                    seeds.push(seed);
                }
                None => {
                    state.work.push_front(Work::Seed(seed));
                    break;
                }
            }
        }
        seeds
    }

    /// Writes seeded data, and tells each giver; not durable before [`seed_sync`](Self::seed_sync).
    pub(crate) fn seed<E: Engine>(&mut self, engine: &mut E, first: SeedWork) -> Result<(), ReplicaError> {
        self.end_views("the disks are being filled anew");
        let seeds = self.waiting_seeds(first);
        let written = self.write_seeds(engine, &seeds);
        for seed in seeds {
            self.budget.give_back(seed.payload);
            (seed.then)(written.clone());
        }
        written
    }

    fn write_seeds<E: Engine>(&mut self, engine: &mut E, seeds: &[SeedWork]) -> Result<(), ReplicaError> {
        let mut writer = DiskWriter::new(engine, &self.pool, &self.disks);
        let mut pieces = Pieces { decoder: &mut self.decoder, scratch: Vec::new(), holds: None };
        for (number, seed) in seeds.iter().enumerate() {
            for (index, (extent, bytes)) in wire::extent_payloads(&seed.extents, &seed.payload).enumerate() {
                pieces.write(&mut writer, &extent.span(), extent, bytes, (number, index))?;
            }
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
