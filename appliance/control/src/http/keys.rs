//! Idempotency keys: a client that does not know whether it was heard asks again with the same key, and it happens once.
//!
//! The order: 1. it is durable that a request came with this key; 2. it is carried out; 3. what came of it is durable. A program that ends in
//! between leaves a key of which nobody knows what came: it is not carried out again, and whoever asks is told to look. Outcomes are kept
//! for a day, the newest of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::{Catalog, CatalogError, Expect, Row, Table};
use inventory::{ANSWER_KEPT_MAX, KEYED_MAX, Keyed, KeyedOutcome};
use units::{HexHash, Timestamp};

use crate::api::Request;
use crate::caller::Caller;
use crate::clock::now;
use crate::code::Code;
use crate::desk::Reply;
use crate::error::{ApiError, ErrorReply};

/// Attempts to note a key that others note at the same time.
const ATTEMPTS_MAX: usize = 16;

type Outcome = Result<Reply, ErrorReply>;

/// What was asked for with a key.
pub(super) struct Keys {
    table: Table<Keyed>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// What is kept, by age, oldest first.
    order: VecDeque<(Timestamp, HexHash)>,
    /// What is being carried out here, with the request.
    under_way: HashMap<HexHash, Keyed>,
}

impl Keys {
    /// Keeps keys in a catalog. Errors: the catalog.
    pub(super) fn open(catalog: Arc<dyn Catalog>) -> Result<Self, CatalogError> {
        let table = Table::<Keyed>::new(catalog);
        let mut order: Vec<_> =
            table.list()?.rows.into_iter().map(|row| (row.record.at.0, row.record.id)).collect();
        order.sort_unstable_by_key(|(at, id)| (*at, id.0));
        let known = Known { order: order.into(), under_way: HashMap::new() };
        Ok(Self { table, known: Mutex::new(known) })
    }

    /// Carries out a request unless one with this key of this caller was; returns what came of it, and whether it was before.
    /// Errors: the key was for something else, or what it was for is still under way or was cut off; the catalog.
    pub(super) fn once(
        &self,
        caller: &Caller,
        key: &str,
        request: Request,
        carry_out: impl FnOnce(Request) -> Outcome,
    ) -> Result<(Outcome, bool), ErrorReply> {
        let text = serde_json::to_vec(&request).expect("requests hold only what JSON can write");
        let keyed = Keyed::begun(&caller.to_string(), key, &text, now());
        if let Some(outcome) = self.claim(&keyed, &text)? {
            return Ok((outcome, true));
        }
        let mut claimed = Claimed { keys: self, id: keyed.id, outcome: unfinished() };
        let outcome = carry_out(request);
        claimed.outcome = outcome.clone();
        Ok((outcome, false))
    }

    /// Notes that a request came with its key, durably; returns what came of it if it came before.
    fn claim(&self, keyed: &Keyed, text: &[u8]) -> Result<Option<Outcome>, ErrorReply> {
        let mut known = self.lock();
        if let Some(before) = known.under_way.get(&keyed.id) {
            let code = if before.is_of(text) { Code::KeyBusy } else { Code::KeyOther };
            return Err(refused(code));
        }
        self.forget(&mut known, keyed.at.0).map_err(|error| unusable(&error))?;
        for _ in 0..ATTEMPTS_MAX {
            let found = self.table.get(&Keyed::name_of(keyed.id)).map_err(|error| unusable(&error))?;
            let expect = match found {
                Some(Row { record, .. }) if !record.is_over(keyed.at.0) => {
                    return replay(record, text).map(Some);
                }
                Some(Row { revision, .. }) => Expect::At(revision),
                None => Expect::Absent,
            };
            match self.note(keyed, expect) {
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(unusable(&error)),
                Ok(()) => {
                    known.order.push_back((keyed.at.0, keyed.id));
                    known.under_way.insert(keyed.id, keyed.clone());
                    return Ok(None);
                }
            }
        }
        Err(refused(Code::KeyBusy))
    }

    fn note(&self, keyed: &Keyed, expect: Expect) -> Result<(), CatalogError> {
        match expect {
            Expect::At(revision) => self.table.replace(keyed, revision).map(drop),
            Expect::Absent | Expect::Any => self.table.insert(keyed).map(drop),
        }
    }

    /// Forgets what is too old or too much. What is under way is kept: its place is given back with its outcome.
    fn forget(&self, known: &mut Known, now: Timestamp) -> Result<(), CatalogError> {
        while let Some((at, id)) = known.order.front().copied() {
            let keyed = Keyed { at: at.into(), ..Keyed::begun("", "", &[], at) };
            let due = known.order.len() >= KEYED_MAX || keyed.is_over(now);
            if known.under_way.contains_key(&id) || !due {
                return Ok(());
            }
            self.table.remove(&Keyed::name_of(id), Expect::Any)?;
            known.order.pop_front();
        }
        Ok(())
    }

    /// Notes what came of it, durably. What can't be noted counts as cut off.
    fn settle(&self, id: HexHash, outcome: &Outcome) {
        let outcome = kept(outcome);
        let settled = self.table.update(&Keyed::name_of(id), |found| {
            Ok::<_, CatalogError>(
                found.map(|keyed| Keyed { outcome: Some(outcome.clone()), ..keyed.clone() }),
            )
        });
        if let Err(error) = settled {
            tracing::error!(%error, "what came of a request with a key is not kept");
        }
        self.lock().under_way.remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key whose request is under way. What came of it is noted even when carrying it out panicked.
struct Claimed<'a> {
    keys: &'a Keys,
    id: HexHash,
    outcome: Outcome,
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        self.keys.settle(self.id, &self.outcome);
    }
}

/// Returns what came of a request that came before.
fn replay(before: Keyed, text: &[u8]) -> Result<Outcome, ErrorReply> {
    if !before.is_of(text) {
        return Err(refused(Code::KeyOther));
    }
    let unreadable = |error: serde_json::Error| unusable(&error);
    match before.outcome {
        None => Err(refused(Code::KeyCut)),
        Some(KeyedOutcome::AnsweredAtLength) => Err(refused(Code::KeyLong)),
        Some(KeyedOutcome::Answered(json)) => Ok(Ok(Reply::from_json(json.into_bytes()))),
        Some(KeyedOutcome::Refused(json)) => serde_json::from_str(&json).map(Err).map_err(unreadable),
    }
}

/// Returns what is kept of an outcome.
fn kept(outcome: &Outcome) -> KeyedOutcome {
    match outcome {
        Ok(reply) => match std::str::from_utf8(reply.json()) {
            Ok(json) if json.len() <= ANSWER_KEPT_MAX => KeyedOutcome::Answered(json.to_owned()),
            _ => KeyedOutcome::AnsweredAtLength,
        },
        Err(error) => {
            let json = serde_json::to_string(error).expect("errors hold only what JSON can write");
            KeyedOutcome::Refused(json)
        }
    }
}

fn refused(code: Code) -> ErrorReply {
    ApiError::new(code, "the request was refused").into()
}

fn unusable(error: &dyn std::error::Error) -> ErrorReply {
    ApiError::new(Code::CatalogFailed, "the request was refused: its key can't be noted")
        .because(error)
        .into()
}

fn unfinished() -> Outcome {
    Err(ApiError::new(Code::Internal, "the request was not finished").into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use catalog::Sqlite;
    use inventory::KEYED_FOR;

    use super::*;
    use crate::api::{Cancel, MachineList};

    fn keys(directory: &Path) -> Keys {
        Keys::open(Arc::new(Sqlite::open(&directory.join("catalog.db")).expect("a catalog"))).expect("keys")
    }

    fn cancel(machine: &str) -> Request {
        Cancel { machine: machine.parse().expect("a name") }.into()
    }

    fn once(
        keys: &Keys,
        caller: &Caller,
        request: Request,
        count: &mut u32,
    ) -> Result<(Outcome, bool), ErrorReply> {
        keys.once(caller, "k", request, |_| {
            *count += 1;
            Ok(Reply::of(&*count))
        })
    }

    #[test]
    fn what_was_asked_for_twice_happens_once_for_each_caller_also_after_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut count, local) = (0, Caller::Local { uid: 0 });
        let first = once(&keys(directory.path()), &local, cancel("web-01"), &mut count).expect("new");
        assert_eq!(first, (Ok(Reply::of(&1)), false));
        let keys = keys(directory.path());
        let again = once(&keys, &local, cancel("web-01"), &mut count).expect("the same");
        assert_eq!(again, (Ok(Reply::of(&1)), true));
        assert_eq!(once(&keys, &local, cancel("web-02"), &mut count).expect_err("other").code, "LF-1023");
        let ann = Caller::Operator("ann".parse().expect("a name"));
        assert_eq!(once(&keys, &ann, cancel("web-02"), &mut count).expect("new").0, Ok(Reply::of(&2)));
    }

    #[test]
    fn refusals_are_kept_as_they_were_and_long_answers_as_given() {
        let directory = tempfile::tempdir().expect("a directory");
        let keys = keys(directory.path());
        let error: ErrorReply = ApiError::new(Code::MachineUnknown, "machine web-09 is unknown").into();
        for replayed in [false, true] {
            let asked = keys.once(&Caller::System, "refused", cancel("web-09"), |_| Err(error.clone()));
            assert_eq!(asked, Ok((Err(error.clone()), replayed)));
        }
        let long = "x".repeat(ANSWER_KEPT_MAX);
        let ask = || keys.once(&Caller::System, "long", cancel("web-01"), |_| Ok(Reply::of(&long)));
        assert_eq!(ask().expect("done").0, Ok(Reply::of(&long)));
        assert_eq!(ask().expect_err("not kept").code, "LF-1028");
    }

    #[test]
    fn what_is_under_way_is_not_begun_again_and_a_panic_is_an_outcome() {
        let directory = tempfile::tempdir().expect("a directory");
        let keys = keys(directory.path());
        let ask = |carry_out: &dyn Fn() -> Outcome| {
            keys.once(&Caller::System, "k", MachineList {}.into(), |_| carry_out())
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
    fn what_was_cut_off_is_not_begun_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = serde_json::to_vec(&cancel("web-01")).expect("JSON");
        let keyed = Keyed::begun(&Caller::System.to_string(), "k", &text, now());
        // Killed after the first step.
        assert_eq!(keys(directory.path()).claim(&keyed, &text), Ok(None));
        let asked = once(&keys(directory.path()), &Caller::System, cancel("web-01"), &mut 0);
        assert_eq!(asked.expect_err("nobody knows").code, "LF-1027");
    }

    #[test]
    fn outcomes_are_bounded_in_number_and_age() {
        let directory = tempfile::tempdir().expect("a directory");
        let (keys, begin) = (keys(directory.path()), now());
        let settle = |number: usize, at| {
            let keyed = Keyed::begun("the appliance", &number.to_string(), b"{}", at);
            assert_eq!(keys.claim(&keyed, b"{}"), Ok(None));
            keys.settle(keyed.id, &unfinished());
        };
        for number in 0..KEYED_MAX + 8 {
            settle(number, begin);
        }
        let kept = || keys.table.list().expect("a list").rows.len();
        assert_eq!((kept(), keys.lock().order.len()), (KEYED_MAX, KEYED_MAX));
        settle(9999, begin.after(KEYED_FOR));
        assert_eq!((kept(), keys.lock().order.len()), (1, 1));
    }
}
