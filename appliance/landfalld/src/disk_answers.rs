//! What operators are told of disks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use blockdev::{DeviceListing, Identity, device_at, list_devices};
use control::api::{Disk, DiskEvent, DiskEvents, DiskVerdicts, Disks, Eligibility};
use control::{ApiError, Code};
use target::Machine;
use units::ByteLen;
use volume::{DiskFacts, Purpose, Role, eligible, judge};

use crate::answers::{Answers, now};
use crate::disks::DiskNews;

impl Answers {
    pub(crate) fn list_disks(&self) -> Disks {
        let machines = self.node.machines();
        let disks = list_devices().iter().map(|device| self.describe_disk(device, &machines)).collect();
        Disks { time: now().into(), disks }
    }

    pub(crate) fn judge_disks(&self, disk: Option<&str>) -> Result<DiskVerdicts, ApiError> {
        let machines = self.node.machines();
        let devices = match disk {
            None => list_devices(),
            Some(path) => vec![find(path)?],
        };
        let disks = devices.iter().map(|device| judge(device, &self.role(device, &machines))).collect();
        Ok(DiskVerdicts { time: now().into(), disks })
    }

    pub(crate) fn disk_events(&self, after: Option<u64>) -> DiskEvents {
        let (news, machines) = (self.disks.after(after), self.node.machines());
        let event = |news: DiskNews| DiskEvent {
            number: news.number,
            time: news.time.into(),
            kind: news.kind,
            disk: self.describe_disk(&news.disk, &machines),
        };
        let (newest, missed, by_event) = (news.newest, news.missed, self.disks.by_event());
        DiskEvents { newest, missed, by_event, events: news.events.into_iter().map(event).collect() }
    }

    fn describe_disk(&self, device: &DeviceListing, machines: &[Arc<Machine>]) -> Disk {
        let role = self.role(device, machines);
        let refusals = eligible(
            &DiskFacts { listing: device, look: None, role: &role },
            Purpose::TargetDisk { len_min: ByteLen::ZERO },
        );
        let reasons = || refusals.iter().map(|refusal| refusal.evidence.as_str()).collect::<Vec<_>>();
        let eligible = match role {
            Role::TargetDisk(by) => Eligibility::Used { by },
            Role::RetentionVolume => Eligibility::Used { by: "the retention volume".to_owned() },
            Role::None if refusals.is_empty() => Eligibility::Yes {},
            Role::None => Eligibility::No { reason: reasons().join("; ") },
        };
        Disk {
            path: device.path.display().to_string(),
            len_bytes: device.len.0,
            sector_bytes: device.sector,
            model: device.model.clone().unwrap_or_default(),
            serial: device.identity.as_ref().map(Identity::to_string).unwrap_or_default(),
            eligible,
        }
    }

    /// Says what a disk is to us: a target disk by its identity, the retention volume by where it is mounted.
    pub(crate) fn role(&self, device: &DeviceListing, machines: &[Arc<Machine>]) -> Role {
        let is_it = |disk: &retention::HeadDisk| {
            let identity: Option<Identity> = disk.identity.parse().ok();
            identity.zip(device.identity.as_ref()).is_some_and(|(own, seen)| own.is_same(seen))
        };
        let target = machines.iter().find_map(|machine| {
            let index = machine.disks.iter().position(is_it)?;
            Some(Role::TargetDisk(format!("{} disk {index}", machine.name)))
        });
        let mounted = |at: &Path| device.uses.iter().any(|each| each.mounted_at() == at.to_str());
        let retention = mount_of(&self.retention).is_some_and(|at| mounted(&at));
        target.unwrap_or(if retention { Role::RetentionVolume } else { Role::None })
    }
}

/// Returns the place where the file system of a directory is mounted, if that is the directory itself: a retention volume that
/// shares a file system does not make the disk below one.
fn mount_of(directory: &Path) -> Option<PathBuf> {
    let real = std::fs::canonicalize(directory).ok()?;
    (real != Path::new("/")).then_some(real)
}

fn find(path: &str) -> Result<DeviceListing, ApiError> {
    // Its short name will do, as the list has it without the directory.
    let full = if path.contains('/') { PathBuf::from(path) } else { Path::new("/dev").join(path) };
    device_at(&full).ok_or_else(|| {
        let what = format!("{path} can't be judged");
        ApiError::new(Code::DiskMissing, what).because("there is no block device of this name")
    })
}
