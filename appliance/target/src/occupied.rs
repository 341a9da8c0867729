//! Machines that a job works on: of two jobs that would change the same machine, the second is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use units::MachineName;

use crate::error::TargetError;
use crate::machine::lock;
use crate::node::MasterTarget;

/// Which job works on each machine.
pub(crate) type Occupations = Mutex<BTreeMap<MachineName, u64>>;

/// A machine that one job works on, until this is dropped.
pub struct Occupied {
    node: Arc<MasterTarget>,
    name: MachineName,
}

impl MasterTarget {
    /// Keeps a machine for one job. Errors: it is not known, or another job works on it.
    pub fn occupy(self: &Arc<Self>, name: &MachineName, job: u64) -> Result<Occupied, TargetError> {
        self.machine(name)?;
        let mut occupied = lock(&self.occupied);
        if let Some(other) = occupied.get(name) {
            return Err(TargetError::Busy { name: name.clone(), job: *other });
        }
        occupied.insert(name.clone(), job);
        Ok(Occupied { node: self.clone(), name: name.clone() })
    }

    pub(crate) fn refuse_if_busy(&self, name: &MachineName) -> Result<(), TargetError> {
        match lock(&self.occupied).get(name) {
            Some(job) => Err(TargetError::Busy { name: name.clone(), job: *job }),
            None => Ok(()),
        }
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        lock(&self.node.occupied).remove(&self.name);
    }
}
