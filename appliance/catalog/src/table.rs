//! Records of one kind, typed.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use inventory::{Key, Record, Revision};

use crate::{Catalog, CatalogError, Change, Expect, Watch};

/// Attempts to update a record that others change too.
const UPDATES_MAX: usize = 64;

/// The records of one kind in a catalog.
pub struct Table<R> {
    catalog: Arc<dyn Catalog>,
    kind: PhantomData<fn() -> R>,
}

/// A record, and when it was last changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<R> {
    /// The record.
    pub record: R,
    /// The revision of its last change.
    pub revision: Revision,
}

/// Records as they were at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows<R> {
    /// The records, by key.
    pub rows: Vec<Row<R>>,
    /// The revision of the catalog at that moment; a watch after it misses nothing.
    pub revision: Revision,
}

impl<R: Record> Table<R> {
    /// Returns the records of this kind.
    pub fn new(catalog: Arc<dyn Catalog>) -> Self {
        Self { catalog, kind: PhantomData }
    }

    /// Returns a record by its name.
    pub fn get(&self, name: &str) -> Result<Option<Row<R>>, CatalogError> {
        let Some(entry) = self.catalog.get(&Key::new(R::KIND, name)?)? else { return Ok(None) };
        Ok(Some(Row { record: R::decode(&entry.key, &entry.value)?, revision: entry.revision }))
    }

    /// Returns every record, by name.
    pub fn list(&self) -> Result<Rows<R>, CatalogError> {
        let listing = self.catalog.list(&prefix::<R>())?;
        let row = |entry: crate::Entry| {
            Ok(Row { record: R::decode(&entry.key, &entry.value)?, revision: entry.revision })
        };
        let rows = listing.entries.into_iter().map(row).collect::<Result<_, CatalogError>>()?;
        Ok(Rows { rows, revision: listing.revision })
    }

    /// Adds a record; durable on return. Errors: a conflict, if one of its name exists.
    pub fn insert(&self, record: &R) -> Result<Revision, CatalogError> {
        self.catalog.commit(&[Change::put(record, Expect::Absent)])
    }

    /// Replaces a record that was last changed at this revision; durable on return. Errors: a conflict, if it was changed since.
    pub fn replace(&self, record: &R, at: Revision) -> Result<Revision, CatalogError> {
        self.catalog.commit(&[Change::put(record, Expect::At(at))])
    }

    /// Makes a record what it is now, whatever it was; durable on return.
    pub fn put(&self, record: &R) -> Result<Revision, CatalogError> {
        self.catalog.commit(&[Change::put(record, Expect::Any)])
    }

    /// Ends a record; durable on return. Errors: a conflict, if it is not as expected.
    pub fn remove(&self, name: &str, expect: Expect) -> Result<Revision, CatalogError> {
        self.catalog.commit(&[Change::remove(Key::new(R::KIND, name)?, expect)])
    }

    /// Changes a record with a function, again if somebody else was faster; durable on return. The function is given what is there, if
    /// anything is, and returns what shall be there; nothing to leave it alone. Returns what is there then.
    pub fn update<E: From<CatalogError>>(
        &self,
        name: &str,
        mut change: impl FnMut(Option<&R>) -> Result<Option<R>, E>,
    ) -> Result<Option<R>, E> {
        for attempt in 1.. {
            let found = self.get(name)?;
            let Some(changed) = change(found.as_ref().map(|row| &row.record))? else {
                return Ok(found.map(|row| row.record));
            };
            let written = match &found {
                Some(row) => self.replace(&changed, row.revision),
                None => self.insert(&changed),
            };
            match written {
                Err(error) if error.is_conflict() && attempt < UPDATES_MAX => continue,
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(Some(changed)),
            }
        }
        unreachable!("the attempts have an end")
    }

    /// Begins to watch the records, from the first change after a revision.
    pub fn watch(&self, after: Revision) -> Result<Changes<R>, CatalogError> {
        let watch = self.catalog.watch(&prefix::<R>(), after)?;
        Ok(Changes { watch, kind: PhantomData })
    }
}

/// A record that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed<R> {
    /// Its key.
    pub key: Key,
    /// What it is now; nothing, if it went.
    pub row: Option<Row<R>>,
}

/// Changes of records as they come.
pub struct Changes<R> {
    watch: Box<dyn Watch>,
    kind: PhantomData<fn() -> R>,
}

impl<R: Record> Changes<R> {
    /// Returns the next changes, in their order, as soon as there are any; none after this wait.
    pub fn next(&mut self, wait: Duration) -> Result<Vec<Changed<R>>, CatalogError> {
        let change = |event: crate::Event| {
            let row = match event.value {
                Some(value) => Some(Row { record: R::decode(&event.key, &value)?, revision: event.revision }),
                None => None,
            };
            Ok(Changed { key: event.key, row })
        };
        self.watch.next(wait)?.into_iter().map(change).collect()
    }
}

fn prefix<R: Record>() -> String {
    format!("{}/", R::KIND)
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        Self { catalog: self.catalog.clone(), kind: PhantomData }
    }
}

impl<R: Record> fmt::Debug for Table<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Table({})", R::KIND)
    }
}

impl<R: Record> fmt::Debug for Changes<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Changes({})", R::KIND)
    }
}
