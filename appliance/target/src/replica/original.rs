//! Disks that hold an earlier state of their machine: what is found on them becomes the first recovery point, and the source
//! sends only what differs.
//!
//! 1. The head says `Original`, durable: registered anew, or a new generation of a committed machine.
//! 2. A source comes: the head has the sizes of its disks, durable.
//! 3. A marker is appended, the first item of the generation, durable: the state the disks were found in.
//! 4. The head says `Protected`, durable. Only now the source is welcomed.
//!
//! A crash before 3 leaves the machine waiting for its source; before 4, the marker is found in the journal and 4 follows. Nothing is written
//! to the disks before 4, and afterwards only through redo and undo, so that the marker can be gone back to.

use blockdev::Engine;
use retention::{Body, Lifecycle};
use units::{ByteLen, EpochNumber, Generation, Sequence, Timestamp};
use wire::{Consistency, Marker};

use super::apply::Applier;
use super::error::ReplicaError;
use super::shared::Received;

/// The label of the point at which the disks are as they were found.
const LABEL: &str = "as found";

impl<V> Applier<V> {
    /// Steps 2 and 3: remembers the disks' sizes, and appends the marker unless that was done before.
    pub(crate) fn begin_original<E: Engine>(
        &mut self,
        engine: &mut E,
        lens: Vec<ByteLen>,
        found: Timestamp,
    ) -> Result<(), ReplicaError> {
        self.head.update(engine, |head| {
            head.disks.iter_mut().zip(&lens).for_each(|(disk, len)| disk.len = *len)
        })?;
        let sequence = self.head.head().base.next();
        let label = LABEL.try_into().expect("the label is short");
        let (consistency, roots) = (Consistency::Crash, Default::default());
        let marker = Marker { sequence, time: found, consistency, label, roots, group: None };
        let body = Body::Marker(Box::new(marker));
        let mut state = self.shared.lock();
        state.lens = lens;
        if state.received < sequence {
            state.received = sequence;
            state.inbox.push_back(Received { sequence, time: found, body, payload: Vec::new() });
        }
        drop(state);
        self.shared.committer.ring();
        Ok(())
    }

    /// Step 4, once the marker is durable. Returns whether it was done.
    pub(crate) fn end_original<E: Engine>(&mut self, engine: &mut E) -> Result<bool, ReplicaError> {
        let is_original = matches!(self.head.head().lifecycle, Lifecycle::Original { .. });
        let is_marked = self.shared.lock().durable > self.head.head().base;
        if is_original && is_marked {
            self.set_lifecycle(engine, Lifecycle::Protected)?;
        }
        Ok(is_original && is_marked)
    }

    /// Begins another generation on the disks as they are; durable on return. The history before it is over: its files are
    /// left-overs now, which recovery removes. Errors: the head can't be written, and then either it or the new one stands.
    pub fn begin_generation<E: Engine>(
        &mut self,
        engine: &mut E,
        generation: Generation,
        found: Timestamp,
    ) -> Result<(), ReplicaError> {
        let newest = self.shared.lock().epochs.back().map(|info| info.epoch);
        self.head.update(engine, |head| {
            assert!(generation > head.generation, "a generation is never given twice");
            head.generation = generation;
            head.lifecycle = Lifecycle::Original { found };
            head.oldest_epoch = newest.map_or(head.oldest_epoch, EpochNumber::next);
            (head.applied, head.base) = (Sequence(0), Sequence(0));
            head.disks.iter_mut().for_each(|disk| disk.len = ByteLen::ZERO);
            (head.pins, head.damage) = (Vec::new(), Vec::new());
        })
    }
}
