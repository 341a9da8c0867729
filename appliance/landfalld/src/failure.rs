//! Errors of the master target, as operators read them.

use blockdev::DeviceError;
use control::{ApiError, Code};
use target::TargetError;
use target::replica::{FailureKind, ReplicaError, chain};

/// Says what a failed request came to: its code, what happened, and why.
pub(crate) fn api_error(error: &TargetError) -> ApiError {
    let made = ApiError::new(code_of(error), error.to_string());
    match std::error::Error::source(error) {
        Some(source) => made.because(chain(source)),
        None => made,
    }
}

fn code_of(error: &TargetError) -> Code {
    if let Some(code) = volume::code_of_volume(error) {
        return code;
    }
    match error {
        TargetError::Engine(_) | TargetError::System { .. } => Code::Internal,
        TargetError::UnknownMachine { .. } => Code::MachineUnknown,
        TargetError::MachineExists { .. } => Code::MachineExists,
        TargetError::DiskCount { .. } => Code::DiskCount,
        TargetError::Disk(source) => code_of_device(source),
        TargetError::NoIdentity { .. } | TargetError::LongPath { .. } => Code::DiskKind,
        TargetError::DiskTaken { .. } => Code::DiskTaken,
        TargetError::Connected { .. } => Code::MachineConnected,
        TargetError::Busy { .. } => Code::MachineBusy,
        TargetError::Phase { .. } => Code::MachinePhase,
        TargetError::Out { kind: FailureKind::Damaged, .. } => Code::MachineDamaged,
        TargetError::Out { .. } => Code::MachineFailed,
        TargetError::NoPoint { .. } => Code::PointNone,
        TargetError::TimeOutside { .. } | TargetError::SequenceOutside { .. } => Code::PointOutsideWindow,
        TargetError::Inconsistent { .. } => Code::PointInconsistent,
        TargetError::Replica { source, .. } => code_of_replica(source),
        TargetError::Policy(_) => Code::PolicyValue,
        TargetError::Pin { .. } => Code::PinRefused,
        TargetError::Stopping => Code::Stopping,
        TargetError::Volume(_)
        | TargetError::Directory { .. }
        | TargetError::VolumeFileSystem { .. }
        | TargetError::VolumeReadOnly { .. }
        | TargetError::VolumeNoCapacity { .. }
        | TargetError::VolumeOccupied { .. }
        | TargetError::VolumeOwned { .. }
        | TargetError::Superblock(_) => unreachable!("errors of volumes have codes of their own"),
    }
}

pub(crate) fn code_of_replica(error: &ReplicaError) -> Code {
    match (error, error.kind()) {
        (ReplicaError::Device(source), _) => code_of_device(source),
        (ReplicaError::Plan(retention::PlanError::Thinned { .. }), _) => Code::PointThinned,
        (_, FailureKind::Damaged) => Code::HistoryDamaged,
        (_, FailureKind::Full) => Code::VolumeFull,
        (_, FailureKind::Refused) => Code::PointOutsideWindow,
        (ReplicaError::Volume(_), _) => Code::VolumeFailed,
        (_, FailureKind::Device) => Code::Internal,
    }
}

fn code_of_device(error: &DeviceError) -> Code {
    match error {
        DeviceError::Missing { .. } | DeviceError::Vanished { .. } => Code::DiskMissing,
        DeviceError::InUse { .. } => Code::DiskInUse,
        DeviceError::WrongKind { found: blockdev::FileKind::RegularFile, .. } => Code::DiskIsFile,
        DeviceError::WrongKind { .. } | DeviceError::Unfit { .. } => Code::DiskKind,
        DeviceError::TooSmall { .. } => Code::DiskTooSmall,
        DeviceError::WrongIdentity { .. } => Code::DiskChanged,
        _ => Code::DiskFailed,
    }
}
