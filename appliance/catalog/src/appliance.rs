//! A catalog that several appliances share, as one of them sees it.
//!
//! What belongs to the installation is the same for all of them. What belongs to an appliance is kept under its name, as in
//! `machine/home/web-01`: each sees its own, under the keys it would have if it were alone, and nothing of the others'.
//!
//! *Invariant:* an appliance reads and changes nothing that belongs to another one.

use std::sync::Arc;
use std::time::Duration;

use inventory::{Key, KeyError, Revision, Scope};
use units::MachineName;

use crate::{Catalog, CatalogError, Change, Entry, Event, Lease, LeaseId, Listing, Snapshot, Watch};

/// A shared catalog, as one appliance sees it.
#[derive(Debug)]
pub struct OfAppliance {
    shared: Arc<dyn Catalog>,
    view: View,
}

/// Which appliance looks.
#[derive(Clone, Debug)]
struct View {
    name: MachineName,
}

/// A watch of one appliance.
struct OwnWatch {
    shared: Box<dyn Watch>,
    view: View,
}

impl OfAppliance {
    /// Looks at a shared catalog as the appliance of this name.
    pub fn new(shared: Arc<dyn Catalog>, name: &MachineName) -> Self {
        Self { shared, view: View { name: name.clone() } }
    }

    /// Returns a snapshot that one appliance took of what it saw, as the shared catalog keeps it.
    ///
    /// # Errors
    /// A key becomes too long with the appliance's name.
    pub fn kept(snapshot: &Snapshot, name: &MachineName) -> Result<Snapshot, KeyError> {
        let view = View { name: name.clone() };
        let kept = |entry: &Entry| Ok(Entry { key: view.kept(&entry.key)?, ..entry.clone() });
        let entries = snapshot.records().iter().map(kept).collect::<Result<_, KeyError>>()?;
        Ok(Snapshot::of(sorted(entries, snapshot.revision())))
    }
}

impl View {
    /// Returns the key under which the shared catalog keeps what this appliance knows under `key`.
    fn kept(&self, key: &Key) -> Result<Key, KeyError> {
        match Scope::of(key.kind()) {
            Scope::Installation => Ok(key.clone()),
            Scope::Appliance => Key::new(key.kind(), &format!("{}/{}", self.name, key.name())),
        }
    }

    /// Returns what keys in the shared catalog begin with that begin with `prefix` for this appliance.
    fn kept_prefix(&self, prefix: &str) -> String {
        match prefix.split_once('/') {
            Some((kind, rest)) if Scope::of(kind) == Scope::Appliance => {
                format!("{kind}/{}/{rest}", self.name)
            }
            _ => prefix.to_owned(),
        }
    }

    /// Returns the key under which this appliance knows what the shared catalog keeps under `kept`. Nothing, if it is another one's.
    fn seen(&self, kept: &Key) -> Option<Key> {
        match Scope::of(kept.kind()) {
            Scope::Installation => Some(kept.clone()),
            Scope::Appliance => {
                let name = kept.name().strip_prefix(self.name.as_str())?.strip_prefix('/')?;
                Key::new(kept.kind(), name).ok()
            }
        }
    }

    /// Says an error of the shared catalog in this appliance's keys.
    fn error(&self, error: CatalogError) -> CatalogError {
        let seen = |key: Key| self.seen(&key).unwrap_or(key);
        match error {
            CatalogError::Conflict { key, expected, found } => {
                CatalogError::Conflict { key: seen(key), expected, found }
            }
            CatalogError::ValueTooLong { key, len } => CatalogError::ValueTooLong { key: seen(key), len },
            other => other,
        }
    }
}

impl Catalog for OfAppliance {
    fn get(&self, key: &Key) -> Result<Option<Entry>, CatalogError> {
        let found = self.shared.get(&self.view.kept(key)?)?;
        Ok(found.map(|entry| Entry { key: key.clone(), ..entry }))
    }

    fn list(&self, prefix: &str) -> Result<Listing, CatalogError> {
        let Listing { entries, revision } = self.shared.list(&self.view.kept_prefix(prefix))?;
        let seen = |entry: Entry| self.view.seen(&entry.key).map(|key| Entry { key, ..entry });
        Ok(sorted(entries.into_iter().filter_map(seen).collect(), revision))
    }

    fn commit(&self, changes: &[Change]) -> Result<Revision, CatalogError> {
        let kept = |change: &Change| Ok(Change { key: self.view.kept(&change.key)?, ..change.clone() });
        let changes = changes.iter().map(kept).collect::<Result<Vec<_>, KeyError>>()?;
        self.shared.commit(&changes).map_err(|error| self.view.error(error))
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Box<dyn Watch>, CatalogError> {
        let shared = self.shared.watch(&self.view.kept_prefix(prefix), after)?;
        Ok(Box::new(OwnWatch { shared, view: self.view.clone() }))
    }

    fn grant(&self, life: Duration) -> Result<Lease, CatalogError> {
        self.shared.grant(life)
    }

    fn keep_alive(&self, lease: LeaseId) -> Result<(), CatalogError> {
        self.shared.keep_alive(lease)
    }

    fn end(&self, lease: LeaseId) -> Result<(), CatalogError> {
        self.shared.end(lease)
    }
}

impl Watch for OwnWatch {
    fn next(&mut self, wait: Duration) -> Result<Vec<Event>, CatalogError> {
        let seen = |event: Event| self.view.seen(&event.key).map(|key| Event { key, ..event });
        Ok(self.shared.next(wait)?.into_iter().filter_map(seen).collect())
    }
}

/// Another name may sort otherwise than it did behind an appliance's.
fn sorted(mut entries: Vec<Entry>, revision: Revision) -> Listing {
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    Listing { entries, revision }
}
