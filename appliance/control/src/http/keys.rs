//! Idempotency keys: a client that does not know whether it was heard asks again with the same key, and it happens once.
//!
//! Outcomes are kept in memory, the newest of them for a day at most. What must survive a restart is idempotent by itself, such as
//! jobs.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::api::Request;
use crate::caller::Caller;
use crate::code::Code;
use crate::desk::Reply;
use crate::error::{ApiError, ErrorReply};

/// Outcomes that are kept.
const KEPT_MAX: usize = 1024;
/// How long they are kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

type Outcome = Result<Reply, ErrorReply>;
type Name = (Caller, String);

/// What was asked for with a key.
#[derive(Default)]
pub(super) struct Keys(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    entries: HashMap<Name, Entry>,
    /// By age, oldest first.
    order: VecDeque<(Instant, Name)>,
}

struct Entry {
    request: Request,
    /// Absent while it is under way.
    outcome: Option<Outcome>,
}

impl Keys {
    /// Carries out a request unless one with this key of this caller was; returns what came of it, and whether it was before.
    /// Errors: the key was for something else, or what it was for is still under way.
    pub(super) fn once(
        &self,
        caller: &Caller,
        key: String,
        request: Request,
        carry_out: impl FnOnce(Request) -> Outcome,
    ) -> Result<(Outcome, bool), ErrorReply> {
        let name = (caller.clone(), key);
        if let Some(outcome) = self.claim(&name, &request, Instant::now())? {
            return Ok((outcome, true));
        }
        let mut claimed = Claimed { keys: self, name, outcome: Some(unfinished()) };
        let outcome = carry_out(request);
        claimed.outcome = Some(outcome.clone());
        Ok((outcome, false))
    }

    fn claim(&self, name: &Name, request: &Request, now: Instant) -> Result<Option<Outcome>, ErrorReply> {
        let mut kept = self.lock();
        kept.forget(now);
        if let Some(entry) = kept.entries.get(name) {
            let refused = |code| ApiError::new(code, "the request was refused").into();
            return match &entry.outcome {
                _ if entry.request != *request => Err(refused(Code::KeyOther)),
                None => Err(refused(Code::KeyBusy)),
                Some(outcome) => Ok(Some(outcome.clone())),
            };
        }
        kept.order.push_back((now, name.clone()));
        kept.entries.insert(name.clone(), Entry { request: request.clone(), outcome: None });
        Ok(None)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Forgets what is too old or too much. What is under way is kept: its place is given back with its outcome.
    fn forget(&mut self, now: Instant) {
        while let Some((at, name)) = self.order.front() {
            let ended = self.entries.get(name).is_none_or(|entry| entry.outcome.is_some());
            let due = self.order.len() >= KEPT_MAX || now.saturating_duration_since(*at) >= KEPT_FOR;
            if !ended || !due {
                return;
            }
            self.entries.remove(name);
            self.order.pop_front();
        }
    }
}

/// A key whose request is under way. What came of it is noted even when carrying it out panicked.
struct Claimed<'a> {
    keys: &'a Keys,
    name: Name,
    outcome: Option<Outcome>,
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.keys.lock().entries.get_mut(&self.name) {
            entry.outcome = self.outcome.take();
        }
    }
}

fn unfinished() -> Outcome {
    Err(ApiError::new(Code::Internal, "the request was not finished").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Cancel, MachineList};

    fn cancel(machine: &str) -> Request {
        Cancel { machine: machine.parse().expect("a name") }.into()
    }

    fn once(
        keys: &Keys,
        caller: &Caller,
        request: Request,
        count: &mut u32,
    ) -> Result<(Outcome, bool), ErrorReply> {
        keys.once(caller, "k".to_owned(), request, |_| {
            *count += 1;
            Ok(Reply::of(&*count))
        })
    }

    #[test]
    fn what_was_asked_for_twice_happens_once_for_each_caller() {
        let (keys, mut count) = (Keys::default(), 0);
        let local = Caller::Local { uid: 0 };
        let first = once(&keys, &local, cancel("web-01"), &mut count).expect("new");
        assert_eq!(first, (Ok(Reply::of(&1)), false));
        let again = once(&keys, &local, cancel("web-01"), &mut count).expect("the same");
        assert_eq!(again, (Ok(Reply::of(&1)), true));
        assert_eq!(once(&keys, &local, cancel("web-02"), &mut count).expect_err("other").code, "LF-1023");
        let ann = Caller::Operator("ann".parse().expect("a name"));
        assert_eq!(once(&keys, &ann, cancel("web-02"), &mut count).expect("new").0, Ok(Reply::of(&2)));
    }

    #[test]
    fn what_is_under_way_is_not_begun_again_and_a_panic_is_an_outcome() {
        let keys = Keys::default();
        let ask = |carry_out: &dyn Fn() -> Outcome| {
            keys.once(&Caller::System, "k".to_owned(), MachineList {}.into(), |_| carry_out())
        };
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            ask(&|| {
                assert_eq!(ask(&|| unreachable!("it is under way")).expect_err("busy").code, "LF-1024");
                panic!("on purpose")
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(ask(&|| unreachable!("it was")).expect("it ended").0.expect_err("badly").code, "LF-1007");
    }

    #[test]
    fn outcomes_are_bounded_in_number_and_age() {
        let (keys, begin) = (Keys::default(), Instant::now());
        let name = |number: u64| (Caller::System, number.to_string());
        let settle = |number: u64, now| {
            assert_eq!(keys.claim(&name(number), &cancel("a"), now), Ok(None));
            drop(Claimed { keys: &keys, name: name(number), outcome: Some(unfinished()) });
        };
        for number in 0..2 * KEPT_MAX as u64 {
            settle(number, begin);
        }
        assert_eq!(keys.lock().entries.len(), KEPT_MAX);
        settle(9999, begin + KEPT_FOR);
        let kept = keys.lock();
        assert_eq!((kept.entries.len(), kept.order.len()), (1, 1));
    }
}
