//! Answers about the catalog, alarms and the audit log, and keeps them up to what is there.

use std::sync::Arc;
use std::time::Instant;

use backup::Passphrase;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use control::api::{
    AlarmAck, AlarmEvents, Alarms, AuditCheck, AuditList, AuditVerdict, BackupMade, BackupMake,
    CatalogRebuild, CatalogRebuilt, CatalogReport, Concern, Health,
};
use control::{ApiError, Caller, Code, RecordService, Service as _};
use inventory::AlarmKind;

use crate::answers::{Answers, now};
use crate::audit::AuditLog;
use crate::backups::Backups;
use crate::failure::catalog_failed;
use crate::records::Records;
use crate::server_concerns;

impl Answers {
    /// Brings what is on record up to what is, and raises and clears alarms. What can't be done is told, and tried again with the next round.
    pub(crate) fn look_after(&self) {
        if let Some(backups) = &self.backups {
            backups.look_after(now());
        }
        if let Some(audit) = self.audit_log() {
            audit.look_after(Instant::now());
        }
        if let Err(error) = self.settle().and_then(|()| self.observe()) {
            tracing::error!(error = %error, "the catalog is not up to date");
        }
    }

    /// Brings the records of machines up to what is on the volume.
    pub(crate) fn settle(&self) -> Result<(), ApiError> {
        self.records.as_ref().map_or(Ok(()), |records| records.settle(&self.node))
    }

    fn observe(&self) -> Result<(), ApiError> {
        let Some(Ok(alarms)) = self.records.as_ref().map(|records| records.alarms()) else { return Ok(()) };
        let observed = alarms.observe(&self.status()?.concerns, now());
        observed.map_err(|error| catalog_failed("alarms are not noted", &error))
    }

    /// Says what is not well beside the machines: servers, their certificates and clocks, the catalog.
    pub(crate) fn further_concerns(&self) -> Vec<Concern> {
        let servers = match &self.servers {
            Some(servers) => server_concerns::concerns(servers, now()),
            None => server_concerns::own_certificate(&self.identity, now()).into_iter().collect(),
        };
        let catalog = self.records.as_ref().map(|records| self.catalog_concerns(records));
        let backup = self.backups.as_ref().and_then(Backups::problem);
        let backup = backup.map(|problem| {
            let what = format!("no backup was made: {problem}");
            Concern::of_appliance(AlarmKind::Backup, Health::Failed, what)
        });
        let audit = self.audit_log().and_then(|audit| audit.problem()).map(|problem| {
            let what =
                format!("the audit log is not as it was written: {problem}; see `landfall audit check`");
            Concern::of_appliance(AlarmKind::Audit, Health::Failed, what)
        });
        let catalog = catalog.into_iter().flatten();
        servers.into_iter().chain(catalog).chain(backup).chain(audit).chain(self.pending_concern()).collect()
    }

    /// Says what somebody elsewhere wants destroyed: nobody is to be surprised by it.
    fn pending_concern(&self) -> Option<Concern> {
        // What can't be read now is told by what is said of the catalog.
        let waiting = self.pendings.waiting().unwrap_or_default();
        let what = match waiting.as_slice() {
            [] => return None,
            [only] => only.clone(),
            [first, others @ ..] => format!("{first}; and {} more: `landfall pending list`", others.len()),
        };
        Some(Concern::of_appliance(AlarmKind::Pending, Health::Degraded, what))
    }

    fn catalog_concerns(&self, records: &Records) -> Vec<Concern> {
        let missing = match records.missing(&self.node) {
            Ok(missing) => missing
                .iter()
                .map(|name| {
                    let what = format!(
                        "it is on record, and not on the retention volume; `landfall machine remove {name}` forgets it"
                    );
                    Concern::of_machine(AlarmKind::Machine, Health::Failed, name, what)
                })
                .collect(),
            Err(error) => vec![Concern::of_appliance(AlarmKind::Catalog, Health::Failed, error.to_string())],
        };
        let problem = records.problem();
        let problem = problem.map(|(health, what)| Concern::of_appliance(AlarmKind::Catalog, health, what));
        problem.into_iter().chain(missing).collect()
    }

    /// Returns the open alarms; none where there is no catalog.
    pub(crate) fn open_alarms(&self) -> Vec<control::api::Alarm> {
        let alarms = self.records.as_ref().and_then(|records| records.alarms().ok());
        alarms.and_then(|alarms| alarms.list(false).ok()).unwrap_or_default()
    }

    /// Returns the audit log, where there is one.
    pub(crate) fn audit_log(&self) -> Option<Arc<AuditLog>> {
        self.records.as_ref()?.audit().ok().cloned()
    }

    fn records(&self) -> Result<&Records, ApiError> {
        let none = || ApiError::new(Code::NotHere, "this server keeps no catalog");
        self.records.as_deref().ok_or_else(none)
    }
}

impl RecordService for Answers {
    fn alarm_list(&self, every: bool) -> Result<Alarms, ApiError> {
        Ok(Alarms { time: now().into(), alarms: self.records()?.alarms()?.list(every)? })
    }

    fn alarm_ack(&self, caller: &Caller, request: AlarmAck) -> Result<Alarms, ApiError> {
        let alarms = self.records()?.alarms()?.ack(caller, &request, now())?;
        Ok(Alarms { time: now().into(), alarms })
    }

    fn alarm_watch(&self, after: Option<u64>) -> Result<AlarmEvents, ApiError> {
        self.records()?.alarms()?.watch(after)
    }

    fn audit_list(&self, request: AuditList) -> Result<control::api::AuditLog, ApiError> {
        self.records()?.audit()?.list(&request)
    }

    fn audit_check(&self, request: AuditCheck) -> Result<AuditVerdict, ApiError> {
        self.records()?.audit()?.check(&request)
    }

    fn backup_make(&self, request: BackupMake) -> Result<BackupMade, ApiError> {
        let what = "no backup was made";
        let none =
            || ApiError::new(Code::NotHere, what).because("this server has no authority and no catalog");
        let backups = self.backups.as_ref().ok_or_else(none)?;
        let passphrase = Passphrase::new(request.passphrase.expose());
        let passphrase = passphrase.map_err(|error| ApiError::new(Code::Passphrase, what).because(error))?;
        let failed = |error| ApiError::new(Code::BackupFailed, what).because(format!("{error:#}"));
        let now = now();
        let (revision, file) = backups.make(&passphrase, now).map_err(failed)?;
        let (file_name, file) = (backups.file_name(now), STANDARD.encode(file));
        tracing::info!(revision, "backup made");
        Ok(BackupMade { file_name, created: now.into(), revision, file })
    }

    fn catalog_show(&self) -> Result<CatalogReport, ApiError> {
        self.records()?.show(&self.node)
    }

    fn catalog_rebuild(&self, request: CatalogRebuild) -> Result<CatalogRebuilt, ApiError> {
        self.records()?.rebuild(&self.node, &request)
    }
}
