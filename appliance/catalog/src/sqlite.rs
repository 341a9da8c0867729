//! A catalog in one file, of one program.
//!
//! SQLite keeps it: its log is flushed with every commit. Around it stand what SQLite does not promise: each record carries its hash,
//! the catalog the sum of them, and a mark beside it the last revision, so that rot in the file, in its log, or an older page is found
//! when the catalog is opened or the record read, and is never taken for the truth.

/// The last changes, for those who watch.
mod feed;
/// Who vouches for what, and until when.
mod leases;
/// The lock and the last revision, beside the catalog.
mod mark;
/// Opening and verifying.
mod open;
/// A catalog made of a snapshot, in place of another.
mod restore;
/// Records in the database.
mod rows;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use inventory::{Key, Revision};
use rusqlite::{Connection, TransactionBehavior};

use self::feed::{Feed, FeedWatch};
use self::leases::Leases;
use self::mark::Mark;
use self::rows::Standing;
use crate::catalog::check;
use crate::{Catalog, CatalogError, Change, Entry, Event, Expect, Lease, LeaseId, Listing, Watch};

/// A catalog in one file.
#[derive(Debug)]
pub struct Sqlite {
    store: Arc<Mutex<Store>>,
    feed: Arc<Feed>,
}

/// What one thread at a time works with.
#[derive(Debug)]
struct Store {
    path: PathBuf,
    database: Connection,
    mark: Mark,
    leases: Leases,
}

impl Sqlite {
    /// Opens the catalog in this file, or makes it, and verifies all of it. Errors: [`CatalogError::Taken`] if another program has it,
    /// [`CatalogError::Newer`], and [`CatalogError::Damaged`] or [`CatalogError::Older`] if it is not as it was committed; the file
    /// is left as it is then.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        let mark = Mark::take(path)?;
        let (database, standing) = open::open(path, &mark)?;
        let leases = Leases::of(rows::leases(path, &database)?, Instant::now());
        mark.set(standing.revision);
        let feed = Arc::new(Feed::new(standing.revision));
        Ok(Self {
            store: Arc::new(Mutex::new(Store { path: path.to_owned(), database, mark, leases })),
            feed,
        })
    }

    fn store(&self) -> Result<MutexGuard<'_, Store>, CatalogError> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.expire(&self.feed)?;
        Ok(store)
    }
}

impl Store {
    /// Ends the leases that nobody kept alive, and what hangs on them.
    fn expire(&mut self, feed: &Feed) -> Result<(), CatalogError> {
        for lease in self.leases.due(Instant::now()) {
            self.end(lease, feed)?;
        }
        Ok(())
    }

    fn end(&mut self, lease: LeaseId, feed: &Feed) -> Result<(), CatalogError> {
        let keys = rows::under(&self.path, &self.database, lease)?;
        let changes: Vec<_> = keys.into_iter().map(|key| Change::remove(key, Expect::Any)).collect();
        for some in changes.chunks(crate::CHANGES_MAX) {
            self.commit(some, feed)?;
        }
        self.leases.end(lease);
        Ok(())
    }

    /// In order: 1. every change is compared with what is there; 2. the records, the sum and the revision change in one transaction;
    /// 3. it is durable; 4. the mark follows; 5. whoever watches is told.
    fn commit(&mut self, changes: &[Change], feed: &Feed) -> Result<Revision, CatalogError> {
        let path = self.path.clone();
        let failed = |error| rows::failed(&path, error);
        let transaction =
            self.database.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let before = rows::standing(&path, &transaction)?;
        if changes.is_empty() {
            return Ok(before.revision);
        }
        let mut after = Standing { revision: before.revision.next(), ..before };
        for change in changes {
            let lease = change.lease.map(|id| self.leases.life(id)).transpose()?;
            rows::apply(&path, &transaction, change, lease, &mut after)?;
        }
        rows::set_standing(&path, &transaction, &after)?;
        transaction.commit().map_err(failed)?;
        self.mark.set(after.revision);
        feed.publish(after.revision, changes.iter().map(|change| event(change, after.revision)));
        Ok(after.revision)
    }
}

impl Catalog for Sqlite {
    fn get(&self, key: &Key) -> Result<Option<Entry>, CatalogError> {
        let store = self.store()?;
        rows::get(&store.path, &store.database, key)
    }

    fn list(&self, prefix: &str) -> Result<Listing, CatalogError> {
        let store = self.store()?;
        let entries = rows::list(&store.path, &store.database, prefix)?;
        Ok(Listing { entries, revision: self.feed.latest() })
    }

    fn commit(&self, changes: &[Change]) -> Result<Revision, CatalogError> {
        check(changes)?;
        self.store()?.commit(changes, &self.feed)
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Box<dyn Watch>, CatalogError> {
        let expiring = self.store.clone();
        Ok(Box::new(FeedWatch::new(self.feed.clone(), prefix, after, expiring)))
    }

    fn grant(&self, life: Duration) -> Result<Lease, CatalogError> {
        let id = self.store()?.leases.grant(life, Instant::now());
        Ok(Lease { id, life })
    }

    fn keep_alive(&self, lease: LeaseId) -> Result<(), CatalogError> {
        self.store()?.leases.keep_alive(lease, Instant::now())
    }

    fn end(&self, lease: LeaseId) -> Result<(), CatalogError> {
        self.store()?.end(lease, &self.feed)
    }
}

fn event(change: &Change, revision: Revision) -> Event {
    Event { key: change.key.clone(), value: change.value.clone(), revision }
}
