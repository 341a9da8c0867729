//! How the catalog is opened: as it was committed, or not at all.
//!
//! Beside what the catalog finds itself (rot, lost commits), the copy on the retention volume tells of a system volume that was brought back
//! to an older state, and certificates tell of a catalog that is missing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result};
use catalog::{Catalog, CatalogError, CopyError, Snapshot, Sqlite, Table, read_copy, set_copy_aside};
use inventory::{Installation, Record as _, Revision};
use units::Timestamp;

use crate::random::random_bytes;

/// The file of the catalog.
pub(crate) const CATALOG_FILE: &str = "catalog.db";
/// What a restore has left: a snapshot.
const RESTORED_FILE: &str = "catalog.restore";

/// How the catalog was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// As it was committed.
    Good(Arc<dyn Catalog>),
    /// It can't be relied on; nothing was changed.
    Trouble(Trouble),
}

/// Why the catalog can't be relied on.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// What is wrong, in a sentence.
    pub(crate) what: String,
}

/// Where the catalog and its copy are.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The file of the catalog.
    pub(crate) catalog: PathBuf,
    /// The directory of its copy: the retention volume.
    pub(crate) copy: PathBuf,
}

/// What the copy on the retention volume is.
#[derive(Debug)]
pub(crate) enum Copy {
    /// There is none.
    None,
    /// It is of this installation.
    Own(Snapshot),
    /// It is of another installation, with this id.
    Foreign(Snapshot, String),
    /// It can't be read.
    Damaged(CopyError),
}

impl Places {
    /// Returns where they are.
    pub(crate) fn new(state: &Path, retention: &Path) -> Self {
        Self { catalog: state.join(CATALOG_FILE), copy: retention.to_owned() }
    }

    /// Opens the catalog, and makes it at the first start. `lived` says that this is not the first.
    pub(crate) fn open(&self, lived: bool) -> Result<Found> {
        self.take_restored()?;
        let trouble = |what: String| Ok(Found::Trouble(Trouble { what }));
        if lived && !self.catalog.exists() {
            return trouble(format!("{} is missing", self.catalog.display()));
        }
        let catalog: Arc<dyn Catalog> = match Sqlite::open(&self.catalog) {
            Ok(catalog) => Arc::new(catalog),
            Err(error) if error.is_damage() => return trouble(error.to_string()),
            Err(error) => return Err(error).context("the catalog can't be opened"),
        };
        match self.installation(&catalog, lived)? {
            None => trouble(format!("{} has lost what it held", self.catalog.display())),
            Some(own) => match self.newer_copy(&own, standing(&*catalog)?) {
                Some(what) => trouble(what),
                None => Ok(Found::Good(catalog)),
            },
        }
    }

    /// Makes the catalog of what a restore has left, or of the copy on the retention volume, if that is a newer one of the same installation.
    ///
    /// 1. The catalog is durable. 2. What the restore has left is removed. After a crash in between it is done again.
    fn take_restored(&self) -> Result<()> {
        let left = self.catalog.with_file_name(RESTORED_FILE);
        let bytes = match std::fs::read(&left) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            read => read.with_context(|| format!("{} can't be read", left.display()))?,
        };
        let restored =
            Snapshot::decode(&bytes).with_context(|| format!("{} is no catalog", left.display()))?;
        let own = installation_of(&restored);
        let newest = match self.copy(own.as_deref()) {
            Copy::Own(copy) if own.is_some() && copy.revision() > restored.revision() => {
                tracing::warn!(
                    backup = restored.revision().0,
                    copy = copy.revision().0,
                    "the copy on the retention volume is newer than the backup, and taken instead"
                );
                copy
            }
            _ => restored,
        };
        self.restore(&newest).context("the restored catalog can't be made")?;
        tracing::info!(revision = newest.revision().0, "catalog restored");
        std::fs::remove_file(&left).with_context(|| format!("{} can't be removed", left.display()))
    }

    /// Returns the id of the installation, and gives it one at the first start. None, if a catalog that lived says nothing at all.
    fn installation(&self, catalog: &Arc<dyn Catalog>, lived: bool) -> Result<Option<String>> {
        let table = Table::<Installation>::new(catalog.clone());
        if let Some(row) = table.list()?.rows.into_iter().next() {
            return Ok(Some(row.record.id));
        }
        if lived && standing(&**catalog)? == Revision(0) {
            return Ok(None);
        }
        let installation = new_installation()?;
        table.insert(&installation)?;
        Ok(Some(installation.id))
    }

    /// Says so if the copy of this installation stands beyond the catalog.
    fn newer_copy(&self, own: &str, stands: Revision) -> Option<String> {
        match self.copy(Some(own)) {
            Copy::Own(copy) if copy.revision() > stands => Some(format!(
                "{} is at revision {stands}, but its copy on the retention volume is at {}: it was brought back to an older state",
                self.catalog.display(),
                copy.revision()
            )),
            _ => None,
        }
    }

    /// Returns what the copy is. Of an installation that is not known, any copy counts as its own.
    pub(crate) fn copy(&self, own: Option<&str>) -> Copy {
        match read_copy(&self.copy) {
            Ok(None) => Copy::None,
            Err(error) => Copy::Damaged(error),
            Ok(Some(copy)) => match installation_of(&copy) {
                Some(id) if own.is_none_or(|own| own == id) => Copy::Own(copy),
                Some(id) => Copy::Foreign(copy, id),
                None => Copy::Foreign(copy, "unknown".to_owned()),
            },
        }
    }

    /// Makes room for copies of this catalog: one of another installation, or a damaged one, is put aside, never written over.
    pub(crate) fn clear_copy(&self, catalog: &Arc<dyn Catalog>) -> Result<()> {
        let own = Table::<Installation>::new(catalog.clone()).list()?.rows.into_iter().next();
        let own = own.map(|row| row.record.id);
        let aside = match self.copy(own.as_deref()) {
            Copy::None | Copy::Own(_) => return Ok(()),
            Copy::Foreign(_, id) => format!("of-{id}"),
            Copy::Damaged(error) => {
                tracing::warn!(%error, "copy of the catalog put aside");
                "damaged".to_owned()
            }
        };
        set_copy_aside(&self.copy, &aside).context("the copy of another catalog can't be put aside")
    }

    /// Makes a catalog of a snapshot in place of the one that can't be relied on. Returns what the old files' names end with.
    pub(crate) fn restore(&self, snapshot: &Snapshot) -> Result<String, CatalogError> {
        let now = Timestamp::from_system(SystemTime::now());
        let aside = format!("aside-{}", now.0 / 1_000_000);
        Sqlite::restore(&self.catalog, snapshot, &aside)?;
        Ok(aside)
    }
}

/// Returns an installation with a new id.
pub(crate) fn new_installation() -> Result<Installation> {
    let id: [u8; 16] = random_bytes().context("no random bytes can be had")?;
    let id = id.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Installation { id, created: Timestamp::from_system(SystemTime::now()).into() })
}

/// Returns the id of the installation a snapshot is of.
pub(crate) fn installation_of(snapshot: &Snapshot) -> Option<String> {
    snapshot.table::<Installation>().ok()?.into_iter().next().map(|installation| installation.id)
}

/// Returns where a catalog stands.
fn standing(catalog: &dyn Catalog) -> Result<Revision> {
    Ok(catalog.commit(&[])?)
}

/// Returns a snapshot of machines alone, for a new installation: what the disks tell.
pub(crate) fn snapshot_of(machines: &[inventory::Machine]) -> Result<Snapshot> {
    let revision = Revision(1);
    let entry = |key, value| catalog::Entry { key, value, revision, lease: None };
    let mut entries: Vec<_> = machines.iter().map(|machine| entry(machine.key(), machine.encode())).collect();
    let installation = new_installation()?;
    entries.push(entry(installation.key(), installation.encode()));
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(Snapshot::of(catalog::Listing { entries, revision }))
}
