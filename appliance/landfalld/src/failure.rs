//! Errors of the master target, as operators read them.

use blockdev::DeviceError;
use catalog::CatalogError;
use control::{ApiError, Code};
use retention::Damage;
use target::TargetError;
use target::replica::{FailureKind, ReplicaError, chain};
use units::Sequence;

/// Says what a failed request came to: its code, what happened, and why.
pub(crate) fn api_error(error: &TargetError) -> ApiError {
    let made = ApiError::new(code_of(error), error.to_string());
    if let TargetError::Spoilt { damage, before, after, .. } = error {
        return spoilt(made, damage, *before, *after);
    }
    match std::error::Error::source(error) {
        Some(source) => made.because(chain(source)),
        None => made,
    }
}

/// Says what a request came to that the catalog failed.
pub(crate) fn catalog_failed(what: &str, error: &CatalogError) -> ApiError {
    let code = if error.is_away() { Code::CatalogAway } else { Code::CatalogFailed };
    ApiError::new(code, what).because(chain(error))
}

/// Names what is lost, which points that spoils, and which are whole.
fn spoilt(made: ApiError, damage: &Damage, before: Option<Sequence>, after: Option<Sequence>) -> ApiError {
    let (disk, start, len, first) = (damage.disk.0, damage.start.0, damage.len, damage.first);
    let place = crate::scrub::place(damage.place);
    let last = damage.last.map_or_else(|| "the newest".to_owned(), |last| format!("#{last}"));
    let named = |near: Option<Sequence>| near.map_or_else(|| "none".to_owned(), |near| format!("#{near}"));
    made.because(format!("{len} of disk {disk} at {start} are lost from #{first} to {last} ({place})"))
        .fixed_by(format!("take the nearest whole point: before {}, after {}", named(before), named(after)))
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
        TargetError::Spoilt { .. } => Code::PointSpoilt,
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
