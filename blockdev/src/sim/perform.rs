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
    /// Takes the operation whose turn it is off a queue. What a fault makes slow stays there until nothing else is left and somebody
    /// waits for it; then its time has passed.
    pub(super) fn take_next(&mut self, number: u32, patience: bool) -> Option<Queued> {
        loop {
            let queue = self.queues.get(&number)?;
            let ready: Vec<usize> = (0..queue.len()).filter(|at| queue[*at].held.is_none()).collect();
            if ready.is_empty() {
                return self.take_slowest_last(number, patience);
            }
            let chosen = ready[self.random.index(ready.len())];
            let queue = self.queues.get(&number)?;
            let (id, kind) = (queue[chosen].id, queue[chosen].request.operation.kind());
            let (is_file, is_gone) = (self.store(id).is_file, self.store(id).is_gone);
            let fault = if is_gone { None } else { self.due_fault(kind, is_file) };
            let queued = &mut self.queues.get_mut(&number)?[chosen];
            queued.held = fault;
            if fault.is_none_or(|fault| fault.delay().is_none()) {
                return Some(self.queues.get_mut(&number)?.swap_remove(chosen));
            }
        }
    }

    fn take_slowest_last(&mut self, number: u32, patience: bool) -> Option<Queued> {
        let queue = self.queues.get_mut(&number).filter(|_| patience)?;
        let next = (0..queue.len()).min_by_key(|at| queue[*at].delay())?;
        let queued = queue.swap_remove(next);
        let passed = queued.delay();
        self.waited += passed;
        // Time passes for all of them at once.
        queue.iter_mut().for_each(|other| {
            if let Some(Fault::Slow { takes, .. }) = &mut other.held {
                *takes = takes.saturating_sub(passed);
            }
        });
        Some(queued)
    }

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
        let Queued { id, mut request, completed_before, held } = queued;
        let outcome = match held.filter(|fault| !matches!(fault, Fault::Slow { .. })) {
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
        let may_be_late = matches!(fault, Fault::Hang { .. }).then(|| change.clone()).flatten();
        self.late.extend(may_be_late.map(|change| (id, change)));
        let disk = self.disk_mut(id);
        match (fault, change) {
            (Fault::LoseWrite { .. }, _) => return Ok(()),
            (Fault::MisdirectWrite { to, .. }, Some(change)) => {
                assert!(change.len <= disk.len, "a write fits its disk, wherever it goes");
                let last = disk.len - change.len;
                disk.change(Change { at: to.0.min(last), ..change });
                return Ok(());
            }
            (Fault::Hang { .. }, _) => {}
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
