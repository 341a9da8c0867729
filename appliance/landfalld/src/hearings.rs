//! Who is heard by which configuration server, where several share a catalog: told to the others, and heard from them.
//!
//! Each of them notes whom it hears, and that it lives, under a lease: what it noted goes when it ends, or soon after it was killed. So a
//! server that is heard anywhere is lost nowhere, and a configuration server that ends is missed by the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use catalog::{CHANGES_MAX, Catalog, CatalogError, Change, Expect, LeaseId, Table};
use control::heartbeat::Servers;
use inventory::{Hearing, Record as _};
use units::{MachineName, Rfc3339};
use wire::{Identity, Role};

use crate::answers::now;

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(5);
/// How long what was noted stays when nobody keeps it alive: some rounds may fail.
const LIFE: Duration = Duration::from_secs(30);

/// A thread that makes rounds, until it is dropped; then what it noted goes.
pub(crate) struct Hearings {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the rounds work with.
struct Rounds {
    catalog: Arc<dyn Catalog>,
    table: Table<Hearing>,
    own: MachineName,
    heard: Servers,
    noted: Noted,
}

/// What is noted, and on what it hangs.
#[derive(Default)]
struct Noted {
    /// Nothing, before the first round and once it has ended.
    lease: Option<LeaseId>,
    /// Since when each is heard.
    since: BTreeMap<Identity, Rfc3339>,
}

impl Hearings {
    /// Begins, as the configuration server of this name. Errors: the system starts no thread.
    pub(crate) fn begin(catalog: Arc<dyn Catalog>, own: &MachineName, heard: Servers) -> Result<Self> {
        let table = Table::new(catalog.clone());
        let mut rounds = Rounds { catalog, table, own: own.clone(), heard, noted: Noted::default() };
        let (stop, stopped) = channel::<()>();
        let run = move || {
            rounds.make();
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                rounds.make();
            }
            rounds.end();
        };
        let thread = std::thread::Builder::new().name("hearings".to_owned()).spawn(run);
        Ok(Self { stop: Some(stop), thread: Some(thread.context("no thread can be started")?) })
    }
}

impl Drop for Hearings {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What it met was told.
            let _ = thread.join();
        }
    }
}

impl Rounds {
    /// Makes a round. What can't be done now is done with the next.
    fn make(&mut self) {
        if let Err(error) = self.tell().and_then(|()| self.listen()) {
            tracing::debug!(%error, "it is not known to the other configuration servers whom this one hears");
        }
    }

    /// Notes who is heard here, and no longer who is not.
    fn tell(&mut self) -> Result<(), CatalogError> {
        let lease = self.keep_alive()?;
        let connected = self.heard.list().into_iter().filter(|view| view.connected).map(|view| view.identity);
        let itself = Identity { role: Role::ConfigurationServer, name: self.own.clone() };
        let heard: Vec<_> = connected.chain([itself]).collect();
        let mut changes = Vec::new();
        for identity in heard.iter().filter(|identity| !self.noted.since.contains_key(identity)) {
            let hearing = self.hearing(identity, now().into());
            changes.push((
                identity.clone(),
                Some(hearing.since),
                Change::put(&hearing, Expect::Any).under(lease),
            ));
        }
        for (identity, since) in self.noted.since.iter().filter(|(identity, _)| !heard.contains(identity)) {
            let gone = Change::remove(self.hearing(identity, *since).key(), Expect::Any);
            changes.push((identity.clone(), None, gone));
        }
        for some in changes.chunks(CHANGES_MAX) {
            self.catalog.commit(&some.iter().map(|(_, _, change)| change.clone()).collect::<Vec<_>>())?;
            for (identity, since, _) in some {
                match since {
                    Some(since) => self.noted.since.insert(identity.clone(), *since),
                    None => self.noted.since.remove(identity),
                };
            }
        }
        Ok(())
    }

    /// Returns the lease on which everything hangs. One that has ended took along what was noted: that is noted anew.
    fn keep_alive(&mut self) -> Result<LeaseId, CatalogError> {
        if let Some(lease) = self.noted.lease {
            match self.catalog.keep_alive(lease) {
                Ok(()) => return Ok(lease),
                Err(CatalogError::LeaseUnknown { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let lease = self.catalog.grant(LIFE)?.id;
        self.noted = Noted { lease: Some(lease), since: BTreeMap::new() };
        Ok(lease)
    }

    /// Takes whom the others hear as heard.
    fn listen(&self) -> Result<(), CatalogError> {
        let rows = self.table.list()?.rows.into_iter().map(|row| row.record);
        let others = rows.filter(|hearing| hearing.by != self.own);
        self.heard.heard_elsewhere(others.map(|hearing| hearing.identity));
        Ok(())
    }

    fn hearing(&self, identity: &Identity, since: Rfc3339) -> Hearing {
        Hearing { identity: identity.clone(), by: self.own.clone(), since }
    }

    fn end(&mut self) {
        if let Some(lease) = self.noted.lease.take()
            && let Err(error) = self.catalog.end(lease)
        {
            tracing::debug!(%error, "what was noted goes by itself");
        }
    }
}
