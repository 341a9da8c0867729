//! What is on record: the catalog, alarms, the audit log.

use crate::api::{
    AlarmAck, AlarmEvents, Alarms, AuditCheck, AuditList, AuditLog, AuditVerdict, BackupMade, BackupMake,
    CatalogRebuild, CatalogRebuilt, CatalogReport,
};
use crate::caller::Caller;
use crate::error::ApiError;

/// The answers about what is on record. As for [`Service`](crate::Service), methods block, and one that returns an error has changed
/// nothing, unless the error says so.
pub trait RecordService {
    /// Returns the alarms that stand or that nobody has taken note of, or every one.
    fn alarm_list(&self, every: bool) -> Result<Alarms, ApiError>;

    /// Takes note of alarms, for whoever asks; durable on return.
    fn alarm_ack(&self, caller: &Caller, request: AlarmAck) -> Result<Alarms, ApiError>;

    /// Returns what became of alarms after an event, as soon as something has, or nothing after a second.
    fn alarm_watch(&self, after: Option<u64>) -> Result<AlarmEvents, ApiError>;

    /// Returns a part of the audit log.
    fn audit_list(&self, request: AuditList) -> Result<AuditLog, ApiError>;

    /// Returns whether the audit log is as it was written.
    fn audit_check(&self, request: AuditCheck) -> Result<AuditVerdict, ApiError>;

    /// Makes a backup; nothing of it is kept here.
    fn backup_make(&self, request: BackupMake) -> Result<BackupMade, ApiError>;

    /// Returns how the catalog stands.
    fn catalog_show(&self) -> Result<CatalogReport, ApiError>;

    /// Makes the catalog anew; durable on return, in force once the service has begun again. The service compares `confirm`.
    fn catalog_rebuild(&self, request: CatalogRebuild) -> Result<CatalogRebuilt, ApiError>;
}
