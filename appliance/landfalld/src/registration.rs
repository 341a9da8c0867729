//! Preflight of a registration: what is known of a machine that is to be added and of the disks that are offered for it.

use std::path::Path;

use blockdev::device_at;
use control::api::{DiskChoice, MachineAdd};
use control::{ApiError, Code};
use inventory::{Registration, Unfit};
use target::Machine;
use units::MachineName;
use volume::judge;

use crate::answers::Answers;

impl Answers {
    /// Refuses a registration that a rule refuses; touches nothing.
    pub(crate) fn may_register(&self, request: &MachineAdd) -> Result<(), ApiError> {
        let machines = self.node.machines();
        let offered = Registration {
            taken: self.taken(&request.name)?,
            disks: request.disks.iter().map(|disk| disk.path.clone()).collect(),
            unfit: request.disks.iter().filter_map(|disk| self.unfit(disk, &machines)).collect(),
        };
        self.jobs.preflight.register(&request.name, offered)
    }

    /// Says who has a name already.
    fn taken(&self, name: &MachineName) -> Result<Option<String>, ApiError> {
        if let Ok(machine) = self.node.machine(name) {
            let disks = machine.disks.len();
            return Ok(Some(format!("machine {name} is here, with {disks} target disks")));
        }
        let missing = self.records.as_ref().map(|records| records.missing(&self.node)).transpose()?;
        let is_missing = missing.is_some_and(|missing| missing.contains(name));
        Ok(is_missing.then(|| {
            format!("machine {name} is on record, and not on the retention volume; `landfall machine remove {name}` forgets it")
        }))
    }

    /// Says why a disk can't be a target disk, as far as that can be seen without opening it.
    fn unfit(&self, offered: &DiskChoice, machines: &[std::sync::Arc<Machine>]) -> Option<Unfit> {
        let path = Path::new(&offered.path);
        let refused = |code: Code, why: &str| {
            let (disk, why) = (offered.path.clone(), why.to_owned());
            Some(Unfit { disk, code: code.entry().number, why })
        };
        let Some(device) = device_at(path) else {
            return match std::fs::metadata(path) {
                Err(error) => refused(Code::DiskMissing, &error.to_string()),
                Ok(found) if found.is_file() && !offered.allow_file => {
                    refused(Code::DiskIsFile, "it is a regular file")
                }
                Ok(_) => None,
            };
        };
        let verdict = judge(&device, &self.role(&device, machines));
        let reason = verdict.target_disk.first()?;
        refused(Code::find(&reason.code).unwrap_or(Code::DiskKind), &reason.what)
    }
}
