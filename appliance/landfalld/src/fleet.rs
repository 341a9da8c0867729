//! The catalog of a fleet: in an etcd cluster, which several configuration servers share.
//!
//! All of them belong to one installation and sign with one authority; each has a name of its own, and what is its own is kept under it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use catalog::{Catalog, CatalogError, Endpoints, Etcd, EtcdFiles, OfAppliance, Snapshot, Table};
use inventory::{Holder, Installation, Record as _};
use pki::Authority;
use units::MachineName;
use wire::{Identity, Role};

use crate::again::Again;
use crate::random::random_bytes;

/// Between two looks whether a cluster that was away is back.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// A cluster that holds a catalog, or will.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    endpoints: Endpoints,
    files: Option<EtcdFiles>,
    /// Random: tells this process from another one of its name.
    instance: [u8; 16],
}

impl Fleet {
    /// Names a cluster; nobody is asked yet. Errors: no random bytes can be had.
    pub(crate) fn new(endpoints: Endpoints, files: Option<EtcdFiles>) -> Result<Self> {
        let instance = random_bytes().context("no random bytes can be had")?;
        Ok(Self { endpoints, files, instance })
    }

    /// Opens the catalog, and verifies it; it will be written as the server of this name. Errors: as [`Etcd::open`].
    pub(crate) fn open(&self, name: &MachineName) -> Result<Arc<dyn Catalog>, CatalogError> {
        let shared = Etcd::open(&self.endpoints, self.files.as_ref(), name.as_str(), self.instance)?;
        Ok(Arc::new(OfAppliance::new(Arc::new(shared), name)))
    }

    /// Fills the cluster with what the server of this name saw, if it holds no catalog. Errors: as [`Etcd::fill`].
    pub(crate) fn fill(&self, seen: &Snapshot, name: &MachineName) -> Result<(), CatalogError> {
        let kept = OfAppliance::kept(seen, name)?;
        Etcd::fill(&self.endpoints, self.files.as_ref(), &kept, self.instance)
    }

    /// Has landfalld begin again once the cluster answers, on a thread that ends with it.
    pub(crate) fn await_return(self, name: MachineName, again: Again) -> Result<()> {
        let look = move || {
            loop {
                std::thread::sleep(LOOK_PAUSE);
                if !self.open(&name).is_err_and(|error| error.is_away()) {
                    tracing::info!(catalog = %self, "the cluster answers; beginning again");
                    return again.begin();
                }
            }
        };
        std::thread::Builder::new()
            .name("fleet".to_owned())
            .spawn(look)
            .context("no thread can be started")?;
        Ok(())
    }
}

impl std::fmt::Display for Fleet {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "etcd:{}", self.endpoints)
    }
}

/// Makes sure that a server that is new here takes nobody's name.
pub(crate) fn refuse_taken_name(catalog: &Arc<dyn Catalog>, name: &MachineName) -> Result<()> {
    let identity = Identity { role: Role::ConfigurationServer, name: name.clone() };
    let taken = Table::<Holder>::new(catalog.clone()).get(&Holder::name_of(&identity))?;
    ensure!(
        taken.is_none_or(|row| row.record.current().is_none()),
        "{name} is a configuration server of this installation already; choose another --name, or restore that one from its backup"
    );
    Ok(())
}

/// Makes sure that a server without an authority of its own makes none where the installation has one already.
pub(crate) fn refuse_other_authority(catalog: &Arc<dyn Catalog>, ca: &Path) -> Result<()> {
    match noted(catalog)? {
        Some(_) if !Authority::exists(ca) => bail!(
            "the installation has an authority, and {} holds none; bring it there with `landfall restore BACKUP --authority-only`, \
             from a backup of one of its configuration servers",
            ca.display()
        ),
        _ => Ok(()),
    }
}

/// Notes with which authority the configuration servers sign, once. Errors: it is another one than ours.
pub(crate) fn note_authority(catalog: &Arc<dyn Catalog>, authority: &Authority) -> Result<()> {
    let own = hexadecimal(authority.key_hash());
    let table = Table::<Installation>::new(catalog.clone());
    let named =
        table.list()?.rows.into_iter().next().context("a catalog that is open names its installation")?;
    let noted = table.update(&named.record.name(), |found| {
        let open = found.filter(|installation| installation.authority.is_none());
        Ok::<_, CatalogError>(
            open.map(|found| Installation { authority: Some(own.clone()), ..found.clone() }),
        )
    })?;
    let noted = noted.and_then(|installation| installation.authority).unwrap_or_default();
    ensure!(
        noted == own,
        "the configuration servers of this installation sign with the authority {noted}, and this one has {own}; bring theirs here \
         with `landfall restore BACKUP --authority-only`, or name another cluster"
    );
    Ok(())
}

fn noted(catalog: &Arc<dyn Catalog>) -> Result<Option<String>> {
    let rows = Table::<Installation>::new(catalog.clone()).list()?.rows;
    Ok(rows.into_iter().next().and_then(|row| row.record.authority))
}

fn hexadecimal(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
