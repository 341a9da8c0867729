//! Puts the items of several connections in the order of sequences.

use std::collections::BTreeMap;

use units::Sequence;

use crate::replica::Received;

/// Items that came before their turn. Bounded by the credits of the session's connections.
pub(crate) struct Reorder {
    resume: Sequence,
    next: Sequence,
    connections: u8,
    early: BTreeMap<Sequence, Received>,
}

impl Reorder {
    /// Begins behind `resume`, the last item that is durable.
    pub(crate) fn new(resume: Sequence, connections: u8) -> Self {
        Self { resume, next: resume.next(), connections, early: BTreeMap::new() }
    }

    /// Returns the sequence it began behind.
    pub(crate) fn resume_point(&self) -> Sequence {
        self.resume
    }

    /// Takes an item, and returns those whose turn has come. With one connection an item that is early has left
    /// another out: it is returned as it is, for the journal to refuse.
    pub(crate) fn put(&mut self, item: Received) -> Vec<Received> {
        if self.connections == 1 || item.sequence < self.next {
            return vec![item];
        }
        self.early.insert(item.sequence, item);
        let mut ready = Vec::new();
        while let Some(item) = self.early.remove(&self.next) {
            self.next = self.next.next();
            ready.push(item);
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retention::{BatchBody, Body};
    use units::Timestamp;

    fn item(sequence: u64) -> Received {
        let (sequence, time) = (Sequence(sequence), Timestamp(0));
        let body = Body::Batch(BatchBody { sequence, time, extents: Vec::new() });
        Received { sequence, time, body, payload: Vec::new() }
    }

    fn put(reorder: &mut Reorder, sequence: u64) -> Vec<u64> {
        reorder.put(item(sequence)).iter().map(|item| item.sequence.0).collect()
    }

    #[test]
    fn items_come_out_in_the_order_of_sequences() {
        let mut reorder = Reorder::new(Sequence(4), 2);
        assert!(put(&mut reorder, 7).is_empty());
        assert!(put(&mut reorder, 6).is_empty());
        assert_eq!(put(&mut reorder, 5), [5, 6, 7]);
        assert_eq!(put(&mut reorder, 4), [4], "a duplicate is passed on, to be acked");
        assert_eq!(put(&mut reorder, 8), [8]);
    }

    #[test]
    fn a_single_connection_never_waits_for_what_was_left_out() {
        assert_eq!(put(&mut Reorder::new(Sequence(0), 1), 3), [3]);
    }
}
