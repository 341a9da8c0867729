//! What the agent tells whoever watches: values only, rendered by the program.

use std::time::Duration;

use units::{ByteLen, Generation, Hash, Sequence, Timestamp};
use wire::Consistency;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The first full copy.
    Seed,
    /// A scan for what changed.
    Round,
}

/// How far a stage is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes of all disks.
    pub total: ByteLen,
    /// Bytes of them dealt with.
    pub done: ByteLen,
    /// Payload bytes sent.
    pub sent: ByteLen,
    /// Disk bytes per second since the stage began.
    pub rate: f64,
    /// Time left at this rate.
    pub left: Option<Duration>,
}

/// What was counted on the way to a recovery point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Disk bytes read.
    pub read: ByteLen,
    /// Disk bytes found to differ from what the target holds.
    pub changed: ByteLen,
    /// Payload bytes sent for them.
    pub sent: ByteLen,
}

impl Counters {
    /// Counts what was counted elsewhere as well.
    pub fn add(&mut self, more: &Self) {
        self.read += more.read;
        self.changed += more.changed;
        self.sent += more.sent;
    }

    /// Returns payload bytes per changed byte: 1 if nothing changed.
    pub fn ratio(&self) -> f64 {
        if self.changed == ByteLen::ZERO { 1.0 } else { self.sent.0 as f64 / self.changed.0 as f64 }
    }
}

/// A recovery point that is durable at the target, and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Where it stands in the stream.
    pub sequence: Sequence,
    /// The generation it stands in.
    pub generation: Generation,
    /// The moment it stands for.
    pub time: Timestamp,
    /// How far it can be trusted.
    pub consistency: Consistency,
    /// The root of each disk.
    pub roots: Vec<Hash>,
    /// What was counted since the point before it (or since the start).
    pub counters: Counters,
    /// How long that took.
    pub took: Duration,
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A session is open.
    Connected {
        /// The target.
        target: String,
        /// The generation of the session.
        generation: Generation,
        /// Where the stream goes on.
        durable: Sequence,
    },
    /// The target is not reachable or does not take the session now; told once until it is back.
    Waiting {
        /// Why.
        reason: String,
    },
    /// Something the operator should know; the agent copes.
    Warning {
        /// What.
        text: String,
    },
    /// How far it is; several times a second at most.
    Progress(Progress),
    /// A recovery point is durable.
    Point(Point),
}

/// Whoever watches.
pub trait Report {
    /// Takes one event.
    fn event(&mut self, event: Event);
}

impl<F: FnMut(Event)> Report for F {
    fn event(&mut self, event: Event) {
        self(event);
    }
}

/// Returns how far a stage is, from how long it has run.
pub(crate) fn progress(
    stage: Stage,
    total: ByteLen,
    done: ByteLen,
    sent: ByteLen,
    elapsed: Duration,
) -> Progress {
    let rate = done.0 as f64 / elapsed.as_secs_f64().max(1e-6);
    let rest = total.0.saturating_sub(done.0) as f64;
    let left = (rate >= 1.0).then(|| Duration::try_from_secs_f64(rest / rate).ok()).flatten();
    Progress { stage, total, done, sent, rate, left }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_the_rate_so_far() {
        let at =
            |done| progress(Stage::Seed, ByteLen(1000), ByteLen(done), ByteLen(0), Duration::from_secs(10));
        assert_eq!(at(500).left, Some(Duration::from_secs(10)));
        assert_eq!(at(1000).left, Some(Duration::ZERO));
        assert_eq!(at(0).left, None);
    }

    #[test]
    fn nothing_changed_is_a_ratio_of_one() {
        assert_eq!(Counters::default().ratio(), 1.0);
        let counters = Counters { changed: ByteLen(100), sent: ByteLen(25), ..Counters::default() };
        assert_eq!(counters.ratio(), 0.25);
    }
}
