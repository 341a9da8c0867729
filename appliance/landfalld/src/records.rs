//! What landfalld keeps in the catalog of itself: its machines; and the catalog's copy, and what is done without a catalog.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catalog::{Catalog, CatalogError, Copier, Expect, Table};
use control::api::{
    self, CatalogCopy, CatalogMode, CatalogRebuild, CatalogRebuilt, CatalogReport, KindCount,
};
use control::{ApiError, Code};
use inventory::{Action, CensusStep, Machine, MachineDisk, census, missing};
use target::MasterTarget;
use units::{MachineName, Timestamp};

use crate::again::Again;
use crate::alarms::Alarms;
use crate::answers::now;
use crate::audit::AuditLog;
use crate::failure::catalog_failed as failed;
use crate::store::{Copy, Places, Trouble, TroubleKind, installation_of, snapshot_of};

/// What is kept in the catalog, or why nothing is.
pub(crate) struct Records {
    places: Places,
    kept: Kept,
    again: Again,
}

enum Kept {
    /// The catalog is well.
    Well(Box<Well>),
    /// It is not.
    Safe(Trouble),
}

/// What is kept in a catalog that is well.
struct Well {
    catalog: Arc<dyn Catalog>,
    machines: Table<Machine>,
    alarms: Alarms,
    audit: Arc<AuditLog>,
    copier: Copier,
    settling: Mutex<()>,
}

impl Records {
    /// Keeps records in a catalog, and a copy of it on the retention volume, which is this node's by now.
    pub(crate) fn keep(
        catalog: Arc<dyn Catalog>,
        places: Places,
        again: Again,
        audit_every: Duration,
    ) -> anyhow::Result<Self> {
        places.clear_copy(&catalog)?;
        let copier = Copier::start(catalog.clone(), &places.copy)?;
        let well = Well {
            machines: Table::new(catalog.clone()),
            alarms: Alarms::new(catalog.clone()),
            audit: Arc::new(AuditLog::new(catalog.clone(), audit_every)),
            catalog,
            copier,
            settling: Mutex::default(),
        };
        Ok(Self { places, kept: Kept::Well(Box::new(well)), again })
    }

    /// Keeps nothing: the catalog can't be relied on.
    pub(crate) fn safe(trouble: Trouble, places: Places, again: Again) -> Self {
        tracing::error!(what = %trouble.what, "safe mode: landfalld serves without its catalog");
        Self { places, kept: Kept::Safe(trouble), again }
    }

    /// Brings the records of machines up to what is on the volume.
    pub(crate) fn settle(&self, node: &MasterTarget) -> Result<(), ApiError> {
        let Kept::Well(well) = &self.kept else { return Ok(()) };
        let Well { machines, settling, .. } = &**well;
        let _one_at_a_time = settling.lock().unwrap_or_else(PoisonError::into_inner);
        let settle = || -> Result<(), CatalogError> {
            let rows = machines.list()?.rows;
            let known: Vec<_> = rows.into_iter().map(|row| row.record).collect();
            for step in census(&known, &found(node, now()), node.name()) {
                match step {
                    CensusStep::Put(machine) => machines.put(&machine)?,
                    CensusStep::Remove(name) => machines.remove(name.as_str(), Expect::Any)?,
                };
            }
            Ok(())
        };
        settle().map_err(|error| failed("the machines are not on record", &error))
    }

    /// Puts on record that a machine is to go, before anything of it does. A machine that is not known is no error.
    pub(crate) fn leaving(&self, name: &MachineName) -> Result<(), ApiError> {
        let Kept::Well(well) = &self.kept else { return Ok(()) };
        let left = well.machines.update(name.as_str(), |found| {
            Ok::<_, CatalogError>(found.map(|machine| Machine { leaving: true, ..machine.clone() }))
        });
        left.map(drop).map_err(|error| failed(&format!("machine {name} was not removed"), &error))
    }

    /// Forgets a machine that should be on the volume and is not; tells whether there was such a one.
    pub(crate) fn forget(&self, node: &MasterTarget, name: &MachineName) -> Result<bool, ApiError> {
        if !self.missing(node)?.contains(name) {
            return Ok(false);
        }
        self.leaving(name)?;
        self.settle(node)?;
        Ok(true)
    }

    /// Returns the machines that should be on the volume and are not.
    pub(crate) fn missing(&self, node: &MasterTarget) -> Result<Vec<MachineName>, ApiError> {
        let Kept::Well(well) = &self.kept else { return Ok(Vec::new()) };
        let rows = well.machines.list().map_err(|error| failed("the machines can't be listed", &error))?.rows;
        let known: Vec<_> = rows.into_iter().map(|row| row.record).collect();
        let found = found(node, now());
        Ok(missing(&known, &found, node.name()).map(|machine| machine.name.clone()).collect())
    }

    /// Says what is not well with the catalog and its copy.
    pub(crate) fn problem(&self) -> Option<(api::Health, String)> {
        match &self.kept {
            Kept::Safe(Trouble { what, kind }) => {
                let mode = match kind {
                    TroubleKind::Damaged => "safe mode",
                    TroubleKind::Away => "nothing can be changed",
                };
                Some((api::Health::Failed, format!("{mode}: {what}; see `landfall catalog show`")))
            }
            Kept::Well(well) => {
                let problem = well.copier.copied().problem?;
                let what = format!("the catalog is not copied to the retention volume: {problem}");
                Some((api::Health::Degraded, what))
            }
        }
    }

    /// Refuses what can't be done without a catalog.
    pub(crate) fn admits(&self, action: Action) -> Result<(), ApiError> {
        match (&self.kept, action) {
            (Kept::Well(_), _) | (_, Action::Look | Action::Check | Action::Administer) => Ok(()),
            (Kept::Safe(trouble), _) => Err(safe(trouble)),
        }
    }

    /// Returns the error of what needs a catalog, if there is none.
    pub(crate) fn unavailable(&self) -> Option<ApiError> {
        match &self.kept {
            Kept::Well(_) => None,
            Kept::Safe(trouble) => Some(safe(trouble)),
        }
    }

    /// Returns the alarms. Errors: there is no catalog to keep them in.
    pub(crate) fn alarms(&self) -> Result<&Alarms, ApiError> {
        match &self.kept {
            Kept::Well(well) => Ok(&well.alarms),
            Kept::Safe(trouble) => Err(safe(trouble)),
        }
    }

    /// Returns the audit log. Errors: there is no catalog to keep it in.
    pub(crate) fn audit(&self) -> Result<&Arc<AuditLog>, ApiError> {
        match &self.kept {
            Kept::Well(well) => Ok(&well.audit),
            Kept::Safe(trouble) => Err(safe(trouble)),
        }
    }

    /// Says how the catalog and its copy stand.
    pub(crate) fn show(&self, node: &MasterTarget) -> Result<CatalogReport, ApiError> {
        let refused = |error: CatalogError| failed("the catalog can't be read", &error);
        let listing = match &self.kept {
            Kept::Well(well) => Some(well.catalog.list("").map_err(refused)?),
            Kept::Safe(_) => None,
        };
        let snapshot = listing.map(catalog::Snapshot::of);
        let installation = snapshot.as_ref().and_then(installation_of);
        let (mode, trouble) = match &self.kept {
            Kept::Well(_) => (CatalogMode::Current, None),
            Kept::Safe(trouble) => {
                let mode = match trouble.kind {
                    TroubleKind::Damaged => CatalogMode::Safe,
                    TroubleKind::Away => CatalogMode::Away,
                };
                (mode, Some(trouble.what.clone()))
            }
        };
        Ok(CatalogReport {
            time: now().into(),
            server: node.name().clone(),
            mode,
            trouble,
            revision: snapshot.as_ref().map(|snapshot| snapshot.revision().0),
            records: snapshot.as_ref().map(kinds).unwrap_or_default(),
            copy: self.copy(installation.as_deref()),
            installation,
            missing: self.missing(node)?,
            found: node.machines().iter().map(|machine| machine.name.clone()).collect(),
        })
    }

    fn copy(&self, own: Option<&str>) -> CatalogCopy {
        let path = self.places.copy.join(catalog::COPY_FILE).display().to_string();
        let none = CatalogCopy { path, revision: None, records: Vec::new(), problem: None };
        match self.places.copy(own) {
            Copy::None => none,
            Copy::Own(copy) => {
                CatalogCopy { revision: Some(copy.revision().0), records: kinds(&copy), ..none }
            }
            Copy::Foreign(copy, id) => CatalogCopy {
                revision: Some(copy.revision().0),
                records: kinds(&copy),
                problem: Some(format!("it is of another installation, {id}")),
                ..none
            },
            Copy::Damaged(error) => CatalogCopy { problem: Some(target::replica::chain(&error)), ..none },
        }
    }

    /// Makes the catalog anew, from its copy or from what the disks tell, and has landfalld begin again with it.
    ///
    /// 1. The new catalog is durable, the old one's files are kept beside it. 2. Whoever asked is told. 3. landfalld begins again.
    pub(crate) fn rebuild(
        &self,
        node: &MasterTarget,
        wanted: &CatalogRebuild,
    ) -> Result<CatalogRebuilt, ApiError> {
        let what = "the catalog was not rebuilt";
        let Kept::Safe(_) = &self.kept else { return Err(ApiError::new(Code::CatalogWell, what)) };
        if wanted.confirm != node.name().as_str() {
            return Err(ApiError::new(Code::NotConfirmed, what));
        }
        let snapshot = match wanted.from {
            api::RebuildFrom::Copy => match self.places.copy(None) {
                Copy::Own(copy) => copy,
                Copy::None | Copy::Foreign(..) => {
                    return Err(ApiError::new(Code::CatalogSource, what).because("there is no copy of it"));
                }
                Copy::Damaged(error) => {
                    let error = target::replica::chain(&error);
                    return Err(ApiError::new(Code::CatalogSource, what).because(error));
                }
            },
            api::RebuildFrom::Disks => {
                let made = snapshot_of(&found(node, now()));
                made.map_err(|error| ApiError::new(Code::Internal, what).because(format!("{error:#}")))?
            }
        };
        let aside = self.places.restore(&snapshot).map_err(|error| failed(what, &error))?;
        tracing::warn!(from = ?wanted.from, records = snapshot.records().len(), %aside, "catalog rebuilt; beginning again");
        self.again.begin();
        Ok(CatalogRebuilt { from: wanted.from, records: kinds(&snapshot), aside })
    }
}

fn safe(trouble: &Trouble) -> ApiError {
    let code = match trouble.kind {
        TroubleKind::Damaged => Code::CatalogSafe,
        TroubleKind::Away => Code::CatalogAway,
    };
    ApiError::new(code, "nothing was changed").because(trouble.what.clone())
}

/// Counts the records of each kind.
fn kinds(snapshot: &catalog::Snapshot) -> Vec<KindCount> {
    let mut kinds = std::collections::BTreeMap::<&str, u64>::new();
    for record in snapshot.records() {
        *kinds.entry(record.key.kind()).or_default() += 1;
    }
    kinds.into_iter().map(|(kind, count)| KindCount { kind: kind.to_owned(), count }).collect()
}

/// Returns the machines on the volume, as records.
fn found(node: &MasterTarget, now: Timestamp) -> Vec<Machine> {
    let record = |machine: &Arc<target::Machine>| {
        let disk = |disk: &retention::HeadDisk| MachineDisk {
            path: disk.path.clone(),
            len_bytes: disk.device_len.0,
        };
        Machine {
            name: machine.name.clone(),
            id: machine.id,
            server: node.name().clone(),
            generation: machine.generation,
            disks: machine.disks.iter().map(disk).collect(),
            policy: machine.shared.lock().policy.map(|policy| crate::keeping::recorded(&policy)),
            registered: now.into(),
            leaving: false,
        }
    };
    node.machines().iter().map(record).collect()
}
