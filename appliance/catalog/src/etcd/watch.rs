//! Watches: every change behind a revision, once and in order, over however many streams.

use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory::Revision;

use super::client::Client;
use super::failed;
use super::layout::{Layout, span_of};
use super::message::{Create, EventKind, Number, WatchEvent, Watched, Watching};
use super::stream::{Came, Stream, WATCH};
use crate::{CatalogError, Event, Watch};

/// One who watches.
pub(super) struct ClusterWatch {
    client: Arc<Client>,
    layout: Layout,
    prefix: String,
    /// The last revision of the cluster that was seen whole.
    after: i64,
    /// Nothing, until it is asked for the first time, and after one has ended.
    stream: Option<Stream>,
}

impl ClusterWatch {
    pub(super) fn new(client: Arc<Client>, layout: Layout, prefix: &str, after: Revision) -> Self {
        // What was before the catalog was filled is seen whole.
        let after = i64::try_from(after.0.saturating_sub(layout.base)).unwrap_or(i64::MAX - 1);
        Self { client, layout, prefix: prefix.to_owned(), after, stream: None }
    }

    /// Begins a stream behind what was seen.
    fn begin(&self) -> Result<Stream, CatalogError> {
        let (key, range_end) = span_of(&self.prefix);
        let start_revision = Number(self.after + 1);
        let wanted = Watching { create_request: Create { key, range_end, start_revision } };
        let body = serde_json::to_vec(&wanted).expect("wishes hold only what JSON can write");
        let begun = self.client.wait(WATCH, |shared| Stream::begin(shared, body.into()));
        begun.map_err(failed(&self.layout))
    }

    /// Takes what a message tells. Errors: it tells that changes were missed, or a value is damaged; what was seen whole stays so.
    fn take(&mut self, message: Watched) -> Result<Vec<Event>, CatalogError> {
        if message.compact_revision.0 > self.after {
            return Err(CatalogError::Missed { after: self.layout.revision(self.after) });
        }
        if message.canceled {
            let what = format!("watching {}", self.layout.place);
            return Err(CatalogError::failed(what)(message.cancel_reason.into()));
        }
        let mut events = Vec::new();
        for event in message.events.iter().filter(|event| event.kv.mod_revision.0 > self.after) {
            events.push(self.event(event)?);
        }
        if let Some(last) = message.events.last() {
            self.after = self.after.max(last.kv.mod_revision.0);
        }
        Ok(events)
    }

    fn event(&self, event: &WatchEvent) -> Result<Event, CatalogError> {
        let revision = self.layout.revision(event.kv.mod_revision.0);
        match event.kind {
            EventKind::Delete => Ok(Event { key: self.layout.key(&event.kv.key)?, value: None, revision }),
            EventKind::Put => {
                let entry = self.layout.entry(&event.kv)?;
                Ok(Event { key: entry.key, value: Some(entry.value), revision })
            }
        }
    }
}

impl Watch for ClusterWatch {
    /// A stream that ends is no error: the next one begins behind what was seen. Errors: also, the cluster does not answer; ask again.
    fn next(&mut self, wait: Duration) -> Result<Vec<Event>, CatalogError> {
        let until = Instant::now() + wait;
        loop {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => self.begin()?,
            };
            match stream.next(until.saturating_duration_since(Instant::now())) {
                Came::Ended => {}
                Came::Nothing => {
                    self.stream = Some(stream);
                    return Ok(Vec::new());
                }
                Came::Message(message) => {
                    // After an error the next stream begins behind what was seen whole, and meets it again.
                    let events = self.take(message)?;
                    self.stream = Some(stream);
                    if !events.is_empty() {
                        return Ok(events);
                    }
                }
            }
        }
    }
}
