//! What the source is to send again, because what this end holds of it is in doubt.
//!
//! A request is told to the source in each session, and kept until a consistent marker vouches for it: one behind the sequence
//! at which the source of that session has durably forgotten what it knew of these bytes.

use units::Sequence;
use wire::{Consistency, Span};

/// The requests that no marker has vouched for yet.
#[derive(Debug, Default)]
pub struct Resends {
    last_token: u64,
    requests: Vec<Request>,
}

#[derive(Debug)]
struct Request {
    token: u64,
    spans: Vec<Span>,
    /// The source's sequence when it took the request, in this session.
    taken: Option<Sequence>,
}

impl Resends {
    /// Returns what was asked for and not vouched for yet.
    pub fn pending(&self) -> impl Iterator<Item = &Span> {
        self.requests.iter().flat_map(|request| &request.spans)
    }

    /// Adds requests of at most a message each.
    pub(crate) fn request(&mut self, spans: &[Span]) {
        for part in spans.chunks(wire::SPANS_MAX) {
            self.last_token += 1;
            self.requests.push(Request { token: self.last_token, spans: part.to_vec(), taken: None });
        }
    }

    /// Begins a session: whoever took a request in an earlier one may have lost it with its state.
    pub(crate) fn begin_session(&mut self) {
        self.requests.iter_mut().for_each(|request| request.taken = None);
    }

    /// Returns the requests after `token`, with their tokens.
    pub(crate) fn after(&self, token: u64) -> Vec<wire::Resend> {
        let later = self.requests.iter().filter(|request| request.token > token);
        let message = |request: &Request| wire::Resend {
            token: request.token,
            spans: request.spans.iter().copied().collect(),
        };
        later.map(message).collect()
    }

    /// Notes that the source took a request; a token that is not asked for is none.
    pub(crate) fn taken(&mut self, taken: wire::ResendTaken) {
        let request = self.requests.iter_mut().find(|request| request.token == taken.token);
        if let Some(request) = request {
            request.taken.get_or_insert(taken.after);
        }
    }

    /// Notes a durable marker: what it vouches for is no longer asked for.
    pub(crate) fn vouched(&mut self, marker: Sequence, consistency: Consistency) {
        if consistency >= Consistency::Crash {
            self.requests.retain(|request| request.taken.is_none_or(|after| marker <= after));
        }
    }
}

#[cfg(test)]
mod tests {
    use units::{ByteLen, ByteOffset, DiskIndex};
    use wire::ResendTaken;

    use super::*;

    fn span(start: u64) -> Span {
        Span { disk: DiskIndex(0), start: ByteOffset(start), len: ByteLen(4096) }
    }

    #[test]
    fn only_a_consistent_marker_behind_the_taking_vouches() {
        let mut resends = Resends::default();
        resends.request(&[span(0)]);
        resends.vouched(Sequence(5), Consistency::Crash);
        assert_eq!(resends.pending().count(), 1, "the source has not taken it");
        resends.taken(ResendTaken { token: 1, after: Sequence(7) });
        resends.vouched(Sequence(7), Consistency::Crash);
        resends.vouched(Sequence(9), Consistency::Fuzzy);
        assert_eq!(resends.pending().count(), 1, "neither an older marker nor a fuzzy one vouches");
        resends.vouched(Sequence(10), Consistency::Application);
        assert_eq!(resends.pending().count(), 0);
    }

    #[test]
    fn another_session_has_to_take_it_again() {
        let mut resends = Resends::default();
        resends.request(&(0..1025).map(|at| span(at * 4096)).collect::<Vec<_>>());
        let told: Vec<_> = resends.after(0).iter().map(|resend| (resend.token, resend.spans.len())).collect();
        assert_eq!((told, resends.after(1).len()), (vec![(1, 1024), (2, 1)], 1));
        resends.taken(ResendTaken { token: 1, after: Sequence(3) });
        resends.begin_session();
        resends.taken(ResendTaken { token: 2, after: Sequence(4) });
        resends.taken(ResendTaken { token: 99, after: Sequence(0) });
        resends.vouched(Sequence(8), Consistency::Crash);
        assert_eq!(resends.pending().count(), 1024);
    }
}
