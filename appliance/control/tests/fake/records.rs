//! What is on record: nothing.

use landfall_control::api::{
    AlarmAck, AlarmEvents, Alarms, AuditCheck, AuditList, AuditLog, AuditVerdict, BackupMade, BackupMake,
    CatalogRebuild, CatalogRebuilt, CatalogReport,
};
use landfall_control::{ApiError, Caller, RecordService};

use super::{Fake, unknown};

impl RecordService for Fake {
    fn alarm_list(&self, _: bool) -> Result<Alarms, ApiError> {
        Err(unknown())
    }

    fn alarm_ack(&self, _: &Caller, _: AlarmAck) -> Result<Alarms, ApiError> {
        Err(unknown())
    }

    fn alarm_watch(&self, _: Option<u64>) -> Result<AlarmEvents, ApiError> {
        Err(unknown())
    }

    fn audit_list(&self, _: AuditList) -> Result<AuditLog, ApiError> {
        Err(unknown())
    }

    fn audit_check(&self, _: AuditCheck) -> Result<AuditVerdict, ApiError> {
        Err(unknown())
    }

    fn backup_make(&self, _: BackupMake) -> Result<BackupMade, ApiError> {
        Err(unknown())
    }

    fn catalog_show(&self) -> Result<CatalogReport, ApiError> {
        Err(unknown())
    }

    fn catalog_rebuild(&self, _: CatalogRebuild) -> Result<CatalogRebuilt, ApiError> {
        Err(unknown())
    }
}
