//! A catalog in an etcd cluster, of several programs.
//!
//! It speaks to the JSON gateway that every etcd serves (3.4 or later). A record is one key, readable with `etcdctl get --prefix
//! landfall/`; each carries its hash. A commit is one transaction, and happens once, whatever becomes of its answer. Whoever asks waits
//! for a bounded time, then hears which endpoint did not answer, and why.
//!
//! *Invariants:* what is read was committed by a majority; a listing is of one moment; a cluster that is being filled is no catalog.

/// Whom a cluster is known by, and whom it knows us by.
mod certificates;
/// Asks whichever endpoint answers.
mod client;
/// One connection.
mod connection;
/// Where a cluster is.
mod endpoints;
/// Why it did not answer.
mod error;
/// A catalog made of a snapshot.
mod filling;
/// Where things are, and how values are written.
mod layout;
/// Everything under a prefix.
mod listing;
/// What is asked and answered.
mod message;
/// Which endpoint is asked next.
mod rounds;
/// A stream of changes.
mod stream;
/// Watches over streams.
mod watch;
/// Commits, each once.
mod writer;

use std::sync::Arc;
use std::time::Duration;

use inventory::{Key, Revision};

pub use self::certificates::EtcdFiles;
pub use self::endpoints::{Endpoints, EndpointsError};
pub use self::error::EtcdError;

use self::client::Client;
use self::filling::{fill, form, swap_form};
use self::layout::{FORM, FORM_KEY, Form, Layout, place_of};
use self::message::{Bytes, Grant, Granted, Named, Number, Range, Ranged, Streamed};
use self::watch::ClusterWatch;
use self::writer::Writer;
use crate::catalog::check;
use crate::{Catalog, CatalogError, Change, Entry, Lease, LeaseId, Listing, Place, Snapshot, Watch};

const RANGE: &str = "/v3/kv/range";
const TXN: &str = "/v3/kv/txn";
const GRANT: &str = "/v3/lease/grant";
const KEEP_ALIVE: &str = "/v3/lease/keepalive";
const REVOKE: &str = "/v3/lease/revoke";

/// A catalog in a cluster.
#[derive(Debug)]
pub struct Etcd {
    client: Arc<Client>,
    layout: Layout,
    writer: Writer,
}

impl Etcd {
    /// Opens the catalog of a cluster, or makes it, and verifies every record. It will be written as `writer`: from the first commit on,
    /// another process that wrote under that name can't any more. `instance` is random.
    ///
    /// # Errors
    /// The cluster does not answer ([`CatalogError::Failed`]); a record is not as it was written, or the catalog was never filled to its
    /// end ([`CatalogError::Damaged`]); [`CatalogError::Newer`].
    pub fn open(
        endpoints: &Endpoints,
        files: Option<&EtcdFiles>,
        writer: &str,
        instance: [u8; 16],
    ) -> Result<Self, CatalogError> {
        let (client, mut layout) = start(endpoints, files)?;
        layout.base = opened(&client, &layout)?.base;
        listing::list(&client, &layout, "")?;
        let writer = Writer::new(writer, name_of(instance));
        Ok(Self { client: Arc::new(client), layout, writer })
    }

    /// Puts what a snapshot holds into a cluster that holds no catalog, or one that was never filled to its end. Durable on return;
    /// after a crash the cluster is filled, or says that it is not.
    ///
    /// # Errors
    /// [`CatalogError::NotEmpty`], and nothing was changed; or the cluster does not answer.
    pub fn fill(
        endpoints: &Endpoints,
        files: Option<&EtcdFiles>,
        snapshot: &Snapshot,
        instance: [u8; 16],
    ) -> Result<(), CatalogError> {
        let (client, layout) = start(endpoints, files)?;
        fill(&client, &layout, snapshot.records(), snapshot.revision(), &name_of(instance))
    }
}

impl Catalog for Etcd {
    fn get(&self, key: &Key) -> Result<Option<Entry>, CatalogError> {
        let range = Range { key: place_of(key), ..Range::default() };
        let found: Ranged = self.client.ask(RANGE, &range).map_err(failed(&self.layout))?;
        found.kvs.first().map(|kept| self.layout.entry(kept)).transpose()
    }

    fn list(&self, prefix: &str) -> Result<Listing, CatalogError> {
        listing::list(&self.client, &self.layout, prefix)
    }

    fn commit(&self, changes: &[Change]) -> Result<Revision, CatalogError> {
        check(changes)?;
        if changes.is_empty() {
            let range = Range { key: Bytes::from(FORM_KEY), count_only: true, ..Range::default() };
            let found: Ranged = self.client.ask(RANGE, &range).map_err(failed(&self.layout))?;
            return Ok(self.layout.revision(found.header.revision.0));
        }
        self.writer.commit(&self.client, &self.layout, changes)
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Box<dyn Watch>, CatalogError> {
        Ok(Box::new(ClusterWatch::new(self.client.clone(), self.layout.clone(), prefix, after)))
    }

    fn grant(&self, life: Duration) -> Result<Lease, CatalogError> {
        let seconds = i64::try_from(life.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1);
        let granted: Granted =
            self.client.ask(GRANT, &Grant { ttl: Number(seconds) }).map_err(failed(&self.layout))?;
        let life = Duration::from_secs(u64::try_from(granted.ttl.0).unwrap_or(0));
        Ok(Lease { id: LeaseId(granted.id.0), life })
    }

    fn keep_alive(&self, lease: LeaseId) -> Result<(), CatalogError> {
        let named = Named { id: Number(lease.0) };
        let kept: Streamed<Granted> = self.client.ask(KEEP_ALIVE, &named).map_err(failed(&self.layout))?;
        match kept.result {
            Some(kept) if kept.ttl.0 > 0 => Ok(()),
            _ => Err(CatalogError::LeaseUnknown { lease }),
        }
    }

    fn end(&self, lease: LeaseId) -> Result<(), CatalogError> {
        let ended: Result<serde_json::Value, _> = self.client.ask(REVOKE, &Named { id: Number(lease.0) });
        match ended {
            Err(error) if error.is_not_found() => Ok(()),
            ended => ended.map(drop).map_err(failed(&self.layout)),
        }
    }
}

/// Reads any value as that of a record, which must never panic.
pub(crate) fn decode_any_value(bytes: &[u8]) {
    let key = Key::new("machine", "home/web-01").expect("it is lawful");
    let _ = layout::decode_value(&key, 7, bytes);
}

fn start(endpoints: &Endpoints, files: Option<&EtcdFiles>) -> Result<(Client, Layout), CatalogError> {
    let layout = Layout { place: Place::Cluster(format!("etcd:{endpoints}")), base: 0 };
    let client = Client::start(endpoints.clone(), files.cloned())
        .map_err(|error| CatalogError::failed("starting to speak to etcd")(error.into()))?;
    Ok((client, layout))
}

/// Returns the form of the catalog, and says it where there was none. Errors: it is not filled.
fn opened(client: &Client, layout: &Layout) -> Result<Form, CatalogError> {
    let made = Form { form: FORM, base: 0, filled_by: None };
    let found = match form(client, layout)? {
        (Some(found), _) => found,
        (None, _) => match swap_form(client, layout, 0, &made, Vec::new()) {
            Ok(_) => made,
            // Somebody else has said so at the same moment.
            Err(CatalogError::NotEmpty { .. }) => form(client, layout)?.0.unwrap_or(made),
            Err(error) => return Err(error),
        },
    };
    match found.filled_by {
        None => Ok(found),
        Some(_) => Err(layout.damaged("it was being filled from elsewhere, which has not come to its end")),
    }
}

fn name_of(instance: [u8; 16]) -> String {
    instance.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns what an error of the cluster says of the catalog.
fn failed(layout: &Layout) -> impl FnOnce(EtcdError) -> CatalogError {
    let what = format!("the catalog in {}", layout.place);
    move |error| CatalogError::failed(what)(error.into())
}
