//! What the threads of one session share: frames to send by connection, and what the target has said. No socket here.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use units::{DiskIndex, Hash, LeafIndex, Sequence};
use wire::{Changed, Consistency, DiskShape, HashQuery, Message, Resend, Span, check_message};

use crate::error::SourceError;
use crate::parcel::Parcel;
use crate::stop::Stop;

/// Frames waiting on one connection, at most.
pub(crate) const QUEUE_MAX: usize = 4;
/// How often a wait looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// Spans taken from a target before its answer is treated as too much to be worth having.
const SPANS_TOTAL_MAX: usize = 1 << 20;
/// Questions for parts of the disks that may wait for the end of a round.
const RESENDS_MAX: usize = 1024;

/// One frame to send.
#[derive(Debug)]
pub struct Outgoing {
    /// The message.
    pub message: Message,
    /// Its payload.
    pub parcel: Option<Parcel>,
}

impl Outgoing {
    fn payload_len(&self) -> u64 {
        self.parcel.as_ref().map_or(0, |parcel| parcel.payload_len() as u64)
    }
}

/// One connection's side of the exchange.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    queue: VecDeque<Outgoing>,
    /// Payload bytes the target has allowed since the connection began.
    credit: u64,
    /// Payload bytes sent since the connection began.
    sent: u64,
    /// How long there was something to send.
    busy: Duration,
}

/// What the target has said about changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ChangedAnswer {
    /// Not all of it yet.
    #[default]
    Pending,
    /// All that was written.
    Spans(Vec<Span>),
    /// The history does not reach back that far.
    Unknown,
}

/// What has been said.
#[derive(Debug, Default)]
pub struct Heard {
    /// The ack.
    pub durable: Sequence,
    /// How far the target disks are.
    pub applied: Sequence,
    /// Tokens of seed syncs that were answered and not yet fetched.
    pub seed_durable: Vec<u64>,
    /// Hashes that were asked for and not yet fetched.
    pub hashes: Vec<(HashQuery, Vec<Hash>)>,
    /// Hashes of granules that were asked for and not yet fetched, with their token.
    pub granules: Vec<(u64, Vec<Hash>)>,
    /// The answer about changes.
    pub changed: ChangedAnswer,
    /// Whether it has answered a ping.
    pub ponged: bool,
    /// What the target wants to have again.
    pub resends: Vec<Resend>,
    /// The recovery point the target's policy wants beside those of the schedule.
    pub wanted: Option<Consistency>,
    spans: Vec<Span>,
}

#[derive(Debug, Default)]
struct State {
    lanes: Vec<Lane>,
    heard: Heard,
    /// The last sequence handed to a connection; no ack may be above it.
    given: Sequence,
    failure: Option<SourceError>,
    ending: bool,
}

/// What a connection's thread is to do next.
#[derive(Debug)]
pub enum Next {
    /// Send this.
    Send(Outgoing),
    /// Nothing now; `blocked` tells that only credit is missing.
    Wait {
        /// Whether there is something that could be sent with more credit.
        blocked: bool,
    },
    /// Close: say goodbye, or just end after a failure elsewhere.
    End {
        /// Whether the end is wanted and in order.
        goodbye: bool,
    },
}

/// Rates of the link since the session began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkUse {
    /// Payload bytes sent.
    pub sent: u64,
    /// Time there was something to send, summed over the connections.
    pub busy: Duration,
}

/// What the threads of one session share.
#[derive(Debug)]
pub struct Exchange {
    state: Mutex<State>,
    changed: Condvar,
    shapes: Vec<DiskShape>,
}

impl Exchange {
    /// Makes the exchange of a session on disks of these shapes, with the initial credit of each connection.
    pub fn new(shapes: Vec<DiskShape>, durable: Sequence, credits: &[u64]) -> Self {
        let lanes = credits.iter().map(|credit| Lane { credit: *credit, ..Lane::default() }).collect();
        let heard = Heard { durable, ..Heard::default() };
        let state = State { lanes, heard, given: durable, ..State::default() };
        Self { state: Mutex::new(state), changed: Condvar::new(), shapes }
    }

    /// Puts a frame on connection `lane`, or on the one with the shortest queue; waits while queues are full. Returns the
    /// connection. Errors: the session has failed, the operator wants to stop.
    pub fn put(&self, lane: Option<usize>, outgoing: Outgoing, stop: &Stop) -> Result<usize, SourceError> {
        let shortest = |state: &State| (0..state.lanes.len()).min_by_key(|at| state.lanes[*at].queue.len());
        let free = |state: &mut State| {
            let at = lane.or_else(|| shortest(state)).expect("a session has a connection");
            (state.lanes[at].queue.len() < QUEUE_MAX).then_some(at)
        };
        let (mut state, at) = self.wait_for(free, None, stop)?;
        if let Message::Batch(batch) = &outgoing.message {
            state.given = batch.sequence;
        } else if let Message::Marker(marker) = &outgoing.message {
            state.given = marker.sequence;
        }
        state.lanes[at].queue.push_back(outgoing);
        Ok(at)
    }

    /// Tells whether [`put`](Self::put) on any connection would return at once.
    pub fn has_room(&self) -> bool {
        self.lock().lanes.iter().all(|lane| lane.queue.len() < QUEUE_MAX)
    }

    /// Waits until `ready` finds what it looks for in what was heard, for at most `limit`. Errors: the session has failed, the
    /// operator wants to stop. `None`: the time is over.
    pub fn hear<T>(
        &self,
        limit: Option<Duration>,
        stop: &Stop,
        mut ready: impl FnMut(&mut Heard) -> Option<T>,
    ) -> Result<Option<T>, SourceError> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let found = self.wait_for(
            |state| match ready(&mut state.heard) {
                Some(found) => Some(Some(found)),
                None => deadline.filter(|deadline| Instant::now() >= *deadline).map(|_| None),
            },
            deadline,
            stop,
        );
        found.map(|(_, found)| found)
    }

    /// Returns what the link was given and how long it was busy with it.
    pub fn link_use(&self) -> LinkUse {
        let state = self.lock();
        let (sent, busy) =
            (state.lanes.iter().map(|lane| lane.sent).sum(), state.lanes.iter().map(|lane| lane.busy).sum());
        LinkUse { sent, busy }
    }

    /// Begins the end of the session in order. What is still queued is dropped: nothing after it will be sent, so that the
    /// target sees no gap, only an end.
    pub fn end(&self) {
        let mut state = self.lock();
        state.ending = true;
        state.lanes.iter_mut().for_each(|lane| lane.queue.clear());
        drop(state);
        self.changed.notify_all();
    }

    /// Notes that a connection failed; the first failure is the session's.
    pub fn fail(&self, failure: SourceError) {
        self.lock().failure.get_or_insert(failure);
        self.changed.notify_all();
    }

    /// Tells connection `lane` what to do next, and takes the frame it is to send off its queue.
    pub fn next(&self, lane: usize) -> Next {
        let mut state = self.lock();
        if state.failure.is_some() {
            return Next::End { goodbye: false };
        }
        let ending = state.ending;
        let mine = &mut state.lanes[lane];
        match mine.queue.pop_front() {
            Some(outgoing) if mine.sent + outgoing.payload_len() <= mine.credit => {
                mine.sent += outgoing.payload_len();
                drop(state);
                self.changed.notify_all();
                Next::Send(outgoing)
            }
            Some(outgoing) => {
                mine.queue.push_front(outgoing);
                Next::Wait { blocked: true }
            }
            None if ending => Next::End { goodbye: true },
            None => Next::Wait { blocked: false },
        }
    }

    /// Notes that connection `lane` was busy sending, or waiting for credit, for this long.
    pub fn was_busy(&self, lane: usize, time: Duration) {
        self.lock().lanes[lane].busy += time;
    }

    /// Takes a message of the target from connection `lane`. Errors: it breaks a rule of the protocol, or ends the session.
    pub fn take(
        &self,
        lane: usize,
        message: Message,
        payload: &[u8],
        target: &str,
    ) -> Result<(), SourceError> {
        check_message(&message, &self.shapes, payload.len())
            .map_err(|error| SourceError::Protocol { target: target.to_owned(), found: error.to_string() })?;
        let mut state = self.lock();
        let outcome = state.take(lane, message, payload, target);
        drop(state);
        self.changed.notify_all();
        outcome
    }

    fn wait_for<T>(
        &self,
        mut ready: impl FnMut(&mut State) -> Option<T>,
        deadline: Option<Instant>,
        stop: &Stop,
    ) -> Result<(MutexGuard<'_, State>, T), SourceError> {
        let mut state = self.lock();
        loop {
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            if stop.asked() {
                return Err(SourceError::Stopped);
            }
            if let Some(found) = ready(&mut state) {
                return Ok((state, found));
            }
            let look = deadline
                .map_or(LOOK, |deadline| deadline.saturating_duration_since(Instant::now()).min(LOOK));
            let waited = self.changed.wait_timeout(state, look);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in another thread ends that connection; what is behind the lock is whole between its methods.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(
        &mut self,
        lane: usize,
        message: Message,
        payload: &[u8],
        target: &str,
    ) -> Result<(), SourceError> {
        let protocol = |found| Err(SourceError::Protocol { target: target.to_owned(), found });
        match message {
            Message::Durable(durable) if durable.upto > self.given => {
                let (upto, given) = (durable.upto, self.given);
                return protocol(format!("an ack of sequence {upto}, but {given} was the last one sent"));
            }
            Message::Durable(durable) => self.heard.durable = self.heard.durable.max(durable.upto),
            Message::Applied(applied) => self.heard.applied = self.heard.applied.max(applied.upto),
            Message::SeedDurable(durable) => self.heard.seed_durable.push(durable.token),
            Message::Credit(credit) => self.lanes[lane].credit = self.lanes[lane].credit.max(credit.upto),
            Message::Hashes(query) => {
                self.heard.hashes.push((query, hashes_in(payload)));
            }
            Message::Granules(granules) => {
                self.heard.granules.push((granules.token, hashes_in(payload)));
            }
            Message::Changed(changed) => self.heard.take_changed(*changed),
            Message::Resend(_) if self.heard.resends.len() >= RESENDS_MAX => {
                return protocol(format!("{RESENDS_MAX} questions for parts of the disks, and more"));
            }
            Message::Resend(resend) => self.heard.resends.push(*resend),
            Message::PointWanted(wanted) => self.heard.wanted = Some(wanted.consistency),
            Message::Ping => {}
            Message::Pong => self.heard.ponged = true,
            Message::Goodbye => return Err(SourceError::Closed { target: target.to_owned() }),
            Message::Refused(refused) => {
                let detail = refused.detail.as_str().to_owned();
                return Err(SourceError::Refused { target: target.to_owned(), code: refused.code, detail });
            }
            Message::Hello(_) | Message::Welcome(_) | Message::Batch(_) | Message::Marker(_) => {
                return protocol("a message that has no place in an open session".to_owned());
            }
            Message::Seed(_)
            | Message::SeedSync(_)
            | Message::HashQuery(_)
            | Message::ChangedQuery(_)
            | Message::GranuleQuery(_)
            | Message::ResendTaken(_) => {
                return protocol("a message that only a source sends".to_owned());
            }
        }
        Ok(())
    }
}

impl Heard {
    /// Takes the answer to a hash query, if it has come.
    pub fn hashes_of(&mut self, disk: DiskIndex, first: LeafIndex) -> Option<Vec<Hash>> {
        let at = self.hashes.iter().position(|(query, _)| query.disk == disk && query.first == first)?;
        Some(self.hashes.swap_remove(at).1)
    }

    /// Takes the answer about changes, if all of it has come.
    pub fn changed_answer(&mut self) -> Option<ChangedAnswer> {
        (self.changed != ChangedAnswer::Pending).then(|| std::mem::take(&mut self.changed))
    }

    fn take_changed(&mut self, changed: Changed) {
        match changed {
            Changed::Unknown => self.changed = ChangedAnswer::Unknown,
            Changed::Spans { spans, last } => {
                if self.spans.len() < SPANS_TOTAL_MAX {
                    self.spans.extend(spans);
                }
                if last {
                    let spans = std::mem::take(&mut self.spans);
                    let whole = spans.len() < SPANS_TOTAL_MAX;
                    self.changed = if whole { ChangedAnswer::Spans(spans) } else { ChangedAnswer::Unknown };
                }
            }
        }
    }
}

fn hashes_in(payload: &[u8]) -> Vec<Hash> {
    payload.chunks_exact(32).map(|hash| Hash(hash.try_into().expect("a chunk has 32 bytes"))).collect()
}

#[cfg(test)]
mod tests {
    use units::ByteLen;
    use wire::{Credit, Durable, Marker};

    use super::*;

    fn exchange(credits: &[u64]) -> Exchange {
        Exchange::new(vec![DiskShape { len: ByteLen(1 << 20) }], Sequence(7), credits)
    }

    fn marker(sequence: u64) -> Outgoing {
        let marker = Marker {
            sequence: Sequence(sequence),
            time: units::Timestamp(1),
            consistency: Consistency::Crash,
            label: Default::default(),
            roots: Default::default(),
            group: None,
        };
        Outgoing { message: Message::Marker(Box::new(marker)), parcel: None }
    }

    #[test]
    fn an_ack_of_what_was_never_sent_ends_the_session() {
        let exchange = exchange(&[0]);
        exchange.put(None, marker(8), &Stop::default()).unwrap();
        exchange.take(0, Message::Durable(Durable { upto: Sequence(8) }), &[], "t").unwrap();
        let lie = exchange.take(0, Message::Durable(Durable { upto: Sequence(9) }), &[], "t");
        assert!(matches!(lie, Err(SourceError::Protocol { .. })));
    }

    #[test]
    fn frames_go_to_the_shortest_queue_and_a_full_one_waits() {
        let exchange = exchange(&[0, 0]);
        let lanes: Vec<_> =
            (8..16).map(|at| exchange.put(None, marker(at), &Stop::default()).unwrap()).collect();
        assert_eq!(lanes, [0, 1, 0, 1, 0, 1, 0, 1]);
        let stop = Stop::default();
        stop.ask();
        assert!(matches!(exchange.put(None, marker(16), &stop), Err(SourceError::Stopped)));
    }

    #[test]
    fn the_first_failure_is_what_everyone_sees() {
        let exchange = exchange(&[0]);
        exchange.fail(SourceError::Closed { target: "first".into() });
        exchange.fail(SourceError::Stopped);
        let heard = exchange.hear(None, &Stop::default(), |_| Some(()));
        assert!(matches!(heard, Err(SourceError::Closed { target }) if target == "first"));
        assert!(matches!(exchange.next(0), Next::End { goodbye: false }));
    }

    #[test]
    fn credit_never_falls() {
        let exchange = exchange(&[5]);
        exchange.take(0, Message::Credit(Credit { upto: 3 }), &[], "t").unwrap();
        assert_eq!(exchange.lock().lanes[0].credit, 5);
        exchange.take(0, Message::Credit(Credit { upto: 9 }), &[], "t").unwrap();
        assert_eq!(exchange.lock().lanes[0].credit, 9);
    }

    #[test]
    fn spans_count_only_once_the_last_part_is_there() {
        let exchange = exchange(&[0]);
        let part = |last| Message::Changed(Box::new(Changed::Spans { spans: Default::default(), last }));
        let short = Some(Duration::from_millis(1));
        exchange.take(0, part(false), &[], "t").unwrap();
        assert_eq!(exchange.hear(short, &Stop::default(), Heard::changed_answer).unwrap(), None);
        exchange.take(0, part(true), &[], "t").unwrap();
        let answer = exchange.hear(short, &Stop::default(), Heard::changed_answer).unwrap();
        assert_eq!(answer, Some(ChangedAnswer::Spans(Vec::new())));
    }
}
