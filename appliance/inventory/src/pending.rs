//! Requests that would destroy something and came from elsewhere: they wait until somebody at the appliance confirms them, or until their
//! time is over without an objection.
//!
//! *Invariants:* one is begun once at most, and only from waiting; what has ended stays as it is. The time that is left is counted, not
//! compared with a clock: whoever can set the clock shortens nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{MachineName, Rfc3339, Timestamp};

use crate::Record;

/// How long a request that would destroy something waits, if nothing else is said.
pub const PENDING_WAIT: Duration = Duration::from_secs(24 * 3600);
/// Requests that may wait.
pub const PENDING_MAX: usize = 64;
/// Requests that are kept after they ended.
const ENDED_KEPT: usize = 64;

/// A request that waits, or has waited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its number, from 1.
    pub id: u64,
    /// Who asked.
    pub by: Asker,
    /// What is asked for, as in `machine-remove`.
    pub action: String,
    /// With what; may be empty.
    #[serde(default)]
    pub subject: String,
    /// The request as it came, in JSON.
    pub request: String,
    /// When it came.
    pub asked: Rfc3339,
    /// How it stands.
    pub state: PendingState,
}

/// Who asked from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asker {
    /// An operator, by his certificate.
    Operator(MachineName),
    /// The fleet manager.
    Manager(MachineName),
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum PendingState {
    /// It waits.
    Waiting {
        /// Seconds that are left.
        seconds_left: u64,
    },
    /// It is being done.
    Begun {
        /// Who had it begun.
        by: String,
    },
    /// Nothing more comes of it.
    Ended {
        /// What came of it.
        outcome: PendingOutcome,
        /// When.
        at: Rfc3339,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingOutcome {
    /// It was done.
    Done,
    /// It was refused or failed; why.
    Failed(String),
    /// Somebody did not want it; who.
    Cancelled(String),
    /// The program ended while it was being done: it is not known how far it came, and it is not begun again.
    Interrupted,
}

impl Pending {
    /// Tells whether it waits.
    pub fn waits(&self) -> bool {
        matches!(self.state, PendingState::Waiting { .. })
    }

    /// Tells whether its time is over.
    pub fn is_due(&self) -> bool {
        self.state == PendingState::Waiting { seconds_left: 0 }
    }

    /// Returns it with some seconds less to wait; nothing if it does not wait.
    pub fn after(&self, seconds: u64) -> Option<Self> {
        let PendingState::Waiting { seconds_left } = self.state else { return None };
        let state = PendingState::Waiting { seconds_left: seconds_left.saturating_sub(seconds) };
        Some(Self { state, ..self.clone() })
    }

    /// Returns it as it is begun; nothing if it does not wait.
    pub fn begun(&self, by: &str) -> Option<Self> {
        let state = PendingState::Begun { by: by.to_owned() };
        self.waits().then(|| Self { state, ..self.clone() })
    }

    /// Returns it as somebody has cancelled it; nothing if it does not wait.
    pub fn cancelled(&self, by: &str, now: Timestamp) -> Option<Self> {
        let outcome = PendingOutcome::Cancelled(by.to_owned());
        self.waits().then(|| self.ending(outcome, now))
    }

    /// Returns it as it has ended; nothing if it was not begun.
    pub fn ended(&self, outcome: PendingOutcome, now: Timestamp) -> Option<Self> {
        matches!(self.state, PendingState::Begun { .. }).then(|| self.ending(outcome, now))
    }

    fn ending(&self, outcome: PendingOutcome, now: Timestamp) -> Self {
        Self { state: PendingState::Ended { outcome, at: now.into() }, ..self.clone() }
    }
}

/// Returns the numbers of those that have ended and need not be kept any more.
pub fn forgettable_pending(all: &[Pending]) -> Vec<u64> {
    let ended = |pending: &&Pending| matches!(pending.state, PendingState::Ended { .. });
    let mut ended: Vec<u64> = all.iter().filter(ended).map(|pending| pending.id).collect();
    ended.sort_unstable();
    ended.truncate(ended.len().saturating_sub(ENDED_KEPT));
    ended
}

impl Record for Pending {
    const KIND: &'static str = "pending";

    /// Digits enough that the order of keys is the order of numbers.
    fn name(&self) -> String {
        format!("{:012}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_796_000_000_000_000);

    fn pending(id: u64) -> Pending {
        Pending {
            id,
            by: Asker::Operator("ann".parse().unwrap()),
            action: "machine-remove".to_owned(),
            subject: "web-01".to_owned(),
            request: r#"{"request":"machine_remove","name":"web-01","confirm":"web-01"}"#.to_owned(),
            asked: NOW.into(),
            state: PendingState::Waiting { seconds_left: 100 },
        }
    }

    #[test]
    fn it_is_due_when_its_time_was_counted_down() {
        let almost = pending(1).after(99).unwrap();
        assert_eq!((almost.is_due(), almost.waits()), (false, true));
        let due = almost.after(60).unwrap();
        assert!(due.is_due());
        assert_eq!(due.begun("the appliance").unwrap().after(1), None, "what is begun waits no more");
    }

    #[test]
    fn it_is_begun_once_and_only_from_waiting() {
        let begun = pending(1).begun("uid 0").unwrap();
        assert_eq!((begun.begun("uid 0"), begun.cancelled("uid 0", NOW)), (None, None));
        let done = begun.ended(PendingOutcome::Done, NOW).unwrap();
        assert_eq!((done.begun("uid 0"), done.ended(PendingOutcome::Interrupted, NOW)), (None, None));
        let cancelled = pending(1).cancelled("operator ann", NOW).unwrap();
        assert_eq!((cancelled.begun("uid 0"), cancelled.waits()), (None, false));
        assert_eq!(pending(1).ended(PendingOutcome::Done, NOW), None, "it was never begun");
    }

    #[test]
    fn it_is_readable_and_reads_back_in_every_state() {
        let begun = pending(7).begun("uid 0").unwrap();
        let failed = begun.ended(PendingOutcome::Failed("it is busy".to_owned()), NOW).unwrap();
        let cancelled = pending(7).cancelled("uid 0", NOW).unwrap();
        for each in [pending(7), begun, failed, cancelled] {
            assert_eq!(each.key().as_str(), "pending/000000000007");
            assert_eq!(Pending::decode(&each.key(), &each.encode()).unwrap(), each);
        }
        assert!(pending(7).encode().contains(r#""by":{"operator":"ann"}"#));
    }

    #[test]
    fn the_newest_that_ended_are_kept_and_every_one_that_waits() {
        let mut all: Vec<_> = (1..=70).map(pending).collect();
        all[1..].iter_mut().for_each(|each| *each = each.cancelled("uid 0", NOW).unwrap());
        assert_eq!(forgettable_pending(&all), [2, 3, 4, 5, 6]);
    }
}
