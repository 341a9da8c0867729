//! Protecting a machine again on disks that hold an earlier state of it: its own after a commit, or found ones.

use std::sync::Arc;

use retention::{HeadDisk, Lifecycle, Point};
use units::{ByteLen, Generation, MachineId, MachineName};

use crate::clock::now;
use crate::error::TargetError;
use crate::generation::next_generation;
use crate::machine::{Machine, lock};
use crate::node::MasterTarget;
use crate::operations::{DiskOffer, wrong_phase};
use crate::worker::CommitOrder;

/// What beginning another generation of a committed machine gives up.
#[derive(Clone, Debug, PartialEq)]
pub struct ReprotectPlan {
    /// The generation that is over.
    pub generation: Generation,
    /// Its recovery points, oldest first.
    pub points: Vec<Point>,
    /// What they take on the retention volume.
    pub journal: ByteLen,
    /// The target disks: what they hold now becomes the first point of the new generation.
    pub disks: Vec<HeadDisk>,
}

impl MasterTarget {
    /// Says what a reprotect of a committed machine would give up; changes nothing. Errors: it is not committed, or its source is
    /// connected.
    pub fn reprotect_plan(&self, name: &MachineName) -> Result<ReprotectPlan, TargetError> {
        let machine = self.in_service(name)?;
        if let Some(session) = machine.session().filter(|session| session.connected) {
            return Err(TargetError::Connected { name: name.clone(), peer: session.peer });
        }
        let state = machine.shared.lock();
        if !matches!(state.lifecycle, Lifecycle::Committed { .. }) {
            return Err(wrong_phase(name, &state.lifecycle, "committed"));
        }
        Ok(ReprotectPlan {
            generation: machine.generation,
            points: state.timeline.points().cloned().collect(),
            journal: state.journal_len(),
            disks: machine.disks.clone(),
        })
    }

    /// Begins another generation of a committed machine, on its disks as they are; durable on return. Errors: as for
    /// [`MasterTarget::reprotect_plan`], and then nothing has changed.
    ///
    /// The order: 1. a generation is given; 2. the threads let go of the machine; 3. the head says that the old generation and its
    /// history are over, durable; 4. the machine is recovered as after a start, which removes what is left of the history.
    ///
    /// A crash after 3 ends the same way.
    pub fn reprotect(&self, name: &MachineName) -> Result<Arc<Machine>, TargetError> {
        let _one_at_a_time = lock(&self.reprotects);
        self.reprotect_plan(name)?;
        let machine = self.in_service(name)?;
        let newest = self.machines().iter().map(|machine| machine.generation).max().unwrap_or_default();
        let generation = next_generation(&self.volume, newest)?;
        let (id, found) = (machine.id, now());
        let (told, waits) = std::sync::mpsc::channel();
        self.committer.order(CommitOrder::Drop(id, told));
        waits.recv().map_err(|_| TargetError::Stopping)?;
        let begun = self.on_worker(machine.worker, move |engine, appliers| {
            let mut applier = appliers.remove(&id)?;
            let begun = applier.begin_generation(engine, generation, found);
            applier.close(engine);
            Some(begun)
        })?;
        // Whatever the head says now is what the machine is.
        self.recover(id)?;
        match begun {
            Some(Err(source)) => return Err(TargetError::Replica { name: name.clone(), source }),
            Some(Ok(())) => tracing::info!(machine = %name, %generation, "another generation begins"),
            None => {}
        }
        self.machine(name)
    }

    /// Registers a machine with disks that hold an earlier state of it; durable on return. `id` is 16 random bytes. Errors: as for
    /// [`MasterTarget::add`].
    pub fn add_original(
        &self,
        id: MachineId,
        name: &MachineName,
        offers: &[DiskOffer],
    ) -> Result<Arc<Machine>, TargetError> {
        self.register(id, name, offers, Lifecycle::Original { found: now() })
    }
}
