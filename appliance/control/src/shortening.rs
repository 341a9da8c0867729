//! Whether a change shortens a history: what is longer, larger or kept longer destroys nothing, from wherever it is asked for.

use inventory::Action;

use crate::api::{CommitBy, FailbackTo, Pin, PointList, PointPin, Policy, PolicySet, Request, WhenFull};
use crate::authorise::{action_of, commits_nothing};
use crate::error::ApiError;
use crate::service::Service;

/// A budget of so many bytes bounds nothing.
const NO_BUDGET: u64 = 1 << 50;

/// Says what kind of thing a request does, by what there is. Errors: what it is about can't be looked at.
pub(crate) fn action_here(service: &dyn Service, request: &Request) -> Result<Action, ApiError> {
    let action = action_of(request);
    match (action, request) {
        (Action::Shorten, Request::PolicySet(set)) => {
            let policies = service.policy_show(set.machine.as_ref())?;
            let own = policies.machines.first().map(|machine| machine.policy);
            let before = own.filter(|_| set.machine.is_some()).unwrap_or(policies.default);
            Ok(action_of_change(set, &before, &policies.default))
        }
        (Action::Keep, Request::PointPin(pin)) => {
            let list = PointList { machine: pin.machine.clone(), around: None, limit: 1 };
            let pins = service.point_list(list)?.pins;
            Ok(if pins.iter().any(|known| goes_earlier(pin, known)) { Action::Shorten } else { action })
        }
        _ => Ok(action),
    }
}

/// Says what a change of a policy does that names what bounds the history.
fn action_of_change(set: &PolicySet, before: &Policy, default: &Policy) -> Action {
    let change = &set.change;
    let after = if change.inherit {
        *default
    } else {
        Policy {
            window_seconds: change.window_seconds.unwrap_or(before.window_seconds),
            budget_bytes: change.budget_bytes.or(before.budget_bytes),
            when_full: change.when_full.unwrap_or(before.when_full),
            ..*before
        }
    };
    let commits = change.inherit && after.commit == CommitBy::Commit && *before != after;
    if shortens(before, &after) {
        Action::Shorten
    } else if commits || !commits_nothing(set) {
        Action::Commit
    } else {
        Action::Keep
    }
}

fn shortens(before: &Policy, after: &Policy) -> bool {
    let budget = |policy: &Policy| policy.budget_bytes.unwrap_or(NO_BUDGET).min(NO_BUDGET);
    after.window_seconds < before.window_seconds
        || budget(after) < budget(before)
        || given_up(after.when_full) > given_up(before.when_full)
}

/// How much is given up when there is no room.
fn given_up(when: WhenFull) -> u8 {
    match when {
        WhenFull::Pause => 0,
        WhenFull::Thin => 1,
        WhenFull::Shrink => 2,
    }
}

/// Tells whether a point that is pinned would be let go earlier. A point that is not named by its number may be any.
fn goes_earlier(pin: &PointPin, known: &Pin) -> bool {
    let may_be_it = match pin.point {
        FailbackTo::Sequence(sequence) => sequence == known.point.sequence,
        FailbackTo::Latest | FailbackTo::Time(_) => true,
    };
    let earlier = pin.until.is_some_and(|until| known.until.is_none_or(|known| until.0 < known.0));
    may_be_it && earlier
}

#[cfg(test)]
mod tests {
    use units::{Sequence, Timestamp};

    use super::*;
    use crate::api::{Consistency, Point, PolicyChange, Rfc3339};

    fn policy() -> Policy {
        Policy {
            rpo_seconds: 900,
            window_seconds: 86_400,
            application_seconds: 3600,
            budget_bytes: Some(1 << 40),
            when_full: WhenFull::Thin,
            ..Policy::default()
        }
    }

    fn action(change: PolicyChange) -> Action {
        let default = Policy { window_seconds: 3600, budget_bytes: None, ..policy() };
        let set = PolicySet { machine: None, change, plan_only: false, expiry_ok: true };
        action_of_change(&set, &policy(), &default)
    }

    /// Each value in each direction, alone.
    #[test]
    fn only_what_keeps_less_shortens() {
        let none = PolicyChange::default();
        let window = |seconds| action(PolicyChange { window_seconds: Some(seconds), ..none });
        assert_eq!([86_399, 86_400, 86_401].map(window), [Action::Shorten, Action::Keep, Action::Keep]);
        let budget = |bytes| action(PolicyChange { budget_bytes: Some(bytes), ..none });
        assert_eq!(
            [(1 << 40) - 1, 1 << 40, 1 << 41].map(budget),
            [Action::Shorten, Action::Keep, Action::Keep]
        );
        let when = |when_full| action(PolicyChange { when_full: Some(when_full), ..none });
        let all = [WhenFull::Shrink, WhenFull::Thin, WhenFull::Pause];
        assert_eq!(all.map(when), [Action::Shorten, Action::Keep, Action::Keep]);
        assert_eq!(action(PolicyChange { inherit: true, ..none }), Action::Shorten, "the default keeps less");
        let mixed = PolicyChange { window_seconds: Some(90_000), budget_bytes: Some(1), ..none };
        assert_eq!(action(mixed), Action::Shorten, "one of several is enough");
        let commit = PolicyChange { window_seconds: Some(90_000), commit: Some(CommitBy::Commit), ..none };
        assert_eq!(action(commit), Action::Commit);
    }

    #[test]
    fn a_budget_where_there_was_none_shortens() {
        let before = Policy { budget_bytes: None, ..policy() };
        assert!(shortens(&before, &policy()) && !shortens(&policy(), &before));
        let boundless = Policy { budget_bytes: Some(NO_BUDGET), ..policy() };
        assert!(!shortens(&before, &boundless), "that is none, too");
    }

    #[test]
    fn a_pin_that_ends_earlier_lets_a_point_go() {
        let at = |seconds: u64| Rfc3339(Timestamp(seconds * 1_000_000));
        let known = |until: Option<u64>| Pin {
            point: Point {
                sequence: Sequence(8),
                time: at(1),
                consistency: Consistency::Crash,
                label: String::new(),
                proof: false,
                spoilt: false,
                group: None,
            },
            until: until.map(at),
            note: String::new(),
        };
        let earlier = |point, until: Option<u64>, before| {
            let machine = "a".parse().expect("a name");
            let pin = PointPin { machine, point, until: until.map(at), note: String::new() };
            goes_earlier(&pin, &known(before))
        };
        let it = FailbackTo::Sequence(Sequence(8));
        assert_eq!([Some(9), Some(10), None].map(|until| earlier(it, until, Some(10))), [true, false, false]);
        assert!(earlier(it, Some(99), None), "it was kept for ever");
        assert!(!earlier(FailbackTo::Sequence(Sequence(9)), Some(1), None), "that is another point");
        assert!(earlier(FailbackTo::Latest, Some(1), None), "it may be that point");
    }
}
