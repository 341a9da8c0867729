//! How the catalog is opened: as it was committed, or not at all.
//!
//! Beside what the catalog finds itself (rot, lost commits), the copy on the retention volume tells of a system volume that was brought back
//! to an older state, and certificates tell of a catalog that is missing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use catalog::{Catalog, CatalogError, CopyError, Snapshot, Sqlite, Table, read_copy, set_copy_aside};
use inventory::{Installation, Record as _, Revision};
use target::replica::chain;
use units::{MachineName, Timestamp};

use crate::fleet::Fleet;
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
    /// Whether it may be well, and only can't be reached.
    pub(crate) kind: TroubleKind,
}

/// Whether a catalog that can't be relied on may be well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TroubleKind {
    /// It is not as it was committed.
    Damaged,
    /// Its cluster does not answer: who belonged here a moment ago still does.
    Away,
}

/// Where the catalog and its copy are.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Where the catalog is.
    pub(crate) catalog: CatalogPlace,
    /// The file of the catalog where it is in one.
    file: PathBuf,
    /// The directory of its copy: the retention volume.
    pub(crate) copy: PathBuf,
}

/// Where the catalog is.
#[derive(Clone, Debug)]
pub(crate) enum CatalogPlace {
    /// In its file.
    File,
    /// In a cluster; the name is that of this server there.
    Cluster(Fleet, MachineName),
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
    pub(crate) fn new(state: &Path, retention: &Path, catalog: CatalogPlace) -> Self {
        Self { catalog, file: state.join(CATALOG_FILE), copy: retention.to_owned() }
    }

    /// Opens the catalog, and makes it at the first start. `lived` says that this is not the first.
    pub(crate) fn open(&self, lived: bool) -> Result<Found> {
        let trouble = |what, kind| Ok(Found::Trouble(Trouble { what, kind }));
        let error = match self.find(lived) {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        match error.downcast_ref::<CatalogError>() {
            Some(why) if why.is_damage() => trouble(why.to_string(), TroubleKind::Damaged),
            Some(why) if why.is_away() && lived => trouble(chain(why), TroubleKind::Away),
            _ => Err(error),
        }
    }

    fn find(&self, lived: bool) -> Result<Found> {
        self.take_restored()?;
        let lost = |what| Ok(Found::Trouble(Trouble { what, kind: TroubleKind::Damaged }));
        if lived && self.is_missing() {
            return lost(format!("{self} is missing"));
        }
        let catalog = self.open_as_it_is()?;
        match self.installation(&catalog, lived)? {
            None => lost(format!("{self} has lost what it held")),
            Some(own) => match self.newer_copy(&own, standing(&*catalog)?) {
                Some(what) => lost(what),
                None => Ok(Found::Good(catalog)),
            },
        }
    }

    /// Tells whether there is no file where one should be.
    fn is_missing(&self) -> bool {
        matches!(self.catalog, CatalogPlace::File) && !self.file.exists()
    }

    /// Opens the catalog, or makes one. Errors: [`CatalogError`] says whether it is damaged or away.
    fn open_as_it_is(&self) -> Result<Arc<dyn Catalog>> {
        let opened = match &self.catalog {
            CatalogPlace::File => Sqlite::open(&self.file).map(|catalog| Arc::new(catalog) as _),
            CatalogPlace::Cluster(fleet, name) => {
                self.move_file(fleet, name)?;
                fleet.open(name)
            }
        };
        opened.context("the catalog can't be opened")
    }

    /// Moves the catalog of a server that was alone into the cluster.
    ///
    /// 1. The cluster holds it, durable. 2. Its file has another name. After a crash in between the cluster holds the same installation.
    fn move_file(&self, fleet: &Fleet, name: &MachineName) -> Result<()> {
        if !self.file.exists() {
            return Ok(());
        }
        let alone: Arc<dyn Catalog> =
            Arc::new(Sqlite::open(&self.file).context("the catalog can't be moved")?);
        let seen = Snapshot::of(alone.list("")?);
        match fleet.fill(&seen, name) {
            Err(CatalogError::NotEmpty { .. }) => {
                let there = Table::<Installation>::new(fleet.open(name)?).list()?.rows.into_iter().next();
                let there = there.map(|row| row.record.id);
                ensure!(
                    there.is_some() && there == installation_of(&seen),
                    "{} and {fleet} hold catalogs of two installations; move the one aside that is not wanted",
                    self.file.display()
                );
            }
            filled => filled?,
        }
        drop(alone);
        let moved = self.file.with_extension("db.moved");
        std::fs::rename(&self.file, &moved)
            .with_context(|| format!("{} can't be renamed", self.file.display()))?;
        tracing::warn!(to = %fleet, left = %moved.display(), "catalog moved into the cluster");
        Ok(())
    }

    /// Makes the catalog of what a restore has left, or of the copy on the retention volume, if that is a newer one of the same installation.
    ///
    /// 1. The catalog is durable. 2. What the restore has left is removed. After a crash in between it is done again.
    fn take_restored(&self) -> Result<()> {
        let left = self.file.with_file_name(RESTORED_FILE);
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
        match self.restore(&newest) {
            // The others have gone on with it meanwhile: it is newer than any backup.
            Err(CatalogError::NotEmpty { .. }) => {
                tracing::info!("the cluster holds the catalog; the backup's is not needed")
            }
            restored => {
                restored.context("the restored catalog can't be made")?;
                tracing::info!(revision = newest.revision().0, "catalog restored");
            }
        }
        std::fs::remove_file(&left).with_context(|| format!("{} can't be removed", left.display()))
    }

    /// Returns the id of the installation, and gives it one at the first start. None, if a catalog that lived says nothing at all.
    fn installation(&self, catalog: &Arc<dyn Catalog>, lived: bool) -> Result<Option<String>> {
        let table = Table::<Installation>::new(catalog.clone());
        if let Some(row) = table.list()?.rows.into_iter().next() {
            return Ok(Some(row.record.id));
        }
        let was_there = match self.catalog {
            CatalogPlace::File => standing(&**catalog)? == Revision(0),
            CatalogPlace::Cluster(..) => true,
        };
        if lived && was_there {
            return Ok(None);
        }
        let installation = new_installation()?;
        match table.insert(&installation) {
            // Another server has begun at the same moment.
            Err(error) if error.is_conflict() => self.installation(catalog, lived),
            inserted => inserted.map(|_| Some(installation.id)).map_err(Into::into),
        }
    }

    /// Says so if the copy of this installation stands beyond the catalog.
    fn newer_copy(&self, own: &str, stands: Revision) -> Option<String> {
        match self.copy(Some(own)) {
            Copy::Own(copy) if copy.revision() > stands => Some(format!(
                "{self} is at revision {stands}, but its copy on the retention volume is at {}: it was brought back to an older state",
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
        match &self.catalog {
            CatalogPlace::File => Sqlite::restore(&self.file, snapshot, &aside)?,
            CatalogPlace::Cluster(fleet, name) => fleet.fill(snapshot, name)?,
        }
        Ok(aside)
    }
}

impl std::fmt::Display for Places {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.catalog {
            CatalogPlace::File => self.file.display().fmt(out),
            CatalogPlace::Cluster(fleet, _) => fleet.fmt(out),
        }
    }
}

/// Returns an installation with a new id.
pub(crate) fn new_installation() -> Result<Installation> {
    let id: [u8; 16] = random_bytes().context("no random bytes can be had")?;
    let id = id.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Installation { id, created: Timestamp::from_system(SystemTime::now()).into(), authority: None })
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
