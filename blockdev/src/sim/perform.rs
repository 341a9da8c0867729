//! One operation on a simulated disk, done well or badly.

use std::sync::Arc;

use rustix::io::Errno;

use super::Fault;
use super::disk::Change;
use super::random::Random;
use super::world::{DiskId, Queued, World, change_of};
use crate::{DeviceError, Operation, OperationKind, Request};

/// An operation that has had its turn.
pub(super) struct Performed {
    pub(super) request: Request,
    pub(super) outcome: Result<(), DeviceError>,
}

impl World {
    /// Performs one operation whose turn has come. Errors: the world crashed inside it.
    pub(super) fn perform(&mut self, queued: Queued, device: &Arc<str>) -> Result<Performed, u64> {
        let kind = queued.request.operation.kind();
        if self.store(queued.id).is_gone {
            self.alive()?;
            let outcome = Err(failed(device, &queued.request.operation, Errno::NODEV));
            return Ok(Performed { request: queued.request, outcome });
        }
        if kind == OperationKind::Read {
            self.alive()?;
        } else {
            self.step_with(&queued)?;
        }
        let Queued { id, mut request, completed_before } = queued;
        let is_file = self.store(id).is_file;
        let outcome = match self.due_fault(kind, is_file) {
            Some(fault) => self.perform_badly(id, &request.operation, fault, device),
            None => {
                self.perform_well(id, &mut request.operation, completed_before);
                Ok(())
            }
        };
        if matches!(outcome, Err(DeviceError::TimedOut { .. })) {
            request.operation = request.operation.without_buffer();
        }
        Ok(Performed { request, outcome })
    }

    /// Takes a step; if the world stops inside it, the operation is one of those that may have happened.
    fn step_with(&mut self, queued: &Queued) -> Result<(), u64> {
        self.step().inspect_err(|_| {
            if let Some(change) = change_of(&queued.request.operation) {
                self.cut.push((queued.id, change));
            }
        })
    }

    fn perform_well(&mut self, id: DiskId, operation: &mut Operation, completed_before: u64) {
        let ignored = self.faults.iter().any(|(_, fault)| *fault == Fault::IgnoreFlush);
        let disk = self.disk_mut(id);
        match operation {
            Operation::Read { at, into } => disk.read(at.0, into),
            Operation::Flush if ignored => {}
            Operation::Flush => disk.flush(completed_before),
            Operation::Write { .. } | Operation::WriteZeroes { .. } | Operation::Discard { .. } => {
                disk.change(change_of(operation).expect("these operations change something"));
            }
        }
    }

    fn perform_badly(
        &mut self,
        id: DiskId,
        operation: &Operation,
        fault: Fault,
        device: &Arc<str>,
    ) -> Result<(), DeviceError> {
        let change = change_of(operation);
        let mut random = Random::new(self.random.next());
        let disk = self.disk_mut(id);
        match (fault, change) {
            (Fault::LoseWrite { .. }, _) => return Ok(()),
            (Fault::MisdirectWrite { to, .. }, Some(change)) => {
                assert!(change.len <= disk.len, "a write fits its disk, wherever it goes");
                let last = disk.len - change.len;
                disk.change(Change { at: to.0.min(last), ..change });
                return Ok(());
            }
            (Fault::Hang { .. }, Some(change)) if random.next().is_multiple_of(2) => disk.change(change),
            (_, Some(change)) => disk.change_in_part(&change, &mut random),
            (Fault::Fail { .. }, None) if operation.kind() == OperationKind::Flush => disk.forget_flushes(),
            (_, None) => {}
        }
        if let Fault::Hang { kind, .. } = fault {
            let (device, (at, len)) = (Arc::clone(device), operation.range());
            return Err(DeviceError::TimedOut { device, kind, at, len, after: crate::DEADLINE });
        }
        Err(failed(device, operation, Errno::IO))
    }

    /// Counts an operation, on a file or not, against the planted faults and returns the one that is due, which is then spent.
    pub(super) fn due_fault(&mut self, kind: OperationKind, is_file: bool) -> Option<Fault> {
        let mut due = None;
        self.faults.retain_mut(|(files_only, fault)| {
            let is_due = (is_file || !*files_only) && fault.counts_down(kind);
            if is_due {
                due.get_or_insert(*fault);
            }
            !is_due
        });
        due
    }
}

fn failed(device: &Arc<str>, operation: &Operation, source: Errno) -> DeviceError {
    let (device, kind, (at, len)) = (Arc::clone(device), operation.kind(), operation.range());
    DeviceError::Failed { device, kind, at, len, source }
}
