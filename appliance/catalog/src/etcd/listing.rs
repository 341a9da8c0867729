//! Everything under a prefix, read in pages of one moment.

use super::client::Client;
use super::layout::{Layout, span_of};
use super::message::{Bytes, Number, Range, Ranged};
use super::{RANGE, failed};
use crate::{CatalogError, Listing};

/// Records in one page.
const PAGE: i64 = 256;
/// Attempts to read all pages of one moment while the cluster forgets that moment.
const ATTEMPTS_MAX: usize = 4;

/// Returns everything whose key begins like this, as it was at one moment.
pub(super) fn list(client: &Client, layout: &Layout, prefix: &str) -> Result<Listing, CatalogError> {
    for attempt in 1.. {
        match pages(client, layout, prefix) {
            Err(PageError::Cluster(error)) if error.is_compacted() && attempt < ATTEMPTS_MAX => {}
            Err(PageError::Cluster(error)) => return Err(failed(layout)(error)),
            Err(PageError::Record(error)) => return Err(error),
            Ok(listing) => return Ok(listing),
        }
    }
    unreachable!("the attempts have an end")
}

enum PageError {
    Cluster(super::EtcdError),
    Record(CatalogError),
}

/// The first page is of now; the others are of the same revision, whatever is committed meanwhile.
fn pages(client: &Client, layout: &Layout, prefix: &str) -> Result<Listing, PageError> {
    let (mut key, range_end) = span_of(prefix);
    let (mut entries, mut revision) = (Vec::new(), Number(0));
    loop {
        let range =
            Range { key, range_end: range_end.clone(), limit: Number(PAGE), revision, ..Range::default() };
        let page: Ranged = client.ask(RANGE, &range).map_err(PageError::Cluster)?;
        if revision == Number(0) {
            revision = page.header.revision;
        }
        for kept in &page.kvs {
            entries.push(layout.entry(kept).map_err(PageError::Record)?);
        }
        match page.kvs.last() {
            // The key that follows at once is the same with a zero behind it.
            Some(last) if page.more => key = Bytes([&last.key.0[..], &[0]].concat()),
            _ => return Ok(Listing { entries, revision: layout.revision(revision.0) }),
        }
    }
}
