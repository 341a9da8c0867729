//! What the fake service has on record.

use control::api::{
    Alarm, AlarmAck, AlarmEvents, Alarms, AuditCheck, AuditEntry, AuditList, AuditLog, AuditOutcome,
    AuditVerdict, BackupMade, BackupMake, CatalogCopy, CatalogMode, CatalogRebuild, CatalogRebuilt,
    CatalogReport, Health, HexHash, KindCount,
};
use control::{ApiError, Caller, Code, RecordService};
use inventory::AlarmKind;
use units::Hash;

use super::Fake;
use super::facts::{at, now};

fn kinds(each: &[(&str, u64)]) -> Vec<KindCount> {
    each.iter().map(|(kind, count)| KindCount { kind: (*kind).to_owned(), count: *count }).collect()
}

pub(super) fn catalog() -> CatalogReport {
    let records = kinds(&[("certificate", 5), ("machine", 2), ("settings", 1)]);
    let path = "/mnt/retention/catalog.copy".to_owned();
    CatalogReport {
        time: now(),
        server: "home-01".parse().unwrap(),
        mode: CatalogMode::Current,
        trouble: None,
        installation: Some("0b".repeat(16)),
        revision: Some(1204),
        copy: CatalogCopy { path, revision: Some(1204), records: records.clone(), problem: None },
        records,
        missing: vec!["old-01".parse().unwrap()],
        found: vec!["web-01".parse().unwrap()],
    }
}

pub(super) fn catalog_in_trouble() -> CatalogReport {
    let trouble = "/var/lib/landfall/catalog.db is missing".to_owned();
    CatalogReport {
        mode: CatalogMode::Safe,
        trouble: Some(trouble),
        installation: None,
        revision: None,
        records: Vec::new(),
        missing: Vec::new(),
        ..catalog()
    }
}

impl RecordService for Fake {
    fn alarm_list(&self, every: bool) -> Result<Alarms, ApiError> {
        let alarms = if self.well { Vec::new() } else { alarms(every) };
        Ok(Alarms { time: now(), alarms })
    }

    fn alarm_ack(&self, caller: &Caller, request: AlarmAck) -> Result<Alarms, ApiError> {
        self.note(request.clone());
        if request.kind.is_some_and(|kind| kind != "rpo") {
            return Err(ApiError::new(Code::AlarmUnknown, "no alarm was acknowledged"));
        }
        assert!(matches!(caller, Caller::Local { .. }), "who asks is told");
        let mut alarms = alarms(false);
        alarms.iter_mut().for_each(|alarm| {
            alarm.acked_by = Some("uid 0".to_owned());
            alarm.acked = Some(now());
        });
        Ok(Alarms { time: now(), alarms })
    }

    fn alarm_watch(&self, after: Option<u64>) -> Result<AlarmEvents, ApiError> {
        match after {
            None => Ok(AlarmEvents { newest: 7, missed: false, alarms: alarms(true) }),
            Some(_) => Err(ApiError::new(Code::Stopping, "the appliance stops")),
        }
    }

    fn audit_list(&self, request: AuditList) -> Result<AuditLog, ApiError> {
        let mut log = audit();
        log.entries.truncate(request.limit as usize);
        if self.well {
            log.entries.clear();
        }
        Ok(log)
    }

    fn audit_check(&self, request: AuditCheck) -> Result<AuditVerdict, ApiError> {
        let AuditLog { first, last, .. } = audit();
        let problem = request.number.map(|number| format!("entry {number} is not the one that is known"));
        Ok(AuditVerdict { first, last, hash: hash(), problem })
    }

    fn backup_make(&self, _: BackupMake) -> Result<BackupMade, ApiError> {
        Err(ApiError::new(Code::BackupFailed, "the fake appliance has no keys"))
    }

    fn catalog_show(&self) -> Result<CatalogReport, ApiError> {
        Ok(if self.well { catalog() } else { catalog_in_trouble() })
    }

    fn catalog_rebuild(&self, request: CatalogRebuild) -> Result<CatalogRebuilt, ApiError> {
        self.note(request.clone());
        let (records, aside) = (catalog().records, "aside-1795183399".to_owned());
        Ok(CatalogRebuilt { from: request.from, records, aside })
    }
}

pub(super) fn alarms(every: bool) -> Vec<Alarm> {
    let alarm = |kind, subject: &str, severity, what: &str| Alarm {
        kind,
        subject: subject.to_owned(),
        severity,
        what: what.to_owned(),
        first_seen: at("2026-11-20T13:40:00Z"),
        last_seen: now(),
        raised: 1,
        cleared: None,
        acked_by: None,
        acked: None,
    };
    let rpo = "its newest recovery point is 38 min old, the RPO threshold is 15 min";
    let lost = "nothing comes from it, and nothing is known of why";
    let mut alarms = vec![
        Alarm { raised: 3, ..alarm(AlarmKind::Rpo, "web-01", Health::Failed, rpo) },
        Alarm {
            acked_by: Some("operator ann".to_owned()),
            acked: Some(at("2026-11-20T13:50:00Z")),
            ..alarm(AlarmKind::Server, "source/db-02", Health::Degraded, lost)
        },
        Alarm {
            cleared: Some(at("2026-11-20T13:41:00Z")),
            ..alarm(AlarmKind::Source, "db-01", Health::Degraded, "its source is not connected")
        },
    ];
    if every {
        let low = "less than 30 % of the retention volume is free";
        let cleared = Some(at("2026-11-19T13:41:00Z"));
        let volume = alarm(AlarmKind::Volume, "appliance", Health::Degraded, low);
        let acked_by = Some("uid 0".to_owned());
        alarms.push(Alarm { cleared, acked_by, acked: cleared, ..volume });
    }
    alarms
}

pub(super) fn hash() -> HexHash {
    HexHash(Hash([0x5e; 32]))
}

pub(super) fn audit() -> AuditLog {
    let entry = |number, who: &str, action: &str, subject: &str, outcome, why: Option<&str>| AuditEntry {
        number,
        time: at("2026-11-20T13:40:00Z"),
        who: who.to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        outcome,
        why: why.map(str::to_owned),
        hash: hash(),
    };
    let refused = "MachineRemove was not done: manager hq may not do this (LF-1003)";
    let entries = vec![
        entry(810, "operator ann", "policy-set", "web-01", AuditOutcome::Begun, None),
        entry(811, "operator ann", "policy-set", "web-01", AuditOutcome::Done, None),
        entry(812, "manager hq", "machine-remove", "web-01", AuditOutcome::Refused, Some(refused)),
    ];
    AuditLog { time: now(), first: 1, last: 812, entries }
}
