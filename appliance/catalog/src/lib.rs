//! driver: where the inventory is kept.
//!
//! A catalog holds texts under keys. Everything changes by commits: several changes at once or none of them, each only if its
//! record is at the revision that was expected; a commit that returned is durable. Whoever wants to know of changes watches. What
//! lives only as long as somebody vouches for it hangs on a lease.
//!
//! *Invariants:* a catalog opens at its last commit, or says what is wrong with it; a record that is handed out is as it was written;
//! a watch misses nothing, or says that it did. What this crate does not do: it knows no record's meaning, that is `inventory`'s.

/// A shared catalog, as one appliance sees it.
mod appliance;
/// What every catalog does.
mod catalog;
/// A copy that is kept current.
mod copier;
/// The copy on another volume.
mod copy;
/// Why it did not.
mod error;
/// A catalog in a cluster.
mod etcd;
/// A whole catalog as a text.
mod snapshot;
/// A catalog in one file.
mod sqlite;
/// Records of one kind.
mod table;

pub use appliance::OfAppliance;
pub use catalog::{
    CHANGES_MAX, COMMIT_LEN_MAX, Catalog, Change, Entry, Event, Expect, Lease, LeaseId, Listing,
    VALUE_LEN_MAX, Watch,
};
pub use copier::{Copied, Copier};
pub use copy::{COPY_FILE, CopyError, read_copy, set_copy_aside, write_copy};
pub use error::{CatalogError, Place};
pub use etcd::{Endpoints, EndpointsError, Etcd, EtcdError, EtcdFiles};
pub use snapshot::{Snapshot, SnapshotError};
pub use sqlite::Sqlite;
pub use table::{Changed, Changes, Row, Rows, Table};

/// A decoder, which must never panic.
pub type Decoder = fn(&[u8]);

/// Every decoder of this crate, by name: each must have golden bytes and a fuzz target.
pub const DECODERS: &[(&str, Decoder)] =
    &[("catalog_snapshot", |bytes| drop(Snapshot::decode(bytes))), ("etcd_value", etcd::decode_any_value)];
