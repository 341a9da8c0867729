//! What a message of the source does.

use std::sync::atomic::Ordering;

use retention::{BatchBody, Body, Lifecycle};
use units::{Sequence, Timestamp};
use wire::{
    Changed, Extent, GranuleQuery, Granules, HashQuery, Message, RefusalCode, SPANS_MAX, SeedDurable,
};

use super::{Conversation, Outgoing, Stage};
use crate::account::extents_cost;
use crate::machine::lock;
use crate::payload::check_frames;
use crate::refusal::SessionEnd;
use crate::replica::{NotTaken, Planted, Received, SeedWork, Then, Work};

/// An item of the stream that was checked.
pub(super) struct Item {
    sequence: Sequence,
    body: Body,
    payload: Vec<u8>,
    time: Timestamp,
}

impl Conversation {
    /// Takes a message of the source and its payload, whose buffer it may keep. Panics unless [`Self::is_ready`]. Errors: why the
    /// session ends; nothing was done then.
    pub fn take(
        &mut self,
        message: Message,
        payload: &mut Vec<u8>,
        time: Timestamp,
    ) -> Result<(), SessionEnd> {
        assert!(matches!(self.stage, Stage::Open), "a message is taken when nothing is waited for");
        wire::check_message(&message, &self.disks, payload.len())?;
        match message {
            Message::Batch(batch) => {
                wire::verify_payload(&batch.extents, payload)?;
                check_frames(&batch.extents, payload)?;
                let body =
                    BatchBody { sequence: batch.sequence, time: batch.time, extents: batch.extents.to_vec() };
                let (sequence, payload) = (batch.sequence, self.keep(payload));
                self.take_item(Item { sequence, body: Body::Batch(body), payload, time })
            }
            Message::Marker(marker) => {
                let (sequence, payload) = (marker.sequence, Vec::new());
                self.take_item(Item { sequence, body: Body::Marker(marker), payload, time })
            }
            Message::Seed(seed) => {
                wire::verify_payload(&seed.extents, payload)?;
                check_frames(&seed.extents, payload)?;
                let payload = self.keep(payload);
                self.take_seed(seed.extents.to_vec(), payload)
            }
            Message::SeedSync(sync) => {
                let token = sync.token;
                let then =
                    self.answer(0, move |()| vec![(Message::SeedDurable(SeedDurable { token }), Vec::new())]);
                self.machine.shared.give(Work::SeedSync { disk: sync.disk, through: sync.through, then });
                Ok(())
            }
            Message::HashQuery(query) => {
                self.take_hash_query(query);
                Ok(())
            }
            Message::GranuleQuery(query) => {
                self.take_granule_query(query);
                Ok(())
            }
            Message::ChangedQuery(query) => {
                let cost = SPANS_MAX * size_of::<wire::Span>();
                let then = self.answer(cost, changed_messages);
                self.machine.shared.give(Work::Changed { since: query.since, then });
                Ok(())
            }
            Message::ResendTaken(taken) => {
                self.machine.shared.lock().resends.taken(taken);
                Ok(())
            }
            Message::Ping => {
                self.send(Message::Pong);
                Ok(())
            }
            Message::Pong => Ok(()),
            Message::Goodbye => Err(SessionEnd::Goodbye),
            Message::Refused(refused) => {
                tracing::warn!(machine = %self.machine.name, code = ?refused.code, detail = %refused.detail, "the source gave up");
                Err(SessionEnd::Goodbye)
            }
            _ => Err(SessionEnd::refused(RefusalCode::Unexpected, "this message is the target's to send")),
        }
    }

    /// Keeps a payload, and leaves another buffer in its place.
    fn keep(&self, payload: &mut Vec<u8>) -> Vec<u8> {
        std::mem::replace(payload, self.budget.buffer())
    }

    /// Counts payload against the credit.
    fn count(&mut self, bytes: usize) -> Result<(), SessionEnd> {
        self.session.received.fetch_add(bytes as u64, Ordering::Relaxed);
        let counted = self.account.receive(bytes);
        if self.machine.shared.plants(Planted::CreditUnchecked) { Ok(()) } else { counted }
    }

    /// Takes an item; the first one ends the seed.
    fn take_item(&mut self, item: Item) -> Result<(), SessionEnd> {
        self.count(item.payload.len())?;
        if matches!(self.machine.shared.lock().lifecycle, Lifecycle::Seeding { .. }) {
            let answer = self.ask(|then| Work::EndSeeding { then });
            self.stage = Stage::EndingSeed { answer, item };
            return Ok(());
        }
        self.take_ordered(item)
    }

    /// Hands an item to the machine, together with those that waited for it.
    pub(super) fn take_ordered(&mut self, item: Item) -> Result<(), SessionEnd> {
        let Item { sequence, body, payload, time } = item;
        let cost = match &body {
            Body::Batch(batch) => extents_cost(batch.extents.len()),
            _ => extents_cost(units::DISKS_MAX),
        };
        self.account.hold(sequence, payload.len(), cost);
        let item = Received { sequence, time, body, payload };
        // Held until the items are taken, so that two connections can't pass each other here.
        let mut reorder = lock(&self.session.reorder);
        let ready = reorder.as_mut().expect("a welcomed session has a resume point").put(item);
        for item in ready {
            match self.machine.shared.take(item) {
                Ok(()) | Err(NotTaken::Duplicate) => {}
                Err(NotTaken::Gap { expected }) => {
                    let detail = format!("sequence {sequence} came, {expected} must come next");
                    return Err(SessionEnd::refused(RefusalCode::Gap, detail));
                }
                Err(NotTaken::Closed) => {
                    let end = SessionEnd::of_state(&self.machine.shared.lock());
                    return Err(end.unwrap_or(SessionEnd::refused(
                        RefusalCode::Unexpected,
                        "the stream has not begun",
                    )));
                }
            }
        }
        Ok(())
    }

    fn take_seed(&mut self, extents: Vec<Extent>, payload: Vec<u8>) -> Result<(), SessionEnd> {
        self.count(payload.len())?;
        if !matches!(self.machine.shared.lock().lifecycle, Lifecycle::Seeding { .. }) {
            return Err(SessionEnd::refused(RefusalCode::Unexpected, "the machine is seeded already"));
        }
        let loan = self.account.lend(payload.len(), extents_cost(extents.len()));
        let wake = self.wake.clone();
        let then: Then<()> = Box::new(move |result| {
            // A failure puts the machine out, and is told from there.
            if result.is_ok() {
                loan.settle();
                wake();
            }
        });
        self.machine.shared.give(Work::Seed(SeedWork { extents, payload, then }));
        Ok(())
    }

    fn take_granule_query(&mut self, query: Box<GranuleQuery>) {
        const HASHES_LEN: usize = (units::LEAF_LEN / units::GRANULE_LEN) as usize * 32;
        let (token, len) = (query.token, query.leaves.len() * HASHES_LEN + size_of::<GranuleQuery>());
        let then = self.answer(len, move |hashes: Vec<units::Hash>| {
            let count = u32::try_from(hashes.len()).expect("a question has at most 1024 leaves");
            let bytes = hashes.iter().flat_map(|hash| hash.0).collect();
            vec![(Message::Granules(Granules { token, count }), bytes)]
        });
        self.machine.shared.give(Work::Granules { query, then });
    }

    fn take_hash_query(&mut self, query: HashQuery) {
        let then = self.answer(query.count as usize * 32, move |hashes: Vec<units::Hash>| {
            let bytes = hashes.iter().flat_map(|hash| hash.0).collect();
            vec![(Message::Hashes(query), bytes)]
        });
        self.machine.shared.give(Work::Hashes { query, then });
    }
}

/// Cuts the answer to a question about changes into messages.
fn changed_messages(spans: Option<Vec<wire::Span>>) -> Vec<Outgoing> {
    let message = |changed| (Message::Changed(Box::new(changed)), Vec::new());
    let Some(spans) = spans else { return vec![message(Changed::Unknown)] };
    let mut parts: Vec<_> = spans.chunks(SPANS_MAX).collect();
    if parts.is_empty() {
        parts.push(&[]);
    }
    let last = parts.len() - 1;
    let part = |(index, part): (usize, &[wire::Span])| {
        message(Changed::Spans { spans: part.iter().copied().collect(), last: index == last })
    };
    parts.into_iter().enumerate().map(part).collect()
}
